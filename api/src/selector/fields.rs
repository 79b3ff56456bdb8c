//! `fieldSelector`: `metadata.name=web,metadata.namespace!=default`.

use guideway_model::meta::ObjectMeta;

/// Characters of a client's text that a message repeats.
const LONGEST_NAMED: usize = 200;

/// Terms that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    field: Field,
    equal: bool,
    value: String,
}

/// One term, of whatever field; the kinds that are computed have fields of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldTerm {
    /// Path of the field.
    pub(crate) field: String,
    /// Whether the field must have the value, or must not.
    pub(crate) equal: bool,
    /// The value, without escapes.
    pub(crate) value: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Name,
    Namespace,
}

/// A field selector that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldSelectorError {
    /// Objects of the kind cannot be selected by this field.
    #[error("field label not supported: {field:?}; supported are {supported}")]
    Unsupported {
        /// What was asked for.
        field: String,
        /// What could have been.
        supported: String,
    },
    /// Not `field=value`.
    #[error("{term:?} is not of the form field=value, field==value or field!=value")]
    Syntax {
        /// The term.
        term: String,
    },
}

impl FieldSelector {
    pub(super) fn parse(text: &str) -> Result<FieldSelector, FieldSelectorError> {
        let terms = terms(text, &["metadata.name", "metadata.namespace"])?.into_iter();
        let term = |FieldTerm { field, equal, value }| {
            let field = match field.as_str() {
                "metadata.name" => Field::Name,
                _ => Field::Namespace,
            };
            Term { field, equal, value }
        };
        Ok(FieldSelector(terms.map(term).collect()))
    }

    pub(super) fn require_name(&mut self, name: &str) {
        self.0.push(Term {
            field: Field::Name,
            equal: true,
            value: name.to_owned(),
        });
    }

    pub(super) fn matches(&self, meta: &ObjectMeta) -> bool {
        self.0.iter().all(|term| {
            let found = match term.field {
                Field::Name => &meta.name,
                Field::Namespace => &meta.namespace,
            };
            (*found == term.value) == term.equal
        })
    }
}

/// The terms of a selector for a kind that can be selected by the fields `supported`.
pub(crate) fn terms(text: &str, supported: &[&str]) -> Result<Vec<FieldTerm>, FieldSelectorError> {
    let terms = split_unescaped(text).map(parse_term).collect::<Result<Vec<_>, _>>()?;
    match terms.iter().find(|term| !supported.contains(&term.field.as_str())) {
        Some(term) => Err(FieldSelectorError::Unsupported {
            field: term.field.chars().take(LONGEST_NAMED).collect(),
            supported: enumerated(supported),
        }),
        None => Ok(terms),
    }
}

fn parse_term(term: &str) -> Result<FieldTerm, FieldSelectorError> {
    let syntax = || FieldSelectorError::Syntax {
        term: term.chars().take(LONGEST_NAMED).collect(),
    };
    let at = term.find(['=', '!']).ok_or_else(syntax)?;
    let (field, rest) = term.split_at(at);
    let (equal, value) = match rest {
        rest if rest.starts_with("!=") => (false, &rest[2..]),
        rest if rest.starts_with("==") => (true, &rest[2..]),
        rest if rest.starts_with('=') => (true, &rest[1..]),
        _ => return Err(syntax()),
    };
    Ok(FieldTerm {
        field: field.trim().to_owned(),
        equal,
        value: unescape(value).ok_or_else(syntax)?,
    })
}

/// `a, b and c`
fn enumerated(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Terms between commas; `\,` is part of a value.
pub(crate) fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |character| {
        let splits = character == ',' && !escaped;
        escaped = character == '\\' && !escaped;
        splits
    })
    .filter(|term| !term.is_empty())
}

/// Takes `\\`, `\,` and `\=` back; `None` for any other escape and for a bare `=`.
fn unescape(value: &str) -> Option<String> {
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(characters.next().filter(|next| matches!(next, '\\' | ',' | '='))?),
            '=' => return None,
            other => plain.push(other),
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching() {
        let meta = ObjectMeta {
            name: "web".to_owned(),
            namespace: "shop".to_owned(),
            ..ObjectMeta::default()
        };
        for (text, expected) in [
            ("", true),
            ("metadata.name=web", true),
            ("metadata.name==web", true),
            ("metadata.name!=web", false),
            ("metadata.name=web,metadata.namespace=shop", true),
            ("metadata.name=web,metadata.namespace!=shop", false),
            (r"metadata.name=web\,x", false),
        ] {
            let selector = FieldSelector::parse(text).expect(text);
            assert_eq!(selector.matches(&meta), expected, "{text}");
        }
    }

    #[test]
    fn refusals_name_what_is_supported() {
        let error = FieldSelector::parse("spec.type=ClusterIP").expect_err("unsupported");
        assert!(
            error
                .to_string()
                .contains("supported are metadata.name and metadata.namespace")
        );
        for text in [
            "metadata.name",
            "metadata.name!x",
            "metadata.name=a=b",
            r"metadata.name=a\b",
        ] {
            assert!(
                matches!(FieldSelector::parse(text), Err(FieldSelectorError::Syntax { .. })),
                "{text}"
            );
        }
    }
}
