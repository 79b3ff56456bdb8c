//! Keys and endpoints for the tests of this module.

use std::net::SocketAddr;

use guideway_model::flow::FlowKey;
use guideway_model::node::Protocol;
use guideway_model::pin::{PinKey, PoolNumber};

/// Keys in the order of their numbers.
pub(super) fn key(number: u32) -> PinKey {
    let client = SocketAddr::from((number.to_be_bytes(), 1));
    PinKey {
        pool: PoolNumber(1),
        flow: FlowKey::five_tuple(Protocol::Udp, 53, client),
    }
}

/// One of many.
pub(super) fn endpoint(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 80))
}
