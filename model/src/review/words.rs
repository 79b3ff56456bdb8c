//! How parts of a review are told.

use std::net::SocketAddr;

use crate::node::{BindAddress, Protocol, SocketKey};
use crate::plan::{AffinityKind, Entry, HostPattern, KeyKind, ListenerName, Standing, Why};
use crate::status::condition;

pub(super) fn name_of(name: &ListenerName) -> String {
    let (kind, owner) = match name.gateway.strip_prefix("ListenerSet:") {
        Some(set) => ("ListenerSet", set),
        None => ("Gateway", name.gateway.as_str()),
    };
    format!("{:?} of {kind} {}/{owner}", name.listener, name.namespace)
}

pub(super) fn protocol_word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}

pub(super) fn socket_words(socket: SocketKey) -> String {
    let at = match socket.address {
        BindAddress::NodeDefault => String::new(),
        BindAddress::Exactly(address) => format!(" at {address}"),
    };
    format!("{} port {}{at}", protocol_word(socket.protocol), socket.port)
}

/// The kind of routes of listeners that are carried without a look inside.
pub(super) fn opaque_kind(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCPRoute",
        Protocol::Udp => "UDPRoute",
    }
}

pub(super) fn pattern(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Exact(name) => name.clone(),
        HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
        HostPattern::Any => "every name".to_owned(),
    }
}

/// What is hashed.
pub(super) fn key(affinity: &AffinityKind, kind: KeyKind, client: SocketAddr) -> String {
    let client = SocketAddr::new(client.ip().to_canonical(), client.port());
    match affinity {
        AffinityKind::FiveTuple => {
            let what = match kind {
                KeyKind::Flow => "a flow, which can go on through another node and then follows a pin",
                KeyKind::Relayed | KeyKind::Client => "a connection, which its own socket holds and which needs no pin",
            };
            format!("affinity is FiveTuple: the client's address and port, {client}, are hashed for {what}")
        }
        AffinityKind::ClientIp {
            v4_prefix,
            v6_prefix,
            timeout,
        } => {
            let prefix = if client.is_ipv4() { v4_prefix } else { v6_prefix };
            format!(
                "affinity is ClientIP: the first {prefix} bits of {} are hashed; such a client stays for {} s after its \
                 last session",
                client.ip(),
                timeout.as_secs()
            )
        }
    }
}

pub(super) fn entry(entry: &Entry) -> String {
    match entry {
        Entry::Endpoint { address, origin, .. } => format!("{address} of {origin}"),
        Entry::Reject { origin } => format!("the share of a backendRef that is refused ({origin})"),
    }
}

pub(super) fn standing(standing: Option<Standing>) -> &'static str {
    match standing {
        Some(Standing::Ready) => "takes new sessions",
        Some(Standing::Draining) => "is being drained: it keeps its sessions and takes none",
        Some(Standing::Leaving) => "is leaving: it takes no session",
        None => "is not in the pool",
    }
}

pub(super) fn why(why: Why) -> &'static str {
    match why {
        Why::Table => "the active table says so",
        Why::Leaving => "the active table's endpoint takes nothing new, and this is what comes in its place",
        Why::Pin => "the pin says so",
        Why::Affinity => "the client has an affinity entry",
        Why::Grace => "the table of the lost node says so, until its grace ends",
        Why::Redispatch => "the chosen endpoint could not be reached",
    }
}

pub(super) fn enumerate(items: &[String]) -> String {
    condition::enumerate(items, ", ")
}
