//! What differs between two versions of an object, as sets of fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::fields::Fields;
use super::layout::{Layout, is_hollow};
use super::path::Step;

/// What differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Only the later version has these.
    pub(super) added: Fields,
    /// Both have these, with other values.
    pub(super) modified: Fields,
    /// Only the earlier version had these.
    pub(super) removed: Fields,
}

impl Difference {
    /// Between an earlier and a later version.
    pub(super) fn between(before: &Value, after: &Value, layout: &Layout) -> Difference {
        let mut difference = Difference::default();
        difference.compare(Some(before), Some(after), layout, &mut Vec::new());
        difference
    }

    /// What the later version has set.
    pub(super) fn set(&self) -> Fields {
        self.added.union(&self.modified)
    }

    fn compare(&mut self, before: Option<&Value>, after: Option<&Value>, layout: &Layout, path: &mut Vec<Step>) {
        let hollow = |value: Option<&Value>| value.is_none_or(is_hollow);
        if hollow(before) && hollow(after) && layout.leaves_out_empty() {
            return;
        }
        if layout.is_whole() || (hollow(before) && hollow(after)) || !is_alike(before, after) {
            match (before, after) {
                (None, Some(_)) => self.added.insert(path),
                (Some(_), None) => self.removed.insert(path),
                (before, after) if before != after => self.modified.insert(path),
                _ => {}
            }
            return;
        }
        let (earlier, later) = (children(before, layout), children(after, layout));
        let steps: BTreeSet<&Step> = earlier.keys().chain(later.keys()).collect();
        for step in steps {
            path.push(step.clone());
            let (before, after) = (earlier.get(step).copied(), later.get(step).copied());
            self.compare(before, after, layout.below(step), path);
            path.pop();
        }
        match (before, after) {
            (None, Some(_)) => self.added.insert(path),
            (Some(_), None) => self.removed.insert(path),
            _ => {}
        }
    }
}

/// Whether neither is a list where the other is an object.
fn is_alike(before: Option<&Value>, after: Option<&Value>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => {
            before.is_null()
                || after.is_null()
                || (before.is_object() && after.is_object())
                || (before.is_array() && after.is_array())
        }
        _ => true,
    }
}

/// What is one step below a value. Of items with equal keys the first counts.
fn children<'a>(value: Option<&'a Value>, layout: &Layout) -> BTreeMap<Step, &'a Value> {
    match value {
        Some(Value::Object(fields)) => fields.iter().map(|(name, field)| (Step::field(name), field)).collect(),
        Some(Value::Array(items)) => {
            let named = items.iter().rev();
            named.filter_map(|item| Some((layout.step_to(item)?, item))).collect()
        }
        _ => BTreeMap::new(),
    }
}
