//! What one line of the audit log says.

use std::net::SocketAddr;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::attribution::now;
use crate::caller::Caller;
use crate::resource::Verb;
use crate::status::Status;
use crate::target::Target;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Something was written, drained or closed, or was to be.
    Write,
    /// Someone may not do what they asked for.
    Refused,
    /// A dashboard signed in.
    SignIn,
    /// A dashboard signed out.
    SignOut,
    /// Nobody could be signed in.
    SignInFailed,
}

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Record(Map<String, Value>);

impl Record {
    /// What a caller did.
    pub(crate) fn of(event: Event, caller: &Caller) -> Record {
        let mut record = Record(Map::new());
        record.set(
            "event",
            match event {
                Event::Write => "write",
                Event::Refused => "refused",
                Event::SignIn => "sign-in",
                Event::SignOut => "sign-out",
                Event::SignInFailed => "sign-in-failed",
            },
        );
        record.set("user", caller.user.name.as_str());
        record.set("groups", caller.user.groups.clone());
        if let Some(impersonator) = &caller.impersonator {
            record.set("impersonatedBy", impersonator.as_str());
        }
        if let Some(token) = caller.token() {
            record.set("token", token);
        }
        if let Some(source) = caller.source {
            record.set("source", canonical(source).to_string());
        }
        record
    }

    /// On a resource.
    pub(crate) fn on_target(mut self, verb: Verb, target: &Target) -> Record {
        self.set("verb", verb.as_str());
        self.set("resource", target.resource.qualified());
        if target.status {
            self.set("subresource", "status");
        }
        if let Some(namespace) = &target.namespace {
            self.set("namespace", namespace.as_str());
        }
        if let Some(name) = &target.name {
            self.set("name", name.as_str());
        }
        self
    }

    /// On a path.
    pub(crate) fn on_path(mut self, verb: &str, path: &str) -> Record {
        self.set("verb", verb);
        self.set("path", path.chars().take(1024).collect::<String>());
        self
    }

    /// On this object, whatever the path named.
    pub(crate) fn named(mut self, name: &str) -> Record {
        self.set("name", name);
        self
    }

    /// With the object's `resourceVersion` before and after, where it had one.
    pub(crate) fn versions(mut self, before: Option<u64>, after: Option<u64>) -> Record {
        for (field, version) in [("before", before), ("after", after)] {
            if let Some(version) = version {
                self.set(field, version);
            }
        }
        self
    }

    /// At this index of the log.
    pub(crate) fn at(mut self, index: u64) -> Record {
        self.set("index", index);
        self
    }

    /// Done.
    pub(crate) fn done(mut self, code: StatusCode) -> Record {
        self.set("outcome", "done");
        self.set("code", code.as_u16());
        self
    }

    /// Not done, with the answer that the client got. Of a write without an answer in time nobody knows.
    pub(crate) fn answered(mut self, status: &Status) -> Record {
        self.set(
            "outcome",
            match status.code() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => "refused",
                StatusCode::GATEWAY_TIMEOUT => "unknown",
                _ => "failed",
            },
        );
        self.set("code", status.code().as_u16());
        self.set("message", status.message());
        self
    }

    /// With what the client is not told.
    pub(crate) fn because(mut self, why: String) -> Record {
        self.set("message", why);
        self
    }

    /// The line, without its end.
    pub(super) fn line(self, node: &str) -> String {
        let mut line = Map::new();
        line.insert("time".to_owned(), Value::from(now().to_string()));
        line.insert("node".to_owned(), Value::from(node));
        line.extend(self.0);
        Value::Object(line).to_string()
    }

    fn set(&mut self, field: &str, value: impl Into<Value>) {
        self.0.insert(field.to_owned(), value.into());
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
