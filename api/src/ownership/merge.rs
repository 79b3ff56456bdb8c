//! Merges what was applied into the object.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::layout::{Layout, is_hollow};
use super::path::Step;

/// `live` with everything that `config` sets. Items of lists stand in the order of `config`; those that only `live` has
/// keep their place before the next one that both have.
pub(super) fn merge(live: &Value, config: &Value, layout: &Layout) -> Value {
    if layout.is_whole() || (is_hollow(live) && is_hollow(config)) {
        return config.clone();
    }
    match (live, config) {
        (Value::Object(live), Value::Object(config)) => Value::Object(merge_fields(live, config, layout)),
        (Value::Array(live), Value::Array(config)) => Value::Array(merge_items(live, config, layout)),
        (_, config) => config.clone(),
    }
}

fn merge_fields(live: &Map<String, Value>, config: &Map<String, Value>, layout: &Layout) -> Map<String, Value> {
    let mut merged = live.clone();
    for (name, field) in config {
        match merged.get_mut(name) {
            Some(present) => *present = merge(present, field, layout.below(&Step::field(name))),
            None => {
                merged.insert(name.clone(), field.clone());
            }
        }
    }
    merged
}

fn merge_items(live: &[Value], config: &[Value], layout: &Layout) -> Vec<Value> {
    let named = |items: &[Value]| -> Vec<(Step, Value)> {
        let named = items.iter();
        named
            .filter_map(|item| Some((layout.step_to(item)?, item.clone())))
            .collect()
    };
    let (live, config) = (named(live), named(config));
    let positions: BTreeMap<&Step, usize> = live
        .iter()
        .enumerate()
        .rev()
        .map(|(at, (step, _))| (step, at))
        .collect();
    let wanted: BTreeMap<&Step, ()> = config.iter().map(|(step, _)| (step, ())).collect();
    let mut merged = Vec::new();
    let mut next_live = 0;
    for (at, (step, item)) in config.iter().enumerate() {
        let next_shared = config[at..]
            .iter()
            .map(|(step, _)| step)
            .find(|step| positions.contains_key(step));
        while let Some((live_step, live_item)) = live.get(next_live) {
            if !wanted.contains_key(live_step) {
                merged.push(live_item.clone());
            } else if Some(live_step) == next_shared {
                break;
            }
            next_live += 1;
        }
        merged.push(match positions.get(step) {
            Some(position) => merge(&live[*position].1, item, layout.below(step)),
            None => item.clone(),
        });
    }
    let rest = live.into_iter().skip(next_live);
    merged.extend(
        rest.filter(|(step, _)| !wanted.contains_key(step))
            .map(|(_, item)| item),
    );
    merged
}
