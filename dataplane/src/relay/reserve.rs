//! A socket of each family in reserve: a client is accepted only while its thread has them, so that the endpoint of a
//! client that was accepted can be dialed even when the process has no descriptor left. A descriptor that is merely set
//! free for the purpose could be taken by another thread first.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::sockets;

/// One thread's reserve.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    v4: Option<OwnedFd>,
    v6: Option<OwnedFd>,
    /// This machine has no IPv6, so none of its endpoints has either.
    v4_only: bool,
}

impl Reserve {
    /// Whether there is one of each; makes what is missing.
    pub(super) fn fill(&mut self) -> bool {
        if self.v4.is_none() {
            self.v4 = sockets::stream(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).ok();
        }
        if self.v6.is_none() && !self.v4_only {
            match sockets::stream(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) {
                Ok(socket) => self.v6 = Some(socket),
                Err(errno) => self.v4_only = errno == Errno::AFNOSUPPORT,
            }
        }
        self.v4.is_some() && (self.v6.is_some() || self.v4_only)
    }

    /// A socket toward `endpoint`: a new one, or that of the reserve when there are no descriptors.
    pub(super) fn socket(&mut self, endpoint: SocketAddr) -> Result<OwnedFd, Errno> {
        let kept = if endpoint.is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        match sockets::stream(endpoint) {
            Err(errno) if sockets::is_shortage(errno) => kept.take().ok_or(errno),
            outcome => outcome,
        }
    }
}
