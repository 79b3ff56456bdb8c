//! TLS that ends at this node: certificates and trust of a plan, a connection without its socket, and how a handshake came
//! out. TLS that is only passed through needs nothing of this but the way from a name to a route, in [`door`].

pub(crate) mod credentials;
pub(crate) mod door;
pub(crate) mod outcome;
mod resolver;
pub(crate) mod stream;
mod verifier;
