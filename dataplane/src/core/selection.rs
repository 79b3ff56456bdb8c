//! Which endpoint a session goes to, and which one next when that fails.

use std::net::{IpAddr, SocketAddr};

use guideway_model::plan::{Choice, Entry, KeyKind, NoChoice, Pool, Why};

use crate::core::reason::CloseReason;

/// One attempt to reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which endpoint: an index into the pool's entries.
    pub entry: u16,
    /// Where the first try went.
    pub first: u16,
    /// Which try, counted by endpoint: 1 is the first.
    pub number: u8,
    /// Source addresses given up for this endpoint.
    pub sources_tried: u8,
    /// Why there.
    pub why: Why,
}

impl Attempt {
    /// The first try of a session that was chosen an endpoint.
    pub fn first(choice: Choice) -> Attempt {
        Attempt {
            entry: choice.entry,
            first: choice.entry,
            number: 1,
            sources_tried: 0,
            why: choice.why,
        }
    }
}

/// Why an endpoint did not accept a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnectFailure {
    /// It said no.
    Refused,
    /// It did not answer in time.
    TimedOut,
    /// There is no way to it.
    Unreachable,
    /// No local port toward it is free, or the source address is not on this machine.
    NoLocalPort,
    /// This process has no descriptor or memory left.
    NoResource,
    /// It accepted, and then the TLS handshake with it failed: most often its certificate did not verify.
    HandshakeFailed,
    /// Something else; the errno says what.
    Other,
}

impl ConnectFailure {
    /// Every failure, in the order of the documents.
    pub const ALL: [ConnectFailure; 7] = [
        ConnectFailure::Refused,
        ConnectFailure::TimedOut,
        ConnectFailure::Unreachable,
        ConnectFailure::NoLocalPort,
        ConnectFailure::NoResource,
        ConnectFailure::HandshakeFailed,
        ConnectFailure::Other,
    ];

    /// The word in metrics.
    pub const fn word(self) -> &'static str {
        match self {
            ConnectFailure::Refused => "refused",
            ConnectFailure::TimedOut => "timeout",
            ConnectFailure::Unreachable => "unreachable",
            ConnectFailure::NoLocalPort => "no_local_port",
            ConnectFailure::NoResource => "no_resource",
            ConnectFailure::HandshakeFailed => "handshake_failed",
            ConnectFailure::Other => "other",
        }
    }

    /// What the session is closed with if nothing else can be tried.
    pub const fn reason(self) -> CloseReason {
        match self {
            ConnectFailure::NoResource => CloseReason::Overload,
            ConnectFailure::HandshakeFailed => CloseReason::HandshakeFailed,
            ConnectFailure::Refused
            | ConnectFailure::TimedOut
            | ConnectFailure::Unreachable
            | ConnectFailure::NoLocalPort
            | ConnectFailure::Other => CloseReason::ConnectFailed,
        }
    }
}

/// Local addresses toward endpoints, by family.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
}

impl Sources {
    /// Sorts `addresses` by family.
    pub fn new(addresses: &[IpAddr]) -> Sources {
        let (v4, v6) = addresses.iter().copied().partition(IpAddr::is_ipv4);
        Sources { v4, v6 }
    }

    /// The source of an attempt: flows start at different ones, so that each adds its ports. `None` leaves the choice
    /// to the kernel.
    pub fn choose(&self, endpoint: SocketAddr, hash: u64, tried: u8) -> Option<IpAddr> {
        let addresses = self.toward(endpoint);
        let count = u64::try_from(addresses.len()).ok()?;
        // The table's row comes from the whole hash; the upper half spreads the flows of one row over the sources.
        let index = (hash >> 32).wrapping_add(u64::from(tried)).checked_rem(count)?;
        addresses.get(usize::try_from(index).ok()?).copied()
    }

    fn toward(&self, endpoint: SocketAddr) -> &[IpAddr] {
        if endpoint.is_ipv4() { &self.v4 } else { &self.v6 }
    }
}

/// The first attempt for a key with this hash, and this pin, or why there is none.
pub fn first(pool: &Pool, kind: KeyKind, hash: u64, pinned: Option<SocketAddr>) -> Result<Attempt, CloseReason> {
    let choice = pool.choose(kind, hash, pinned);
    choice.map(Attempt::first).map_err(refusal)
}

/// What a session is closed with that goes nowhere.
pub fn refusal(none: NoChoice) -> CloseReason {
    match none {
        NoChoice::NoEndpoint => CloseReason::NoEndpoint,
        NoChoice::Rejected => CloseReason::RejectedShare,
    }
}

/// The attempt after `failed`: for want of local ports the next source first, then the next distinct endpoint along
/// the table that takes new sessions; none after `max_tries` endpoints, or when this process itself has run out.
pub fn next(
    pool: &Pool,
    hash: u64,
    failed: Attempt,
    failure: ConnectFailure,
    sources: &Sources,
    max_tries: u8,
) -> Option<Attempt> {
    if failure == ConnectFailure::NoResource {
        return None;
    }
    if failure == ConnectFailure::NoLocalPort {
        let available = address(pool, failed.entry).map_or(0, |endpoint| sources.toward(endpoint).len());
        if usize::from(failed.sources_tried) + 1 < available {
            return Some(Attempt {
                sources_tried: failed.sources_tried + 1,
                ..failed
            });
        }
    }
    if failed.number >= max_tries {
        return None;
    }
    Some(Attempt {
        entry: along(pool, hash, failed)?,
        first: failed.first,
        number: failed.number + 1,
        sources_tried: 0,
        why: Why::Redispatch,
    })
}

/// The endpoint after the failed one. The first try may have been anywhere (a pin, an affinity entry, the prepared
/// table); those after it go along the active table, then along the prepared one as far as that names others.
fn along(pool: &Pool, hash: u64, failed: Attempt) -> Option<u16> {
    let known = pool.table.targets().len();
    let prepared = pool.prepared.iter().flat_map(|phase| {
        let targets = phase.table.candidates(hash);
        targets.filter_map(|target| phase.entries.get(usize::from(target)).copied())
    });
    let others = prepared.filter(|entry| usize::from(*entry) >= known);
    let takes = |entry: &u16| *entry != failed.first && pool.is_ready(*entry);
    let mut entries = pool.table.candidates(hash).chain(others).filter(takes);
    let begun = failed.entry != failed.first;
    if begun && !entries.any(|entry| entry == failed.entry) {
        // It takes nothing new any more, so there is no telling how far the tries have come along the table.
        return pool.table.candidates(hash).find(takes);
    }
    entries.next()
}

/// The same attempt in the pool that came after; an endpoint that is not in that has the place [`GONE`].
pub fn carried(attempt: Attempt, from: &Pool, to: &Pool) -> Attempt {
    let place = |entry| {
        address(from, entry)
            .and_then(|endpoint| to.entry(endpoint))
            .unwrap_or(GONE)
    };
    Attempt {
        entry: place(attempt.entry),
        first: place(attempt.first),
        ..attempt
    }
}

/// The place of an endpoint that its pool does not know any more; no pool has so many entries.
pub const GONE: u16 = u16::MAX;

/// The address of an entry; `None` if it refuses.
pub fn address(pool: &Pool, entry: u16) -> Option<SocketAddr> {
    match pool.entries.get(usize::from(entry))? {
        Entry::Endpoint { address, .. } => Some(*address),
        Entry::Reject { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
    use guideway_model::meta::Uid;
    use guideway_model::plan::{Phase, PoolId, Standing};

    use super::*;

    fn pool(targets: &[(Target, u64)]) -> Pool {
        let weighted: Vec<Weighted> = targets
            .iter()
            .map(|(target, weight)| Weighted {
                target: *target,
                weight: *weight,
            })
            .collect();
        let table = Table::build(TableSize::DEFAULT, Seed([3; 16]), &weighted).expect("table");
        let entries = table
            .targets()
            .iter()
            .map(|target| match target {
                Target::Endpoint(address) => Entry::Endpoint {
                    address: *address,
                    origin: String::new(),
                    upstream: Arc::default(),
                    standing: Standing::Ready,
                },
                Target::Reject(_) => Entry::Reject { origin: String::new() },
            })
            .collect();
        let id = PoolId {
            route: Uid::default(),
            rule: 0,
        };
        Pool::new(id, Arc::new(table), entries)
    }

    fn by_table(pool: &Pool, hash: u64) -> Result<Attempt, CloseReason> {
        first(pool, KeyKind::Relayed, hash, None)
    }

    fn endpoint(last: u8) -> Target {
        Target::Endpoint(SocketAddr::from(([10, 0, 0, last], 80)))
    }

    #[test]
    fn the_first_choice_or_why_there_is_none() {
        let first = |pool: &Pool| by_table(pool, 1);
        assert_eq!(first(&pool(&[])), Err(CloseReason::NoEndpoint));
        assert_eq!(first(&pool(&[(endpoint(1), 0)])), Err(CloseReason::NoEndpoint));
        assert_eq!(first(&pool(&[(Target::Reject(0), 1)])), Err(CloseReason::RejectedShare));
        let attempt = first(&pool(&[(endpoint(1), 1)])).expect("attempt");
        assert_eq!((attempt.entry, attempt.number, attempt.sources_tried), (0, 1, 0));
    }

    #[test]
    fn redispatch_visits_distinct_endpoints_and_never_a_reject() {
        let pool = pool(&[
            (endpoint(1), 1),
            (endpoint(2), 1),
            (endpoint(3), 1),
            (Target::Reject(0), 5),
        ]);
        let sources = Sources::default();
        for hash in (0..2000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let Ok(mut attempt) = by_table(&pool, hash) else {
                continue;
            };
            let mut visited = BTreeSet::from([attempt.entry]);
            while let Some(again) = next(&pool, hash, attempt, ConnectFailure::Refused, &sources, 9) {
                assert_eq!(again.number, attempt.number + 1);
                assert!(address(&pool, again.entry).is_some());
                assert!(visited.insert(again.entry));
                attempt = again;
            }
            assert_eq!(visited.len(), 3);
        }
    }

    #[test]
    fn tries_are_bounded_and_a_node_that_ran_out_does_not_try_on() {
        let pool = pool(&[(endpoint(1), 1), (endpoint(2), 1), (endpoint(3), 1)]);
        let sources = Sources::default();
        let one = by_table(&pool, 77).expect("attempt");
        let two = next(&pool, 77, one, ConnectFailure::TimedOut, &sources, 2).expect("second");
        assert_eq!(next(&pool, 77, two, ConnectFailure::TimedOut, &sources, 2), None);
        assert_eq!(next(&pool, 77, one, ConnectFailure::TimedOut, &sources, 0), None);
        assert_eq!(next(&pool, 77, one, ConnectFailure::NoResource, &sources, 9), None);
    }

    #[test]
    fn every_source_of_the_family_is_tried_before_the_next_endpoint() {
        let pool = pool(&[(endpoint(1), 1), (endpoint(2), 1)]);
        let addresses: Vec<IpAddr> = ["127.0.0.1", "::1", "127.0.0.2", "127.0.0.3"]
            .iter()
            .map(|text| text.parse().expect("address"))
            .collect();
        let sources = Sources::new(&addresses);
        let hash = 0x1234_5678_9abc_def0;
        let mut attempt = by_table(&pool, hash).expect("attempt");
        let mut used = BTreeSet::new();
        for _ in 0..3 {
            let toward = address(&pool, attempt.entry).expect("endpoint");
            used.insert(sources.choose(toward, hash, attempt.sources_tried).expect("source"));
            attempt = next(&pool, hash, attempt, ConnectFailure::NoLocalPort, &sources, 3).expect("next");
        }
        assert_eq!(used.len(), 3);
        assert!(used.iter().all(IpAddr::is_ipv4));
        assert_eq!((attempt.number, attempt.sources_tried), (2, 0));
    }

    #[test]
    fn redispatch_goes_only_where_new_sessions_are_taken() {
        let shares: Vec<(Target, u64)> = (1..=6).map(|last| (endpoint(last), 1)).collect();
        let mut pool = pool(&shares);
        for (place, standing) in [(1, Standing::Draining), (3, Standing::Leaving)] {
            if let Entry::Endpoint { standing: own, .. } = &mut pool.entries[place] {
                *own = standing;
            }
        }
        let pool = pool.indexed();
        let sources = Sources::default();
        // A pin leads to any of those that take something: the tries after it visit each of the others once.
        for hash in (0..500u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            for (place, kind) in [(0u16, KeyKind::Flow), (1, KeyKind::Flow), (4, KeyKind::Client)] {
                let pinned = address(&pool, place);
                let mut attempt = first(&pool, kind, hash, pinned).expect("attempt");
                assert_eq!((attempt.entry, attempt.why), (place, Why::Pin));
                let mut visited = BTreeSet::from([attempt.entry]);
                while let Some(again) = next(&pool, hash, attempt, ConnectFailure::Refused, &sources, 9) {
                    assert!(pool.is_ready(again.entry) && visited.insert(again.entry));
                    assert_eq!((again.why, again.number), (Why::Redispatch, attempt.number + 1));
                    attempt = again;
                }
                let ready = BTreeSet::from([0, 2, 4, 5, place]);
                assert_eq!(visited, ready);
            }
        }
    }

    #[test]
    fn redispatch_goes_on_in_the_pool_that_came_after() {
        let one = pool(&[(endpoint(1), 1), (endpoint(2), 1), (endpoint(3), 1)]);
        let other = pool(&[(endpoint(0), 1), (endpoint(2), 1), (endpoint(3), 1)]);
        let sources = Sources::default();
        for hash in (0..200u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let first = by_table(&one, hash).expect("attempt");
            let second = next(&one, hash, first, ConnectFailure::Refused, &sources, 9).expect("attempt");
            for attempt in [first, second] {
                let failed = carried(attempt, &one, &other);
                let known = address(&one, attempt.entry) != Some(([10, 0, 0, 1], 80).into());
                assert_eq!(failed.entry == GONE, !known);
                let again = next(&other, hash, failed, ConnectFailure::Refused, &sources, 9);
                if let Some(again) = again {
                    assert_ne!(address(&other, again.entry), address(&one, attempt.entry));
                    assert_eq!(again.number, attempt.number + 1);
                } else {
                    assert_eq!(attempt.number, 2);
                }
            }
        }
    }

    #[test]
    fn redispatch_goes_on_along_the_prepared_table() {
        let active = pool(&[(endpoint(1), 1)]);
        let coming = pool(&[(endpoint(2), 1), (endpoint(3), 1)]);
        let mut pool = active;
        pool.entries.extend(coming.entries);
        pool.prepared = Some(Phase {
            generation: 2,
            table: coming.table,
            entries: vec![1, 2],
        });
        if let Entry::Endpoint { standing, .. } = &mut pool.entries[0] {
            *standing = Standing::Leaving;
        }
        let pool = pool.indexed();
        let one = by_table(&pool, 5).expect("attempt");
        assert_eq!(one.why, Why::Leaving);
        let two = next(&pool, 5, one, ConnectFailure::Refused, &Sources::default(), 9).expect("second");
        assert_eq!(BTreeSet::from([one.entry, two.entry]), BTreeSet::from([1, 2]));
        assert_eq!(
            next(&pool, 5, two, ConnectFailure::Refused, &Sources::default(), 9),
            None
        );
    }
}
