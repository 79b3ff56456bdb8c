//! Fills defaults into what is owned as one, which would otherwise differ from what is stored for as long as a client
//! leaves them out. Fields that are owned by themselves get theirs when the merged object is read, and nobody owns those.

use serde_json::{Map, Value};

use super::layout::{Layout, Named, Whole, is_hollow};
use super::path::Step;

/// Completes every value inside that is owned as one.
pub(super) fn complete(value: &mut Value, layout: &Layout) {
    match (layout, value) {
        (Layout::Whole(_), value) => fill(value, layout),
        (Layout::Struct(_) | Layout::Map(_), Value::Object(fields)) => {
            for (name, field) in fields {
                complete(field, layout.below(&Step::field(name)));
            }
        }
        (Layout::Keyed(_, items), Value::Array(list)) => list.iter_mut().for_each(|item| complete(item, items)),
        _ => {}
    }
}

/// Fills in defaults at every depth.
fn fill(value: &mut Value, layout: &Layout) {
    match (layout, value) {
        (Layout::Struct(named) | Layout::Whole(Whole::Struct(named)), Value::Object(fields)) => {
            fill_fields(fields, named);
        }
        (Layout::Map(values), Value::Object(entries)) => entries.values_mut().for_each(|entry| fill(entry, values)),
        (Layout::Keyed(_, items) | Layout::Whole(Whole::List(items)), Value::Array(list)) => {
            list.iter_mut().for_each(|item| fill(item, items));
        }
        _ => {}
    }
}

fn fill_fields(fields: &mut Map<String, Value>, named: &Named) {
    for (name, field) in named {
        match (fields.get_mut(name), &field.default) {
            (Some(present), _) => fill(present, &field.layout),
            // The API leaves empty arrays and maps out.
            (None, Some(default)) if !is_hollow(default) => {
                fields.insert(name.clone(), default.clone());
            }
            (None, _) => {}
        }
    }
}
