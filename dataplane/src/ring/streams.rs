//! Connections in a ring: receives that go on by themselves, and sends of what they brought.

use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::squeue::Flags;
use io_uring::{opcode, types};

use super::Ring;
use super::buffers::STREAMS;
use super::outgoing::Full;

/// All bytes or a failure that tells how many: a send never waits for room, so that the kernel is done with its bytes when
/// it has taken it.
const WHOLE: i32 = libc::MSG_WAITALL | libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

impl Ring {
    /// As many bytes are no message any more, but likely a part of a bulk transfer: they fill a buffer.
    pub(crate) const MESSAGE_BYTES: u32 = STREAMS.length;

    /// Operations that can be asked for before the ring is entered.
    pub(crate) fn room(&mut self) -> usize {
        let queue = self.io.submission();
        queue.capacity() - queue.len()
    }

    /// Asks for whatever comes on a connection, each piece completed with `word`, until it ends, fails, is cancelled or runs
    /// out of buffers. The socket must stay open until the completion that says that no more follows.
    pub(crate) fn receive_stream(&mut self, socket: &OwnedFd, word: u64) -> Result<(), Full> {
        let entry = opcode::RecvMulti::new(types::Fd(socket.as_raw_fd()), STREAMS.number)
            .build()
            .user_data(word);
        // SAFETY: the bytes go to buffers of the group, which live as long as the ring.
        unsafe { self.push(&entry) }
    }

    /// Sends what was received into a buffer when the ring is entered next. A completion with `word` follows only if not
    /// all of it could be sent at once, and tells how much was. Until then the socket must stay open, and the buffer must
    /// not be given back.
    pub(crate) fn send_stream(&mut self, socket: &OwnedFd, buffer: u16, length: u32, word: u64) -> Result<(), Full> {
        let bytes = self.streams.first(buffer, length);
        let length = u32::try_from(bytes.len()).map_err(|_| Full)?;
        let entry = opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
            .flags(WHOLE)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(word);
        // SAFETY: the bytes lie in `streams`, which lives as long as the ring, and stay as they are until their buffer is
        // given back, which `Ring::give_back_streams` allows only after the kernel has taken the entry; it is done with
        // them then, since the send may not wait.
        unsafe { self.push(&entry) }
    }

    /// What was received into a buffer.
    pub(crate) fn stream(&self, buffer: u16, length: u32) -> &[u8] {
        self.streams.first(buffer, length)
    }

    /// Gives buffers back to the kernel. Only after the ring has been entered since the last send of their bytes.
    pub(crate) fn give_back_streams(&mut self, buffers: &mut Vec<u16>) {
        for buffer in buffers.drain(..) {
            self.streams.give(buffer);
        }
        self.streams.publish();
    }
}
