//! Server-side apply: what the object becomes, who owns what then, or whose fields stand in the way.

use guideway_model::command::Part;
use guideway_model::meta::Timestamp;
use serde_json::Value;

use super::complete::complete;
use super::config::part_of;
use super::conflict::{Conflict, Conflicts};
use super::difference::Difference;
use super::fields::Fields;
use super::fields_of::fields_of;
use super::layout::Layout;
use super::managers::{Manager, Managers, Owned, never_owned};
use super::merge::merge;
use super::prune::{prune, without_null};

/// kubectl's name when it applies; it takes over from its own client-side apply.
const KUBECTL: &str = "kubectl";
/// Where kubectl's client-side apply keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Bytes of `metadata.annotations` in all; what kubectl applied last is left out if it would not fit.
const ANNOTATIONS_MOST_BYTES: usize = 256 * 1024;
/// Owns what was there before the first apply to an object without any entry.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What an apply makes of an object.
#[derive(Debug, PartialEq)]
pub(crate) struct Applied {
    /// The part of the object that was applied to, without defaults filled in.
    pub(crate) object: Value,
    /// Who owns what.
    pub(crate) managers: Managers,
}

/// Applies `config` as `applier` to `live`, which may be an empty object. With `force`, fields are taken from others.
pub(crate) fn apply(
    live: &Value,
    config: &Value,
    managers: Managers,
    layout: &Layout,
    apply: &Apply<'_>,
) -> Result<Applied, Vec<Conflict>> {
    let live = part_of(live.clone(), apply.part);
    let managers = with_first(managers, &live, layout, apply);
    let applied = match merged(&live, config, &managers, layout, apply, apply.force) {
        Err(conflicts) if apply.manager.name == KUBECTL => {
            let left = conflicts.except(&client_side_applied(&live, layout));
            if left.0.is_empty() {
                merged(&live, config, &managers, layout, apply, true)
            } else {
                Err(left)
            }
        }
        result => result,
    };
    let mut applied = applied.map_err(Conflicts::list)?;
    if apply.manager.name == KUBECTL {
        renew_last_applied(&mut applied.object, config);
    }
    Ok(applied)
}

/// Who applies, and how.
#[derive(Debug)]
pub(crate) struct Apply<'a> {
    /// Who.
    pub(crate) manager: Manager,
    /// Group and version of what is applied.
    pub(crate) api_version: &'a str,
    /// To which part.
    pub(crate) part: Part,
    /// Whether fields are taken from others.
    pub(crate) force: bool,
    /// Of new entries.
    pub(crate) now: Timestamp,
}

/// Gives the fields of an object that nobody ever owned to a manager that stands for what was there before.
fn with_first(managers: Managers, live: &Value, layout: &Layout, apply: &Apply<'_>) -> Managers {
    let exists = live.as_object().is_some_and(|fields| !fields.is_empty());
    if !managers.0.is_empty() || !exists || apply.part == Part::Status {
        return managers;
    }
    let owner = Manager::updater(BEFORE_FIRST_APPLY, apply.part, apply.api_version);
    let fields = fields_of(live, layout).difference(&never_owned());
    let owned = Owned {
        api_version: apply.api_version.to_owned(),
        fields,
        time: Some(apply.now),
    };
    Managers([(owner, owned)].into())
}

fn merged(
    live: &Value,
    config: &Value,
    managers: &Managers,
    layout: &Layout,
    apply: &Apply<'_>,
    force: bool,
) -> Result<Applied, Conflicts> {
    let mut managers = managers.clone();
    let last = managers.0.remove(&apply.manager);
    let set_now = fields_of(config, layout);
    let fields = set_now.difference(&never_owned());
    // With what nobody owns, such as the name: it would go with the rest of the metadata.
    let owned = managers.0.values();
    let owned_by_any = owned.fold(set_now, |all, owned| all.union(&owned.fields));
    let no_fields = Fields::default();
    let last_fields = last.as_ref().map_or(&no_fields, |last| &last.fields);
    let object = prune(&merge(live, config, layout), last_fields, &owned_by_any, layout);
    let difference = Difference::between(live, &object, layout);
    let set = difference.set();
    let mut conflicts = Conflicts::default();
    for (manager, owned) in &managers.0 {
        conflicts.add(manager, owned, owned.fields.intersection(&set));
    }
    if !force && !conflicts.0.is_empty() {
        return Err(conflicts);
    }
    for owned in managers.0.values_mut() {
        owned.fields = owned.fields.difference(&set).difference(&difference.removed);
    }
    let unchanged = last
        .as_ref()
        .filter(|last| last.fields == fields && difference == Difference::default());
    let time = unchanged.map_or(Some(apply.now), |last| last.time);
    let owned = Owned {
        api_version: apply.api_version.to_owned(),
        fields,
        time,
    };
    managers.0.insert(apply.manager.clone(), owned);
    managers.drop_empty();
    Ok(Applied {
        object: without_null(object),
        managers,
    })
}

/// Fields that kubectl's client-side apply set and nobody has changed since: kubectl may take them over.
fn client_side_applied(live: &Value, layout: &Layout) -> Fields {
    let last = live["metadata"]["annotations"][LAST_APPLIED].as_str();
    let last: Option<Value> = last.and_then(|text| serde_json::from_str(text).ok());
    let Some(mut last) = last.filter(|last| last["apiVersion"] == live["apiVersion"]) else {
        return Fields::default();
    };
    complete(&mut last, layout);
    let difference = Difference::between(&last, live, layout);
    fields_of(&last, layout)
        .difference(&difference.set())
        .difference(&difference.removed)
}

/// Keeps what client-side apply would compare with in step, so that one may go back to it.
fn renew_last_applied(object: &mut Value, config: &Value) {
    let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") else {
        return;
    };
    if annotations.get(LAST_APPLIED).is_none_or(|last| last == "") {
        return;
    }
    let mut config = config.clone();
    if let Some(Value::Object(own)) = config.pointer_mut("/metadata/annotations") {
        own.shift_remove(LAST_APPLIED);
    }
    let text = format!("{config}\n");
    annotations.shift_remove(LAST_APPLIED);
    let bytes = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    let others: usize = annotations.iter().map(bytes).sum();
    if others + LAST_APPLIED.len() + text.len() <= ANNOTATIONS_MOST_BYTES {
        annotations.insert(LAST_APPLIED.to_owned(), Value::from(text));
    }
}
