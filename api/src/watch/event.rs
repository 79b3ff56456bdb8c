//! Watch events as lines of JSON.

use std::borrow::Cow;
use std::sync::Arc;

use guideway_model::Object;
use guideway_model::state::{Change, ChangeKind, ChangesExpired};
use serde_json::{Value, json};

use crate::ports::Cluster;
use crate::resource::api_version;
use crate::sealing;
use crate::selector::Selector;
use crate::status::Status;
use crate::target::Target;

/// Ends the objects of the start when `sendInitialEvents` was asked for.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Writes events of one resource in one served version and form.
pub(crate) struct Encoder {
    target: Target,
    /// Whether the columns of a table have been sent.
    begun: bool,
    /// Opens Secrets, where objects can be some.
    cluster: Option<Arc<dyn Cluster>>,
}

impl Encoder {
    pub(crate) fn new(target: &Target) -> Encoder {
        Encoder {
            target: target.clone(),
            begun: false,
            cluster: None,
        }
    }

    /// For a stored kind.
    pub(super) fn of_stored(target: &Target, cluster: Arc<dyn Cluster>) -> Encoder {
        Encoder {
            cluster: Some(cluster),
            ..Encoder::new(target)
        }
    }

    /// An object that was there at the start.
    pub(super) fn added(&mut self, object: &Object, lines: &mut Vec<u8>) {
        self.object("ADDED", object, lines);
    }

    /// A change as a watch with this selector sees it: an object may enter and leave the selection without being
    /// created or deleted.
    pub(super) fn change(&mut self, change: &Change, selector: &Selector, lines: &mut Vec<u8>) {
        let matches = |object: &Object| selector.matches(object.meta());
        let selected_before = change.before.as_ref().is_some_and(matches);
        let selected_now = change.kind != ChangeKind::Deleted && matches(&change.object);
        match (selected_before, selected_now) {
            (false, true) => self.object("ADDED", &change.object, lines),
            (true, true) => self.object("MODIFIED", &change.object, lines),
            (true, false) => {
                let mut last = match (&change.before, change.kind) {
                    // As it was when it was last selected, with the version of the change.
                    (Some(before), ChangeKind::Added | ChangeKind::Modified) => before.clone(),
                    (_, _) => change.object.clone(),
                };
                last.meta_mut().resource_version = change.revision;
                self.object("DELETED", &last, lines);
            }
            (false, false) => {}
        }
    }

    /// Tells the client how far it has seen everything.
    pub(crate) fn bookmark(&mut self, position: impl ToString, initial_end: bool) -> Vec<u8> {
        let mut metadata = json!({ "resourceVersion": position.to_string(), "creationTimestamp": null });
        if initial_end {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let Target { resource, version, .. } = &self.target;
        let api_version = api_version(resource.group, version);
        let object = json!({ "kind": resource.name, "apiVersion": api_version, "metadata": metadata });
        let mut lines = Vec::new();
        self.line("BOOKMARK", object, &mut lines);
        lines
    }

    fn object(&mut self, event: &str, object: &Object, lines: &mut Vec<u8>) {
        let opened = match &self.cluster {
            Some(cluster) => sealing::opened(cluster.sealer(), object),
            None => Ok(Cow::Borrowed(object)),
        };
        match opened.map(|object| object.encode(self.target.version)) {
            Ok(object) => self.line(event, object, lines),
            // The client must not take the object for one that has not changed.
            Err(status) => self.error(&status, lines),
        }
    }

    /// An object in its JSON form.
    pub(crate) fn line(&mut self, event: &str, object: Value, lines: &mut Vec<u8>) {
        let object = self.target.view.event(&self.target, object, !self.begun);
        self.begun = true;
        line(event, &object, lines);
    }

    /// The last event of a watch that failed.
    pub(crate) fn error(&self, status: &Status, lines: &mut Vec<u8>) {
        line("ERROR", &status.to_json(), lines);
    }
}

/// The client must list again.
pub(super) fn expired(expired: ChangesExpired) -> Status {
    Status::expired(
        format!("too old resource version: {} ({})", expired.asked, expired.oldest),
        None,
    )
}

fn line(event: &str, object: &Value, lines: &mut Vec<u8>) {
    lines.extend_from_slice(format!("{{\"type\":\"{event}\",\"object\":{object}}}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use guideway_model::Kind;

    use super::*;
    use crate::resource::Resource;
    use crate::view::View;

    fn namespace(app: &str) -> Object {
        let mut object = Object::Namespace(Arc::default());
        let meta = object.meta_mut();
        meta.name = "shop".to_owned();
        meta.labels.insert("app".to_owned(), app.to_owned());
        object
    }

    #[test]
    fn objects_enter_and_leave_a_selection() {
        let target = Target {
            resource: Resource::stored(Kind::Namespace),
            version: "v1",
            namespace: None,
            name: None,
            status: false,
            view: View::default(),
            caller: Arc::new(crate::caller::Caller::anonymous(None)),
        };

        let selector = Selector::parse("app=web", "").expect("selector");
        let table = [
            (ChangeKind::Added, None, "web", Some(("ADDED", "web"))),
            (ChangeKind::Added, None, "db", None),
            (ChangeKind::Modified, Some("db"), "web", Some(("ADDED", "web"))),
            (ChangeKind::Modified, Some("web"), "web", Some(("MODIFIED", "web"))),
            (ChangeKind::Modified, Some("web"), "db", Some(("DELETED", "web"))),
            (ChangeKind::Modified, Some("db"), "db", None),
            (ChangeKind::Deleted, Some("web"), "web", Some(("DELETED", "web"))),
            (ChangeKind::Deleted, Some("db"), "db", None),
        ];
        for (kind, before, now, expected) in table {
            let change = Change {
                revision: 7,
                kind,
                object: namespace(now),
                before: before.map(namespace),
            };
            let mut lines = Vec::new();
            Encoder::new(&target).change(&change, &selector, &mut lines);
            let found = expected.map(|_| serde_json::from_slice::<Value>(&lines).expect("one line"));
            match (expected, found) {
                (Some((event, label)), Some(line)) => {
                    assert_eq!(line["type"], event);
                    assert_eq!(line["object"]["metadata"]["labels"]["app"], label);
                    if event == "DELETED" {
                        assert_eq!(line["object"]["metadata"]["resourceVersion"], "7");
                    }
                }
                _ => assert!(lines.is_empty(), "{kind:?} {before:?} {now}"),
            }
        }
    }
}
