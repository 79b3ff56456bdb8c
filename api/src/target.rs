//! What a path under `/api` and `/apis` names, and what a method does to it.

use std::sync::Arc;

use axum::http::Method;
use guideway_model::Kind;
use guideway_model::command::Part;
use guideway_model::object::ObjectKey;

use crate::caller::Caller;
use crate::resource::{Resource, STATUS_VERBS, Verb, api_version};
use crate::status::Status;
use crate::view::View;

/// A collection, an object or its status.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The resource.
    pub(crate) resource: Resource,
    /// The served version in the path.
    pub(crate) version: &'static str,
    /// `None`: all namespaces, or cluster-scoped.
    pub(crate) namespace: Option<String>,
    /// `None`: the collection.
    pub(crate) name: Option<String>,
    /// Whether the path ends in `/status`.
    pub(crate) status: bool,
    /// The form that the client wants objects in.
    pub(crate) view: View,
    /// Who asks.
    pub(crate) caller: Arc<Caller>,
}

impl Target {
    /// Reads the part of a path after group and version, such as `namespaces/shop/services/web/status`.
    pub(crate) fn parse(group: &str, version: &str, rest: &str) -> Result<Target, Status> {
        let segments: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        let missing = || {
            Status::no_such_path(format!(
                "the server could not find the requested resource: nothing is served at {rest:?} under {:?}",
                api_version(group, version)
            ))
        };
        let find = |plural: &str| Resource::find(group, version, plural).ok_or_else(missing);
        let (namespace, segments) = match segments.as_slice() {
            // Namespaces are objects themselves, and the places of others.
            ["namespaces", _, "status"] | ["namespaces", _] | ["namespaces"] => (None, segments.as_slice()),
            ["namespaces", namespace, rest @ ..] => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, status) = match segments {
            [plural] => (plural, None, false),
            [plural, name] => (plural, Some(*name), false),
            [plural, name, "status"] => (plural, Some(*name), true),
            _ => return Err(missing()),
        };
        let (resource, version) = find(plural)?;
        let place_fits = match (resource.namespaced, &namespace) {
            (true, Some(_)) | (false, None) => true,
            // Across all namespaces there are only collections.
            (true, None) => name.is_none(),
            (false, Some(_)) => false,
        };
        let empty = name == Some("") || namespace.as_deref() == Some("");
        if !place_fits || empty || (status && !resource.has_status) {
            return Err(missing());
        }
        Ok(Target {
            resource,
            version,
            namespace,
            name: name.map(str::to_owned),
            status,
            view: View::default(),
            caller: Arc::new(Caller::anonymous(None)),
        })
    }

    /// What a method does here; 405 if nothing.
    pub(crate) fn verb(&self, method: &Method, watch: bool, path: &str) -> Result<Verb, Status> {
        if watch && method == Method::GET && !self.status && self.resource.is_read_without_watch() {
            return Err(Status::not_watched(&self.resource));
        }
        let verb = match (method.as_str(), self.name.is_some()) {
            ("GET", _) if watch => Some(Verb::Watch),
            ("GET", true) => Some(Verb::Get),
            ("GET", false) => Some(Verb::List),
            ("POST", false) if self.namespace.is_some() || !self.resource.namespaced => Some(Verb::Create),
            ("PUT", true) => Some(Verb::Update),
            ("PATCH", true) => Some(Verb::Patch),
            ("DELETE", true) => Some(Verb::Delete),
            ("DELETE", false) if self.namespace.is_some() || !self.resource.namespaced => Some(Verb::DeleteCollection),
            _ => None,
        };
        verb.filter(|verb| self.verbs().contains(verb))
            .ok_or_else(|| Status::method_not_allowed(method.as_str(), path, &self.methods()))
    }

    /// What works here.
    fn verbs(&self) -> &'static [Verb] {
        if self.status {
            STATUS_VERBS
        } else {
            self.resource.verbs()
        }
    }

    fn methods(&self) -> Vec<&'static str> {
        let table: &[(Verb, &str)] = match &self.name {
            Some(_) => &[
                (Verb::Get, "GET"),
                (Verb::Update, "PUT"),
                (Verb::Patch, "PATCH"),
                (Verb::Delete, "DELETE"),
            ],
            None if self.resource.namespaced && self.namespace.is_none() => &[(Verb::List, "GET")],
            None => &[
                (Verb::List, "GET"),
                (Verb::Create, "POST"),
                (Verb::DeleteCollection, "DELETE"),
            ],
        };
        let works = self.verbs();
        table
            .iter()
            .filter(|(verb, _)| works.contains(verb))
            .map(|(_, method)| *method)
            .collect()
    }

    /// The key of a named object of a stored kind.
    pub(crate) fn key(&self, kind: Kind) -> ObjectKey {
        ObjectKey {
            kind,
            namespace: self.namespace.clone().unwrap_or_default(),
            name: self.name.clone().unwrap_or_default(),
        }
    }

    /// Which part of an object is written here.
    pub(crate) fn part(&self) -> Part {
        if self.status { Part::Status } else { Part::Main }
    }

    /// The name in the path; empty for a collection.
    pub(crate) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<Target> {
        let mut parts = path.splitn(3, '|');
        Target::parse(parts.next()?, parts.next()?, parts.next()?).ok()
    }

    #[test]
    fn paths() {
        let table = [
            ("|v1|services", Some((Kind::Service, None, None, false))),
            (
                "|v1|namespaces/shop/services",
                Some((Kind::Service, Some("shop"), None, false)),
            ),
            (
                "|v1|namespaces/shop/services/web",
                Some((Kind::Service, Some("shop"), Some("web"), false)),
            ),
            (
                "|v1|namespaces/shop/services/web/status",
                Some((Kind::Service, Some("shop"), Some("web"), true)),
            ),
            ("|v1|namespaces", Some((Kind::Namespace, None, None, false))),
            (
                "|v1|namespaces/shop",
                Some((Kind::Namespace, None, Some("shop"), false)),
            ),
            (
                "|v1|namespaces/shop/status",
                Some((Kind::Namespace, None, Some("shop"), true)),
            ),
            (
                "gateway.networking.k8s.io|v1alpha2|tcproutes",
                Some((Kind::TcpRoute, None, None, false)),
            ),
            ("gateway.networking.k8s.io|v1alpha1|tcproutes", None),
            ("gateway.networking.k8s.io|v1|namespaces/x/gatewayclasses", None),
            ("|v1|services/web", None),
            ("|v1|pods", None),
            ("|v1|namespaces/shop/services/web/scale", None),
            ("discovery.k8s.io|v1|namespaces/a/endpointslices/b/status", None),
            ("|v1|namespaces//services", None),
            ("|v1|", None),
        ];
        for (path, expected) in table {
            let found = parse(path);
            let found = found.as_ref().map(|target| {
                let kind = match target.resource.source {
                    crate::resource::Source::Stored(kind) => kind,
                    crate::resource::Source::Computed(_) => panic!("{path}"),
                };
                (kind, target.namespace.as_deref(), target.name.as_deref(), target.status)
            });
            assert_eq!(found, expected, "{path}");
        }
        assert!(parse("guideway.dev|v1alpha1|nodes/one").is_some());
    }

    #[test]
    fn verbs_are_what_works() {
        let verb = |path: &str, method: Method, watch| {
            parse(path)
                .expect(path)
                .verb(&method, watch, path)
                .map_err(|status| status.to_json())
        };
        assert_eq!(verb("|v1|services", Method::GET, false), Ok(Verb::List));
        assert_eq!(verb("|v1|services", Method::GET, true), Ok(Verb::Watch));
        assert_eq!(verb("|v1|namespaces", Method::POST, false), Ok(Verb::Create));
        for (path, method, watch, allowed) in [
            ("|v1|services", Method::POST, false, "GET"),
            ("|v1|services", Method::DELETE, false, "GET"),
            ("|v1|namespaces/a/services", Method::PUT, false, "GET, POST, DELETE"),
            (
                "|v1|namespaces/a/services/b",
                Method::POST,
                false,
                "GET, PUT, PATCH, DELETE",
            ),
            (
                "|v1|namespaces/a/services/b/status",
                Method::DELETE,
                false,
                "GET, PUT, PATCH",
            ),
            ("guideway.dev|v1alpha1|sessions", Method::DELETE, false, "GET"),
            (
                "guideway.dev|v1alpha1|namespaces/a/sessions",
                Method::POST,
                false,
                "GET, DELETE",
            ),
            (
                "guideway.dev|v1alpha1|namespaces/a/pins/b",
                Method::DELETE,
                false,
                "GET",
            ),
            ("guideway.dev|v1alpha1|nodes/one", Method::DELETE, false, "GET"),
        ] {
            let status = verb(path, method, watch).expect_err(path);
            assert_eq!(status["code"], 405, "{path}");
            let message = status["message"].as_str().expect("text");
            assert!(message.ends_with(&format!("it takes {allowed}")), "{path}: {message}");
        }
    }
}
