//! guideway.dev/v1alpha1 Drain: the orderly emptying of an endpoint, a Backend or a node.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{IMMUTABLE, Rules, check_endpoint_address};
use super::time_span::{SpanBounds, TimeSpan};
use crate::faults::Faults;
use crate::format;
use crate::meta::{Condition, ObjectMeta, Timestamp, UnixMillis, is_default};

/// guideway.dev/v1alpha1 Drain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is wanted.
    pub spec: DrainSpec,
    /// What is.
    #[serde(default, skip_serializing_if = "is_default")]
    pub status: DrainStatus,
}

/// `spec` of a Drain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainSpec {
    /// What is emptied; immutable.
    pub target: DrainTarget,
    /// How long sessions are waited for, counted from the creation of the Drain. Default: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<TimeSpan>,
    /// What becomes of the sessions that are left at the deadline.
    #[serde(default)]
    pub at_deadline: AtDeadline,
    /// How quickly they are closed.
    #[serde(default)]
    pub pace: DrainPace,
    /// What becomes of UDP flows.
    #[serde(default)]
    pub udp: DrainUdp,
    /// Drain even the last ready endpoint of a route's backendRef, or the last live node.
    #[serde(default, skip_serializing_if = "is_default")]
    pub force: bool,
}

/// What is emptied: exactly one of the fields says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DrainTarget {
    /// One endpoint, wherever it is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<DrainEndpoint>,
    /// Every endpoint of a Backend, wherever else they are named too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<DrainBackend>,
    /// A node of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<DrainNode>,
}

/// An endpoint to empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainEndpoint {
    /// Address.
    #[schemars(with = "String", ip)]
    pub ip: IpAddr,
    /// Port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// A Backend to empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainBackend {
    /// Namespace of the Backend.
    #[schemars(length(min = 1, max = 63), regex(pattern = format::DNS_LABEL))]
    pub namespace: String,
    /// Name of the Backend.
    #[schemars(length(min = 1, max = 253), regex(pattern = format::DNS_SUBDOMAIN))]
    pub name: String,
}

/// A node to empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainNode {
    /// Name of the node.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// What becomes of the sessions that are left at the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AtDeadline {
    /// They stay until they end.
    #[default]
    Keep,
    /// They are closed, at the Drain's pace.
    Close,
}

/// How quickly sessions are closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DrainPace {
    /// Sessions closed in a second in all of the cluster; the live nodes share it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub sessions_per_second: u32,
    /// By how much of the time between two of them each is put off or brought forward at random, in percent.
    #[schemars(range(max = 100))]
    pub jitter_percent: u8,
}

/// What becomes of UDP flows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum DrainUdp {
    /// They stay until they are idle.
    #[default]
    KeepUntilIdle,
    /// Each goes to another endpoint with its next datagram.
    Rechoose,
}

/// `status` of a Drain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DrainStatus {
    /// How far it is.
    pub phase: DrainPhase,
    /// Sessions that are left, by node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["node"]))]
    pub remaining: Vec<DrainRemaining>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the deadline passes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_at: Option<Timestamp>,
    /// When `remaining` last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// When no session will be left, if it goes on as between the last two reports, or at the pace of closing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_end: Option<Timestamp>,
    /// `Accepted`, `Drained`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
}

/// How far a Drain is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DrainPhase {
    /// Sessions are waited for.
    #[default]
    Draining,
    /// The deadline has passed, and those that are left are being closed.
    Closing,
    /// No session is left.
    Drained,
    /// The deadline has passed, and those that are left stay.
    Kept,
}

/// Sessions that are left on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DrainRemaining {
    /// Name of the node.
    pub node: String,
    /// How many.
    pub sessions: u64,
}

/// What a Drain empties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained<'a> {
    /// One endpoint.
    Endpoint(SocketAddr),
    /// A Backend.
    Backend {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// The node of this name.
    Node(&'a str),
}

impl Drain {
    /// When the deadline passes. An object's creation is known to the second, so it counts from the end of that second:
    /// a session is rather closed late than early.
    pub fn deadline(&self) -> Option<UnixMillis> {
        let span = self.spec.deadline.as_ref()?.length();
        let created = self.metadata.creation_timestamp.unwrap_or_default().unix_seconds;
        let created = u64::try_from(created).unwrap_or(0).saturating_mul(1000);
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Some(UnixMillis(created.saturating_add(999).saturating_add(span)))
    }

    /// Sessions that are left in all of the cluster; `None` before the first report.
    pub fn remaining(&self) -> Option<u64> {
        self.status.reported_at?;
        let remaining = self.status.remaining.iter();
        Some(remaining.fold(0, |sum, node| sum.saturating_add(node.sessions)))
    }
}

impl DrainTarget {
    /// What is emptied; `None` if that is not said, which admission refuses.
    pub fn drained(&self) -> Option<Drained<'_>> {
        if let Some(endpoint) = &self.endpoint {
            return Some(Drained::Endpoint(endpoint.address()));
        }
        if let Some(DrainBackend { namespace, name }) = &self.backend {
            return Some(Drained::Backend { namespace, name });
        }
        self.node.as_ref().map(|node| Drained::Node(&node.name))
    }
}

impl DrainEndpoint {
    /// Its canonical address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.ip.to_canonical(), self.port)
    }
}

impl fmt::Display for Drained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drained::Endpoint(address) => write!(f, "endpoint {address}"),
            Drained::Backend { namespace, name } => write!(f, "Backend {namespace}/{name}"),
            Drained::Node(name) => write!(f, "node {name:?}"),
        }
    }
}

impl Default for DrainPace {
    fn default() -> Self {
        DrainPace {
            sessions_per_second: 50,
            jitter_percent: 20,
        }
    }
}

impl Rules for Drain {
    fn check(&self, _version: &str, faults: &mut Faults) {
        let target = &self.spec.target;
        let named = [
            target.endpoint.is_some(),
            target.backend.is_some(),
            target.node.is_some(),
        ];
        match named.into_iter().filter(|named| *named).count() {
            1 => {}
            0 => faults.required(
                "spec.target",
                "endpoint, backend or node must be set: exactly one of them says what is emptied",
            ),
            _ => faults.forbidden(
                "spec.target",
                "must have exactly one of endpoint, backend and node; create a Drain for each",
            ),
        }
        if let Some(endpoint) = &target.endpoint {
            check_endpoint_address(endpoint.ip, "spec.target.endpoint.ip", faults);
        }
        SpanBounds::LAST.check(self.spec.deadline.as_ref(), "spec.deadline", faults);
    }

    fn warnings(&self) -> Vec<String> {
        if self.spec.deadline.is_none() && self.spec.at_deadline == AtDeadline::Close {
            return vec!["spec.atDeadline: Close has no effect without spec.deadline".to_owned()];
        }
        Vec::new()
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        if self.spec.target != old.spec.target {
            let found = |target: &DrainTarget| target.drained().map(|drained| drained.to_string()).unwrap_or_default();
            faults.broken_rule(
                "spec.target",
                IMMUTABLE,
                format_args!(
                    "it is {} and cannot become {}; create another Drain",
                    found(&old.spec.target),
                    found(&self.spec.target)
                ),
            );
        }
    }

    fn wants_same(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}
