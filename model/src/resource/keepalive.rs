//! TCP keepalive, as both traffic policies set it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time_span::{SpanBounds, TimeSpan};
use crate::faults::Faults;
use crate::plan::Keepalive;

/// TCP keepalive; an empty one turns it on with the kernel's values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpKeepalive {
    /// Probes without an answer until the connection counts as lost. Default: the kernel's, 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 127))]
    pub probes: Option<u32>,
    /// Silence before the first probe, in whole seconds. Default: the kernel's, 2h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_time: Option<TimeSpan>,
    /// Time between probes, in whole seconds. Default: the kernel's, 75s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<TimeSpan>,
}

impl TcpKeepalive {
    /// What the data plane takes.
    pub fn settings(&self) -> Keepalive {
        Keepalive {
            idle: self.idle_time.as_ref().map(TimeSpan::length),
            interval: self.interval.as_ref().map(TimeSpan::length),
            probes: self.probes,
        }
    }

    pub(super) fn check(&self, path: &str, faults: &mut Faults) {
        for (field, span) in [("idleTime", &self.idle_time), ("interval", &self.interval)] {
            SpanBounds::KEEPALIVE.check(span.as_ref(), &format!("{path}.{field}"), faults);
        }
    }
}
