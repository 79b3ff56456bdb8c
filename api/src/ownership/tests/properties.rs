//! What holds for any Service and any managers.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::fields::Fields;
use super::super::fields_of::fields_of;
use super::super::merge::merge;
use super::super::path::Step;
use super::{Live, config, layout, service, settled};

/// A Service that sets some of the labels, annotations and ports with the given prefix and numbers.
fn part(prefix: &'static str, first_port: u16) -> impl Strategy<Value = Value> {
    let texts = || btree_map("[a-c]", "[x-z]", 0..3);
    let port = (0..4_u16, prop::option::of(1..3_u16), prop::bool::ANY);
    (texts(), texts(), vec(port, 0..4), prop::bool::ANY).prop_map(move |(labels, annotations, ports, finalizer)| {
        let prefixed = |texts: std::collections::BTreeMap<String, String>| -> Map<String, Value> {
            texts
                .into_iter()
                .map(|(key, value)| (format!("{prefix}{key}"), json!(value)))
                .collect()
        };
        let mut seen = Vec::new();
        let mut list = Vec::new();
        for (number, target, udp) in ports {
            let mut port = json!({ "port": first_port + number });
            if let Some(target) = target {
                port["targetPort"] = json!(target);
            }
            if udp {
                port["protocol"] = json!("UDP");
            }
            if !seen.contains(&(number, udp)) {
                seen.push((number, udp));
                list.push(port);
            }
        }
        let mut object = service(json!({ "ports": list }));
        object["metadata"]["annotations"] = Value::Object(prefixed(annotations));
        object["metadata"]["labels"] = Value::Object(prefixed(labels));
        if finalizer {
            object["metadata"]["finalizers"] = json!([format!("{prefix}.test/x")]);
        }
        object
    })
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let step = prop_oneof![
        "[a-c]".prop_map(Step::Field),
        (1..3_u16).prop_map(|port| Step::parse(&format!("k:{{\"port\":{port}}}")).expect("a step")),
        "[a-b]".prop_map(|text| Step::item(&json!(text))),
        (0..2_u64).prop_map(Step::Index),
    ];
    vec(vec(step, 1..4), 0..8).prop_map(|paths| {
        let mut fields = Fields::default();
        paths.iter().for_each(|path| fields.insert(path));
        fields
    })
}

proptest! {
    #[test]
    fn sets_of_fields_survive_the_trip(fields in any_fields()) {
        prop_assert_eq!(Fields::from_json(&fields.to_json()), Ok(fields));
    }

    #[test]
    fn sets_of_fields_are_sets(one in any_fields(), other in any_fields()) {
        let both = one.intersection(&other);
        prop_assert_eq!(&both, &other.intersection(&one));
        prop_assert_eq!(one.union(&other), other.union(&one));
        prop_assert_eq!(one.difference(&other).union(&both), one.clone());
        prop_assert!(one.difference(&other).intersection(&other).is_empty());
    }

    #[test]
    fn applying_twice_is_applying_once(first in part("a", 1), again in part("a", 1)) {
        let live = Live::nothing().apply("a", first);
        let once = live.apply("a", again.clone());
        prop_assert_eq!(once.apply("a", again), once);
    }

    #[test]
    fn the_last_apply_alone_decides(first in part("a", 1), second in part("a", 1)) {
        let alone = Live::nothing().apply("a", second.clone());
        let after = Live::nothing().apply("a", first).apply("a", second);
        prop_assert_eq!(after.owned("a"), alone.owned("a"));
        let leaves = |object: &Value| fields_of(object, &layout());
        // Empty maps may be left where there was something.
        let extra = leaves(&after.object).difference(&leaves(&alone.object));
        prop_assert!(extra.is_empty(), "{}", extra.to_json());
    }

    #[test]
    fn managers_of_different_fields_never_meet(
        ours in part("a", 1), theirs in part("b", 11), ours_later in part("a", 1),
    ) {
        let live = Live::nothing().apply("a", ours);
        let both = live.try_apply("b", false, theirs.clone());
        let both = both.expect("no conflict");
        let later = both.try_apply("a", false, ours_later).expect("no conflict");
        prop_assert_eq!(later.owned("b"), both.owned("b"));
        // All that the other applied is still there, as it was.
        let wanted = config(theirs);
        prop_assert_eq!(settled(merge(&later.object, &wanted, &layout())), later.object);
    }

    #[test]
    fn whoever_forces_owns_what_it_sets(ours in part("a", 1), theirs in part("a", 1)) {
        let live = Live::nothing().apply("a", ours);
        let forced = live.try_apply("b", true, theirs.clone()).expect("forced");
        let wanted = config(theirs);
        prop_assert_eq!(forced.owned("b"), Live::nothing().apply("b", wanted.clone()).owned("b"));
        prop_assert_eq!(settled(merge(&forced.object, &wanted, &layout())), forced.object);
    }

    #[test]
    fn an_update_leaves_no_field_without_an_owner(ours in part("a", 1), theirs in part("a", 1)) {
        let live = Live::nothing().update("a", ours);
        let updated = live.update("b", theirs);
        let owned = ["a", "b"].map(|name| updated.owned(name)).into_iter().filter(Value::is_object);
        let owned = owned.map(|trie| Fields::from_json(&trie).expect("fields")).fold(Fields::default(), |all, one| all.union(&one));
        let unowned = fields_of(&updated.object, &layout()).difference(&owned);
        let unowned = unowned.difference(&super::super::managers::never_owned());
        prop_assert!(unowned.is_empty(), "{}", unowned.to_json());
    }
}
