//! Addresses of a Gateway: those it asks for, and those on which it can be dialled.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::condition::enumerate;
use crate::node::{BindAddress, BindResult, NodeRecord, SocketKey};
use crate::resource::{Gateway, GatewayAddress, GatewayStatusAddress};
use crate::state::State;

/// Most addresses in a status.
const ADDRESSES: usize = 16;

/// Which entries of `spec.addresses` are of a kind that cannot be bound.
pub(crate) fn unsupported(gateway: &Gateway) -> Option<String> {
    let unsupported = named(gateway, |address| !is_supported(address));
    (!unsupported.is_empty()).then(|| {
        format!(
            "only addresses of type IPAddress can be bound, not {}",
            enumerate(&unsupported, ", ")
        )
    })
}

/// Which entries of `spec.addresses` are addresses on which no one can listen for connections, on whatever machine.
pub(crate) fn unusable(gateway: &Gateway) -> Option<String> {
    let unusable = named(gateway, |address| value(address).is_some_and(|ip| !is_usable(ip)));
    (!unusable.is_empty()).then(|| {
        format!(
            "a listener needs an address of one machine, which is none of {}",
            enumerate(&unusable, ", ")
        )
    })
}

/// Where the listeners bind. Without addresses, and for an address without a value, that is the nodes' data address.
pub(crate) fn bind_addresses(gateway: &Gateway) -> BTreeSet<BindAddress> {
    if gateway.spec.addresses.is_empty() {
        return BTreeSet::from([BindAddress::NodeDefault]);
    }
    let addresses = gateway.spec.addresses.iter();
    addresses
        .filter_map(|address| match &address.value {
            None => Some(BindAddress::NodeDefault),
            Some(_) => value(address).filter(|ip| is_usable(*ip)).map(BindAddress::Exactly),
        })
        .collect()
}

/// The addresses that clients can dial: each on which some live node has bound one of `held`.
pub(crate) fn dialled(state: &State, held: &BTreeSet<SocketKey>) -> Vec<GatewayStatusAddress> {
    let mut addresses = BTreeSet::new();
    for (_, node) in state.nodes().filter(|(_, node)| node.live) {
        for socket in held {
            if node.binds.get(socket) == Some(&BindResult::Bound) {
                addresses.extend(reached_at(socket.address, node));
            }
        }
    }
    addresses
        .into_iter()
        .take(ADDRESSES)
        .map(|address| GatewayStatusAddress {
            address_type: GatewayAddress::IP_ADDRESS.to_owned(),
            value: address.to_string(),
        })
        .collect()
}

fn named(gateway: &Gateway, wanted: impl Fn(&GatewayAddress) -> bool) -> Vec<String> {
    let addresses = gateway.spec.addresses.iter().enumerate();
    addresses
        .filter(|(_, address)| wanted(address))
        .map(|(position, address)| {
            let value = address.value.as_deref().unwrap_or_default();
            format!("spec.addresses[{position}] {} {value:?}", address.address_type)
        })
        .collect()
}

fn is_supported(address: &GatewayAddress) -> bool {
    address.address_type == GatewayAddress::IP_ADDRESS && (address.value.is_none() || value(address).is_some())
}

fn value(address: &GatewayAddress) -> Option<IpAddr> {
    let ip: IpAddr = address.value.as_deref()?.parse().ok()?;
    Some(ip.to_canonical())
}

fn is_usable(ip: IpAddr) -> bool {
    let broadcast = match ip {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// The address that reaches a socket of a node. A node that listens on all its addresses is reached where the other
/// nodes reach it, as far as that is an address.
fn reached_at(address: BindAddress, node: &NodeRecord) -> Option<IpAddr> {
    match address {
        BindAddress::Exactly(address) => Some(address),
        BindAddress::NodeDefault => node.facts.data_address.or_else(|| {
            let peer: std::net::SocketAddr = node.facts.peer_address.parse().ok()?;
            Some(peer.ip())
        }),
    }
}
