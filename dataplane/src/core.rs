//! The pure part: values and times go in, operations and deadlines come out. No socket, no descriptor, no clock and
//! no thread is named below this module.

pub mod reason;
pub mod selection;
pub mod session;
pub mod slab;
pub mod time;
pub mod wheel;

pub use reason::CloseReason;
