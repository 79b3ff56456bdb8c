//! UDP sockets, one function for each thing done to them. Close-on-exec; each call on one says that it does not wait, since
//! a receive of an io_uring goes on by itself only where the socket would.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};

use crate::sockets::Listen;

/// Bytes that may wait in a socket that clients send to; the kernel counts its own overhead in. Where the kernel's limit
/// is lower and may not be passed, that limit. What comes when it is full is lost, and counted by the kernel.
const RECEIVE_BUFFER: usize = 4 << 20;
/// Datagrams at most that may have come to a socket between its bind and its connect.
const STRAY: usize = 64;

/// Fails with `EADDRINUSE` if another socket has the port there, even one that would share it. With `beside_flows` the
/// sockets of this process's flows do not count, nor do those of others that share as freely.
pub(crate) fn probe(listen: Listen, beside_flows: bool) -> Result<(), Errno> {
    bound(listen, false, beside_flows).map(drop)
}

/// A socket that shares its port with the others of its group.
pub(crate) fn listen(listen: Listen, beside_flows: bool) -> Result<OwnedFd, Errno> {
    let socket = bound(listen, true, beside_flows)?;
    if beside_flows {
        // Only for the bind: later on it would let any other process have the port too.
        sockopt::set_socket_reuseaddr(&socket, false)?;
    }
    if listen.address.ip().is_unspecified() {
        match listen.address {
            SocketAddr::V4(_) => set(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?,
            SocketAddr::V6(_) => set(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?,
        }
    }
    // Passing the limit takes a privilege; without it the limit is what can be had.
    if sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
    }
    receive_together(&socket);
    Ok(socket)
}

/// A socket from `local` that takes datagrams from `endpoint` alone. With `share` it may have a port that other sockets
/// of this process have toward other endpoints.
pub(crate) fn connect(endpoint: SocketAddr, local: SocketAddr, share: bool) -> Result<OwnedFd, Errno> {
    let socket = datagram(endpoint)?;
    if endpoint.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if share {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::bind(&socket, &local)?;
    if !share {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    rustix::net::connect(&socket, &endpoint)?;
    discard_strays(&socket);
    Ok(socket)
}

/// Whether an errno tells of an error that came back for an earlier datagram (ICMP), not of this call.
pub(crate) fn is_icmp(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::CONNREFUSED
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
    )
}

/// Lets the kernel hand over datagrams of one sender and size in one piece, where it can (UDP_GRO).
pub(crate) fn receive_together(socket: &OwnedFd) {
    // A kernel without it hands them over one by one.
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 1).ok();
}

/// Until its connect a socket takes datagrams from anyone: they must not pass for the endpoint's.
fn discard_strays(socket: &OwnedFd) {
    let mut byte = [0u8; 1];
    for _ in 0..STRAY {
        if rustix::net::recv(socket, &mut byte, RecvFlags::DONTWAIT).is_err() {
            return;
        }
    }
}

fn bound(listen: Listen, shared: bool, beside_flows: bool) -> Result<OwnedFd, Errno> {
    let socket = datagram(listen.address)?;
    sockopt::set_socket_reuseport(&socket, shared)?;
    sockopt::set_socket_reuseaddr(&socket, beside_flows)?;
    if listen.address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if listen.freebind {
        match listen.address.ip() {
            IpAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
            IpAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
        }
    }
    rustix::net::bind(&socket, &listen.address)?;
    Ok(socket)
}

fn datagram(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
}

fn set(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(|_| Errno::INVAL)?;
    // SAFETY: the descriptor is open for the duration of the call, and the kernel reads `length` bytes from the pointer,
    // which points at a live integer of that size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            std::ptr::from_ref(&value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(last_error()) }
}

/// The errno of the call that has just failed.
pub(super) fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
