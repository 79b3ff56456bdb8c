//! One session as its relay thread keeps it.

use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::epoll::EventFlags;

use crate::account::{Account, Sockets};
use crate::affinity::Held;
use crate::core::selection::Attempt;
use crate::core::session::{Session, Side};
use crate::core::slab::Slab;
use crate::core::stall::StallWatch;
use crate::core::wheel::{Link, Links};
use crate::lane::Lane;
use crate::relay::pipe::Pipe;
use crate::relay::streams::{Carried, Inclination};
use crate::relay::tls::Tls;
use crate::sockets;
use crate::terms::Terms;

/// As many bytes fit into a segment of every path (RFC 9293, 3.7.1).
const LEAST_SEGMENT: usize = 536;

/// One session: at most 320 bytes, see the test.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) machine: Session,
    pub(super) account: Account,
    /// Those of the plan it began with.
    pub(super) terms: Rc<Terms>,
    /// Where a write stall is a reason to close.
    pub(super) stall: Option<Box<StallWatch>>,
    pub(super) heard: Option<Heard>,
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
    /// `None` on ports of other protocols.
    pub(super) tls: Option<Box<Tls>>,
    /// Its part in the affinity entry of its client, in pools that have those.
    pub(super) held: Option<Box<Held>>,
    pub(super) inclination: Inclination,
    /// What it has in the ring, while that carries it.
    pub(super) carried: Option<Box<Carried>>,
}

/// Segments of the client up to a moment in a silence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    /// Which silence.
    pub(super) silence: u32,
    pub(super) segments: u32,
}

/// What is needed while an endpoint is sought.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) lane: Rc<Lane>,
    pub(super) hash: u64,
    pub(super) attempt: Attempt,
}

impl Record {
    /// A session that has done nothing yet.
    pub(super) fn new(machine: Session, account: Account, terms: &Rc<Terms>, client: OwnedFd) -> Record {
        Record {
            machine,
            account,
            terms: Rc::clone(terms),
            stall: None,
            heard: None,
            link: Link::default(),
            queued: false,
            client: Port::client(client),
            endpoint: None,
            flights: [Flight::Empty, Flight::Empty],
            dial: None,
            tls: None,
            held: None,
            inclination: Inclination::default(),
            carried: None,
        }
    }

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
            hello: self.tls.as_ref().and_then(|tls| tls.hello.as_ref()),
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
    /// This many, which TLS with the receiver has sealed and not yet sent.
    Sealed(usize),
    /// In a pipe.
    Piped(Pipe, NonZeroU32),
}

impl Flight {
    /// Bytes that wait for the receiver.
    pub(super) fn waiting(&self) -> u64 {
        match self {
            Flight::Empty => 0,
            Flight::Scratch(bytes) | Flight::Sealed(bytes) => *bytes as u64,
            Flight::Kept(kept) => (kept.bytes.len() - kept.sent) as u64,
            Flight::Piped(_, bytes) => u64::from(bytes.get()),
        }
    }
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
    /// Events tell when there is room to send again.
    pub(super) tells_room: bool,
}

impl Port {
    /// Toward a client; the socket has inherited `TCP_NODELAY`. A new connection has room, and most never run out of it.
    pub(super) fn client(socket: OwnedFd) -> Port {
        Port {
            socket,
            ready: Ready(Ready::PROMPT.0 | Ready::WRITABLE.0),
            tells_room: false,
        }
    }

    /// Toward an endpoint.
    pub(super) fn endpoint(socket: OwnedFd) -> Port {
        Port {
            socket,
            ready: Ready(0),
            tells_room: true,
        }
    }

    /// To be called before `bytes` are sent. Nothing is in flight on a new connection, so a first segment leaves at once
    /// in any case: a session of one question needs no `TCP_NODELAY`.
    pub(super) fn before_send(&mut self, bytes: usize, first: bool) {
        let leaves_at_once = self.ready.any(Ready::PROMPT) || (first && bytes <= LEAST_SEGMENT);
        if !leaves_at_once {
            self.ready.set(Ready::PROMPT);
            sockets::send_at_once(&self.socket);
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

    /// Small segments are sent at once.
    pub(super) const PROMPT: Ready = Ready(128);

    /// Something else than bytes is to be expected of the socket.
    pub(super) const UNUSUAL: Ready =
        Ready(Self::HUNG_UP.0 | Self::AT_END.0 | Self::FAULT.0 | Self::BROKEN.0 | Self::MARKED.0);

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
