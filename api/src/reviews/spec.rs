//! What a RouteReview asks, read from JSON; every fault is a cause with its path.

use std::net::SocketAddr;

use guideway_model::node::Protocol;
use guideway_model::outcome::{Cause, CauseReason};
use serde_json::{Map, Value};

/// Endpoints that can be left out at once.
const WITHOUT: usize = 64;
/// Bytes of a name.
const NAME: usize = 253;

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spec {
    /// Gateway, or `ListenerSet:` and the name of a ListenerSet, in the namespace of the review.
    pub(super) gateway: String,
    /// Which of its listeners.
    pub(super) door: Door,
    /// Who would dial.
    pub(super) client: SocketAddr,
    /// Which name its ClientHello would have.
    pub(super) sni: Option<String>,
    /// Endpoints that are to be thought away.
    pub(super) without: Vec<SocketAddr>,
    /// A manifest that is to be thought applied.
    pub(super) with_object: Option<Value>,
}

/// Which listener is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Door {
    /// By its name.
    Named(String),
    /// By port and protocol of its sockets.
    At(Protocol, u16),
}

/// Collects the faults of one object.
struct Reader<'a> {
    fields: &'a Map<String, Value>,
    causes: Vec<Cause>,
}

/// The fields of `spec`.
const FIELDS: &[&str] = &[
    "gateway",
    "listener",
    "port",
    "protocol",
    "client",
    "sni",
    "without",
    "withObject",
];

/// Paths of the fields that a review does not have.
pub(super) fn unknown_fields(review: &Value) -> Vec<String> {
    let beside = |object: &Value, known: &[&str], prefix: &str| -> Vec<String> {
        let names = object.as_object().into_iter().flat_map(Map::keys);
        let unknown = names.filter(|name| !known.contains(&name.as_str()));
        unknown.map(|name| format!("{prefix}{name}")).collect()
    };
    let mut unknown = beside(review, &["apiVersion", "kind", "metadata", "spec", "status"], "");
    unknown.extend(beside(&review["spec"], FIELDS, "spec."));
    unknown
}

impl Spec {
    /// Reads `spec`.
    pub(super) fn read(review: &Value) -> Result<Spec, Vec<Cause>> {
        let empty = Map::new();
        let mut reader = Reader {
            fields: review["spec"].as_object().unwrap_or(&empty),
            causes: Vec::new(),
        };
        let gateway = reader.text("gateway").unwrap_or_default();
        if gateway.is_empty() {
            reader.fault(
                "gateway",
                CauseReason::FieldValueRequired,
                "names the Gateway that the client dials",
            );
        }
        let door = reader.door();
        let client = reader.client();
        let sni = reader.text("sni").filter(|name| !name.is_empty());
        let without = reader.without();
        let with_object = reader.with_object();
        match (door, client) {
            (Some(door), Some(client)) if reader.causes.is_empty() => Ok(Spec {
                gateway,
                door,
                client,
                sni,
                without,
                with_object,
            }),
            _ => Err(reader.causes),
        }
    }
}

impl Reader<'_> {
    fn fault(&mut self, field: &str, reason: CauseReason, message: &str) {
        self.causes.push(Cause {
            field: format!("spec.{field}"),
            reason,
            message: message.to_owned(),
        });
    }

    fn invalid(&mut self, field: &str, found: &Value, rule: &str) {
        let shown: String = found.to_string().chars().take(100).collect();
        let message = format!("Invalid value: {shown}: {rule}");
        self.fault(field, CauseReason::FieldValueInvalid, &message);
    }

    /// A field that is there.
    fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let found = self.field(name)?.clone();
        match found.as_str() {
            Some(text) if text.len() <= NAME => Some(text.to_owned()),
            _ => {
                self.invalid(name, &found, "must be text of at most 253 bytes");
                None
            }
        }
    }

    fn door(&mut self) -> Option<Door> {
        let faults = self.causes.len();
        let listener = self.text("listener").filter(|name| !name.is_empty());
        let port = self.port();
        let protocol = self.protocol();
        if self.causes.len() > faults {
            return None;
        }
        match (listener, port, protocol) {
            (Some(name), None, None) => Some(Door::Named(name)),
            (None, Some(port), Some(protocol)) => Some(Door::At(protocol, port)),
            (Some(_), ..) => {
                let rule = "must stand alone: port and protocol say the same in another way";
                self.fault("listener", CauseReason::FieldValueForbidden, rule);
                None
            }
            (None, ..) => {
                let rule = "name the listener, or set port and protocol";
                self.fault("listener", CauseReason::FieldValueRequired, rule);
                None
            }
        }
    }

    fn port(&mut self) -> Option<u16> {
        let found = self.field("port")?.clone();
        let port = found.as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.filter(|port| *port > 0);
        if port.is_none() {
            self.invalid("port", &found, "must be a whole number between 1 and 65535");
        }
        port
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let found = self.field("protocol")?.clone();
        match found.as_str() {
            Some("TCP" | "TLS") => Some(Protocol::Tcp),
            Some("UDP") => Some(Protocol::Udp),
            _ => {
                self.invalid("protocol", &found, "must be TCP, TLS or UDP");
                None
            }
        }
    }

    fn client(&mut self) -> Option<SocketAddr> {
        let Some(found) = self.field("client").cloned() else {
            self.fault(
                "client",
                CauseReason::FieldValueRequired,
                "says who would dial, such as 192.0.2.7:50000",
            );
            return None;
        };
        let client = socket(&found);
        if client.is_none() {
            self.invalid(
                "client",
                &found,
                "must be an address and port such as 192.0.2.7:50000 or [2001:db8::1]:50000",
            );
        }
        client
    }

    fn without(&mut self) -> Vec<SocketAddr> {
        let Some(found) = self.field("without").cloned() else {
            return Vec::new();
        };
        let entries = found.as_array().filter(|entries| entries.len() <= WITHOUT);
        let Some(entries) = entries else {
            self.invalid("without", &found, "must be a list of at most 64 endpoints");
            return Vec::new();
        };
        let mut endpoints = Vec::new();
        for (place, entry) in entries.iter().enumerate() {
            match socket(entry) {
                Some(endpoint) => endpoints.push(endpoint),
                None => {
                    let rule = "must be the address and port of an endpoint, such as 10.0.0.1:5432";
                    self.invalid(&format!("without[{place}]"), entry, rule);
                }
            }
        }
        endpoints
    }

    fn with_object(&mut self) -> Option<Value> {
        let found = self.field("withObject")?.clone();
        if !found.is_object() {
            self.invalid("withObject", &found, "must be a manifest");
            return None;
        }
        Some(found)
    }
}

fn socket(value: &Value) -> Option<SocketAddr> {
    let address: SocketAddr = value.as_str()?.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_spec_is_read() {
        let review = json!({"spec": {
            "gateway": "edge", "port": 5432, "protocol": "TCP", "client": "[::ffff:192.0.2.7]:1", "sni": "a.example",
            "without": ["10.0.0.1:1"], "withObject": {"kind": "Service"},
        }});
        let spec = Spec::read(&review).expect("valid");
        assert_eq!(spec.gateway, "edge");
        assert_eq!(spec.door, Door::At(Protocol::Tcp, 5432));
        assert_eq!(spec.client.to_string(), "192.0.2.7:1");
        assert_eq!(spec.sni.as_deref(), Some("a.example"));
        assert_eq!(spec.without.len(), 1);
        assert_eq!(spec.with_object, Some(json!({"kind": "Service"})));
        assert_eq!(unknown_fields(&review), [""; 0]);
        let named = json!({"spec": {"gateway": "edge", "listener": "main", "client": "1.1.1.1:1", "x": 1}, "y": 2});
        assert_eq!(Spec::read(&named).expect("valid").door, Door::Named("main".to_owned()));
        assert_eq!(unknown_fields(&named), ["y", "spec.x"]);
    }

    #[test]
    fn every_fault_is_a_cause() {
        let fields = |review: Value| -> Vec<String> {
            let causes = Spec::read(&review).expect_err("faulty");
            causes.into_iter().map(|cause| cause.field).collect()
        };
        assert_eq!(fields(json!({})), ["spec.gateway", "spec.listener", "spec.client"]);
        assert_eq!(
            fields(json!({"spec": {
                "gateway": 1, "port": 70000, "protocol": "SCTP", "client": "x", "sni": "x".repeat(300),
                "without": ["10.0.0.1:1", "y", 3], "withObject": [],
            }})),
            [
                "spec.gateway",
                "spec.gateway",
                "spec.port",
                "spec.protocol",
                "spec.client",
                "spec.sni",
                "spec.without[1]",
                "spec.without[2]",
                "spec.withObject",
            ]
        );
        let both =
            json!({"spec": {"gateway": "g", "listener": "l", "port": 1, "protocol": "TCP", "client": "1.1.1.1:1"}});
        assert_eq!(fields(both), ["spec.listener"]);
        let half = json!({"spec": {"gateway": "g", "port": 1, "client": "1.1.1.1:1"}});
        assert_eq!(fields(half), ["spec.listener"]);
        let many =
            json!({"spec": {"gateway": "g", "listener": "l", "client": "1.1.1.1:1", "without": vec!["1.1.1.1:1"; 65]}});
        assert_eq!(fields(many), ["spec.without"]);
    }
}
