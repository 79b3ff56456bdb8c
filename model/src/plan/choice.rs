//! Which endpoint a flow key goes to: pin, then grace, then table. The same on every node, in the data plane and where the
//! API explains it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use guideway_maglev::Table;
use serde::{Deserialize, Serialize};

use super::{Entry, Pool, Standing};
use crate::flow::FlowKey;
use crate::node::{Protocol, SocketKey};
use crate::pin::PinKey;

/// What a pool keeps clients to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// What is hashed.
    pub kind: AffinityKind,
    /// Which entries are replicated as pins.
    pub replication: Replication,
}

/// What is hashed to choose an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AffinityKind {
    /// Client address and port, protocol and listener port.
    #[default]
    FiveTuple,
    /// The client's address under a prefix mask, protocol and listener port. A client stays with its endpoint while it
    /// has sessions, and for the timeout after the last.
    ClientIp {
        /// Bits that count of an IPv4 address.
        v4_prefix: u8,
        /// Bits that count of an IPv6 address.
        v6_prefix: u8,
        /// How long after its last session a client is remembered.
        timeout: Duration,
    },
}

/// Which affinity entries are replicated as pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replication {
    /// Those that a table would not give, or would not give after a change that is prepared.
    #[default]
    OnChange,
    /// All.
    Always,
}

/// A table of another generation than the active one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The generation.
    pub generation: u64,
    /// Its table.
    pub table: Arc<Table>,
    /// For each of `table.targets()` its place in the pool's entries.
    pub entries: Vec<u16>,
}

/// What sort of session a key stands for: what a change of tables, and the loss of a node, can do to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A relayed TCP session under 5-tuple affinity: its socket holds it, and it cannot come back elsewhere.
    Relayed,
    /// A UDP flow under 5-tuple affinity: it can go on through another node.
    Flow,
    /// An entry of client-IP affinity: the client's next session may come through another node.
    Client,
}

/// Where a key goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Index into the pool's entries; always an endpoint.
    pub entry: u16,
    /// Why there.
    pub why: Why,
}

/// Why a key goes to its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The active table says so.
    Table,
    /// The active table names an endpoint that takes nothing new: the prepared table says so, or it is the next along.
    Leaving,
    /// A pin says so.
    Pin,
    /// The client has an affinity entry on this node.
    Affinity,
    /// A node was lost, and the table that it last had says so.
    Grace,
    /// The chosen endpoint could not be reached.
    Redispatch,
}

/// Why a key goes nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// Nothing in the pool takes new sessions.
    #[error("the pool has no endpoint that takes new sessions")]
    NoEndpoint,
    /// The share of an invalid backendRef was chosen.
    #[error("the share of an invalid backendRef was chosen")]
    Rejected,
}

impl KeyKind {
    /// Whether sessions of this sort can need pins, and follow them.
    pub fn is_pinned(self) -> bool {
        match self {
            KeyKind::Relayed => false,
            KeyKind::Flow | KeyKind::Client => true,
        }
    }
}

impl Pool {
    /// What is hashed for a client that comes to a listener on `socket`.
    pub fn flow_key(&self, socket: SocketKey, client: SocketAddr) -> FlowKey {
        match self.affinity.kind {
            AffinityKind::FiveTuple => FlowKey::five_tuple(socket.protocol, socket.port, client),
            AffinityKind::ClientIp {
                v4_prefix, v6_prefix, ..
            } => {
                let prefix = if client.ip().to_canonical().is_ipv4() {
                    v4_prefix
                } else {
                    v6_prefix
                };
                FlowKey::client_ip(socket.protocol, socket.port, client.ip(), prefix)
            }
        }
    }

    /// What sort of session the keys of this pool stand for.
    pub fn key_kind(&self, protocol: Protocol) -> KeyKind {
        match (self.affinity.kind, protocol) {
            (AffinityKind::ClientIp { .. }, _) => KeyKind::Client,
            (AffinityKind::FiveTuple, Protocol::Udp) => KeyKind::Flow,
            (AffinityKind::FiveTuple, Protocol::Tcp) => KeyKind::Relayed,
        }
    }

    /// What a pin of this key is called.
    pub fn pin_key(&self, flow: FlowKey) -> PinKey {
        PinKey {
            pool: self.number,
            flow,
        }
    }

    /// Where a new session goes whose key has this hash, and this pin.
    ///
    /// # Errors
    /// It goes nowhere.
    pub fn choose(&self, kind: KeyKind, hash: u64, pinned: Option<SocketAddr>) -> Result<Choice, NoChoice> {
        if kind.is_pinned() {
            if let Some(entry) = pinned.and_then(|address| self.entry(address))
                && self.takes_pinned(kind, entry)
            {
                return Ok(Choice { entry, why: Why::Pin });
            }
            if let Some(entry) = self.by_past(hash) {
                let why = if self.table.choose(hash) == Some(entry) {
                    Why::Table
                } else {
                    Why::Grace
                };
                return Ok(Choice { entry, why });
            }
        }
        self.by_tables(hash)
    }

    /// Where a new session goes by the active table alone, endpoints excepted that take nothing new.
    ///
    /// # Errors
    /// It goes nowhere.
    pub fn by_tables(&self, hash: u64) -> Result<Choice, NoChoice> {
        let entry = self.table.choose(hash);
        if let Some(entry) = entry {
            if self.is_reject(entry) {
                return Err(NoChoice::Rejected);
            }
            if self.is_ready(entry) {
                return Ok(Choice { entry, why: Why::Table });
            }
        }
        let entry = self.by_prepared(hash).or_else(|| {
            let mut along = self.table.candidates(hash);
            along.find(|entry| self.is_ready(*entry))
        });
        match entry {
            Some(entry) if self.is_reject(entry) => Err(NoChoice::Rejected),
            Some(entry) => Ok(Choice {
                entry,
                why: Why::Leaving,
            }),
            None => Err(NoChoice::NoEndpoint),
        }
    }

    /// Whether a session of this hash at `endpoint` must be pinned: a node that does not know it could send it elsewhere,
    /// by the active table, by the prepared one once that is active, or by one of a lost node until its grace ends; or
    /// every entry is replicated. Endpoints that are gone need no pin: their sessions are chosen anew.
    pub fn needs_pin(&self, kind: KeyKind, hash: u64, endpoint: SocketAddr) -> bool {
        if !kind.is_pinned() {
            return false;
        }
        let Some(entry) = self.entry(endpoint).filter(|entry| self.serves(*entry)) else {
            return false;
        };
        if kind == KeyKind::Client && self.affinity.replication == Replication::Always {
            return true;
        }
        let now = self.by_tables(hash).ok().map(|choice| choice.entry);
        let in_grace = self.by_past(hash);
        let next = self.prepared.as_ref().map(|_| self.by_prepared(hash));
        now != Some(entry)
            || in_grace.is_some_and(|in_grace| in_grace != entry)
            || next.is_some_and(|next| next != Some(entry))
    }

    /// The place of an endpoint; `None` if the pool does not know it.
    pub fn entry(&self, endpoint: SocketAddr) -> Option<u16> {
        self.places.get(&endpoint).copied()
    }

    /// Whether an entry is an endpoint that takes new sessions.
    pub fn is_ready(&self, entry: u16) -> bool {
        self.standing(entry) == Some(Standing::Ready)
    }

    /// Whether living sessions of an entry stay with it.
    pub fn serves(&self, entry: u16) -> bool {
        match self.standing(entry) {
            Some(Standing::Ready | Standing::Draining) => true,
            Some(Standing::Leaving) | None => false,
        }
    }

    /// The standing of an entry; `None` if it is no endpoint.
    pub fn standing(&self, entry: u16) -> Option<Standing> {
        match self.entries.get(usize::from(entry))? {
            Entry::Endpoint { standing, .. } => Some(*standing),
            Entry::Reject { .. } => None,
        }
    }

    /// A flow that comes over follows its pin to an endpoint that is being drained; a new session never goes there.
    fn takes_pinned(&self, kind: KeyKind, entry: u16) -> bool {
        match self.standing(entry) {
            Some(Standing::Ready) => true,
            Some(Standing::Draining) => kind == KeyKind::Flow,
            Some(Standing::Leaving) | None => false,
        }
    }

    fn is_reject(&self, entry: u16) -> bool {
        matches!(self.entries.get(usize::from(entry)), Some(Entry::Reject { .. }))
    }

    /// What the tables of lost nodes say, the latest loss first; of endpoints that still take new sessions.
    fn by_past(&self, hash: u64) -> Option<u16> {
        let mut past = self.past.iter().filter_map(|phase| phase.choose(hash));
        past.find(|entry| self.is_ready(*entry))
    }

    /// What the prepared table says; of endpoints that have begun to leave since, the next along.
    fn by_prepared(&self, hash: u64) -> Option<u16> {
        let phase = self.prepared.as_ref()?;
        let first = phase.choose(hash)?;
        if self.is_reject(first) || self.is_ready(first) {
            return Some(first);
        }
        let mut along = phase.table.candidates(hash).filter_map(|target| phase.place(target));
        along.find(|entry| self.is_ready(*entry))
    }
}

impl Phase {
    /// The entry of a hash.
    pub fn choose(&self, hash: u64) -> Option<u16> {
        self.place(self.table.choose(hash)?)
    }

    fn place(&self, target: u16) -> Option<u16> {
        self.entries.get(usize::from(target)).copied()
    }
}

#[cfg(test)]
mod tests;
