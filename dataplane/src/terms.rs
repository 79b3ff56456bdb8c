//! What holds for sessions of one listener toward one endpoint: policies, and the configuration where they are silent.

use guideway_model::plan::{BackendSettings, ClientSettings};

use crate::core::expiry::Timeouts;
use crate::sockets::tuning::Tuning;

/// What a session keeps from the plan it began with. Sessions of one lane whose endpoints have equal settings share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) timeouts: Timeouts,
    /// For the socket toward the endpoint.
    pub(crate) tuning: Tuning,
}

impl Terms {
    /// The endpoint's settings before the listener's, and those before `defaults`.
    pub(crate) fn new(client: &ClientSettings, backend: &BackendSettings, defaults: &Timeouts) -> Terms {
        let idle = backend.tcp_idle_timeout.or(client.tcp_idle_timeout);
        Terms {
            timeouts: Timeouts {
                handshake: client.handshake_timeout.unwrap_or(defaults.handshake),
                connect: backend.connect_timeout.unwrap_or(defaults.connect),
                first_byte: backend.first_byte_timeout.or(defaults.first_byte),
                idle: idle.unwrap_or(defaults.idle),
                write_stall: backend.write_stall_timeout.or(defaults.write_stall),
                duration: client.max_connection_duration.or(defaults.duration),
                // The answers to probes of this node's own would be taken for probes of the client.
                hears_keepalive: client.keepalive.is_none(),
            },
            tuning: Tuning {
                keepalive: backend.keepalive,
                user_timeout: backend.user_timeout,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use guideway_model::plan::Keepalive;

    use super::*;

    const DEFAULTS: Timeouts = Timeouts {
        handshake: Duration::from_secs(6),
        connect: Duration::from_secs(5),
        first_byte: None,
        idle: Duration::from_secs(3600),
        write_stall: None,
        duration: None,
        hears_keepalive: true,
    };

    #[test]
    fn without_policies_the_configuration_holds() {
        let terms = Terms::new(&ClientSettings::default(), &BackendSettings::default(), &DEFAULTS);
        assert_eq!(terms.timeouts, DEFAULTS);
        assert_eq!(terms.tuning, Tuning::default());
    }

    #[test]
    fn the_endpoint_before_the_listener_before_the_configuration() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let client = ClientSettings {
            handshake_timeout: seconds(8),
            tcp_idle_timeout: seconds(60),
            max_connection_duration: seconds(70),
            keepalive: Some(Keepalive::default()),
            ..ClientSettings::default()
        };
        let mut backend = BackendSettings {
            connect_timeout: seconds(1),
            first_byte_timeout: seconds(2),
            write_stall_timeout: seconds(4),
            user_timeout: seconds(5),
            ..BackendSettings::default()
        };
        let terms = Terms::new(&client, &backend, &DEFAULTS);
        let expected = Timeouts {
            handshake: Duration::from_secs(8),
            connect: Duration::from_secs(1),
            first_byte: seconds(2),
            idle: Duration::from_secs(60),
            write_stall: seconds(4),
            duration: seconds(70),
            hears_keepalive: false,
        };
        assert_eq!(terms.timeouts, expected);
        assert_eq!(terms.tuning.user_timeout, seconds(5));
        backend.tcp_idle_timeout = seconds(3);
        let terms = Terms::new(&client, &backend, &DEFAULTS);
        assert_eq!(terms.timeouts.idle, Duration::from_secs(3));
    }
}
