//! One step on the way to a field, as `FieldsV1` writes it.

use std::fmt;

use serde_json::{Map, Value};

/// One step. The texts inside are canonical, so that equal steps are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A field of an object or a key of a map: `f:name`.
    Field(String),
    /// The item of a list that has these values in its key fields: `k:{"port":80}`, as JSON with sorted names.
    Key(String),
    /// The item of a set that is this scalar: `v:"a"`, as JSON.
    Item(String),
    /// A position, which no list here is addressed by: `i:0`.
    Index(u64),
}

/// Text that is not a step.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a path element of FieldsV1")]
pub(super) struct NotAStep {
    text: String,
}

impl Step {
    /// The field of this name.
    pub(super) fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    /// The item with these key fields.
    pub(super) fn key(mut keys: Map<String, Value>) -> Step {
        keys.sort_keys();
        Step::Key(Value::Object(keys).to_string())
    }

    /// The item that is this scalar.
    pub(super) fn item(scalar: &Value) -> Step {
        Step::Item(scalar.to_string())
    }

    /// Reads one name of a `FieldsV1` trie.
    pub(super) fn parse(text: &str) -> Result<Step, NotAStep> {
        let fault = || NotAStep { text: text.to_owned() };
        match text.split_at_checked(2).ok_or_else(fault)? {
            ("f:", name) => Ok(Step::field(name)),
            ("k:", keys) => match serde_json::from_str(keys) {
                Ok(Value::Object(keys)) => Ok(Step::key(keys)),
                _ => Err(fault()),
            },
            ("v:", scalar) => serde_json::from_str(scalar)
                .map(|scalar: Value| Step::item(&scalar))
                .map_err(|_| fault()),
            ("i:", index) => index.parse().map(Step::Index).map_err(|_| fault()),
            _ => Err(fault()),
        }
    }

    /// As a `FieldsV1` trie names it.
    pub(super) fn encode(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Key(keys) => format!("k:{keys}"),
            Step::Item(scalar) => format!("v:{scalar}"),
            Step::Index(index) => format!("i:{index}"),
        }
    }
}

/// As messages show it, such as `.ports` and `[port=80,protocol="TCP"]`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Field(name) => write!(f, ".{name}"),
            Step::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let shown: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", shown.join(","))
            }
            Step::Item(scalar) => write!(f, "[={scalar}]"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_are_written() {
        for (text, shown) in [
            ("f:spec", ".spec"),
            ("f:", "."),
            ("f:example.com/a", ".example.com/a"),
            (r#"k:{"port":80,"protocol":"TCP"}"#, r#"[port=80,protocol="TCP"]"#),
            (r#"v:"example.com/finalizer""#, r#"[="example.com/finalizer"]"#),
            ("v:7", "[=7]"),
            ("i:3", "[3]"),
        ] {
            let step = Step::parse(text).expect(text);
            assert_eq!((step.encode().as_str(), step.to_string().as_str()), (text, shown));
        }
        assert_eq!(Step::parse(r#"k:{"b":1, "a":2}"#), Step::parse(r#"k:{"a":2,"b":1}"#));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", ".", "f", "x:1", "k:[]", "k:{", "v:", "v:{", "i:-1", "i:x", "é:"] {
            assert_eq!(Step::parse(text), Err(NotAStep { text: text.to_owned() }), "{text}");
        }
    }
}
