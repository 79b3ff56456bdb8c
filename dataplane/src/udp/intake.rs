//! Many datagrams from one socket with one system call (recvmmsg).

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::null_mut;

use rustix::io::Errno;

use crate::udp::sockets::last_error;
use crate::udp::wire::{Control, Name};

/// Datagrams, or pieces of several, taken at once.
pub(crate) const BATCH: usize = 32;
/// The longest datagram, and the longest piece.
pub(crate) const LONGEST: usize = 64 << 10;
/// From one datagram's place to the next: not a power of two, or the first bytes of all of them would compete for the
/// same lines of the processor's cache.
const STRIDE: usize = LONGEST + 320;

/// Room for what one call receives: 2 MiB, of which only what datagrams have filled is ever in memory.
pub(crate) struct Intake {
    bytes: Box<[u8]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// One datagram, or a piece of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) client: SocketAddr,
    /// The address that it was sent to, where the socket was asked to tell.
    pub(crate) dialled: Option<IpAddr>,
    /// Where it is in [`Intake::bytes`].
    pub(crate) place: Range<usize>,
    /// The size of each datagram in a piece, the last of which may be shorter; `None` if it is one datagram.
    pub(crate) segment: Option<u16>,
}

impl Intake {
    pub(crate) fn new() -> Intake {
        Intake {
            bytes: vec![0; BATCH * STRIDE].into_boxed_slice(),
            names: [Name::EMPTY; BATCH].into(),
            controls: [Control::EMPTY; BATCH].into(),
            vectors: vec![NO_BYTES; BATCH].into_boxed_slice(),
            headers: vec![NO_MESSAGE; BATCH].into_boxed_slice(),
        }
    }

    /// Takes what waits in the socket, at most a batch; gives how many pieces.
    pub(crate) fn receive(&mut self, socket: &OwnedFd) -> Result<usize, Errno> {
        let places = self.bytes.chunks_exact_mut(STRIDE);
        let addresses = self.names.iter_mut().zip(&mut self.controls);
        let messages = self.vectors.iter_mut().zip(&mut self.headers);
        for ((place, (name, control)), (vector, header)) in places.zip(addresses).zip(messages) {
            vector.iov_base = place.as_mut_ptr().cast();
            vector.iov_len = LONGEST;
            let message = &mut header.msg_hdr;
            message.msg_name = std::ptr::from_mut(&mut name.0).cast();
            message.msg_namelen = 28;
            message.msg_iov = vector;
            message.msg_iovlen = 1;
            message.msg_control = control.bytes.as_mut_ptr().cast();
            message.msg_controllen = Control::ROOM;
        }
        let count = libc::c_uint::try_from(self.headers.len()).map_err(|_| Errno::INVAL)?;
        // SAFETY: the descriptor is open for the duration of the call. Each of the `count` headers points at a name, a
        // control buffer and one vector with memory of `LONGEST` bytes, all at least as long as the header says, owned by
        // this value, apart from one another, and not touched otherwise before the call returns.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT,
                null_mut(),
            )
        };
        usize::try_from(count).map_err(|_| last_error())
    }

    /// One of the pieces that the last call received; `None` if it cannot be told where it came from.
    pub(crate) fn received(&mut self, index: usize) -> Option<Received> {
        let header = self.headers.get(index)?;
        let control = self.controls.get_mut(index)?;
        control.length = header.msg_hdr.msg_controllen.min(Control::ROOM);
        let start = index * STRIDE;
        let length = (header.msg_len as usize).min(LONGEST);
        Some(Received {
            client: self.names.get(index)?.address()?,
            dialled: control.dialled(),
            place: start..start + length,
            segment: control.segment().filter(|segment| usize::from(*segment) < length),
        })
    }

    /// The bytes of the pieces.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Takes one datagram, or a piece of several, from a connected socket; gives its length and the size of each datagram in
/// a piece.
pub(crate) fn receive_one(socket: &OwnedFd, bytes: &mut [u8]) -> Result<(usize, Option<u16>), Errno> {
    let mut control = Control::EMPTY;
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut message = NO_MESSAGE.msg_hdr;
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.as_mut_ptr().cast();
    message.msg_controllen = Control::ROOM;
    // SAFETY: the descriptor is open for the duration of the call. The header points at a control buffer and at one vector
    // over `bytes`, both as long as it says, live, exclusively borrowed and not touched otherwise before the call returns.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
    let length = usize::try_from(length).map_err(|_| last_error())?;
    control.length = message.msg_controllen.min(Control::ROOM);
    let segment = if control.length == 0 { None } else { control.segment() };
    Ok((length, segment.filter(|segment| usize::from(*segment) < length)))
}

const NO_BYTES: libc::iovec = libc::iovec {
    iov_base: null_mut(),
    iov_len: 0,
};

/// A message that says nothing.
pub(crate) const NO_MESSAGE: libc::mmsghdr = libc::mmsghdr {
    msg_hdr: libc::msghdr {
        msg_name: null_mut(),
        msg_namelen: 0,
        msg_iov: null_mut(),
        msg_iovlen: 0,
        msg_control: null_mut(),
        msg_controllen: 0,
        msg_flags: 0,
    },
    msg_len: 0,
};
