//! Collects what is wrong with an object.

use std::fmt;

use serde_json::Value;

use crate::outcome::{Cause, CauseReason};

/// The faults of one object, in the order in which they were found.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    causes: Vec<Cause>,
    omitted: usize,
}

impl Faults {
    /// Faults that are kept; those beyond are counted and the last entry says how many.
    const KEPT: usize = 100;

    pub(crate) fn add(&mut self, field: impl Into<String>, reason: CauseReason, message: impl fmt::Display) {
        if self.causes.len() == Self::KEPT {
            self.omitted += 1;
            return;
        }
        self.causes.push(Cause {
            field: field.into(),
            reason,
            message: message.to_string(),
        });
    }

    /// `value` breaks a rule, told as "must be ...".
    pub(crate) fn invalid(&mut self, field: impl Into<String>, value: &Value, rule: impl fmt::Display) {
        self.add(
            field,
            CauseReason::FieldValueInvalid,
            format_args!("{}: {rule}", Shown(value)),
        );
    }

    /// Like [`Faults::invalid`], for text.
    pub(crate) fn invalid_text(&mut self, field: impl Into<String>, value: &str, rule: impl fmt::Display) {
        self.add(
            field,
            CauseReason::FieldValueInvalid,
            format_args!("{}: {rule}", ShownText(value)),
        );
    }

    /// Like [`Faults::invalid`], for a value that must not be shown.
    pub(crate) fn invalid_hidden(&mut self, field: impl Into<String>, rule: impl fmt::Display) {
        self.add(field, CauseReason::FieldValueInvalid, rule);
    }

    /// A rule over several fields, with the message of the standard first and what broke it after.
    pub(crate) fn broken_rule(&mut self, field: impl Into<String>, message: &str, found: impl fmt::Display) {
        self.add(
            field,
            CauseReason::FieldValueInvalid,
            format_args!("{message}: {found}"),
        );
    }

    pub(crate) fn required(&mut self, field: impl Into<String>, rule: impl fmt::Display) {
        self.add(field, CauseReason::FieldValueRequired, rule);
    }

    pub(crate) fn forbidden(&mut self, field: impl Into<String>, rule: impl fmt::Display) {
        self.add(field, CauseReason::FieldValueForbidden, rule);
    }

    pub(crate) fn not_supported(&mut self, field: impl Into<String>, value: &str, options: &[impl AsRef<str>]) {
        let options: Vec<&str> = options.iter().map(AsRef::as_ref).collect();
        self.add(
            field,
            CauseReason::FieldValueNotSupported,
            format_args!("{}: must be one of {}", ShownText(value), options.join(", ")),
        );
    }

    pub(crate) fn duplicate(&mut self, field: impl Into<String>, value: impl fmt::Display) {
        self.add(
            field,
            CauseReason::FieldValueDuplicate,
            format_args!("{value}: must be there only once"),
        );
    }

    pub(crate) fn too_many(&mut self, field: impl Into<String>, count: usize, most: usize) {
        self.add(
            field,
            CauseReason::FieldValueTooMany,
            format_args!("{count} entries: must be at most {most}"),
        );
    }

    pub(crate) fn too_long(&mut self, field: impl Into<String>, length: usize, most: usize, unit: &str) {
        self.add(
            field,
            CauseReason::FieldValueTooLong,
            format_args!("{length} {unit}: must be at most {most} {unit}"),
        );
    }

    pub(crate) fn wrong_type(&mut self, field: impl Into<String>, expected: &str, found: &Value) {
        self.add(
            field,
            CauseReason::FieldValueTypeInvalid,
            format_args!("expected {expected}, found {}", TypeAndValue(found)),
        );
    }

    /// Like [`Faults::wrong_type`], for a value that must not be shown.
    pub(crate) fn wrong_type_hidden(&mut self, field: impl Into<String>, expected: &str, found: &Value) {
        self.add(
            field,
            CauseReason::FieldValueTypeInvalid,
            format_args!("expected {expected}, found {}", type_name(found)),
        );
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.causes.is_empty()
    }

    pub(crate) fn into_causes(mut self) -> Vec<Cause> {
        if self.omitted > 0 {
            self.causes.push(Cause {
                field: String::new(),
                reason: CauseReason::FieldValueInvalid,
                message: format!("{} more faults: mend these first", self.omitted),
            });
        }
        self.causes
    }
}

/// JSON as it is shown in a message: short, and text in quotes.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => ShownText(text).fmt(f),
            Value::Array(entries) => write!(f, "array of {}", entries.len()),
            Value::Object(fields) => write!(f, "object of {}", fields.len()),
            Value::Null | Value::Bool(_) | Value::Number(_) => self.0.fmt(f),
        }
    }
}

/// Text as it is shown in a message: quoted, cut after [`ShownText::MOST`] characters.
pub(crate) struct ShownText<'a>(pub(crate) &'a str);

impl ShownText<'_> {
    const MOST: usize = 80;
}

impl fmt::Display for ShownText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(Self::MOST) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

struct TypeAndValue<'a>(&'a Value);

impl fmt::Display for TypeAndValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = type_name(self.0);
        match self.0 {
            Value::Null | Value::Array(_) | Value::Object(_) => f.write_str(name),
            Value::Bool(flag) => write!(f, "{name} {flag}"),
            Value::Number(number) => write!(f, "{name} {number}"),
            Value::String(text) => write!(f, "{name} {}", ShownText(text)),
        }
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
