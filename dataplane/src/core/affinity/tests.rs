use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
use guideway_model::flow::FlowKey;
use guideway_model::meta::Uid;
use guideway_model::node::Protocol;
use guideway_model::plan::{Affinity, Phase, PoolId, Replication, Standing};

use super::*;

const SEED: Seed = Seed([5; 16]);
const TIMEOUT: Duration = Duration::from_secs(60);

fn address(last: u8) -> SocketAddr {
    ([10, 0, 0, last], 80).into()
}

fn table(endpoints: &[u8]) -> Table {
    let weighted: Vec<Weighted> = endpoints
        .iter()
        .map(|last| Weighted {
            target: Target::Endpoint(address(*last)),
            weight: 1,
        })
        .collect();
    Table::build(TableSize::DEFAULT, SEED, &weighted).expect("table")
}

/// A pool with these endpoints, and others that it only knows.
fn pool(endpoints: &[u8], others: &[(u8, Standing)]) -> Pool {
    let known = endpoints.iter().map(|last| (*last, Standing::Ready));
    let entries = known
        .chain(others.iter().copied())
        .map(|(last, standing)| Entry::Endpoint {
            address: address(last),
            origin: String::new(),
            upstream: Arc::default(),
            standing,
        });
    let id = PoolId {
        route: Uid::default(),
        rule: 0,
    };
    let mut pool = Pool::new(id, Arc::new(table(endpoints)), entries.collect());
    pool.number = PoolNumber(7);
    pool.affinity = Affinity {
        kind: AffinityKind::ClientIp {
            v4_prefix: 32,
            v6_prefix: 64,
            timeout: TIMEOUT,
        },
        replication: Replication::OnChange,
    };
    pool
}

fn asker(pool: &Pool, client: u32) -> Asker<'_> {
    let ip = std::net::Ipv4Addr::from_bits(0x0a00_0000 + client);
    let flow = FlowKey::client_ip(Protocol::Tcp, 80, ip.into(), 32);
    let hash = flow.hash(SEED);
    Asker {
        pool,
        key: pool.pin_key(flow),
        hash,
        choice_hash: hash,
        pinned: None,
    }
}

fn endpoint(pool: &Pool, taken: Taken) -> SocketAddr {
    match &pool.entries[usize::from(taken.choice.entry)] {
        Entry::Endpoint { address, .. } => *address,
        Entry::Reject { .. } => panic!("an endpoint"),
    }
}

fn seconds(seconds: u64) -> Micros {
    Micros(seconds * 1_000_000)
}

/// A session that begins and reaches its endpoint.
fn open(entries: &mut Affinities, pool: &Pool, client: u32, now: Micros) -> (SocketAddr, Why, Key) {
    let taken = entries.take(asker(pool, client), now).expect("an endpoint");
    let endpoint = endpoint(pool, taken);
    let place = taken.place.expect("an entry");
    entries.settle(place, endpoint, false, now);
    (endpoint, taken.choice.why, place)
}

fn pools(pool: &Pool) -> Pools {
    Pools::from([(pool.number, Arc::new(pool.clone()))])
}

/// What is needed after all changes.
fn needs(entries: &mut Affinities, record: &mut BTreeMap<PinKey, SocketAddr>) -> usize {
    for change in entries.moves.drain(..) {
        if let Some(from) = change.from {
            assert_eq!(record.remove(&change.key), Some(from));
        }
        if let Some(to) = change.to {
            assert_eq!(record.insert(change.key, to), None);
        }
    }
    record.len()
}

#[test]
fn a_client_stays_while_it_has_sessions_and_for_the_timeout_after_the_last() {
    let (few, many) = (pool(&[1], &[]), pool(&[1, 2, 3, 4, 5, 6, 7, 8, 9], &[]));
    let mut entries = Affinities::new(1000);
    for client in 0..100 {
        let (first, why, one) = open(&mut entries, &few, client, seconds(0));
        assert_eq!((first, why), (address(1), Why::Table));
        let (second, why, two) = open(&mut entries, &many, client, seconds(1));
        assert_eq!((second, why), (address(1), Why::Affinity));
        entries.release(one, seconds(2));
        assert!(!entries.expire(seconds(500), 1000));
        entries.release(two, seconds(500));
        assert!(!entries.expire(seconds(559), 1000));
        let (third, why, three) = open(&mut entries, &many, client, seconds(559));
        assert_eq!((third, why), (address(1), Why::Affinity));
        entries.release(three, seconds(600));
    }
    assert_eq!(entries.len(), 100);
    // Over, but not yet cleared away.
    let whys: BTreeSet<Why> = (0..50)
        .map(|client| open(&mut entries, &many, client, seconds(660)).1)
        .collect();
    assert_eq!(whys, BTreeSet::from([Why::Table]));
    assert!(entries.expire(seconds(660), 20) && !entries.expire(seconds(660), 1000));
    assert_eq!(entries.len(), 50);
}

#[test]
fn of_a_full_table_the_idle_client_that_ends_first_makes_room() {
    let pool = pool(&[1, 2, 3], &[]);
    let mut entries = Affinities::new(3);
    let places: Vec<Key> = (0..3)
        .map(|client| open(&mut entries, &pool, client, seconds(0)).2)
        .collect();
    // Every one has sessions: the next is served, and not remembered.
    let taken = entries.take(asker(&pool, 9), seconds(1)).expect("an endpoint");
    assert_eq!((taken.place, taken.unsettled, entries.take_shed()), (None, false, 1));
    entries.release(places[1], seconds(2));
    entries.release(places[0], seconds(3));
    open(&mut entries, &pool, 9, seconds(4));
    assert_eq!((entries.len(), entries.take_shed(), entries.take_shed()), (3, 1, 0));
    assert_eq!(open(&mut entries, &pool, 0, seconds(5)).1, Why::Affinity);
    assert!(entries.idle.is_empty());
}

#[test]
fn an_endpoint_that_takes_nothing_new_loses_the_clients_next_session() {
    let before = pool(&[1], &[(2, Standing::Ready)]);
    for standing in [Standing::Draining, Standing::Leaving] {
        let mut entries = Affinities::new(10);
        let (_, _, one) = open(&mut entries, &before, 5, seconds(0));
        let after = pool(&[2], &[(1, standing)]);
        let (endpoint, why, two) = open(&mut entries, &after, 5, seconds(1));
        assert_eq!((endpoint, why), (address(2), Why::Table));
        // The session at the old endpoint ends: the client stays with the new one.
        entries.release(one, seconds(2));
        entries.release(two, seconds(3));
        assert_eq!(open(&mut entries, &after, 5, seconds(4)).1, Why::Affinity);
        assert_eq!(entries.len(), 1);
    }
    let mut entries = Affinities::new(10);
    let (_, _, one) = open(&mut entries, &before, 5, seconds(0));
    let none = pool(&[], &[(1, Standing::Draining)]);
    assert_eq!(entries.take(asker(&none, 5), seconds(1)), Err(NoChoice::NoEndpoint));
    entries.release(one, seconds(2));
    assert_eq!(open(&mut entries, &before, 5, seconds(3)).1, Why::Affinity);
}

#[test]
fn a_client_that_never_reached_its_endpoint_is_not_kept_to_it() {
    let pool = pool(&[1, 2], &[]);
    let mut entries = Affinities::new(10);
    let taken = entries.take(asker(&pool, 1), seconds(0)).expect("an endpoint");
    assert!(taken.unsettled);
    entries.release(taken.place.expect("an entry"), seconds(1));
    assert!(entries.is_empty() && entries.table.is_empty());
}

#[test]
fn a_redispatched_session_takes_its_client_along_and_is_pinned_when_it_has_lived() {
    let pool = pool(&[1, 2], &[]);
    let mut record = BTreeMap::new();
    let mut entries = Affinities::new(10);
    let taken = entries.take(asker(&pool, 1), seconds(0)).expect("an endpoint");
    let place = taken.place.expect("an entry");
    let other = if endpoint(&pool, taken) == address(1) {
        address(2)
    } else {
        address(1)
    };
    entries.settle(place, other, true, seconds(1));
    let (endpoint, why, second) = open(&mut entries, &pool, 1, seconds(2));
    assert_eq!((endpoint, why), (other, Why::Affinity));
    entries.prove(seconds(5), &pools(&pool));
    assert_eq!(needs(&mut entries, &mut record), 0);
    entries.prove(seconds(6), &pools(&pool));
    assert_eq!(needs(&mut entries, &mut record), 1);
    // Of a client with another session at its endpoint a redispatched one does not take the rest along.
    entries.settle(second, address(9), true, seconds(7));
    assert_eq!(open(&mut entries, &pool, 1, seconds(8)).0, other);
    assert_eq!(needs(&mut entries, &mut record), 1);
}

#[test]
fn needs_are_those_that_two_tables_disagree_on_and_end_when_they_agree() {
    const CLIENTS: u32 = 400;
    let old = pool(&[1, 2], &[]);
    let mut both = pool(&[1, 2], &[(3, Standing::Ready)]);
    both.prepared = Some(Phase {
        generation: 2,
        table: Arc::new(table(&[1, 2, 3])),
        entries: vec![0, 1, 2],
    });
    let new = pool(&[1, 2, 3], &[]);
    let mut record = BTreeMap::new();
    let mut entries = Affinities::new(1000);
    let places: Vec<(u32, Key)> = (0..CLIENTS)
        .map(|client| (client, open(&mut entries, &old, client, seconds(0)).2))
        .collect();
    assert_eq!(needs(&mut entries, &mut record), 0);
    let moving: BTreeSet<PinKey> = (0..CLIENTS)
        .map(|client| asker(&both, client))
        .filter(|asker| both.table.choose(asker.choice_hash) != new.table.choose(asker.choice_hash))
        .map(|asker| asker.key)
        .collect();
    assert!((CLIENTS as usize / 4..CLIENTS as usize / 2).contains(&moving.len()));
    let walk = |entries: &mut Affinities, pool: &Pool| {
        let mut from = Some(0);
        while let Some(start) = from {
            from = entries.walk(start, 50, &pools(pool));
        }
    };
    walk(&mut entries, &both);
    needs(&mut entries, &mut record);
    assert_eq!(record.keys().copied().collect::<BTreeSet<_>>(), moving);
    // With the new table active the same entries differ from it; those that are over with their sessions do not.
    walk(&mut entries, &new);
    needs(&mut entries, &mut record);
    assert_eq!(record.keys().copied().collect::<BTreeSet<_>>(), moving);
    for (_, place) in &places[..100] {
        entries.release(*place, seconds(1));
    }
    assert!(!entries.expire(seconds(61), 1000));
    let left: BTreeSet<PinKey> = (100..CLIENTS)
        .map(|client| asker(&new, client).key)
        .filter(|key| moving.contains(key))
        .collect();
    needs(&mut entries, &mut record);
    assert_eq!(record.keys().copied().collect::<BTreeSet<_>>(), left);
    // Back to the old table: nothing differs.
    walk(&mut entries, &old);
    assert_eq!(needs(&mut entries, &mut record), 0);
    // A pool that is gone leaves only those that still have sessions, and they need nothing.
    entries.release(places[200].1, seconds(62));
    walk(&mut entries, &both);
    let mut from = Some(0);
    while let Some(start) = from {
        from = entries.walk(start, 50, &Pools::new());
    }
    assert_eq!(needs(&mut entries, &mut record), 0);
    assert_eq!(entries.len(), 299);
}

#[test]
fn with_replication_always_each_entry_is_needed_while_it_is_there() {
    let mut always = pool(&[1, 2], &[]);
    always.affinity.replication = Replication::Always;
    let mut record = BTreeMap::new();
    let mut entries = Affinities::new(10);
    let places: Vec<Key> = (0..10)
        .map(|client| open(&mut entries, &always, client, seconds(0)).2)
        .collect();
    assert_eq!(needs(&mut entries, &mut record), 10);
    entries.release(places[0], seconds(1));
    open(&mut entries, &always, 10, seconds(2));
    assert_eq!(needs(&mut entries, &mut record), 10);
    assert!(!record.contains_key(&asker(&always, 0).key));
    entries.expire(seconds(61), 10);
    assert_eq!(needs(&mut entries, &mut record), 10);
    // A pin of another node is followed by a client that this node does not know.
    let pinned = Asker {
        pinned: Some(address(2)),
        ..asker(&always, 77)
    };
    entries.release(places[1], seconds(3));
    let taken = entries.take(pinned, seconds(3)).expect("an endpoint");
    assert_eq!((endpoint(&always, taken), taken.choice.why), (address(2), Why::Pin));
}

/// Whatever happens in whatever order: what is on record as needed is what is there and needs it, and nothing leaks.
#[test]
fn many_steps_leave_every_part_in_step() {
    let mut always = pool(&[1, 2], &[(3, Standing::Draining)]);
    always.affinity.replication = Replication::Always;
    let pools_by_turn = [pool(&[1, 2, 3], &[]), pool(&[1], &[(2, Standing::Leaving)]), always];
    let mut entries = Affinities::new(40);
    let mut record = BTreeMap::new();
    let mut live: Vec<(Key, SocketAddr)> = Vec::new();
    let mut state = 88_172_645_463_325_252u64;
    for step in 0..30_000u64 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let now = Micros(step * 500_000);
        let pool = &pools_by_turn[usize::try_from(step / 500 % 3).expect("few")];
        let pick = usize::try_from((state >> 32) % 1000).expect("few");
        match state % 10 {
            0..=4 if live.len() < 60 => {
                let client = u32::try_from(pick % 100).expect("few");
                let taken = entries.take(asker(pool, client), now).expect("an endpoint");
                let endpoint = endpoint(pool, taken);
                if let Some(place) = taken.place {
                    live.push((place, endpoint));
                }
            }
            5 if !live.is_empty() => {
                let (place, endpoint) = live[pick % live.len()];
                entries.settle(place, endpoint, false, now);
            }
            6 if !live.is_empty() => {
                let place = pick % live.len();
                live[place].1 = address(u8::try_from(pick % 3 + 1).expect("few"));
                entries.settle(live[place].0, live[place].1, true, now);
            }
            7 | 8 if !live.is_empty() => {
                let (place, _) = live.swap_remove(pick % live.len());
                entries.release(place, now);
            }
            9 => {
                entries.expire(now, 3);
                entries.prove(now, &pools(pool));
                if pick.is_multiple_of(50) {
                    entries.walk(0, u32::MAX, &pools(pool));
                }
            }
            _ => {}
        }
        needs(&mut entries, &mut record);
        let clients: Vec<&Client> = (0..entries.clients.slots())
            .filter_map(|index| entries.clients.tenant(index))
            .collect();
        let count = |is: fn(&&&Client) -> bool| clients.iter().filter(is).count();
        assert!(clients.len() <= 40 && entries.table.len() == clients.len());
        assert_eq!(count(|client| client.needed), record.len());
        assert!(
            clients
                .iter()
                .all(|client| !client.needed || record.get(&client.key) == Some(&client.endpoint))
        );
        assert_eq!(count(|client| client.sessions == 0), entries.idle.len());
        assert_eq!(count(|client| client.proven.is_some()), entries.unproven.len());
        let sessions: u32 = clients.iter().map(|client| client.sessions).sum();
        assert_eq!(sessions as usize, live.len());
    }
    for (place, _) in live {
        entries.release(place, Micros(0));
    }
    entries.walk(0, u32::MAX, &Pools::new());
    assert!(entries.is_empty() && entries.table.is_empty());
    assert_eq!(needs(&mut entries, &mut record), 0);
}
