//! The table of pins against a slow one, and the bytes it is written as.

use std::collections::BTreeMap;

use base64::Engine;
use proptest::prelude::*;
use proptest::sample::select;

use super::compact::{CompactError, read_changes, read_rows, write_changes, write_rows};
use super::*;
use crate::node::Protocol;

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn flow(client: &str) -> FlowKey {
    FlowKey::five_tuple(Protocol::Udp, 53, at(client))
}

fn pin(pool: u32, client: &str) -> PinKey {
    PinKey {
        pool: PoolNumber(pool),
        flow: flow(client),
    }
}

fn holder(node: u64, incarnation: u64) -> Holder {
    Holder {
        node: NodeId(node),
        incarnation: Incarnation(incarnation),
    }
}

const ONE: &str = "192.0.2.1:1000";
const TWO: &str = "192.0.2.2:1000";

#[test]
fn the_first_of_two_that_disagree_wins() {
    let mut pins = Pins::default();
    let key = pin(1, ONE);
    pins.hold(key, at("10.0.0.2:53"), holder(2, 1), None);
    pins.hold(key, at("10.0.0.1:53"), holder(1, 1), None);
    assert_eq!(pins.get(&key), Some(at("10.0.0.2:53")));
    assert_eq!((pins.len(), pins.holds()), (1, 2));
    assert_eq!(pins.held(&key, holder(1, 1)), Some(at("10.0.0.1:53")));
    let holders: Vec<NodeId> = pins.holds_of(&key).iter().map(|hold| hold.holder.node).collect();
    assert_eq!(holders, [NodeId(2), NodeId(1)]);
    // Another endpoint is a new hold; the same one again is not.
    pins.hold(key, at("10.0.0.1:53"), holder(1, 1), None);
    assert_eq!(pins.last_serial(), 2);
    pins.hold(key, at("10.0.0.3:53"), holder(2, 1), None);
    assert_eq!(pins.get(&key), Some(at("10.0.0.1:53")));
    pins.release(&key, holder(1, 1));
    assert_eq!(pins.get(&key), Some(at("10.0.0.3:53")));
    pins.release(&key, holder(2, 1));
    assert_eq!((pins.get(&key), pins.len(), pins.is_empty()), (None, 0, true));
    assert_eq!(pins.get(&pin(2, ONE)), None);
}

#[test]
fn what_differs_is_found() {
    let mut pins = Pins::default();
    for number in 0..1000 {
        let key = pin(number % 7, &format!("192.0.2.1:{}", number + 1));
        pins.hold(key, at("10.0.0.1:53"), holder(1, 1), None);
    }
    let before = pins.clone();
    assert_eq!(pins.differing(&before).count(), 0);
    pins.hold(pin(3, TWO), at("10.0.0.1:53"), holder(2, 1), None);
    pins.release(&pin(0, "192.0.2.1:1"), holder(1, 1));
    pins.hold(pin(1, "192.0.2.1:2"), at("10.0.0.2:53"), holder(1, 1), None);
    let differing: Vec<PinKey> = pins.differing(&before).collect();
    assert_eq!(differing, [pin(0, "192.0.2.1:1"), pin(1, "192.0.2.1:2"), pin(3, TWO)]);
    let of_one: Vec<PinKey> = pins.differing_of(&before, holder(2, 1)).collect();
    assert_eq!(of_one, [pin(3, TWO)]);
    assert_eq!(before.differing(&pins).count(), 3);
}

#[test]
fn a_hold_takes_little_memory() {
    assert_eq!(size_of::<(FlowKey, Held)>(), 36);
}

fn change(pool: u32, flow: FlowKey, endpoint: Option<&str>) -> PinChange {
    PinChange {
        key: PinKey {
            pool: PoolNumber(pool),
            flow,
        },
        endpoint: endpoint.map(at),
    }
}

#[test]
fn bytes_of_changes_are_golden() {
    let v6 = FlowKey::client_ip(Protocol::Tcp, 443, at("[2001:db8::7]:1").ip(), 64);
    let changes = [
        change(1, flow(ONE), Some("10.0.0.1:5353")),
        change(300, v6, Some("[fd00::1]:443")),
        change(300, flow(TWO), None),
    ];
    let bytes = [
        // The form, and two endpoints.
        vec![1, 2],
        vec![4, 10, 0, 0, 1, 0x14, 0xe9],
        vec![6, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x01, 0xbb],
        vec![1, 17 | 0x40, 0, 53, 192, 0, 2, 1, 0x03, 0xe8, 1],
        vec![0xac, 0x02, 6 | 0x80, 0x01, 0xbb],
        vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        vec![0xac, 0x02, 17 | 0x40, 0, 53, 192, 0, 2, 2, 0x03, 0xe8, 0],
    ];

    let golden = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes.concat());
    assert_eq!(write_changes(&changes), golden);
    assert_eq!(read_changes(&golden), Ok(changes.to_vec()));
    assert_eq!(read_changes(&write_changes(&[])), Ok(Vec::new()));
}

#[test]
fn bytes_of_holds_are_golden() {
    let v6 = FlowKey::five_tuple(Protocol::Udp, 53, at("[2001:db8::7]:1000"));
    let key = |pool, flow| PinKey {
        pool: PoolNumber(pool),
        flow,
    };
    let rows = [
        (key(5, flow(ONE)), at("10.0.0.1:5353"), 1000),
        (key(5, v6), at("[fd00::1]:443"), 1003),
        (key(7, flow(ONE)), at("10.0.0.1:5353"), 1001),
    ];
    let bytes = [
        vec![1, 2],
        vec![4, 10, 0, 0, 1, 0x14, 0xe9],
        vec![6, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x01, 0xbb],
        vec![0xe8, 0x07],
        vec![5, 17 | 0x40, 0, 53, 192, 0, 2, 1, 0x03, 0xe8, 0, 0],
        vec![0, 17, 0, 53, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7],
        vec![0x03, 0xe8, 1, 3],
        vec![2, 17 | 0x40, 0, 53, 192, 0, 2, 1, 0x03, 0xe8, 0, 1],
    ];

    let golden = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes.concat());
    assert_eq!(write_rows(&rows), golden);
    assert_eq!(read_rows(&golden), Ok(rows.to_vec()));
}

/// What a full batch and a full record cost at the worst that a cluster comes to: IPv6, ten thousand pools, as many
/// endpoints as are chosen among by a large pool, serials as far apart as months make them.
#[test]
fn a_pin_takes_at_most_48_bytes() {
    let client = |number: u32| SocketAddr::new(at("[2001:db8::7]:1").ip(), u16::try_from(number).expect("small"));
    let row = |number: u32| {
        let key = PinKey {
            pool: PoolNumber(10_000 + number / 100),
            flow: FlowKey::five_tuple(Protocol::Udp, 53, client(number)),
        };
        let endpoint = at(&format!("[fd00::{:x}]:5353", number % 200));
        (key, endpoint, u64::from(number % 1000) << 32)
    };
    let rows: Vec<_> = (0..4096).map(row).collect();
    let changes = rows.iter().map(|(key, endpoint, _)| PinChange {
        key: *key,
        endpoint: Some(*endpoint),
    });
    let changes: Vec<PinChange> = changes.collect();
    let per_change = write_changes(&changes).len() / changes.len();
    let per_row = write_rows(&rows).len() / rows.len();
    assert!(per_change <= 36 && per_row <= 48, "{per_change} and {per_row} bytes");
}

#[test]
fn what_is_damaged_is_refused() {
    let text = write_changes(&[
        change(1, flow(ONE), Some("10.0.0.1:5353")),
        change(2, flow(TWO), Some("[fd00::1]:53")),
    ]);
    assert_eq!(read_changes("*"), Err(CompactError::NoBase64));
    assert_eq!(read_changes(""), Err(CompactError::CutShort));

    let engine = base64::engine::general_purpose::STANDARD_NO_PAD;
    let whole = engine.decode(&text).expect("base64");
    for length in 1..whole.len() {
        // The end of a row is an end too.
        let read = read_changes(&engine.encode(&whole[..length]));
        assert!(matches!(read, Err(CompactError::CutShort)) || read.is_ok_and(|changes| changes.len() < 2));
    }
    let read = |bytes: &[u8]| read_changes(&engine.encode(bytes)).expect_err("it was read");
    assert_eq!(read(&[2, 0]), CompactError::UnknownForm(2));
    assert_eq!(read(&[1, 1, 5, 0, 0]), CompactError::NoAddress);
    assert_eq!(read(&[1, 0xff, 0xff, 0xff, 0xff, 0x7f]), CompactError::CutShort);
    assert_eq!(read(&[[1].as_slice(), &[0xff; 11]].concat()), CompactError::TooLarge);
    let row = |head: u8, endpoint: u8| [1, 0, 9, head, 0, 53, 192, 0, 2, 1, 0x03, 0xe8, endpoint];
    assert_eq!(read(&row(17 | 0x40, 1)), CompactError::NoEndpoint);
    assert_eq!(read(&row(18 | 0x40, 0)), CompactError::NoFlow);
    assert_eq!(
        read(&[1, 0, 0x80, 0x80, 0x80, 0x80, 0x10]),
        CompactError::TooLarge,
        "pool 2^32"
    );
}

/// The table as one could write it without a care: every hold in one map, its serial beside it.
#[derive(Default)]
struct Slow {
    holds: BTreeMap<(PinKey, Holder), (u64, SocketAddr)>,
    serial: u64,
    shed: u64,
}

impl Slow {
    fn hold(&mut self, key: PinKey, endpoint: SocketAddr, holder: Holder, most: usize) {
        if self.holds.get(&(key, holder)).map(|(_, endpoint)| *endpoint) == Some(endpoint) {
            return;
        }
        self.serial += 1;
        self.holds.insert((key, holder), (self.serial, endpoint));
        while self.holds.len() > most {
            let (oldest, _) = self.holds.iter().min_by_key(|(_, (serial, _))| *serial).expect("some");
            let oldest = *oldest;
            self.holds.remove(&oldest);
            self.shed += 1;
        }
    }

    fn pins(&self) -> Vec<(PinKey, Vec<Hold>)> {
        let mut pins: BTreeMap<PinKey, Vec<Hold>> = BTreeMap::new();
        for ((key, holder), (serial, endpoint)) in &self.holds {
            pins.entry(*key).or_default().push(Hold {
                endpoint: *endpoint,
                holder: *holder,
                serial: *serial,
            });
        }
        for holds in pins.values_mut() {
            holds.sort_by_key(|hold| hold.serial);
        }
        pins.into_iter().collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Hold(PinKey, SocketAddr, Holder),
    Release(PinKey, Holder),
    EndPool(PoolNumber),
    EndShelf(PoolNumber, Holder),
    EndEndpoint(PoolNumber, SocketAddr),
}

fn step() -> impl Strategy<Value = Step> {
    let pool = || (1_u32..4).prop_map(PoolNumber);
    let key = || (1_u32..4, 1_u16..12).prop_map(|(pool, port)| pin(pool, &format!("192.0.2.1:{port}")));
    let endpoint = || select(vec![at("10.0.0.1:1"), at("10.0.0.2:1"), at("[fd00::1]:1")]);
    let holder = || select(vec![holder(1, 1), holder(1, 2), holder(2, 1)]);
    prop_oneof![
        24 => (key(), endpoint(), holder()).prop_map(|(key, endpoint, holder)| Step::Hold(key, endpoint, holder)),
        8 => (key(), holder()).prop_map(|(key, holder)| Step::Release(key, holder)),
        1 => pool().prop_map(Step::EndPool),
        1 => (pool(), holder()).prop_map(|(pool, holder)| Step::EndShelf(pool, holder)),
        1 => (pool(), endpoint()).prop_map(|(pool, endpoint)| Step::EndEndpoint(pool, endpoint)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn it_holds_what_a_slow_table_holds(steps in prop::collection::vec(step(), 1..120), most in 5_usize..40) {
        let (mut pins, mut slow) = (Pins::default(), Slow::default());
        for step in steps {
            let before = pins.clone();
            match step {
                Step::Hold(key, endpoint, holder) => {
                    pins.hold_of(key, endpoint, holder, None, most);
                    slow.hold(key, endpoint, holder, most);
                }
                Step::Release(key, holder) => {
                    pins.release(&key, holder);
                    slow.holds.remove(&(key, holder));
                }
                Step::EndPool(pool) => {
                    pins.end_pool(pool);
                    slow.holds.retain(|(key, _), _| key.pool != pool);
                }
                Step::EndShelf(pool, holder) => {
                    pins.end_shelf(pool, holder);
                    slow.holds.retain(|(key, other), _| (key.pool, *other) != (pool, holder));
                }
                Step::EndEndpoint(pool, endpoint) => {
                    pins.end_endpoint(pool, endpoint);
                    slow.holds.retain(|(key, _), (_, other)| (key.pool, *other) != (pool, endpoint));
                }
            }
            let expected = slow.pins();
            let found: Vec<_> = pins.iter().collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!((pins.len(), pins.holds()), (expected.len(), slow.holds.len()));
            prop_assert_eq!((pins.shed(), pins.last_serial()), (slow.shed, slow.serial));
            for (place, (key, holds)) in expected.iter().enumerate() {
                prop_assert_eq!(pins.get(key), holds.first().map(|hold| hold.endpoint));
                prop_assert_eq!(&pins.holds_of(key), holds);
                let behind: Vec<_> = pins.iter_after(Some(*key)).collect();
                prop_assert_eq!(&behind[..], &expected[place + 1..]);
            }
            let of_holders: usize = pins.holders().map(|holder| pins.of_holder(holder).count()).sum();
            prop_assert_eq!(of_holders, pins.holds());
            let mut differing: Vec<PinKey> = pins.differing(&before).collect();
            differing.sort();
            differing.dedup();
            let keys = |pins: &Pins| pins.iter().map(|(key, _)| key).collect::<Vec<_>>();
            let mut expected: Vec<PinKey> = [keys(&before), keys(&pins)].concat();
            expected.sort();
            expected.dedup();
            expected.retain(|key| before.holds_of(key) != pins.holds_of(key));
            prop_assert_eq!(differing, expected);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), form in any::<bool>()) {

        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut().filter(|_| form) {
            *first = 1;
        }
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        if let Ok(changes) = read_changes(&text) {
            prop_assert_eq!(read_changes(&write_changes(&changes)), Ok(changes));
        }
        if let Ok(rows) = read_rows(&text) {
            prop_assert!(rows.is_sorted_by_key(|(key, ..)| key.pool));
        }
    }
}
