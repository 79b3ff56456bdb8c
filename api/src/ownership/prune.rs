//! Takes fields away from an object: those that a manager has given up and nobody else owns.

use serde_json::Value;

use super::fields::Fields;
use super::fields_of::fields_of;
use super::layout::{Layout, is_hollow};
use super::path::Step;

/// `merged` without what `last` had and `owned` has not: the fields that the applying manager owned, and neither it nor
/// anyone else does now. An item of a list goes with the last one who owns the item itself; fields that the manager did
/// not own stay. What becomes empty is null, which still says that it was there.
pub(super) fn prune(merged: &Value, last: &Fields, owned: &Fields, layout: &Layout) -> Value {
    if last.is_empty() {
        return merged.clone();
    }
    let named = |fields: &Fields| fields.with_named_fields(layout);
    let all = named(&fields_of(merged, layout));
    let last = named(last);
    let without_last = remove(merged, &last, layout);
    let kept = named(&fields_of(&without_last, layout)).union(&named(owned));
    let with_owned = remove(merged, &all.difference(&kept), layout);
    let kept = named(&fields_of(&with_owned, layout));
    remove(merged, &all.difference(&kept).intersection(&last), layout)
}

/// `value` without the fields in `gone`. A field of which nothing is left is null.
fn remove(value: &Value, gone: &Fields, layout: &Layout) -> Value {
    if layout.is_whole() {
        return value.clone();
    }
    match value {
        Value::Object(fields) => {
            let left = fields.iter().filter_map(|(name, field)| {
                let step = Step::field(name);
                if gone.has(&step) {
                    return None;
                }
                let left = match gone.below(&step) {
                    Some(below) => remove(field, below, layout.below(&step)),
                    None => field.clone(),
                };
                Some((name.clone(), left))
            });
            null_if_empty(value, Value::Object(left.collect()))
        }
        Value::Array(items) => {
            let left = items.iter().filter_map(|item| {
                let Some(step) = layout.step_to(item) else {
                    return Some(item.clone());
                };
                if gone.has(&step) {
                    return None;
                }
                match gone.below(&step) {
                    Some(below) => Some(remove(item, below, layout.below(&step))).filter(|left| !left.is_null()),
                    None => Some(item.clone()),
                }
            });
            null_if_empty(value, Value::Array(left.collect()))
        }
        scalar => scalar.clone(),
    }
}

fn null_if_empty(before: &Value, left: Value) -> Value {
    if is_hollow(&left) && !is_hollow(before) {
        Value::Null
    } else {
        left
    }
}

/// Drops null fields, as the API does when it reads an object.
pub(super) fn without_null(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, field)| !field.is_null())
                .map(|(name, field)| (name, without_null(field)))
                .collect(),
        ),
        Value::Array(items) => items.into_iter().map(without_null).collect(),
        scalar => scalar,
    }
}
