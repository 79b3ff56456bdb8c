//! Which endpoint a session goes to, and which one next when that fails.

use std::net::{IpAddr, SocketAddr};

use guideway_model::plan::{Entry, Pool};

use crate::core::reason::CloseReason;

/// One attempt to reach an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which endpoint: an index into the pool's entries.
    pub entry: u16,
    /// Which try, counted by endpoint: 1 is the first.
    pub number: u8,
    /// Source addresses given up for this endpoint.
    pub sources_tried: u8,
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

/// The first attempt for a flow, or why there is none.
pub fn first(pool: Option<&Pool>, hash: u64) -> Result<Attempt, CloseReason> {
    let pool = pool.ok_or(CloseReason::NoRoute)?;
    let entry = pool.table.choose(hash).ok_or(CloseReason::NoEndpoint)?;
    match pool.entries.get(usize::from(entry)) {
        Some(Entry::Endpoint { .. }) => Ok(Attempt {
            entry,
            number: 1,
            sources_tried: 0,
        }),
        Some(Entry::Reject { .. }) => Err(CloseReason::RejectedShare),
        None => Err(CloseReason::NoEndpoint),
    }
}

/// The attempt after `failed`: for want of local ports the next source first, then the next distinct endpoint along
/// the table; none after `max_tries` endpoints, or when this process itself has run out.
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
    let entry = pool
        .table
        .candidates(hash)
        .filter(|entry| address(pool, *entry).is_some())
        .nth(usize::from(failed.number))?;
    Some(Attempt {
        entry,
        number: failed.number + 1,
        sources_tried: 0,
    })
}

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
    use guideway_model::plan::PoolId;

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
                },
                Target::Reject(_) => Entry::Reject { origin: String::new() },
            })
            .collect();
        Pool {
            id: PoolId {
                route: Uid::default(),
                rule: 0,
            },
            table: Arc::new(table),
            entries,
        }
    }

    fn endpoint(last: u8) -> Target {
        Target::Endpoint(SocketAddr::from(([10, 0, 0, last], 80)))
    }

    #[test]
    fn the_first_choice_or_why_there_is_none() {
        assert_eq!(first(None, 1), Err(CloseReason::NoRoute));
        assert_eq!(first(Some(&pool(&[])), 1), Err(CloseReason::NoEndpoint));
        assert_eq!(first(Some(&pool(&[(endpoint(1), 0)])), 1), Err(CloseReason::NoEndpoint));
        assert_eq!(
            first(Some(&pool(&[(Target::Reject(0), 1)])), 1),
            Err(CloseReason::RejectedShare)
        );
        let attempt = first(Some(&pool(&[(endpoint(1), 1)])), 1).expect("attempt");
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
            let Ok(mut attempt) = first(Some(&pool), hash) else {
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
        let one = first(Some(&pool), 77).expect("attempt");
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
        let mut attempt = first(Some(&pool), hash).expect("attempt");
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
}
