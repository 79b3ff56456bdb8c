//! Replies between their receive and their send.

use std::ops::Range;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::core::flow_id::FlowId;
use crate::core::slab::Key;
use crate::udp::dispatch::{self, Envelope, Post};
use crate::udp::intake::{LONGEST, receive_one};

/// Room for replies: datagrams lie close together, so a round of small ones stays in the processor's cache.
const ROOM: usize = 4 * LONGEST;
/// Replies that are sent together at most.
const REPLIES: usize = 64;
/// Replies begin at the beginning of a cache line.
const LINE: usize = 64;

/// Replies that were received and are to be sent. When it is full it is emptied first.
#[derive(Debug)]
pub(super) struct Outbox {
    bytes: Box<[u8]>,
    used: usize,
    replies: Vec<Reply>,
    /// The first reply whose door was not handled yet.
    next: usize,
}

/// What was received at once from one flow's endpoint.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) flow: Key,
    pub(super) door: Key,
    pub(super) id: FlowId,
    pub(super) place: Range<usize>,
    /// The size of each datagram if there are several.
    pub(super) segment: Option<u16>,
    pub(super) singly: bool,
}

impl Outbox {
    pub(super) fn new() -> Outbox {
        Outbox {
            bytes: vec![0; ROOM].into_boxed_slice(),
            used: 0,
            replies: Vec::with_capacity(REPLIES),
            next: 0,
        }
    }

    /// Whether another reply may not fit.
    pub(super) fn is_full(&self) -> bool {
        self.replies.len() >= REPLIES || ROOM - self.used < LONGEST
    }

    /// Takes one reply, or with `together` a piece of several, from a flow's socket; gives where it lies, and the size of each datagram in a
    /// piece. It is kept only if it is pushed.
    pub(super) fn receive(&mut self, socket: &OwnedFd, together: bool) -> Result<(Range<usize>, Option<u16>), Errno> {
        let room = self
            .bytes
            .get_mut(self.used..self.used + LONGEST)
            .ok_or(Errno::NOBUFS)?;
        let (length, segment) = if together {
            receive_one(socket, room)?
        } else {
            (rustix::net::recv(socket, room, RecvFlags::DONTWAIT)?.0, None)
        };
        Ok((self.used..self.used + length, segment))
    }

    /// Keeps what was received last.
    pub(super) fn push(&mut self, reply: Reply) {
        self.used = reply.place.end.next_multiple_of(LINE);
        self.keep(reply);
    }

    /// Keeps a reply that lies elsewhere.
    pub(super) fn keep(&mut self, reply: Reply) {
        self.replies.push(reply);
    }

    /// A door with replies that were not put into a post yet.
    pub(super) fn next_door(&mut self) -> Option<Key> {
        while let Some(reply) = self.replies.get(self.next) {
            let door = reply.door;
            let handled = self.replies[..self.next].iter().any(|earlier| earlier.door == door);
            self.next += 1;
            if !handled {
                return Some(door);
            }
        }
        None
    }

    /// Puts every reply that leaves by `door` into a post.
    pub(super) fn fill(&self, door: Key, says_source: bool, post: &mut Post) {
        let mut next = 0;
        while let Some(first) = self.replies.get(next) {
            let start = next;
            next += 1;
            if first.door != door {
                continue;
            }
            while self.replies.get(next).is_some_and(|reply| reply.flow == first.flow) {
                next += 1;
            }
            let replies = &self.replies[start..next];
            let envelope = Envelope {
                to: Some(first.id.client()),
                from: says_source.then(|| first.id.dialled().ip()),
                singly: first.singly,
            };
            let datagrams = replies
                .iter()
                .flat_map(|reply| dispatch::datagrams(reply.place.clone(), reply.segment));
            post.push(start, envelope, datagrams);
        }
    }

    /// The flow of a reply in a post.
    pub(super) fn flow(&self, tag: usize) -> Option<Key> {
        self.replies.get(tag).map(|reply| reply.flow)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets all: it is sent.
    pub(super) fn clear(&mut self) {
        self.replies.clear();
        self.used = 0;
        self.next = 0;
    }
}
