//! The entries of `metadata.managedFields`: who owns which fields, and what a write changes about that.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use guideway_model::command::Part;
use guideway_model::meta::{FieldsType, FieldsV1, ManagedFieldsEntry, ManagedFieldsOperation, Timestamp};
use serde_json::{Value, json};

use super::config::part_of;
use super::difference::Difference;
use super::fields::Fields;
use super::layout::Layout;
use super::path::Step;

/// Managers whose writes other than apply are told apart; beyond it the oldest are merged into [`ANCIENT`].
const UPDATERS: usize = 10;
/// Managers that apply; beyond it an apply by another one is refused.
const APPLIERS: usize = 64;
/// Bytes of all sets of fields of one object; beyond it all writes other than apply are merged into [`ANCIENT`], and if
/// that does not help, the write is refused.
const BYTES: usize = 512 * 1024;
/// Stands for the managers that are no longer told apart.
const ANCIENT: &str = "ancient-changes";

/// One manager with one kind of write.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    /// How it writes.
    pub(crate) operation: ManagedFieldsOperation,
    /// Its name.
    pub(crate) name: String,
    /// Sub-resource that it writes; empty for the object itself.
    pub(crate) subresource: &'static str,
    /// Group and version that it writes in; empty for an applier, which is one and the same in every version.
    pub(super) api_version: String,
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    /// Group and version in which the fields are named.
    pub(super) api_version: String,
    pub(super) fields: Fields,
    pub(super) time: Option<Timestamp>,
}

/// Every manager of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Managers(pub(super) BTreeMap<Manager, Owned>);

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooLarge {
    /// Managers that apply.
    #[error(
        "{APPLIERS} managers apply to this object already, which is the limit; have one that is no longer used apply \
         nothing but the object's name, or use its name"
    )]
    Appliers,
    /// Bytes.
    #[error(
        "metadata.managedFields would have {bytes} bytes; the limit is {BYTES}: use fewer managers, or clear it by a \
         patch that sets it to [{{}}]"
    )]
    Bytes {
        /// How many there would be.
        bytes: usize,
    },
}

impl Manager {
    /// Who writes by another way than apply.
    pub(crate) fn updater(name: &str, part: Part, api_version: &str) -> Manager {
        Manager {
            operation: ManagedFieldsOperation::Update,
            name: name.to_owned(),
            subresource: subresource(part),
            api_version: api_version.to_owned(),
        }
    }

    /// Who applies.
    pub(crate) fn applier(name: &str, part: Part) -> Manager {
        Manager {
            operation: ManagedFieldsOperation::Apply,
            name: name.to_owned(),
            subresource: subresource(part),
            api_version: String::new(),
        }
    }
}

fn subresource(part: Part) -> &'static str {
    match part {
        Part::Main => "",
        Part::Status => "status",
    }
}

impl Managers {
    /// Reads the entries of an object, or of what a client sends as them; `None` if they are not of that form.
    pub(crate) fn decode(entries: &[ManagedFieldsEntry]) -> Option<Managers> {
        let mut managers = BTreeMap::new();
        for entry in entries {
            let subresource = match entry.subresource.as_str() {
                "" => "",
                "status" => "status",
                _ => return None,
            };
            if entry.api_version.is_empty() {
                return None;
            }
            let manager = Manager {
                operation: entry.operation,
                name: entry.manager.clone(),
                subresource,
                api_version: match entry.operation {
                    ManagedFieldsOperation::Apply => String::new(),
                    ManagedFieldsOperation::Update => entry.api_version.clone(),
                },
            };
            let owned = Owned {
                api_version: entry.api_version.clone(),
                fields: Fields::from_json(&entry.fields.to_json()).ok()?,
                time: entry.time,
            };
            managers.insert(manager, owned);
        }
        Some(Managers(managers))
    }

    /// What a write takes as the entries before it: those in the body if they can be read, else those that are stored. A
    /// body with one empty entry clears them.
    pub(crate) fn before(stored: &[ManagedFieldsEntry], sent: Option<Value>) -> Managers {
        let kept = || Managers::decode(stored).unwrap_or_default();
        match sent {
            Some(Value::Array(entries)) if entries == [json!({})] => Managers::default(),
            Some(Value::Array(entries)) if !entries.is_empty() => {
                let entries: Option<Vec<ManagedFieldsEntry>> = serde_json::from_value(Value::Array(entries)).ok();
                entries.as_deref().and_then(Managers::decode).unwrap_or_else(kept)
            }
            _ => kept(),
        }
    }

    /// As `metadata.managedFields`: appliers first, then by time.
    pub(crate) fn encode(&self) -> Vec<ManagedFieldsEntry> {
        let mut entries: Vec<ManagedFieldsEntry> = self
            .0
            .iter()
            .map(|(manager, owned)| ManagedFieldsEntry {
                manager: manager.name.clone(),
                operation: manager.operation,
                api_version: owned.api_version.clone(),
                time: owned.time,
                fields_type: FieldsType::FieldsV1,
                fields: FieldsV1::from(&owned.fields.to_json()),
                subresource: manager.subresource.to_owned(),
            })
            .collect();
        entries.sort_by(|one, other| {
            one.operation
                .cmp(&other.operation)
                .then_with(|| by_time(one.time, other.time))
        });
        entries
    }

    /// Whether the same managers own the same fields, whenever they took them.
    pub(crate) fn own_the_same(&self, other: &Managers) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().all(|(manager, owned)| {
                other
                    .0
                    .get(manager)
                    .is_some_and(|found| found.fields == owned.fields && found.api_version == owned.api_version)
            })
    }

    /// After a write other than apply: whoever owned what it changed does so no longer, and the writer owns it.
    pub(crate) fn updated(
        mut self,
        before: Value,
        after: Value,
        layout: &Layout,
        (writer, part): (Manager, Part),
        now: Timestamp,
    ) -> Result<Managers, TooLarge> {
        let difference = Difference::between(&part_of(before, part), &part_of(after, part), layout);
        let set = difference.set();
        for owned in self.0.values_mut() {
            owned.fields = owned.fields.difference(&set).difference(&difference.removed);
        }
        let own = set.difference(&never_owned());
        if !own.is_empty() {
            let api_version = writer.api_version.clone();
            let owned = self.0.entry(writer).or_insert_with(|| Owned {
                api_version,
                fields: Fields::default(),
                time: None,
            });
            owned.fields = owned.fields.union(&own);
            owned.time = Some(now);
        }
        self.drop_empty();
        self.bounded()
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|_, owned| !owned.fields.is_empty());
    }

    /// Within the bounds, the oldest writes merged if needed.
    pub(crate) fn bounded(mut self) -> Result<Managers, TooLarge> {
        let appliers = self.0.keys().filter(|manager| !is_updater(manager)).count();
        if appliers > APPLIERS {
            return Err(TooLarge::Appliers);
        }
        self.merge_oldest(UPDATERS);
        if self.bytes() > BYTES {
            self.merge_oldest(1);
        }
        match self.bytes() {
            bytes if bytes > BYTES => Err(TooLarge::Bytes { bytes }),
            _ => Ok(self),
        }
    }

    fn bytes(&self) -> usize {
        self.0
            .values()
            .map(|owned| owned.fields.to_json().to_string().len())
            .sum()
    }

    /// Merges the updaters written longest ago into one for each version, until at most `most` are left.
    fn merge_oldest(&mut self, most: usize) {
        while self.0.keys().filter(|manager| is_updater(manager)).count() > most {
            let told_apart = self
                .0
                .iter()
                .filter(|(manager, _)| is_updater(manager) && manager.name != ANCIENT);
            let oldest = told_apart.min_by(|(_, one), (_, other)| by_time(one.time, other.time));
            let Some(oldest) = oldest.map(|(manager, _)| manager.clone()) else {
                return;
            };
            let Some(owned) = self.0.remove(&oldest) else { return };
            let bucket = Manager::updater(ANCIENT, Part::Main, &oldest.api_version);
            match self.0.get_mut(&bucket) {
                Some(ancient) => {
                    ancient.fields = ancient.fields.union(&owned.fields);
                    ancient.time = owned.time;
                }
                None => {
                    self.0.insert(bucket, owned);
                }
            }
        }
    }
}

fn is_updater(manager: &Manager) -> bool {
    manager.operation == ManagedFieldsOperation::Update
}

fn by_time(one: Option<Timestamp>, other: Option<Timestamp>) -> Ordering {
    let seconds = |time: Option<Timestamp>| time.map_or(0, |time| time.unix_seconds);
    seconds(one).cmp(&seconds(other))
}

/// What says which object it is, and what the server fills in: nobody owns these.
pub(super) fn never_owned() -> Fields {
    let mut fields = Fields::default();
    for name in ["apiVersion", "kind", "metadata"] {
        fields.insert(&[Step::field(name)]);
    }
    for name in [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "generation",
        "managedFields",
        "resourceVersion",
    ] {
        fields.insert(&[Step::field("metadata"), Step::field(name)]);
    }
    fields
}
