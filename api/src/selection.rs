//! What a request selects of a resource that is computed: such objects have no labels, fields of their own, and come in
//! pages even if no limit was asked for, since there can be a million of them.

use crate::query::{Freshness, Parameters};
use crate::selector::{self, FieldTerm};
use crate::status::Status;

/// Terms of one field selector; beyond it 400.
const TERMS: usize = 64;

/// One page of what is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Which state is read, as far as the resource is in the state.
    pub(crate) freshness: Freshness,
    /// Terms of the field selector; all must hold.
    pub(crate) terms: Vec<FieldTerm>,
    /// Whether the label selector excludes everything.
    pub(crate) nothing: bool,
    /// Objects in the page.
    pub(crate) limit: usize,
    /// Token of the page before.
    pub(crate) continue_token: Option<String>,
}

impl Selection {
    /// Reads the parameters of a resource that can be selected by `fields`, in pages of at most `most` objects.
    pub(crate) fn read(parameters: &Parameters, fields: &[&str], most: usize) -> Result<Selection, Status> {
        let bad = |error: String| Status::bad_request(error);
        let text = parameters.get("fieldSelector").unwrap_or_default();
        let terms = selector::terms(text, fields).map_err(|error| bad(format!("fieldSelector: {error}")))?;
        if terms.len() > TERMS {
            return Err(bad(format!(
                "fieldSelector: {} terms; the limit is {TERMS}",
                terms.len()
            )));
        }
        Ok(Selection {
            freshness: parameters.freshness()?,
            terms,
            nothing: !parameters.selects_unlabelled()?,
            limit: parameters.limit()?.unwrap_or(most).min(most),
            continue_token: parameters.get("continue").map(str::to_owned),
        })
    }

    /// Whether an object is selected whose values of a field `values` gives: one of them must be that of the term.
    pub(crate) fn matches(&self, values: impl Fn(&str) -> Vec<String>) -> bool {
        let holds = |term: &FieldTerm| values(&term.field).contains(&term.value) == term.equal;
        !self.nothing && self.terms.iter().all(holds)
    }
}
