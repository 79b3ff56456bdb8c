//! Query parameters of list, watch and write requests, read once into types.

use std::time::Duration;

use axum::extract::Query;
use axum::http::{HeaderMap, Uri};
use guideway_model::meta::ObjectMeta;
use guideway_model::object::FieldValidation;

use crate::attribution;
use crate::selector::Selector;
use crate::status::Status;

/// The parameters of one request, first of each name.
pub(crate) struct Parameters(Vec<(String, String)>);

/// Which state a read wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Every write acknowledged before the read.
    Linearizable,
    /// Whatever this node has applied (`resourceVersion=0`).
    Local,
    /// At least this version.
    NotOlderThan(u64),
    /// Exactly this version (lists only).
    Exact(u64),
}

/// Where a list starts and how much of it is wanted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListParameters {
    /// Which state is listed.
    pub(crate) freshness: Freshness,
    /// What is in the list.
    pub(crate) selector: Selector,
    /// Objects in the answer; `None` for all.
    pub(crate) limit: Option<usize>,
    /// Token of the page before.
    pub(crate) continue_token: Option<String>,
}

/// What a watch wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WatchParameters {
    /// Where it starts.
    pub(crate) start: WatchStart,
    /// What is watched.
    pub(crate) selector: Selector,
    /// Whether bookmarks are wanted.
    pub(crate) bookmarks: bool,
    /// Longest life asked for.
    pub(crate) timeout: Option<Duration>,
}

/// Where a watch starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchStart {
    /// With every object of a state, as `ADDED`; then `mark_end` sends the bookmark that ends them.
    Objects {
        /// Which state.
        freshness: Freshness,
        /// `sendInitialEvents=true`.
        mark_end: bool,
    },
    /// With the first change after a state.
    ChangesAfter(Freshness),
}

/// How a write is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriteParameters {
    /// Everything but the write itself.
    pub(crate) dry_run: bool,
    /// What happens to unknown fields.
    pub(crate) fields: FieldValidation,
    /// Who writes: `fieldManager`, or the program in `User-Agent`.
    pub(crate) writer: String,
    /// `fieldManager`, if it was given; an apply needs it.
    pub(crate) field_manager: Option<String>,
    /// Whether an apply takes fields from other managers.
    pub(crate) force: bool,
}

impl Parameters {
    /// Splits and decodes the query.
    pub(crate) fn of(uri: &Uri) -> Result<Parameters, Status> {
        Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|Query(pairs)| Parameters(pairs))
            .map_err(|error| Status::bad_request(format!("the query cannot be read: {error}")))
    }

    /// The first value of a parameter; empty counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(found, _)| found == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a parameter is there at all, such as `?verbose`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(found, _)| found == name)
    }

    /// Whether the request is a watch.
    pub(crate) fn wants_watch(&self) -> Result<bool, Status> {
        self.flag("watch")
    }

    /// Freshness of a read of one object.
    pub(crate) fn freshness(&self) -> Result<Freshness, Status> {
        Ok(match self.number::<u64>("resourceVersion")? {
            None => Freshness::Linearizable,
            Some(0) => Freshness::Local,
            Some(version) => Freshness::NotOlderThan(version),
        })
    }

    /// Parameters of a list.
    pub(crate) fn list(&self) -> Result<ListParameters, Status> {
        let continue_token = self.get("continue").map(str::to_owned);
        let limit = self.limit()?;
        let freshness = match (self.freshness()?, self.get("resourceVersionMatch")) {
            (_, Some(_)) if continue_token.is_some() => {
                return Err(Status::bad_request(
                    "resourceVersionMatch is forbidden with continue: the token fixes the version",
                ));
            }
            (Freshness::NotOlderThan(_), None) if continue_token.is_some() => {
                return Err(Status::bad_request(
                    "resourceVersion is forbidden with continue: the token fixes the version",
                ));
            }
            (freshness, None) => freshness,
            (Freshness::Linearizable, Some(_)) => {
                return Err(Status::bad_request(
                    "resourceVersionMatch is forbidden unless resourceVersion is given",
                ));
            }
            (Freshness::NotOlderThan(version), Some("Exact")) => Freshness::Exact(version),
            (_, Some("Exact")) => {
                return Err(Status::bad_request(
                    "resourceVersionMatch=Exact is forbidden for resourceVersion=0",
                ));
            }
            (freshness, Some("NotOlderThan")) => freshness,
            (_, Some(other)) => {
                return Err(Status::bad_request(format!(
                    "resourceVersionMatch={other}: supported are Exact and NotOlderThan"
                )));
            }
        };
        Ok(ListParameters {
            freshness,
            selector: self.selector()?,
            limit,
            continue_token,
        })
    }

    /// Parameters of a watch.
    pub(crate) fn watch(&self) -> Result<WatchParameters, Status> {
        let freshness = self.freshness()?;
        let bookmarks = self.bookmarks()?;
        Ok(WatchParameters {
            start: self.watch_start(freshness, bookmarks)?,
            selector: self.selector()?,
            bookmarks,
            timeout: self.watch_timeout()?,
        })
    }

    /// `allowWatchBookmarks`
    pub(crate) fn bookmarks(&self) -> Result<bool, Status> {
        self.flag("allowWatchBookmarks")
    }

    /// `timeoutSeconds`
    pub(crate) fn watch_timeout(&self) -> Result<Option<Duration>, Status> {
        Ok(self.number("timeoutSeconds")?.map(Duration::from_secs))
    }

    /// Where a watch starts whose `resourceVersion` has been read.
    pub(crate) fn watch_start(&self, freshness: Freshness, bookmarks: bool) -> Result<WatchStart, Status> {
        let initial = self
            .get("sendInitialEvents")
            .map(|_| self.flag("sendInitialEvents"))
            .transpose()?;
        let matching = self.get("resourceVersionMatch");
        if let Some(other) = matching.filter(|value| *value != "NotOlderThan" || initial.is_none()) {
            return Err(Status::bad_request(format!(
                "resourceVersionMatch={other}: a watch takes only NotOlderThan, together with sendInitialEvents"
            )));
        }
        if initial.is_some() && matching.is_none() {
            return Err(Status::bad_request(
                "sendInitialEvents needs resourceVersionMatch=NotOlderThan",
            ));
        }
        Ok(match (initial, freshness) {
            (Some(true), freshness) => WatchStart::Objects {
                freshness,
                mark_end: bookmarks,
            },
            (Some(false), freshness) | (None, freshness @ Freshness::NotOlderThan(_)) => {
                WatchStart::ChangesAfter(freshness)
            }
            (None, freshness) => WatchStart::Objects {
                freshness,
                mark_end: false,
            },
        })
    }

    /// Parameters of a write.
    pub(crate) fn write(&self, headers: &HeaderMap) -> Result<WriteParameters, Status> {
        let fields = match self.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some("Ignore") => FieldValidation::Ignore,
            Some(other) => {
                return Err(Status::bad_request(format!(
                    "fieldValidation={other}: supported are Strict, Warn and Ignore"
                )));
            }
        };
        Ok(WriteParameters {
            dry_run: self.dry_run()?,
            fields,
            writer: attribution::writer(self, headers)?,
            field_manager: attribution::field_manager(self)?,
            force: self.flag("force")?,
        })
    }

    /// `dryRun`
    pub(crate) fn dry_run(&self) -> Result<bool, Status> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Status::bad_request(format!("dryRun={other}: supported is only All"))),
        }
    }

    /// `labelSelector` and `fieldSelector`.
    pub(crate) fn selector(&self) -> Result<Selector, Status> {
        Selector::parse(
            self.get("labelSelector").unwrap_or_default(),
            self.get("fieldSelector").unwrap_or_default(),
        )
        .map_err(|error| Status::bad_request(error.to_string()))
    }

    /// `limit`; 0 is none.
    pub(crate) fn limit(&self) -> Result<Option<usize>, Status> {
        Ok(self.number::<usize>("limit")?.filter(|limit| *limit > 0))
    }

    /// Whether `labelSelector` selects objects that have no labels.
    pub(crate) fn selects_unlabelled(&self) -> Result<bool, Status> {
        let selector = Selector::parse(self.get("labelSelector").unwrap_or_default(), "");
        let selector = selector.map_err(|error| Status::bad_request(error.to_string()))?;
        Ok(selector.matches(&ObjectMeta::default()))
    }

    fn flag(&self, name: &str) -> Result<bool, Status> {
        match self
            .0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
        {
            None | Some("0" | "false" | "False") => Ok(false),
            Some("" | "1" | "true" | "True") => Ok(true),
            Some(other) => Err(Status::bad_request(format!("{name}={other}: not true or false"))),
        }
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Status> {
        self.get(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Status::bad_request(format!("{name}={text}: not a whole number from 0 on")))
            })
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/x?{query}").parse().expect("URI")).expect("query")
    }

    #[test]
    fn freshness_of_lists() {
        let table = [
            ("", Ok(Freshness::Linearizable)),
            ("resourceVersion=", Ok(Freshness::Linearizable)),
            ("resourceVersion=0", Ok(Freshness::Local)),
            ("resourceVersion=7", Ok(Freshness::NotOlderThan(7))),
            (
                "resourceVersion=7&resourceVersionMatch=NotOlderThan",
                Ok(Freshness::NotOlderThan(7)),
            ),
            ("resourceVersion=7&resourceVersionMatch=Exact", Ok(Freshness::Exact(7))),
            (
                "resourceVersion=0&resourceVersionMatch=Exact",
                Err("forbidden for resourceVersion=0"),
            ),
            ("resourceVersionMatch=Exact", Err("unless resourceVersion is given")),
            (
                "resourceVersion=7&resourceVersionMatch=Newest",
                Err("supported are Exact"),
            ),
            ("resourceVersion=7&continue=x", Err("forbidden with continue")),
            ("resourceVersion=-1", Err("not a whole number")),
            ("limit=ten", Err("limit=ten: not a whole number")),
        ];
        for (query, expected) in table {
            match (parameters(query).list(), expected) {
                (Ok(list), Ok(expected)) => assert_eq!(list.freshness, expected, "{query}"),
                (Err(status), Err(part)) => assert!(status.message().contains(part), "{query}: {status:?}"),
                (found, _) => panic!("{query}: {found:?}"),
            }
        }
    }

    #[test]
    fn start_of_watches() {
        let objects = |freshness, mark_end| WatchStart::Objects { freshness, mark_end };
        let table = [
            ("watch=1", objects(Freshness::Linearizable, false)),
            ("watch=true&resourceVersion=0", objects(Freshness::Local, false)),
            (
                "watch=true&resourceVersion=5",
                WatchStart::ChangesAfter(Freshness::NotOlderThan(5)),
            ),
            (
                "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
                objects(Freshness::Linearizable, true),
            ),
            (
                "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
                WatchStart::ChangesAfter(Freshness::Linearizable),
            ),
        ];
        for (query, expected) in table {
            assert_eq!(parameters(query).watch().expect(query).start, expected, "{query}");
        }
        for query in [
            "sendInitialEvents=true",
            "resourceVersionMatch=NotOlderThan",
            "sendInitialEvents=true&resourceVersionMatch=Exact",
            "allowWatchBookmarks=maybe",
            "timeoutSeconds=soon",
        ] {
            assert!(parameters(query).watch().is_err(), "{query}");
        }
    }

    #[test]
    fn writes() {
        let mut headers = HeaderMap::new();
        let write = |query: &str| parameters(query).write(&headers);
        let strict = write("dryRun=All&fieldValidation=Strict&fieldManager=ci&force=true").expect("valid");
        assert!(strict.dry_run && strict.force);
        assert_eq!(strict.fields, FieldValidation::Strict);
        assert_eq!(
            (strict.writer.as_str(), strict.field_manager.as_deref()),
            ("ci", Some("ci"))
        );
        let default = write("").expect("valid");
        assert!(!default.dry_run && !default.force);
        assert_eq!(default.fields, FieldValidation::Warn);
        assert_eq!((default.writer.as_str(), default.field_manager), ("unknown", None));
        assert!(write("dryRun=Some").is_err());
        assert!(write("fieldValidation=Loose").is_err());
        assert!(write(&format!("fieldManager={}", "x".repeat(129))).is_err());
        headers.insert("user-agent", HeaderValue::from_static("kubectl/v1.32 (linux)"));
        let named = parameters("").write(&headers).expect("valid");
        assert_eq!(named.writer, "kubectl");
    }
}
