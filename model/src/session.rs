//! Live sessions as nodes tell of them: never replicated, asked for when someone looks.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::node::{Incarnation, NodeId, Protocol};
use crate::plan::{ListenerName, Why};

mod events;
mod filter;
mod query;
mod sort;

pub use events::{Mark, Marks, NoMarks, SessionEvent, SessionEventQuery, SessionEvents};
pub use filter::{Network, SessionFilter};
pub use query::{NamedSession, Position, SessionPage, SessionQuery};
pub use sort::{SessionSort, SortKey, SortValue};

/// Identity of a session in the cluster, for as long as it lives; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId {
    /// The node that carries it.
    pub node: NodeId,
    /// The start of that node.
    pub incarnation: Incarnation,
    /// Where that start keeps it.
    pub local: LocalSessionId,
}

/// Identity of a session within one start of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalSessionId {
    /// Its protocol, as its sockets have it.
    pub protocol: Protocol,
    /// The relay thread.
    pub seat: u16,
    /// Its place there.
    pub index: u32,
    /// Tells apart those that had the place one after another.
    pub generation: u32,
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub enum SessionState {
    /// On a TLS port: it is not known yet where it goes.
    Greeting,
    /// An endpoint is being dialed.
    Connecting,
    /// Bytes pass both ways.
    Established,
    /// One side has ended.
    HalfClosed,
}

/// One live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRow {
    /// Identity within its node.
    pub id: LocalSessionId,
    /// The listener that accepted it.
    pub listener: Arc<ListenerName>,
    /// `namespace/name` of the route; empty without one.
    pub route: Arc<str>,
    /// Who dialled.
    pub client: SocketAddr,
    /// Where it goes; `None` while that is sought.
    pub endpoint: Option<SocketAddr>,
    /// Why there.
    pub why: Option<Why>,
    /// Server name of the ClientHello.
    pub sni: Option<Arc<str>>,
    /// Protocol that ALPN would have chosen first.
    pub alpn: Option<Arc<str>>,
    /// What it is doing.
    pub state: SessionState,
    /// Since it was accepted.
    pub age: Duration,
    /// Since a byte or datagram last passed.
    pub idle: Duration,
    /// Taken from the client, from the endpoint.
    pub bytes: [u64; 2],
    /// Datagrams taken from the client, from the endpoint; 0 for TCP.
    pub packets: [u64; 2],
}

/// What the kernel says of one TCP connection (`TCP_INFO`, tcp(7)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpFacts {
    /// Smoothed round-trip time in microseconds.
    pub rtt_us: u32,
    /// Its mean deviation in microseconds.
    pub rtt_deviation_us: u32,
    /// Segments sent again since the connection began.
    pub retransmits: u32,
    /// Congestion window in segments.
    pub congestion_window: u32,
    /// Bytes sent that are not acknowledged yet, in segments.
    pub unacknowledged: u32,
}

/// A session with what is only looked up for one at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDetail {
    /// What lists show.
    pub row: SessionRow,
    /// The node's address that the client dialled.
    pub local: Option<SocketAddr>,
    /// The node's address toward the endpoint.
    pub source: Option<SocketAddr>,
    /// Toward the client, toward the endpoint; `None` for UDP and while there is no connection.
    pub tcp: [Option<TcpFacts>; 2],
    /// Where its key lay when its endpoint was first chosen; `None` before.
    pub place: Option<TablePlace>,
    /// What passes in a second, if it was measured.
    pub rates: Option<Rates>,
}

/// Where a key lies in the table of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePlace {
    /// The row.
    pub row: u32,
    /// The active generation of the plan by which that was; beyond 2³² the highest number.
    pub generation: u32,
}

/// How a session is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Look {
    /// Once.
    Glance,
    /// Twice, to measure what passes in between.
    Measure,
}

/// What passes in a second, measured over a short while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Bytes in a second from the client, from the endpoint.
    pub bytes: [u64; 2],
    /// Datagrams in a second; 0 for TCP.
    pub packets: [u64; 2],
    /// How long it was measured.
    pub over: Duration,
}

impl Rates {
    /// Of a session that was looked at twice, by how it had aged between; `None` if it is not the older look that comes
    /// first.
    pub fn between(before: &SessionRow, after: &SessionRow) -> Option<Rates> {
        let over = after.age.checked_sub(before.age).filter(|over| !over.is_zero())?;
        let micros = over.as_micros();
        let rate = |before: u64, after: u64| {
            let passed = u128::from(after.saturating_sub(before));
            u64::try_from(passed * 1_000_000 / micros).unwrap_or(u64::MAX)
        };
        let both = |before: [u64; 2], after: [u64; 2]| [0, 1].map(|side: usize| rate(before[side], after[side]));
        Some(Rates {
            bytes: both(before.bytes, after.bytes),
            packets: both(before.packets, after.packets),
            over,
        })
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.local.protocol {
            Protocol::Tcp => 't',
            Protocol::Udp => 'u',
        };
        let LocalSessionId {
            seat,
            index,
            generation,
            ..
        } = self.local;
        write!(
            f,
            "{}-{:x}-{protocol}{seat:x}-{index:x}-{generation:x}",
            self.node, self.incarnation.0
        )
    }
}

impl SessionRow {
    /// The namespace that the session belongs to: its route's, or without one that of its Gateway or ListenerSet.
    pub fn namespace(&self) -> &str {
        let route = self.route.split_once('/');
        route.map_or(&self.listener.namespace, |(namespace, _)| namespace)
    }

    /// Bytes both ways together.
    pub fn total_bytes(&self) -> u64 {
        self.bytes[0].saturating_add(self.bytes[1])
    }
}

/// What is wrong with a question for sessions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?}: {rule}")]
pub struct SessionQueryError {
    /// Which part of it.
    pub field: String,
    /// What it says.
    pub value: String,
    /// What it must be.
    pub rule: &'static str,
}

/// A name that no session has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a session is named NODE-START-THREAD-PLACE-COUNT, such as 1-5be8a1c0-t0-2a-1")]
pub struct NoSessionName;

impl FromStr for SessionId {
    type Err = NoSessionName;

    fn from_str(name: &str) -> Result<SessionId, NoSessionName> {
        let parts: Vec<&str> = name.split('-').collect();
        let [node, incarnation, seat, index, generation] = parts.as_slice() else {
            return Err(NoSessionName);
        };
        let (protocol, seat) = match seat.split_at_checked(1) {
            Some(("t", seat)) => (Protocol::Tcp, seat),
            Some(("u", seat)) => (Protocol::Udp, seat),
            _ => return Err(NoSessionName),
        };
        let long = |digits: &str, radix| u64::from_str_radix(digits, radix).map_err(|_| NoSessionName);
        let short = |digits: &str| u32::from_str_radix(digits, 16).map_err(|_| NoSessionName);
        Ok(SessionId {
            node: NodeId(long(node, 10)?),
            incarnation: Incarnation(long(incarnation, 16)?),
            local: LocalSessionId {
                protocol,
                seat: u16::from_str_radix(seat, 16).map_err(|_| NoSessionName)?,
                index: short(index)?,
                generation: short(generation)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_back_and_nothing_else_is_taken() {
        for (protocol, name) in [(Protocol::Tcp, "3-ff-t1-2a-7"), (Protocol::Udp, "3-ff-u1-2a-7")] {
            let id = SessionId {
                node: NodeId(3),
                incarnation: Incarnation(255),
                local: LocalSessionId {
                    protocol,
                    seat: 1,
                    index: 42,
                    generation: 7,
                },
            };
            assert_eq!(id.to_string(), name);
            assert_eq!(name.parse(), Ok(id));
        }
        for name in [
            "",
            "3",
            "3-ff-t1-2a",
            "3-ff-x1-2a-7",
            "3-ff--2a-7",
            "3-ff-t1-2a-7-1",
            "a-ff-t1-2a-7",
        ] {
            assert_eq!(name.parse::<SessionId>(), Err(NoSessionName), "{name}");
        }
    }
}
