//! `labelSelector` and `fieldSelector`: which objects a request is about.

mod fields;
mod labels;

use guideway_model::meta::ObjectMeta;

use fields::FieldSelector;
pub(crate) use fields::{FieldSelectorError, FieldTerm, split_unescaped, terms};
use labels::LabelSelector;
pub(crate) use labels::LabelSelectorError;

/// Both selectors of a request; an object must match both.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selector {
    labels: LabelSelector,
    fields: FieldSelector,
}

/// A selector that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SelectorError {
    /// In `labelSelector`.
    #[error("labelSelector: {0}")]
    Labels(#[from] LabelSelectorError),
    /// In `fieldSelector`.
    #[error("fieldSelector: {0}")]
    Fields(#[from] FieldSelectorError),
}

impl Selector {
    /// Reads both; an empty one selects everything.
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Selector, SelectorError> {
        Ok(Selector {
            labels: LabelSelector::parse(labels)?,
            fields: FieldSelector::parse(fields)?,
        })
    }

    /// Narrows the selector to one object.
    pub(crate) fn and_name(mut self, name: &str) -> Selector {
        self.fields.require_name(name);
        self
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, meta: &ObjectMeta) -> bool {
        self.fields.matches(meta) && self.labels.matches(&meta.labels)
    }
}
