//! TCP keepalive and user timeout: how long the kernel keeps a connection whose peer is silent.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use guideway_model::Plan;
use guideway_model::node::SocketKey;
use guideway_model::plan::{ClientSettings, Keepalive, Listener, ListenerService};
use rustix::io::Errno;
use rustix::net::sockopt;

/// What the kernel takes for `TCP_KEEPIDLE` and `TCP_KEEPINTVL`, in seconds (`MAX_TCP_KEEPIDLE`), and for `TCP_KEEPCNT`.
const MOST_SECONDS: u64 = 32_767;
const MOST_PROBES: u32 = 127;

/// What a policy sets for the sockets of one side; `None` leaves it to the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tuning {
    /// TCP keepalive; off without.
    pub(crate) keepalive: Option<Keepalive>,
    /// `TCP_USER_TIMEOUT` (RFC 5482).
    pub(crate) user_timeout: Option<Duration>,
}

impl Tuning {
    /// For clients of a socket that `plan` has a listener for. Those of a TLS port are tuned when it is known which.
    pub(crate) fn of_listener(plan: &Plan, key: SocketKey) -> Tuning {
        let place = plan.listeners.binary_search_by_key(&key, |listener| listener.socket);
        match place.ok().and_then(|place| plan.listeners.get(place)) {
            Some(Listener {
                service: ListenerService::Opaque(listener),
                ..
            }) => Tuning::toward_clients(&listener.settings),
            Some(_) | None => Tuning::default(),
        }
    }

    /// For the sockets toward the clients of one listener.
    pub(crate) fn toward_clients(settings: &ClientSettings) -> Tuning {
        Tuning {
            keepalive: settings.keepalive,
            user_timeout: settings.user_timeout,
        }
    }

    /// Sets what is not left to the kernel; no system call if all is.
    pub(crate) fn tune(&self, socket: &OwnedFd) -> Result<(), Errno> {
        if let Some(keepalive) = self.keepalive {
            if let Some(idle) = keepalive.idle {
                sockopt::set_tcp_keepidle(socket, whole_seconds(idle))?;
            }
            if let Some(interval) = keepalive.interval {
                sockopt::set_tcp_keepintvl(socket, whole_seconds(interval))?;
            }
            if let Some(probes) = keepalive.probes {
                sockopt::set_tcp_keepcnt(socket, probes.clamp(1, MOST_PROBES))?;
            }
            sockopt::set_socket_keepalive(socket, true)?;
        }
        if let Some(timeout) = self.user_timeout {
            let millis = timeout.as_micros().div_ceil(1000).clamp(1, 0x7fff_ffff);
            sockopt::set_tcp_user_timeout(socket, u32::try_from(millis).unwrap_or(u32::MAX))?;
        }
        Ok(())
    }

    /// Sets everything on a listening socket, whatever was set before. Connections inherit it when their handshake is
    /// done, so those that already wait to be accepted keep what was set then.
    pub(crate) fn retune(&self, listener: &OwnedFd, address: SocketAddr) -> Result<(), Errno> {
        let kernel = super::stream(address)?;
        // Only what is not set anew: a client that comes meanwhile must not find it gone.
        let keepalive = self.keepalive;
        if keepalive.and_then(|keepalive| keepalive.idle).is_none() {
            sockopt::set_tcp_keepidle(listener, sockopt::tcp_keepidle(&kernel)?)?;
        }
        if keepalive.and_then(|keepalive| keepalive.interval).is_none() {
            sockopt::set_tcp_keepintvl(listener, sockopt::tcp_keepintvl(&kernel)?)?;
        }
        if keepalive.and_then(|keepalive| keepalive.probes).is_none() {
            sockopt::set_tcp_keepcnt(listener, sockopt::tcp_keepcnt(&kernel)?)?;
        }
        if keepalive.is_none() {
            sockopt::set_socket_keepalive(listener, false)?;
        }
        if self.user_timeout.is_none() {
            sockopt::set_tcp_user_timeout(listener, 0)?;
        }
        self.tune(listener)
    }
}

/// Rounded up, and cut to what the kernel takes.
fn whole_seconds(span: Duration) -> Duration {
    let seconds = span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
    Duration::from_secs(seconds.clamp(1, MOST_SECONDS))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    fn tuning() -> Tuning {
        Tuning {
            keepalive: Some(Keepalive {
                idle: Some(Duration::from_millis(59_001)),
                interval: Some(Duration::from_secs(7)),
                probes: Some(4),
            }),
            user_timeout: Some(Duration::from_millis(12_345)),
        }
    }

    /// keepalive on, idle and interval in seconds, probes, user timeout in milliseconds.
    fn read_back(socket: &OwnedFd) -> (bool, u64, u64, u32, u32) {
        (
            sockopt::socket_keepalive(socket).expect("SO_KEEPALIVE"),
            sockopt::tcp_keepidle(socket).expect("TCP_KEEPIDLE").as_secs(),
            sockopt::tcp_keepintvl(socket).expect("TCP_KEEPINTVL").as_secs(),
            sockopt::tcp_keepcnt(socket).expect("TCP_KEEPCNT"),
            sockopt::tcp_user_timeout(socket).expect("TCP_USER_TIMEOUT"),
        )
    }

    fn socket() -> OwnedFd {
        super::super::stream(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("socket")
    }

    #[test]
    fn what_is_set_is_read_back_and_the_rest_is_the_kernels() {
        let untouched = read_back(&socket());
        let tuned = socket();
        tuning().tune(&tuned).expect("tune");
        assert_eq!(read_back(&tuned), (true, 60, 7, 4, 12_345));
        let bare = socket();
        let keepalive = Some(Keepalive::default());
        let on = Tuning {
            keepalive,
            ..Tuning::default()
        };
        on.tune(&bare).expect("tune");
        assert_eq!(
            read_back(&bare),
            (true, untouched.1, untouched.2, untouched.3, untouched.4)
        );
    }

    #[test]
    fn values_beyond_the_kernels_are_cut_to_them() {
        let tuned = socket();
        let keepalive = |idle, probes| {
            Some(Keepalive {
                idle: Some(idle),
                interval: Some(idle),
                probes: Some(probes),
            })
        };
        let most = Tuning {
            keepalive: keepalive(Duration::MAX, u32::MAX),
            user_timeout: Some(Duration::MAX),
        };
        most.tune(&tuned).expect("tune");
        assert_eq!(read_back(&tuned), (true, 32_767, 32_767, 127, 0x7fff_ffff));
        let least = Tuning {
            keepalive: keepalive(Duration::ZERO, 0),
            user_timeout: Some(Duration::ZERO),
        };
        least.tune(&tuned).expect("tune");
        assert_eq!(read_back(&tuned), (true, 1, 1, 1, 1));
    }

    #[test]
    fn accepted_sockets_inherit_what_their_listener_has_at_the_time() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let address = listener.local_addr().expect("address");
        let listener = OwnedFd::from(listener);
        let untouched = read_back(&listener);
        let accept = || {
            let client = TcpStream::connect(address).expect("connect");
            let (socket, _) = rustix::net::acceptfrom(&listener).expect("accept");
            drop(client);
            read_back(&socket)
        };
        tuning().retune(&listener, address).expect("retune");
        assert_eq!(accept(), (true, 60, 7, 4, 12_345));
        Tuning::default().retune(&listener, address).expect("retune");
        assert_eq!(accept(), untouched);
    }

    #[test]
    fn a_socket_that_listens_has_been_tuned() {
        let listen = super::super::Listen {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            freebind: false,
            backlog: 1,
        };
        let listener = super::super::listen(listen, tuning()).expect("listen");
        assert_eq!(read_back(&listener), (true, 60, 7, 4, 12_345));
    }
}
