//! Where keys go, for every sort of key and every standing of an endpoint.

use guideway_maglev::{Seed, TableSize, Target, Weighted};

use super::*;
use crate::meta::Uid;
use crate::plan::{PoolId, Upstream};

const KINDS: [KeyKind; 3] = [KeyKind::Relayed, KeyKind::Flow, KeyKind::Client];
const STANDINGS: [Standing; 3] = [Standing::Ready, Standing::Draining, Standing::Leaving];

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 1))
}

/// A table of endpoints; number 0 is the share of an invalid ref.
fn table(numbers: &[u8]) -> Arc<Table> {
    let weighted = numbers.iter().map(|number| Weighted {
        target: match number {
            0 => Target::Reject(0),
            number => Target::Endpoint(address(*number)),
        },
        weight: 1,
    });
    let weighted: Vec<Weighted> = weighted.collect();
    Arc::new(Table::build(TableSize::SMALLEST, Seed([7; 16]), &weighted).expect("few targets"))
}

fn entry(target: Target) -> Entry {
    match target {
        Target::Endpoint(address) => Entry::Endpoint {
            address,
            origin: String::new(),
            upstream: Arc::new(Upstream::default()),
            standing: Standing::Ready,
        },
        Target::Reject(_) => Entry::Reject { origin: String::new() },
    }
}

/// A pool whose active table has these endpoints, all ready.
fn pool(active: &[u8]) -> Pool {
    let table = table(active);
    let entries = table.targets().iter().map(|target| entry(*target)).collect();
    let id = PoolId {
        route: Uid("uid".to_owned()),
        rule: 0,
    };
    Pool::new(id, table, entries)
}

impl Pool {
    fn add_phase(&mut self, generation: u64, numbers: &[u8]) -> Phase {
        let table = table(numbers);
        let place = |target: &Target| {
            let found = self.entries.iter().position(|found| match (found, target) {
                (Entry::Endpoint { address, .. }, Target::Endpoint(wanted)) => address == wanted,
                (Entry::Reject { .. }, Target::Reject(_)) => true,
                _ => false,
            });
            let place = found.unwrap_or_else(|| {
                self.entries.push(entry(*target));
                self.entries.len() - 1
            });
            u16::try_from(place).expect("few entries")
        };
        let entries = table.targets().iter().map(place).collect();
        self.places = self.clone().indexed().places;
        Phase {
            generation,
            table,
            entries,
        }
    }

    fn preparing(mut self, numbers: &[u8]) -> Pool {
        let phase = self.add_phase(2, numbers);
        self.prepared = Some(phase);
        self
    }

    fn in_grace(mut self, numbers: &[u8]) -> Pool {
        let phase = self.add_phase(0, numbers);
        self.past.push(phase);
        self
    }

    fn standing_of(mut self, number: u8, standing: Standing) -> Pool {
        let place = usize::from(self.entry(address(number)).expect("an endpoint"));
        if let Entry::Endpoint { standing: stored, .. } = &mut self.entries[place] {
            *stored = standing;
        }
        self
    }

    fn chosen(&self, kind: KeyKind, hash: u64, pinned: Option<u8>) -> Result<(u8, Why), NoChoice> {
        let choice = self.choose(kind, hash, pinned.map(address))?;
        let number = (1..=9).find(|number| self.entry(address(*number)) == Some(choice.entry));
        Ok((number.expect("an endpoint"), choice.why))
    }
}

/// A hash for which each table says the number beside it.
fn hash_where(wanted: &[(&[u8], u8)]) -> u64 {
    let tables: Vec<(Arc<Table>, Target)> = wanted
        .iter()
        .map(|(numbers, number)| {
            let target = match number {
                0 => Target::Reject(0),
                number => Target::Endpoint(address(*number)),
            };
            (table(numbers), target)
        })
        .collect();
    let says = |hash: u64| {
        tables.iter().all(|(table, wanted)| {
            let chosen = table.choose(hash).map(usize::from);
            chosen.is_some_and(|chosen| table.targets()[chosen] == *wanted)
        })
    };
    let mut hashes = (0..100_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    hashes.find(|hash| says(*hash)).expect("a hash of one in a few")
}

#[test]
fn a_pin_is_followed_where_its_endpoint_allows() {
    use Standing::{Draining, Leaving, Ready};
    let hash = hash_where(&[(&[1, 2], 1)]);
    for kind in KINDS {
        for standing in STANDINGS {
            let pool = pool(&[1, 2]).standing_of(2, standing);
            let expected = match (kind, standing) {
                (KeyKind::Flow, Ready | Draining) | (KeyKind::Client, Ready) => (2, Why::Pin),
                (KeyKind::Relayed, Ready | Draining | Leaving)
                | (KeyKind::Flow, Leaving)
                | (KeyKind::Client, Draining | Leaving) => (1, Why::Table),
            };
            let chosen = pool.chosen(kind, hash, Some(2));
            assert_eq!(chosen, Ok(expected), "{kind:?} pinned to one that is {standing:?}");
        }
        let unknown = pool(&[1, 2]).chosen(kind, hash, Some(9));
        assert_eq!(unknown, Ok((1, Why::Table)));
    }
}

#[test]
fn one_that_takes_nothing_new_is_passed_by() {
    let hash = hash_where(&[(&[1, 2, 3], 1), (&[2, 3], 3)]);
    let along = {
        let table = table(&[1, 2, 3]);
        let next = table.candidates(hash).nth(1).expect("a second");
        if table.targets()[usize::from(next)] == Target::Endpoint(address(2)) {
            2
        } else {
            3
        }
    };
    for kind in KINDS {
        for standing in [Standing::Draining, Standing::Leaving] {
            let active = pool(&[1, 2, 3]).standing_of(1, standing);
            assert_eq!(active.chosen(kind, hash, None), Ok((along, Why::Leaving)));
            // The table that will be active knows better.
            let preparing = active.clone().preparing(&[2, 3]);
            assert_eq!(preparing.chosen(kind, hash, None), Ok((3, Why::Leaving)));
            // Unless what it says has begun to leave since.
            let preparing = preparing.standing_of(3, standing);
            assert_eq!(preparing.chosen(kind, hash, None), Ok((2, Why::Leaving)));
            let none = preparing.standing_of(2, standing);
            assert_eq!(none.chosen(kind, hash, None), Err(NoChoice::NoEndpoint));
        }
    }
    assert_eq!(pool(&[]).chosen(KeyKind::Flow, hash, None), Err(NoChoice::NoEndpoint));
}

#[test]
fn an_invalid_ref_keeps_its_share_whatever_leaves() {
    let pool = pool(&[0, 1]);
    let rejected = hash_where(&[(&[0, 1], 0)]);
    assert_eq!(pool.chosen(KeyKind::Relayed, rejected, None), Err(NoChoice::Rejected));
    // What a pin says was decided before the ref was invalid.
    assert_eq!(pool.chosen(KeyKind::Flow, rejected, Some(1)), Ok((1, Why::Pin)));
    let hash = hash_where(&[(&[0, 1], 1), (&[0, 2], 0)]);
    let preparing = pool.preparing(&[0, 2]).standing_of(1, Standing::Leaving);
    assert_eq!(preparing.chosen(KeyKind::Flow, hash, None), Err(NoChoice::Rejected));
    // Without a prepared table the next endpoint along takes it: that share was never the invalid ref's.
    let leaving = self::pool(&[0, 1, 2]).standing_of(1, Standing::Leaving);
    let hash = hash_where(&[(&[0, 1, 2], 1)]);
    assert_eq!(leaving.chosen(KeyKind::Flow, hash, None), Ok((2, Why::Leaving)));
}

#[test]
fn unknown_keys_are_chosen_as_a_lost_node_would() {
    let (active, lost): (&[u8], &[u8]) = (&[1, 2], &[1, 3]);
    let moved = hash_where(&[(active, 2), (lost, 3)]);
    let same = hash_where(&[(active, 1), (lost, 1)]);
    let pool = pool(active).in_grace(lost);
    assert_eq!(pool.chosen(KeyKind::Relayed, moved, None), Ok((2, Why::Table)));
    for kind in [KeyKind::Flow, KeyKind::Client] {
        assert_eq!(pool.chosen(kind, moved, None), Ok((3, Why::Grace)));
        assert_eq!(pool.chosen(kind, same, None), Ok((1, Why::Table)));
        assert_eq!(pool.chosen(kind, moved, Some(1)), Ok((1, Why::Pin)));
        for standing in [Standing::Draining, Standing::Leaving] {
            let gone = pool.clone().standing_of(3, standing);
            assert_eq!(gone.chosen(kind, moved, None), Ok((2, Why::Table)));
        }
        // The latest loss is asked first, one before it only where that one leads nowhere.
        let twice = self::pool(active).in_grace(&[2, 4]).in_grace(lost);
        let hash = hash_where(&[(active, 2), (&[2, 4], 4), (lost, 3)]);
        assert_eq!(twice.chosen(kind, hash, None), Ok((4, Why::Grace)));
        let twice = twice.standing_of(4, Standing::Leaving);
        assert_eq!(twice.chosen(kind, hash, None), Ok((3, Why::Grace)));
    }
}

#[test]
fn pins_are_needed_for_what_another_node_would_choose_otherwise() {
    let needs = |pool: &Pool, hash, number| {
        let [relayed, flow, client] = KINDS.map(|kind| pool.needs_pin(kind, hash, address(number)));
        assert!(!relayed, "its socket holds it");
        assert_eq!(flow, client);
        flow
    };
    let (active, next): (&[u8], &[u8]) = (&[1, 2], &[1, 3]);
    let moved = hash_where(&[(active, 2), (next, 3)]);
    let stays = hash_where(&[(active, 1), (next, 1)]);
    let steady = pool(active);
    assert!(!needs(&steady, moved, 2));
    assert!(needs(&steady, moved, 1), "it was redispatched");
    assert!(!needs(&steady, moved, 9), "no one knows the endpoint");
    let preparing = pool(active).preparing(next);
    assert!(!needs(&preparing, stays, 1));
    assert!(needs(&preparing, moved, 2), "it would move");
    assert!(
        needs(&preparing, moved, 3),
        "it has moved already, and others do not know"
    );
    let leaving = preparing.clone().standing_of(2, Standing::Leaving);
    assert!(!needs(&leaving, moved, 2), "it is chosen anew");
    assert!(!needs(&leaving, moved, 3), "so everyone chooses by now");
    let draining = preparing.standing_of(2, Standing::Draining);
    assert!(needs(&draining, moved, 2), "it may stay");
    let emptied = pool(&[]).in_grace(&[2]).standing_of(2, Standing::Draining);
    assert!(needs(&emptied, moved, 2));
    let grace = pool(next).in_grace(active);
    assert!(needs(&grace, moved, 2), "the active table says otherwise");
    assert!(
        needs(&grace, moved, 3),
        "for a while, others choose as the lost node did"
    );
    assert!(!needs(&grace, stays, 1));
    let refused = hash_where(&[(&[0, 1], 0)]);
    assert!(needs(&pool(&[0, 1]), refused, 1));
}

#[test]
fn every_entry_is_replicated_if_asked_for() {
    let mut pool = pool(&[1, 2]);
    let hash = hash_where(&[(&[1, 2], 1)]);
    pool.affinity.replication = Replication::Always;
    assert!(pool.needs_pin(KeyKind::Client, hash, address(1)));
    assert!(!pool.needs_pin(KeyKind::Flow, hash, address(1)), "it is no entry");
    let pool = pool.standing_of(1, Standing::Leaving);
    assert!(!pool.needs_pin(KeyKind::Client, hash, address(1)));
}

#[test]
fn keys_are_what_the_affinity_says() {
    let mut pool = pool(&[1]);
    let socket = |protocol| SocketKey {
        protocol,
        address: crate::node::BindAddress::NodeDefault,
        port: 53,
    };
    let client = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let key = |pool: &Pool, text| pool.flow_key(socket(Protocol::Udp), client(text));
    assert_ne!(key(&pool, "192.0.2.1:1"), key(&pool, "192.0.2.1:2"));
    assert_eq!(pool.key_kind(Protocol::Udp), KeyKind::Flow);
    assert_eq!(pool.key_kind(Protocol::Tcp), KeyKind::Relayed);
    pool.affinity.kind = AffinityKind::ClientIp {
        v4_prefix: 24,
        v6_prefix: 64,
        timeout: Duration::from_secs(1),
    };
    assert_eq!(key(&pool, "192.0.2.1:1"), key(&pool, "192.0.2.255:2"));
    assert_eq!(key(&pool, "192.0.2.1:1"), key(&pool, "[::ffff:192.0.2.9]:1"));
    assert_ne!(key(&pool, "192.0.2.1:1"), key(&pool, "192.0.3.1:1"));
    assert_eq!(key(&pool, "[2001:db8::1]:1"), key(&pool, "[2001:db8::2]:1"));
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        assert_eq!(pool.key_kind(protocol), KeyKind::Client);
    }
}
