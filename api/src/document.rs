//! One JSON or YAML document from a client, read into a [`Value`] with the fields that it holds twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may be nested; deeper documents are refused, so that no later walk is deep.
pub(crate) const MAX_DEPTH: usize = 100;

/// Most fields named in one answer about fields that are there twice.
const MAX_DUPLICATES_NAMED: usize = 20;

/// What was read. The last of several fields of one name wins.
#[derive(Debug, PartialEq)]
pub(crate) struct Document {
    /// The content.
    pub(crate) value: Value,
    /// Paths of fields that are there twice, such as `spec.ports[0].port`.
    pub(crate) duplicates: Vec<String>,
}

/// Text that is not a document: where and why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{format} is malformed at line {line}, column {column}: {problem}")]
pub(crate) struct Malformed {
    /// `JSON` or `YAML`.
    pub(crate) format: &'static str,
    /// From 1; 0 if unknown.
    pub(crate) line: u64,
    /// From 1; 0 if unknown.
    pub(crate) column: u64,
    /// What is wrong there.
    pub(crate) problem: String,
}

/// Reads JSON.
pub(crate) fn from_json(text: &[u8]) -> Result<Document, Malformed> {
    let duplicates = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Node::root(&duplicates)
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| {
            let full = error.to_string();
            let problem = full
                .rsplit_once(" at line ")
                .map_or(full.as_str(), |(problem, _)| problem);
            Malformed {
                format: "JSON",
                line: error.line() as u64,
                column: error.column() as u64,
                problem: problem.to_owned(),
            }
        })?;
    Ok(Document {
        value,
        duplicates: duplicates.into_inner(),
    })
}

/// Reads one YAML document.
pub(crate) fn from_yaml(text: &[u8]) -> Result<Document, Malformed> {
    let malformed = |line, column, problem| Malformed {
        format: "YAML",
        line,
        column,
        problem,
    };
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        malformed(line, 0, "not UTF-8".to_owned())
    })?;
    let duplicates = RefCell::default();
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH, max_documents: 1, max_aliases: 1000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
    };
    let value = serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        Node::root(&duplicates).deserialize(reader)
    })
    .map_err(|error| {
        let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
        malformed(line, column, error.without_snippet().to_string())
    })?;
    Ok(Document {
        value,
        duplicates: duplicates.into_inner(),
    })
}

/// Reads one node of the document and knows where it is.
#[derive(Clone, Copy)]
struct Node<'a> {
    duplicates: &'a RefCell<Vec<String>>,
    place: Place<'a>,
    depth: usize,
}

/// Where a node hangs; a chain on the stack, written out only for a duplicate.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl<'a> Node<'a> {
    fn root(duplicates: &'a RefCell<Vec<String>>) -> Node<'a> {
        Node {
            duplicates,
            place: Place::Root,
            depth: 0,
        }
    }

    fn below<'b, E: Error>(&'b self, place: Place<'b>) -> Result<Node<'b>, E>
    where
        'a: 'b,
    {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested more than {MAX_DEPTH} levels deep")));
        }
        Ok(Node {
            duplicates: self.duplicates,
            place,
            depth: self.depth + 1,
        })
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Root => Ok(()),
            Place::Field(Place::Root, name) => f.write_str(name),
            Place::Field(parent, name) => write!(f, "{parent}.{name}"),
            Place::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value that JSON can hold")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element_seed(self.below(Place::Item(&self.place, values.len()))?)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let place = Place::Field(&self.place, &name);
            let value = entries.next_value_seed(self.below(place)?)?;
            if fields.contains_key(&name) {
                let mut duplicates = self.duplicates.borrow_mut();
                if duplicates.len() < MAX_DUPLICATES_NAMED {
                    duplicates.push(place.to_string());
                }
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_that_are_there_twice_are_named_and_the_last_wins() {
        let expected = Document {
            value: json!({"spec": {"ports": [{"port": 81}]}}),
            duplicates: vec!["spec.ports[0].port".to_owned()],
        };
        assert_eq!(
            from_json(br#"{"spec":{"ports":[{"port":80,"port":81}]}}"#),
            Ok(Document { ..expected })
        );
        let yaml = from_yaml(b"spec:\n  ports:\n  - port: 80\n    port: 81\n").expect("YAML");
        assert_eq!(yaml.value, json!({"spec": {"ports": [{"port": 81}]}}));
        assert_eq!(yaml.duplicates, ["spec.ports[0].port"]);
    }

    #[test]
    fn malformed_text_names_line_and_column() {
        let error = from_json(b"{\n  \"a\": 1,\n  oops\n}").expect_err("malformed");
        assert_eq!((error.line, error.column), (3, 3));
        assert_eq!(
            error.to_string(),
            "JSON is malformed at line 3, column 3: key must be a string"
        );
        let error = from_yaml(b"a: 1\nb: [1, 2\nc: 3\n").expect_err("malformed");
        assert!(error.line >= 2, "{error}");
        let error = from_yaml(b"a: 1\nb: \xff\n").expect_err("not UTF-8");
        assert_eq!(error.line, 2);
        assert!(from_json(b"{} {}").is_err());
        assert!(from_yaml(b"a: 1\n---\nb: 2\n").is_err());
        assert!(from_json(b"").is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(from_json(nest(MAX_DEPTH).as_bytes()).is_ok());
        let error = from_json(nest(MAX_DEPTH + 1).as_bytes()).expect_err("too deep");
        assert!(error.problem.contains("nested more than 100 levels deep"), "{error}");
        assert!(from_json(nest(1_000_000).as_bytes()).is_err());
        assert!(from_yaml(nest(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn aliases_cannot_blow_a_document_up() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let before = level - 1;
            let refs = vec![format!("*a{before}"); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(from_yaml(bomb.as_bytes()).is_err());
    }
}
