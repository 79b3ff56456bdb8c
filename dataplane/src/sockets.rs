//! Sockets, one function for each thing done to them. Non-blocking, close-on-exec.

pub(crate) mod insight;
pub(crate) mod tuning;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use crate::core::selection::ConnectFailure;
use crate::sockets::tuning::Tuning;

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// How a listening socket is bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listen {
    /// Address and port.
    pub(crate) address: SocketAddr,
    /// Whether the address may be missing on this machine.
    pub(crate) freebind: bool,
    /// Connections that may wait to be accepted.
    pub(crate) backlog: u32,
}

/// Fails with `EADDRINUSE` if another socket listens there, even one that would share its port.
pub(crate) fn probe(listen: Listen) -> Result<(), Errno> {
    bound(listen, false).map(drop)
}

/// A listening socket that shares its port with the others of its group. Accepted sockets inherit `TCP_NODELAY` and the
/// tuning.
pub(crate) fn listen(listen: Listen, tuning: Tuning) -> Result<OwnedFd, Errno> {
    let socket = bound(listen, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    tuning.tune(&socket)?;
    rustix::net::listen(&socket, i32::try_from(listen.backlog).unwrap_or(i32::MAX))?;
    Ok(socket)
}

fn bound(listen: Listen, shared: bool) -> Result<OwnedFd, Errno> {
    let socket = stream(listen.address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, shared)?;
    if listen.address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if listen.freebind {
        match listen.address {
            SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
            SocketAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
        }
    }
    rustix::net::bind(&socket, &listen.address)?;
    Ok(socket)
}

/// Takes one connection from the accept queue.
pub(crate) fn accept(listener: &OwnedFd) -> Result<(OwnedFd, SocketAddr), Errno> {
    let (socket, peer) = rustix::net::acceptfrom_with(listener, FLAGS)?;
    let peer = peer
        .and_then(|peer| SocketAddr::try_from(peer).ok())
        .ok_or(Errno::CONNABORTED)?;
    Ok((socket, peer))
}

/// A TCP socket of the address's family, neither bound nor connected.
pub(crate) fn stream(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    rustix::net::socket_with(family, SocketType::STREAM, FLAGS, None)
}

/// Sends small segments at once instead of waiting for acknowledgements of those before them (`TCP_NODELAY`).
pub(crate) fn send_at_once(socket: &OwnedFd) {
    // Only a socket that is gone already refuses this, which the next operation tells.
    sockopt::set_tcp_nodelay(socket, true).ok();
}

/// Begins a connection; it is made, or has failed, when the socket becomes writable.
pub(crate) fn connect(socket: &OwnedFd, endpoint: SocketAddr, source: Option<IpAddr>) -> Result<(), Errno> {
    if let Some(source) = source {
        set_bind_address_no_port(socket)?;
        rustix::net::bind(socket, &SocketAddr::new(source, 0))?;
    }
    match rustix::net::connect(socket, &endpoint) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The error that a socket waits to tell, once.
pub(crate) fn take_error(socket: &OwnedFd) -> Option<Errno> {
    match sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(errno)) | Err(errno) => Some(errno),
    }
}

/// Makes the coming close send RST and drop what is not yet sent.
pub(crate) fn reset_on_close(socket: &OwnedFd) {
    // Only a socket that is gone already refuses this, and then there is no one left to reset.
    sockopt::set_socket_linger(socket, Some(Duration::ZERO)).ok();
}

/// Sends FIN after what is queued.
pub(crate) fn end_stream(socket: &OwnedFd) {
    // Fails only if the connection is lost already, which the next receive or event tells.
    rustix::net::shutdown(socket, Shutdown::Write).ok();
}

/// The socket's own address; unspecified if it has none any more.
pub(crate) fn local_address(socket: impl AsFd) -> SocketAddr {
    rustix::net::getsockname(socket)
        .ok()
        .and_then(|address| SocketAddr::try_from(address).ok())
        .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
}

/// All addresses of both families.
pub(crate) const WILDCARDS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

/// What an errno of connect means for the session.
pub(crate) fn connect_failure(errno: Errno) -> ConnectFailure {
    match errno {
        Errno::CONNREFUSED | Errno::CONNRESET => ConnectFailure::Refused,
        Errno::TIMEDOUT => ConnectFailure::TimedOut,
        Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::NETDOWN | Errno::ACCESS | Errno::PERM => {
            ConnectFailure::Unreachable
        }
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE | Errno::AGAIN => ConnectFailure::NoLocalPort,
        _ if is_shortage(errno) => ConnectFailure::NoResource,
        _ => ConnectFailure::Other,
    }
}

/// Whether the process or the machine has run out of something that comes back.
pub(crate) fn is_shortage(errno: Errno) -> bool {
    matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
}

/// Lets `connect` choose the local port, so that one port serves many endpoints; bound without it, a port is spent for
/// all of them (ip(7), `IP_BIND_ADDRESS_NO_PORT`).
fn set_bind_address_no_port(socket: &OwnedFd) -> Result<(), Errno> {
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is open for the duration of the call, and the kernel reads `length` bytes from the pointer,
    // which points at a live integer of that size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            std::ptr::from_ref(&on).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}
