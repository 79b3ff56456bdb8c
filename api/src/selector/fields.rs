//! `fieldSelector`: `metadata.name=web,metadata.namespace!=default`.

use guideway_model::meta::ObjectMeta;

/// Terms that must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct FieldSelector(Vec<Term>);

#[derive(Clone, Debug, PartialEq)]
struct Term {
    field: Field,
    equal: bool,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    Name,
    Namespace,
}

/// A field selector that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FieldSelectorError {
    /// Only names can be selected by field.
    #[error("field label not supported: {field:?}; supported are metadata.name and metadata.namespace")]
    Unsupported {
        /// What was asked for.
        field: String,
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
        split_unescaped(text)
            .map(parse_term)
            .collect::<Result<_, _>>()
            .map(FieldSelector)
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

fn parse_term(term: &str) -> Result<Term, FieldSelectorError> {
    let syntax = || FieldSelectorError::Syntax { term: term.to_owned() };
    let at = term.find(['=', '!']).ok_or_else(syntax)?;
    let (field, rest) = term.split_at(at);
    let (equal, value) = match rest {
        rest if rest.starts_with("!=") => (false, &rest[2..]),
        rest if rest.starts_with("==") => (true, &rest[2..]),
        rest if rest.starts_with('=') => (true, &rest[1..]),
        _ => return Err(syntax()),
    };
    let field = match field.trim() {
        "metadata.name" => Field::Name,
        "metadata.namespace" => Field::Namespace,
        other => {
            return Err(FieldSelectorError::Unsupported {
                field: other.to_owned(),
            });
        }
    };
    let value = unescape(value).ok_or_else(syntax)?;
    Ok(Term { field, equal, value })
}

/// Terms between commas; `\,` is part of a value.
fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
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
