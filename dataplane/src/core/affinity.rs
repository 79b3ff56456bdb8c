//! Which endpoint each client is kept to, in pools with client-IP affinity.
//!
//! ```text
//!            take                 settle (an endpoint accepted)
//!   (none) ───────▶ live, unproven ───────▶ live ◀──── take ──── idle ── its timeout, shed, pool gone ──▶ (none)
//!     ▲                   │                   └── last release ──▶ ▲
//!     └── last release ───┘
//! ```
//!
//! An entry lives while its client has sessions, and for the timeout of its pool after the last. Its endpoint stays as
//! long as it takes new sessions; after that the next session is chosen anew, and the entry with it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use guideway_model::pin::{PinKey, PoolNumber};
use guideway_model::plan::{AffinityKind, Choice, Entry, KeyKind, NoChoice, Pool, Why};

use crate::core::flow_table::FlowTable;
use crate::core::needs::{Move, PROVEN};
use crate::core::slab::{Key, Slab};
use crate::core::time::Micros;

/// The pools of a plan, as pins name them.
pub type Pools = BTreeMap<PoolNumber, Arc<Pool>>;

/// Entries of some of the clients: a shard has those whose hashes it is given.
#[derive(Debug)]
pub struct Affinities {
    clients: Slab<Client>,
    table: FlowTable,
    /// Those without a session, by the moment at which they end.
    idle: BTreeSet<(Micros, u32)>,
    /// Those that were redispatched, by the moment from which they may be pinned.
    unproven: BTreeSet<(Micros, u32)>,
    capacity: usize,
    shed: u64,
    /// Needs that began, moved or ended; for the caller to take.
    pub moves: Vec<Move>,
}

/// One entry.
#[derive(Debug)]
struct Client {
    key: PinKey,
    /// Finds it in the table.
    hash: u64,
    /// Chooses in the tables of its pool.
    choice_hash: u64,
    endpoint: SocketAddr,
    sessions: u32,
    /// The endpoint has accepted a session of this client.
    settled: bool,
    /// A pin is needed for it.
    needed: bool,
    timeout: Duration,
    /// While it is idle.
    ends: Micros,
    /// Not pinned before this.
    proven: Option<Micros>,
}

/// Who asks for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// The pool.
    pub pool: &'a Pool,
    /// The client in that pool.
    pub key: PinKey,
    /// Finds the entry; of clients of one shard.
    pub hash: u64,
    /// Chooses in the pool's tables.
    pub choice_hash: u64,
    /// Where a pin sends the client, if there is one.
    pub pinned: Option<SocketAddr>,
}

/// Where a session goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its endpoint.
    pub choice: Choice,
    /// The entry, which the session has until it is released; `None` if there was no room for one.
    pub place: Option<Key>,
    /// Whether the entry is still to be settled.
    pub unsettled: bool,
}

impl Affinities {
    /// No entries yet, and `capacity` at most.
    pub fn new(capacity: usize) -> Affinities {
        Affinities {
            clients: Slab::default(),
            table: FlowTable::default(),
            idle: BTreeSet::new(),
            unproven: BTreeSet::new(),
            capacity,
            shed: 0,
            moves: Vec::new(),
        }
    }

    /// The endpoint for a new session of a client, which has the entry from here on.
    ///
    /// # Errors
    /// It goes nowhere.
    pub fn take(&mut self, asker: Asker<'_>, now: Micros) -> Result<Taken, NoChoice> {
        let found = self.find(&asker, now);
        if let Some(key) = found
            && let Some(client) = self.clients.get_mut(key)
        {
            let entry = asker.pool.entry(client.endpoint);
            let (choice, endpoint) = match entry.filter(|entry| asker.pool.is_ready(*entry)) {
                Some(entry) => {
                    let why = Why::Affinity;
                    (Choice { entry, why }, client.endpoint)
                }
                None => asker.choose()?,
            };
            if client.sessions == 0 {
                self.idle.remove(&(client.ends, key.index));
            }
            client.sessions += 1;
            client.timeout = timeout(asker.pool);
            if endpoint != client.endpoint {
                client.settled = false;
                self.move_to(key, endpoint);
                self.judge(key, Some(asker.pool));
            }
            let unsettled = self.clients.get(key).is_some_and(|client| !client.settled);
            return Ok(Taken {
                choice,
                place: Some(key),
                unsettled,
            });
        }
        let (choice, endpoint) = asker.choose()?;
        let place = self.insert(&asker, endpoint);
        Ok(Taken {
            choice,
            place,
            unsettled: place.is_some(),
        })
    }

    /// An endpoint accepted a session. One that was redispatched takes its client along, unless that has other sessions
    /// where the entry says.
    pub fn settle(&mut self, place: Key, endpoint: SocketAddr, redispatched: bool, now: Micros) {
        let Some(client) = self.clients.get_mut(place) else {
            return;
        };
        if client.endpoint == endpoint {
            client.settled = true;
        } else if redispatched && (!client.settled || client.sessions == 1) {
            client.settled = true;
            self.move_to(place, endpoint);
            let proven = now.after(PROVEN);
            if let Some(client) = self.clients.get_mut(place) {
                client.proven = Some(proven);
                self.unproven.insert((proven, place.index));
            }
        }
    }

    /// A session is over.
    pub fn release(&mut self, place: Key, now: Micros) {
        let Some(client) = self.clients.get_mut(place) else {
            return;
        };
        client.sessions = client.sessions.saturating_sub(1);
        if client.sessions > 0 {
            return;
        }
        if !client.settled {
            self.forget(place);
            return;
        }
        client.ends = now.after(client.timeout);
        self.idle.insert((client.ends, place.index));
    }

    /// Forgets entries whose time is over, `most` at most; gives whether there may be more.
    pub fn expire(&mut self, now: Micros, most: usize) -> bool {
        for _ in 0..most {
            match self.idle.first() {
                Some((ends, index)) if *ends <= now => {
                    if let Some(key) = self.clients.key(*index) {
                        self.forget(key);
                    }
                }
                Some(_) | None => return false,
            }
        }
        true
    }

    /// Looks at the redispatched entries that have lived long enough to be pinned.
    pub fn prove(&mut self, now: Micros, pools: &Pools) {
        while let Some((proven, index)) = self.unproven.first().copied()
            && proven <= now
        {
            self.unproven.pop_first();
            let Some(key) = self.clients.key(index) else { continue };
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            client.proven = None;
            let pool = pools.get(&client.key.pool);
            self.judge(key, pool.map(Arc::as_ref));
        }
    }

    /// Looks at `count` places from `start` on with the pools of a newer plan: what is needed now, and what is over with
    /// its pool. Gives where to go on.
    pub fn walk(&mut self, start: u32, count: u32, pools: &Pools) -> Option<u32> {
        let slots = self.clients.slots();
        let end = slots.min(start.saturating_add(count));
        for index in start..end {
            let Some(key) = self.clients.key(index) else { continue };
            let Some(client) = self.clients.get_mut(key) else {
                continue;
            };
            if let Some(proven) = client.proven.take() {
                self.unproven.remove(&(proven, index));
            }
            let pool = pools.get(&client.key.pool).map(Arc::as_ref);
            let pool = pool.filter(|pool| keeps(pool));
            if client.sessions == 0 && pool.is_none_or(|pool| pool.entry(client.endpoint).is_none()) {
                self.forget(key);
            } else {
                self.judge(key, pool);
            }
        }
        (end < slots).then_some(end)
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Entries that ended early, or were not made, for want of room, since this was last asked.
    pub fn take_shed(&mut self) -> u64 {
        std::mem::take(&mut self.shed)
    }

    /// The entry of a client whose time is not over.
    fn find(&mut self, asker: &Asker<'_>, now: Micros) -> Option<Key> {
        let clients = &self.clients;
        let is = |index| clients.tenant(index).is_some_and(|client| client.key == asker.key);
        let key = self.table.find(asker.hash, is).and_then(|index| clients.key(index))?;
        let client = clients.get(key)?;
        if client.sessions == 0 && client.ends <= now {
            self.forget(key);
            return None;
        }
        Some(key)
    }

    /// A new entry. In a full table the idle one that would end first makes room; without an idle one there is none.
    fn insert(&mut self, asker: &Asker<'_>, endpoint: SocketAddr) -> Option<Key> {
        if self.clients.len() >= self.capacity {
            self.shed += 1;
            let (_, oldest) = self.idle.first().copied()?;
            let oldest = self.clients.key(oldest)?;
            self.forget(oldest);
        }
        let key = self.clients.insert(Client {
            key: asker.key,
            hash: asker.hash,
            choice_hash: asker.choice_hash,
            endpoint,
            sessions: 1,
            settled: false,
            needed: false,
            timeout: timeout(asker.pool),
            ends: Micros(0),
            proven: None,
        });
        self.table.insert(asker.hash, key.index);
        self.judge(key, Some(asker.pool));
        Some(key)
    }

    fn forget(&mut self, key: Key) {
        let Some(client) = self.clients.remove(key) else { return };
        self.table.remove(client.hash, key.index);
        self.idle.remove(&(client.ends, key.index));
        if let Some(proven) = client.proven {
            self.unproven.remove(&(proven, key.index));
        }
        if client.needed {
            self.moves.push(Move {
                key: client.key,
                from: Some(client.endpoint),
                to: None,
            });
        }
    }

    /// Gives an entry another endpoint, for which no pin is needed so far.
    fn move_to(&mut self, key: Key, endpoint: SocketAddr) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let before = std::mem::replace(&mut client.endpoint, endpoint);
        if let Some(proven) = client.proven.take() {
            self.unproven.remove(&(proven, key.index));
        }
        if std::mem::take(&mut client.needed) {
            self.moves.push(Move {
                key: client.key,
                from: Some(before),
                to: None,
            });
        }
    }

    /// Finds out whether an entry needs a pin.
    fn judge(&mut self, key: Key, pool: Option<&Pool>) {
        let Some(client) = self.clients.get_mut(key) else {
            return;
        };
        let needs = |pool: &Pool| pool.needs_pin(KeyKind::Client, client.choice_hash, client.endpoint);
        let needed = pool.filter(|pool| keeps(pool)).is_some_and(needs);
        if needed != client.needed {
            client.needed = needed;
            let [from, to] = if needed {
                [None, Some(client.endpoint)]
            } else {
                [Some(client.endpoint), None]
            };
            self.moves.push(Move {
                key: client.key,
                from,
                to,
            });
        }
    }
}

impl Asker<'_> {
    fn choose(&self) -> Result<(Choice, SocketAddr), NoChoice> {
        let choice = self.pool.choose(KeyKind::Client, self.choice_hash, self.pinned)?;
        match self.pool.entries.get(usize::from(choice.entry)) {
            Some(Entry::Endpoint { address, .. }) => Ok((choice, *address)),
            Some(Entry::Reject { .. }) | None => Err(NoChoice::NoEndpoint),
        }
    }
}

fn keeps(pool: &Pool) -> bool {
    matches!(pool.affinity.kind, AffinityKind::ClientIp { .. })
}

fn timeout(pool: &Pool) -> Duration {
    match pool.affinity.kind {
        AffinityKind::ClientIp { timeout, .. } => timeout,
        AffinityKind::FiveTuple => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
