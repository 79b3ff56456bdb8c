//! One session as the epoll engine keeps it.

use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use crate::account::{Account, Sockets};
use crate::core::selection::Attempt;
use crate::core::session::{Session, Side};
use crate::core::slab::Slab;
use crate::core::wheel::{Link, Links};
use crate::epoll::pipe::Pipe;
use crate::lane::Lane;

/// One session: at most 512 bytes, see the test.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) machine: Session,
    pub(super) account: Account,
    pub(super) link: Link,
    /// Whether it waits in the list of sessions that have used up their turn.
    pub(super) queued: bool,
    pub(super) client: Port,
    /// `None` between two attempts.
    pub(super) endpoint: Option<Port>,
    /// From the client, from the endpoint.
    pub(super) flights: [Flight; 2],
    /// `None` once connected.
    pub(super) dial: Option<Dial>,
}

/// What is needed while an endpoint is sought.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) lane: Rc<Lane>,
    pub(super) hash: u64,
    pub(super) attempt: Attempt,
}

impl Record {
    /// The port of a side, if it has one at this moment.
    pub(super) fn port(&mut self, side: Side) -> Option<&mut Port> {
        match side {
            Side::Client => Some(&mut self.client),
            Side::Endpoint => self.endpoint.as_mut(),
        }
    }

    pub(super) fn sockets(&self) -> Sockets<'_> {
        Sockets {
            client: &self.client.socket,
            endpoint: self.endpoint.as_ref().map(|port| &port.socket),
        }
    }
}

impl Links for Slab<Record> {
    fn link(&mut self, index: u32) -> Option<&mut Link> {
        self.tenant_mut(index).map(|record| &mut record.link)
    }
}

/// Bytes of one half between their receive and the end of their send.
#[derive(Debug, Default)]
pub(super) enum Flight {
    /// None.
    #[default]
    Empty,
    /// This many in the thread's scratch buffer; only until the operation that follows the receive.
    Scratch(usize),
    /// What a slow receiver has not taken.
    Kept(Kept),
    /// In a pipe.
    Piped(Pipe, NonZeroU32),
}

/// Bytes that wait for a slow receiver.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) bytes: Box<[u8]>,
    pub(super) sent: usize,
}

/// One socket of a session and what is known of its readiness.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) socket: OwnedFd,
    pub(super) ready: Ready,
}

impl Port {
    pub(super) fn new(socket: OwnedFd) -> Port {
        Port {
            socket,
            ready: Ready(0),
        }
    }
}

/// What the last events said of a socket, less what has been used up since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready(u8);

impl Ready {
    /// A receive may find something.
    pub(super) const READABLE: Ready = Ready(1);
    /// A send may find room.
    pub(super) const WRITABLE: Ready = Ready(2);
    /// The FIN was there at the last event.
    pub(super) const HUNG_UP: Ready = Ready(4);
    /// The FIN was there before a receive that took all there was: the next one would find the end.
    pub(super) const AT_END: Ready = Ready(8);
    /// The socket has an error to tell.
    pub(super) const FAULT: Ready = Ready(16);
    /// A send failed: once what was received before is out, the socket is lost, whatever a receive says.
    pub(super) const BROKEN: Ready = Ready(32);
    /// Urgent data was announced: a receive stops at its mark, so a short one does not mean that there is no more.
    pub(super) const MARKED: Ready = Ready(64);

    /// A short receive does not tell that the socket is drained.
    pub(super) const DOUBTFUL: Ready = Ready(Self::FAULT.0 | Self::BROKEN.0 | Self::MARKED.0);

    pub(super) const fn any(self, flags: Ready) -> bool {
        self.0 & flags.0 != 0
    }

    pub(super) fn set(&mut self, flags: Ready) {
        self.0 |= flags.0;
    }

    pub(super) fn clear(&mut self, flags: Ready) {
        self.0 &= !flags.0;
    }

    /// Notes what an event says.
    pub(super) fn note(&mut self, event: EventFlags) {
        // A lost socket is readable: the receive tells how.
        if event.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR | EventFlags::PRI) {
            self.set(Ready::READABLE);
        }
        if event.contains(EventFlags::OUT) {
            self.set(Ready::WRITABLE);
        }
        if event.contains(EventFlags::RDHUP) {
            self.set(Ready::HUNG_UP);
        }
        if event.contains(EventFlags::ERR) {
            self.set(Ready::FAULT);
        }
        if event.contains(EventFlags::PRI) {
            self.set(Ready::MARKED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_small() {
        let size = size_of::<Record>();
        assert!(size <= 320, "a session record has grown to {size} bytes");
    }
}
