//! What the kernel knows of a connection.

use std::os::fd::{AsRawFd, OwnedFd};

use guideway_model::session::TcpFacts;

/// Bytes in the send queue: those that the peer's machine has not acknowledged (tcp(7), `SIOCOUTQ`). A FIN counts as one.
pub(crate) fn unacknowledged(socket: &OwnedFd) -> u64 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for the duration of the call, and the kernel writes one integer to the pointer,
    // which points at a live integer.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, std::ptr::from_mut(&mut bytes)) };
    if result == 0 {
        u64::try_from(bytes).unwrap_or(0)
    } else {
        0
    }
}

/// Segments received, those without data included (tcp(7), `TCP_INFO`). A keepalive probe is one, and of everything
/// that the kernel tells this alone moves with it: the probe lies before the window, so the time of the last
/// acknowledgement stays as it was. `None` where the kernel does not count them (before Linux 4.2).
pub(crate) fn segments_received(socket: &OwnedFd) -> Option<u32> {
    let (info, length) = tcp_info(socket)?;
    let end = std::mem::offset_of!(libc::tcp_info, tcpi_segs_in) + size_of_val(&info.tcpi_segs_in);
    (length >= end).then_some(info.tcpi_segs_in)
}

/// What the kernel says of a connection, for those who look at it.
pub(crate) fn facts(socket: &OwnedFd) -> Option<TcpFacts> {
    // These are at the front of the structure, and in every kernel that is supported.
    let (info, _) = tcp_info(socket)?;
    Some(TcpFacts {
        rtt_us: info.tcpi_rtt,
        rtt_deviation_us: info.tcpi_rttvar,
        retransmits: info.tcpi_total_retrans,
        congestion_window: info.tcpi_snd_cwnd,
        unacknowledged: info.tcpi_unacked,
    })
}

/// `TCP_INFO`, and how many bytes of it the kernel has filled in; the others are zero.
fn tcp_info(socket: &OwnedFd) -> Option<(libc::tcp_info, usize)> {
    // SAFETY: the structure holds integers only, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the descriptor is open for the duration of the call, and the kernel writes at most `length` bytes, the
    // size of the live structure that the pointer points at, and notes in `length` how many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            std::ptr::from_mut(&mut info).cast(),
            std::ptr::from_mut(&mut length),
        )
    };
    (result == 0).then_some((info, length as usize))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let client = TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
        (client, listener.accept().expect("accept").0)
    }

    #[test]
    fn bytes_that_a_closed_window_holds_back_are_unacknowledged() {
        let (client, server) = pair();
        server.set_nonblocking(true).expect("nonblocking");
        let chunk = [0; 1 << 16];
        while (&server).write(&chunk).is_ok() {}
        let server = OwnedFd::from(server);
        assert!(unacknowledged(&server) > 0);
        drop(client);
    }

    #[test]
    fn segments_are_counted() {
        let (mut client, mut server) = pair();
        client.write_all(b"1").expect("write");
        server.read_exact(&mut [0]).expect("read");
        let server = OwnedFd::from(server);
        let before = segments_received(&server).expect("TCP_INFO");
        assert!(before >= 2, "{before}");
        client.write_all(b"2").expect("write");
        (&TcpStream::from(server.try_clone().expect("clone")))
            .read_exact(&mut [0])
            .expect("read");
        assert!(segments_received(&server).expect("TCP_INFO") > before);
    }
}
