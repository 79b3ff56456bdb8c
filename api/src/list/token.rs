//! The `continue` token: version and last key of the page before. It holds all there is to know, so any node takes it.

use guideway_model::Kind;
use guideway_model::object::ObjectKey;

use crate::status::Status;

/// Where the next page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageToken {
    /// Version that the list was begun at; `None` goes on with the present one.
    pub(crate) version: Option<u64>,
    /// Namespace of the last object that was given.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

const FORMAT: &str = "1";
const PRESENT: &str = "now";

impl PageToken {
    /// As clients carry it. Namespaces have no dots, so the name may.
    pub(crate) fn encode(&self) -> String {
        let version = self.version.map_or(PRESENT.to_owned(), |version| version.to_string());
        format!("{FORMAT}.{version}.{}.{}", self.namespace, self.name)
    }

    /// Reads what [`PageToken::encode`] wrote.
    pub(crate) fn decode(text: &str) -> Result<PageToken, Status> {
        let parse = || {
            let mut parts = text.splitn(4, '.');
            if parts.next()? != FORMAT {
                return None;
            }
            let version = match parts.next()? {
                PRESENT => None,
                number => Some(number.parse().ok()?),
            };
            Some(PageToken {
                version,
                namespace: parts.next()?.to_owned(),
                name: parts.next().filter(|name| !name.is_empty())?.to_owned(),
            })
        };
        parse().ok_or_else(|| {
            Status::bad_request(format!(
                "continue key is not valid: {text:?} was not given out by a list; start again without it"
            ))
        })
    }

    /// The key after which the page starts.
    pub(crate) fn after(&self, kind: Kind) -> ObjectKey {
        ObjectKey {
            kind,
            namespace: self.namespace.clone(),
            name: self.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_trip() {
        for token in [
            PageToken {
                version: Some(42),
                namespace: "shop".to_owned(),
                name: "web.v1".to_owned(),
            },
            PageToken {
                version: None,
                namespace: String::new(),
                name: "guideway".to_owned(),
            },
        ] {
            assert_eq!(PageToken::decode(&token.encode()), Ok(token));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "x", "1", "1.2", "1.2.ns", "1.2.ns.", "2.2.ns.name", "1.x.ns.name"] {
            let status = PageToken::decode(text).expect_err(text);
            assert_eq!(status.code(), 400, "{text}");
        }
    }
}
