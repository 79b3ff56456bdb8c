//! An io_uring of one relay thread, as far as datagrams and messages on connections need it: receives that go on by
//! themselves into buffers that they choose, and sends that are handed over together.
//!
//! The kernel touches the ring's memory only inside of [`Ring::enter`]: completions are worked on where the thread asks for
//! them (`IORING_SETUP_DEFER_TASKRUN`), and a send that would have to wait fails instead. So between two calls all bytes
//! belong to the thread, and every send that was handed over is done when the call returns.

mod buffers;
mod outgoing;
mod streams;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::null_mut;
use std::time::Duration;

use io_uring::squeue::Flags;
use io_uring::{EnterFlags, IoUring, Probe, cqueue, opcode, squeue, types};
use rustix::io::Errno;

pub(crate) use self::buffers::Place;
use self::buffers::{Buffers, DATAGRAMS, STREAMS};
use self::outgoing::Outgoing;
pub(crate) use self::outgoing::{Datagrams, Full, Sent};
use crate::udp::intake::NO_MESSAGE;
use crate::udp::wire::Control;

/// Operations that are handed over together at most.
const SUBMISSIONS: u32 = 256;
/// Completions that find room at once; beyond it the kernel keeps them until there is room again.
const COMPLETIONS: u32 = 4096;
/// Room for an address in front of a datagram; `sockaddr_in6` has 28 bytes.
const NAME_ROOM: u32 = 32;

/// What a receive is asked to tell beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Where they came from, and control messages.
    Sender,
    /// Control messages.
    Control,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completion {
    /// The word that the operation was asked for with.
    pub(crate) word: u64,
    /// Bytes, or why there are none.
    pub(crate) result: Result<u32, Errno>,
    /// The buffer that holds them; it is the thread's until it is given back.
    pub(crate) buffer: Option<u16>,
    /// The operation goes on.
    pub(crate) more: bool,
}

/// One thread's ring; used by the thread that made it alone.
pub(crate) struct Ring {
    // Dropped first: after it the kernel knows of none of the memory below.
    io: IoUring,
    buffers: Buffers,
    streams: Buffers,
    outgoing: Outgoing,
    templates: Box<[libc::msghdr; 2]>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Ring")
            .field("io", &self.io.as_raw_fd())
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring of the calling thread. Fails where the kernel has none, forbids it, or lacks a part (Linux 6.1 has all).
    pub(crate) fn new() -> io::Result<Ring> {
        let io = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        let mut probe = Probe::new();
        io.submitter().register_probe(&mut probe)?;
        for code in [
            opcode::RecvMsgMulti::CODE,
            opcode::SendMsg::CODE,
            opcode::Send::CODE,
            opcode::RecvMulti::CODE,
            opcode::AsyncCancel::CODE,
        ] {
            if !probe.is_supported(code) {
                return Err(io::Error::from(io::ErrorKind::Unsupported));
            }
        }
        let buffers = Buffers::new(DATAGRAMS);
        buffers.register(&io)?;
        let streams = Buffers::new(STREAMS);
        streams.register(&io)?;
        let template = |name| {
            let mut template = NO_MESSAGE.msg_hdr;
            template.msg_namelen = name;
            template.msg_control = null_mut();
            template.msg_controllen = Control::ROOM;
            template
        };
        Ok(Ring {
            io,
            buffers,
            streams,
            outgoing: Outgoing::new(),
            templates: Box::new([template(NAME_ROOM), template(0)]),
        })
    }

    /// Asks for every datagram that comes to a socket, each completed with `word`, until it fails, is cancelled or runs out
    /// of buffers. The socket must stay open until the completion that says that no more follows.
    pub(crate) fn receive(&mut self, socket: &OwnedFd, telling: Telling, word: u64) -> Result<(), Full> {
        let template = &self.templates[telling as usize];
        let entry = opcode::RecvMsgMulti::new(types::Fd(socket.as_raw_fd()), template, DATAGRAMS.number)
            .build()
            .user_data(word);
        // SAFETY: the template is on the heap and lives as long as the ring, and says that the kernel is to write nothing
        // through it; bytes, names and control messages go to buffers of the group, which live as long.
        unsafe { self.push(&entry) }
    }

    /// Ends what was asked for with `word`: its last completion follows, unless it has come already.
    pub(crate) fn cancel(&mut self, word: u64) -> Result<(), Full> {
        let entry = opcode::AsyncCancel::new(word)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(NOTHING);
        // SAFETY: a cancellation refers to no memory.
        unsafe { self.push(&entry) }
    }

    /// Sends datagrams, which lie in the ring's buffers, when the ring is entered next; a completion with `word` of the
    /// message's number follows only if that fails. The socket must stay open until then.
    pub(crate) fn send(&mut self, socket: &OwnedFd, sent: &Sent, word: impl FnOnce(u32) -> u64) -> Result<(), Full> {
        if self.io.submission().is_full() {
            return Err(Full);
        }
        let socket = types::Fd(socket.as_raw_fd());
        let (entry, number) = self.outgoing.put(socket, sent, &self.buffers)?;
        let entry = entry.flags(Flags::SKIP_SUCCESS).user_data(word(number));
        // SAFETY: the message lies in `outgoing` and its datagrams in `buffers`, where both stay as they are until they
        // are cleared or given back, which `Ring::clear` and `Ring::give_back` allow only after the kernel has taken the
        // entry; the kernel is done with a send when it has taken it, since the send may not wait.
        unsafe { self.push(&entry) }
    }

    /// Asks once whether an epoll instance has events.
    pub(crate) fn watch(&mut self, epoll: &OwnedFd, word: u64) -> Result<(), Full> {
        let entry = opcode::PollAdd::new(types::Fd(epoll.as_raw_fd()), libc::POLLIN.cast_unsigned().into())
            .build()
            .user_data(word);
        // SAFETY: a poll refers to no memory.
        unsafe { self.push(&entry) }
    }

    /// Hands over what was asked for, and lets the kernel work on what came of earlier operations; waits at most this long
    /// for a completion if there is none. Comes back with something still [queued](Ring::queued) if completions are to be
    /// taken first, or memory is short for the moment.
    pub(crate) fn enter(&mut self, longest: Duration) {
        let queued = self.queued();
        let wanted = u32::from(!longest.is_zero());
        let timeout = types::Timespec::from(longest);
        let argument = types::SubmitArgs::new().timespec(&timeout);
        let submitter = self.io.submitter();
        let flags = EnterFlags::GETEVENTS;
        // SAFETY: the argument is what `EXT_ARG` says it is, and lives until the call returns.
        let entered = unsafe {
            match wanted {
                0 => submitter.enter::<libc::sigset_t>(queued, 0, flags.bits(), None),
                _ => submitter.enter(queued, wanted, (flags | EnterFlags::EXT_ARG).bits(), Some(&argument)),
            }
        };
        match entered.map_err(|error| Errno::from_io_error(&error)) {
            Ok(_) | Err(Some(Errno::INTR | Errno::TIME | Errno::AGAIN | Errno::BUSY | Errno::NOMEM)) => {}
            Err(errno) => panic!("io_uring_enter failed on a ring that only this thread owns: {errno:?}"),
        }
    }

    /// Operations that the kernel has not taken yet.
    pub(crate) fn queued(&mut self) -> u32 {
        u32::try_from(self.io.submission().len()).unwrap_or(u32::MAX)
    }

    /// Takes the completions that are there, the oldest first.
    pub(crate) fn reap(&mut self, taken: &mut Vec<Completion>) {
        for entry in self.io.completion() {
            if entry.user_data() == NOTHING {
                continue;
            }
            taken.push(Completion {
                word: entry.user_data(),
                result: u32::try_from(entry.result()).map_err(|_| Errno::from_raw_os_error(-entry.result())),
                buffer: cqueue::buffer_select(entry.flags()),
                more: cqueue::more(entry.flags()),
            });
        }
    }

    /// What was received into a buffer, and where it is in [`Ring::bytes`]; `None` if the kernel has written nonsense.
    pub(crate) fn received(&self, buffer: u16, length: u32, telling: Telling) -> Option<Place> {
        let template = &self.templates[telling as usize];
        self.buffers
            .message(buffer, length, template.msg_namelen as usize, template.msg_controllen)
    }

    /// All buffers.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffers.bytes()
    }

    /// A message that was sent since the last [`Ring::clear`].
    pub(crate) fn sent(&self, number: u32) -> Option<&Sent> {
        self.outgoing.sent(number)
    }

    /// Forgets what was sent. Only when nothing is queued.
    pub(crate) fn clear(&mut self) {
        debug_assert_eq!(self.queued(), 0, "the kernel has yet to read what is cleared");
        self.outgoing.clear();
    }

    /// Gives buffers back to the kernel. Only when nothing is queued.
    pub(crate) fn give_back(&mut self, buffers: &mut Vec<u16>) {
        debug_assert_eq!(self.queued(), 0, "the kernel has yet to read what is given back");
        for buffer in buffers.drain(..) {
            self.buffers.give(buffer);
        }
        self.buffers.publish();
    }

    /// # Safety
    /// What the entry refers to must be valid until the operation's last completion.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> Result<(), Full> {
        // SAFETY: the caller's promise.
        unsafe { self.io.submission().push(entry) }.map_err(|_| Full)
    }
}

/// The word of operations whose completions tell nothing.
const NOTHING: u64 = u64::MAX;

#[cfg(test)]
mod tests;
