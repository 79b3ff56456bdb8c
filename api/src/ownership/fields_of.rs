//! The fields that a value sets.

use serde_json::Value;

use super::fields::Fields;
use super::layout::{Layout, is_hollow};
use super::path::Step;

/// The fields that `value` sets: its leaves, the items of its lists, keys of maps, and
/// objects that are there but empty.
pub(super) fn fields_of(value: &Value, layout: &Layout) -> Fields {
    let mut found = Fields::default();
    collect(value, layout, &mut Vec::new(), &mut found);
    found
}

fn collect(value: &Value, layout: &Layout, path: &mut Vec<Step>, found: &mut Fields) {
    match (layout, value) {
        (Layout::Struct(_) | Layout::Map(_), Value::Object(fields)) => {
            for (name, field) in fields {
                let step = Step::field(name);
                let below = layout.below(&step);
                let own = (is_hollow(field) && !below.leaves_out_empty()) || !layout.names(&step);
                path.push(step);
                collect(field, below, path, found);
                if own {
                    found.insert(path);
                }
                path.pop();
            }
        }
        (Layout::Keyed(_, items), Value::Array(list)) => {
            for item in list {
                if let Some(step) = layout.step_to(item) {
                    path.push(step);
                    collect(item, items, path, found);
                    found.insert(path);
                    path.pop();
                }
            }
        }
        (Layout::Set, Value::Array(list)) => {
            for step in list.iter().filter_map(|item| layout.step_to(item)) {
                path.push(step);
                found.insert(path);
                path.pop();
            }
        }
        (_, Value::Null) if !layout.is_whole() => {}
        _ => found.insert(path),
    }
}
