//! The objects of an earlier version: the present ones, with the changes since then taken back. It reaches as far as
//! the ring of changes does, and needs no old state kept.

use std::collections::BTreeMap;

use guideway_model::object::ObjectKey;
use guideway_model::state::ChangesExpired;
use guideway_model::{Kind, Object, State};

/// Objects of `kind`, in one namespace or in all, after `after`, as they were at `version`, in the order of lists.
pub(crate) fn objects_at<'a>(
    state: &'a State,
    version: u64,
    kind: Kind,
    namespace: Option<&'a str>,
    after: Option<&ObjectKey>,
) -> Result<impl Iterator<Item = Object>, ChangesExpired> {
    let mut earlier = taken_back(state, version, kind, namespace, after)?
        .into_iter()
        .peekable();
    let mut present = state.list(kind, namespace, after).peekable();
    Ok(std::iter::from_fn(move || {
        loop {
            let next_earlier = earlier.peek().map(|(key, _)| key);
            let next_present = present.peek().map(|object| object.key());
            let take_earlier = match (next_earlier, &next_present) {
                (Some(earlier), Some(present)) => earlier <= present,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if !take_earlier {
                return present.next().cloned();
            }
            let (key, before) = earlier.next()?;
            if next_present.is_some_and(|present| present == key) {
                present.next();
            }
            if before.is_some() {
                return before;
            }
        }
    }))
}

/// What every object that changed after `version` was at `version`; `None` if it was not there.
fn taken_back(
    state: &State,
    version: u64,
    kind: Kind,
    namespace: Option<&str>,
    after: Option<&ObjectKey>,
) -> Result<BTreeMap<ObjectKey, Option<Object>>, ChangesExpired> {
    let mut earlier = BTreeMap::new();
    if state.revision() <= version {
        return Ok(earlier);
    }
    for change in state.changes_since(version)? {
        if change.object.kind() != kind {
            continue;
        }
        let key = change.object.key();
        let in_scope = namespace.is_none_or(|wanted| wanted == key.namespace) && after.is_none_or(|after| key > *after);
        if in_scope {
            earlier.entry(key).or_insert_with(|| change.before.clone());
        }
    }
    Ok(earlier)
}
