//! The sockets that Gateways and ListenerSets want.

use super::addresses::bind_addresses;
use super::listener::{rivals, shape};
use super::owner::Owner;
use crate::node::SocketKey;
use crate::state::State;
use crate::state::host::HostKey;
use crate::state::index::{Claim, Claims, Takes};

/// The sockets that a Gateway or ListenerSet claims: for each listener that could serve and has a place, each of
/// its addresses. A listener that lacks a certificate claims too: its host names must not fall to a wildcard of someone else.
pub(crate) fn claims(state: &State, owner: &Owner<'_>) -> Claims {
    let mut claims = Claims::new();
    if owner.fault(state).is_some() {
        return claims;
    }
    let addresses = bind_addresses(owner.gateway);
    let rank = owner.rank();
    let listeners = owner.placed(state);
    for listener in listeners {
        let shape = shape(listener);
        let Some(protocol) = shape.transport() else { continue };
        if shape.kinds.is_empty() || !rivals(listeners, listener).is_empty() {
            continue;
        }
        let takes = if shape.is_by_name() {
            Takes::Name(HostKey::of(listener.hostname.as_deref()))
        } else {
            Takes::Port
        };
        for address in &addresses {
            let socket = SocketKey {
                protocol,
                address: *address,
                port: listener.port,
            };
            let claim = Claim {
                rank: rank.clone(),
                listener: listener.name.clone(),
                takes: takes.clone(),
            };
            claims.insert((socket, claim));
        }
    }
    claims
}
