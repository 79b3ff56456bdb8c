//! Which pins this node needs: what it has alive that a table would send elsewhere.
//!
//! Level-triggered. For each key there is the endpoint that it must go to now, and the one that was last told to whoever
//! asks for changes; keys whose two differ are the changes. A need that comes and goes between two questions is none, so
//! what waits to be told never exceeds what is needed and what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use guideway_model::pin::PinKey;

/// A session that was redispatched is pinned only when it has lived this long: most that find no endpoint at once end soon.
pub const PROVEN: Duration = Duration::from_secs(5);

/// A need begins, moves to another endpoint, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Of which key.
    pub key: PinKey,
    /// Where one holder no longer needs it to go.
    pub from: Option<SocketAddr>,
    /// Where that holder needs it to go.
    pub to: Option<SocketAddr>,
}

/// What one key needs.
#[derive(Debug, Default)]
struct Need {
    /// Endpoints with the number of those that need them, the oldest first, which counts. One client can have two flows
    /// with one key, since it may dial two addresses of a node.
    wanted: Wanted,
    told: Option<SocketAddr>,
}

/// Nearly always one endpoint, so the first has no allocation of its own.
#[derive(Debug, Default)]
struct Wanted {
    first: Option<(SocketAddr, u32)>,
    others: Vec<(SocketAddr, u32)>,
}

/// Needs by key.
#[derive(Debug, Default)]
pub struct Needs {
    keys: BTreeMap<PinKey, Need>,
    untold: BTreeSet<PinKey>,
    needed: usize,
}

impl Needs {
    /// Takes a change in.
    pub fn change(&mut self, change: Move) {
        if change.from == change.to {
            return;
        }
        let need = self.keys.entry(change.key).or_default();
        let before = need.wanted.endpoint();
        if let Some(endpoint) = change.to {
            need.wanted.add(endpoint);
        }
        if let Some(endpoint) = change.from {
            need.wanted.remove(endpoint);
        }
        let after = need.wanted.endpoint();
        if after == need.told {
            self.untold.remove(&change.key);
        } else {
            self.untold.insert(change.key);
        }
        if after.is_none() && need.told.is_none() {
            self.keys.remove(&change.key);
        }
        self.needed = self.needed + usize::from(after.is_some()) - usize::from(before.is_some());
    }

    /// Takes at most `most` changes out: the newest endpoint of each key, or `None` if it is not needed any more.
    pub fn take_changes(&mut self, most: usize, into: &mut Vec<(PinKey, Option<SocketAddr>)>) {
        for _ in 0..most {
            let Some(key) = self.untold.pop_first() else { return };
            let Some(need) = self.keys.get_mut(&key) else { continue };
            let endpoint = need.wanted.endpoint();
            need.told = endpoint;
            if endpoint.is_none() {
                self.keys.remove(&key);
            }
            into.push((key, endpoint));
        }
    }

    /// Everything that is needed.
    pub fn all(&self) -> impl Iterator<Item = (PinKey, SocketAddr)> {
        let keys = self.keys.iter();
        keys.filter_map(|(key, need)| Some((*key, need.wanted.endpoint()?)))
    }

    /// Keys that are needed.
    pub fn len(&self) -> usize {
        self.needed
    }

    /// Whether nothing is needed.
    pub fn is_empty(&self) -> bool {
        self.needed == 0
    }

    /// Changes that wait to be taken.
    pub fn untold(&self) -> usize {
        self.untold.len()
    }
}

impl Wanted {
    fn endpoint(&self) -> Option<SocketAddr> {
        self.first.map(|(endpoint, _)| endpoint)
    }

    fn add(&mut self, endpoint: SocketAddr) {
        let mut all = self.first.iter_mut().chain(&mut self.others);
        if let Some((_, count)) = all.find(|(other, _)| *other == endpoint) {
            *count += 1;
        } else if self.first.is_none() {
            self.first = Some((endpoint, 1));
        } else {
            self.others.push((endpoint, 1));
        }
    }

    fn remove(&mut self, endpoint: SocketAddr) {
        let mut all = self.first.iter_mut().chain(&mut self.others);
        let Some((_, count)) = all.find(|(other, _)| *other == endpoint) else {
            return;
        };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.others.retain(|(other, _)| *other != endpoint);
        if self.endpoint() == Some(endpoint) {
            self.first = (!self.others.is_empty()).then(|| self.others.remove(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use guideway_model::flow::FlowKey;
    use guideway_model::node::Protocol;
    use guideway_model::pin::PoolNumber;

    use super::*;

    fn key(port: u16) -> PinKey {
        PinKey {
            pool: PoolNumber(1),
            flow: FlowKey::five_tuple(Protocol::Udp, 53, ([192, 0, 2, 1], port).into()),
        }
    }

    fn endpoint(last: u8) -> Option<SocketAddr> {
        Some(([10, 0, 0, last], 53).into())
    }

    fn change(needs: &mut Needs, port: u16, from: Option<SocketAddr>, to: Option<SocketAddr>) {
        needs.change(Move {
            key: key(port),
            from,
            to,
        });
    }

    fn changes(needs: &mut Needs, most: usize) -> Vec<(PinKey, Option<SocketAddr>)> {
        let mut taken = Vec::new();
        needs.take_changes(most, &mut taken);
        taken
    }

    #[test]
    fn the_newest_value_of_each_key_is_told_once() {
        let mut needs = Needs::default();
        change(&mut needs, 1, None, endpoint(1));
        change(&mut needs, 2, None, endpoint(2));
        change(&mut needs, 1, endpoint(1), endpoint(3));
        assert_eq!(changes(&mut needs, 1), [(key(1), endpoint(3))]);
        assert_eq!(changes(&mut needs, 9), [(key(2), endpoint(2))]);
        assert_eq!(changes(&mut needs, 9), []);
        change(&mut needs, 1, endpoint(3), None);
        assert_eq!((needs.len(), needs.untold()), (1, 1));
        assert_eq!(changes(&mut needs, 9), [(key(1), None)]);
        assert_eq!(needs.all().collect::<Vec<_>>(), [(key(2), endpoint(2).expect("some"))]);
        assert_eq!(needs.keys.len(), 1);
    }

    #[test]
    fn what_comes_and_goes_unasked_leaves_nothing_behind() {
        let mut needs = Needs::default();
        for port in 1..100 {
            change(&mut needs, port, None, endpoint(1));
            change(&mut needs, port, endpoint(1), None);
        }
        assert!(needs.is_empty() && needs.keys.is_empty() && needs.untold() == 0);
        change(&mut needs, 1, None, endpoint(1));
        changes(&mut needs, 9);
        change(&mut needs, 1, endpoint(1), None);
        change(&mut needs, 1, None, endpoint(1));
        assert_eq!(changes(&mut needs, 9), []);
    }

    #[test]
    fn a_need_lasts_as_long_as_the_last_that_has_it() {
        let mut needs = Needs::default();
        change(&mut needs, 1, None, endpoint(1));
        change(&mut needs, 1, None, endpoint(1));
        change(&mut needs, 1, None, endpoint(2));
        assert_eq!(changes(&mut needs, 9), [(key(1), endpoint(1))]);
        change(&mut needs, 1, endpoint(1), None);
        assert_eq!(changes(&mut needs, 9), []);
        change(&mut needs, 1, endpoint(1), None);
        assert_eq!(changes(&mut needs, 9), [(key(1), endpoint(2))]);
        // What no one has is not taken away from another.
        change(&mut needs, 1, endpoint(7), None);
        assert_eq!(needs.len(), 1);
        change(&mut needs, 1, endpoint(2), None);
        assert_eq!(changes(&mut needs, 9), [(key(1), None)]);
        assert!(needs.keys.is_empty());
    }
}
