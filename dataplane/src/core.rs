//! The pure part: values and times go in, operations and deadlines come out. No socket, no descriptor, no clock and
//! no thread is named below this module.

pub mod affinity;
pub mod drops;
pub mod expiry;
pub mod flow;
pub mod flow_id;
pub mod flow_table;
pub mod hello;
pub mod needs;
pub mod port_set;
pub mod reason;
pub mod selection;
pub mod session;
pub mod slab;
pub mod stall;
pub mod time;
pub mod train;
pub mod wheel;

pub use reason::CloseReason;
