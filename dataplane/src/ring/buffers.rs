//! Buffers that receives choose from by themselves (`IORING_REGISTER_PBUF_RING`).

use std::alloc::Layout;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use crate::udp::intake::LONGEST;
use crate::udp::wire::{Control, Name};

/// Buffers of one size, which receives name by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) number: u16,
    /// How many may be in the thread's hands at once. A power of two. When they are out, what comes waits in its socket.
    count: u16,
    /// Bytes of a buffer.
    pub(super) length: u32,
    /// Bytes between the end of a buffer and the next: the first bytes of all of them would compete for the same lines of
    /// the processor's cache if buffers began at multiples of a power of two.
    gap: usize,
}

/// Each for a datagram, or a piece of several, with what the kernel tells of it: 8 MiB for each thread, of which only what
/// datagrams have filled is ever in memory.
pub(super) const DATAGRAMS: Group = Group {
    number: 0,
    count: 128,
    length: 16 + 32 + 96 + (64 << 10),
    gap: 176,
};
/// Each for a message on a connection: 2 MiB for each thread.
pub(super) const STREAMS: Group = Group {
    number: 1,
    count: 512,
    length: 4 << 10,
    gap: 192,
};

/// What the kernel writes before a datagram: four lengths, an address, control messages.
const HEAD: usize = 16 + 32 + Control::ROOM;
const _: () = assert!(
    DATAGRAMS.length as usize == LONGEST + HEAD,
    "a buffer holds the head and the longest datagram"
);
/// The kernel wants the list of buffers to begin where a page does.
const PAGE: usize = 4096;

impl Group {
    const fn stride(self) -> usize {
        self.length as usize + self.gap
    }

    /// Of the list of buffers.
    fn layout(self) -> Layout {
        let size = usize::from(self.count) * size_of::<BufRingEntry>();
        Layout::from_size_align(size, PAGE).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }
}

/// The buffers of one group.
pub(super) struct Buffers {
    group: Group,
    bytes: Box<[u8]>,
    list: NonNull<BufRingEntry>,
    tail: u16,
}

/// One datagram, or a piece of several, in a buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// `None` if it was not asked for.
    pub(crate) sender: Option<SocketAddr>,
    pub(crate) control: Control,
    /// Where the bytes are.
    pub(crate) bytes: Range<usize>,
}

impl Buffers {
    pub(super) fn new(group: Group) -> Buffers {
        // SAFETY: the layout has a size.
        let list = unsafe { std::alloc::alloc_zeroed(group.layout()) };
        let Some(list) = NonNull::new(list.cast()) else {
            std::alloc::handle_alloc_error(group.layout())
        };
        let mut buffers = Buffers {
            group,
            bytes: vec![0; usize::from(group.count) * group.stride()].into_boxed_slice(),
            list,
            tail: 0,
        };
        for buffer in 0..group.count {
            buffers.give(buffer);
        }
        buffers.publish();
        buffers
    }

    /// Tells the kernel of them.
    pub(super) fn register(&self, io: &IoUring) -> io::Result<()> {
        let Group { number, count, .. } = self.group;
        // SAFETY: the list has room for `count` entries, begins at a page, and lives longer than the ring: it is dropped
        // after it, with the buffers that its entries name.
        unsafe {
            io.submitter()
                .register_buf_ring_with_flags(self.list.as_ptr().expose_provenance() as u64, count, number, 0)
        }
    }

    /// Puts a buffer at the end of the list; the kernel sees it with [`Buffers::publish`].
    pub(super) fn give(&mut self, buffer: u16) {
        let Group { count, length, .. } = self.group;
        let start = usize::from(buffer) * self.group.stride();
        let Some(bytes) = self.bytes.get_mut(start..start + length as usize) else {
            return;
        };
        let address = bytes.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: the place is in the list, which nobody else refers to: the kernel reads an entry only after the tail has
        // passed it, and has read this one before it named the buffer that is given back.
        let entry = unsafe { &mut *self.list.as_ptr().add(usize::from(self.tail % count)) };
        entry.set_addr(address);
        entry.set_len(length);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel have what was given.
    pub(super) fn publish(&self) {
        // SAFETY: the first entry is initialised, and the field that its padding serves as is an aligned `u16` that is only
        // ever used as an atomic after the ring exists; it lives as long as `self`.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.list.as_ptr()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first bytes of a buffer, as far as it has them.
    pub(super) fn first(&self, buffer: u16, length: u32) -> &[u8] {
        let start = usize::from(buffer) * self.group.stride();
        let length = length.min(self.group.length) as usize;
        self.bytes.get(start..start + length).unwrap_or_default()
    }

    /// What the kernel has written into a buffer, in all `length` bytes, after a receive that reserved so much room for
    /// the sender's address and control messages (`struct io_uring_recvmsg_out`).
    pub(super) fn message(&self, buffer: u16, length: u32, name_room: usize, control_room: usize) -> Option<Place> {
        let start = usize::from(buffer) * self.group.stride();
        let end = start + (length as usize).min(LONGEST + HEAD);
        let written = self.bytes.get(start..end)?;
        let said = |field: usize| {
            let bytes = written.get(4 * field..)?.first_chunk::<4>()?;
            Some(u32::from_ne_bytes(*bytes) as usize)
        };
        let (name_length, control_length) = (said(0)?, said(1)?);
        let name_at = 16;
        let control_at = name_at + name_room;
        let bytes_at = control_at + control_room;
        let sender = if name_length > 0 && name_length <= name_room {
            let mut name = Name::EMPTY;
            let written = written.get(name_at..name_at + name_length)?;
            name.0.get_mut(..name_length)?.copy_from_slice(written);
            name.address()
        } else {
            None
        };
        let mut control = Control::EMPTY;
        if control_length > 0 {
            control.length = control_length.min(control_room).min(Control::ROOM);
            let written = written.get(control_at..control_at + control.length)?;
            control.bytes.get_mut(..control.length)?.copy_from_slice(written);
        }
        (bytes_at <= written.len()).then(|| Place {
            sender,
            control,
            bytes: start + bytes_at..end,
        })
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; the ring that knew of it is gone.
        unsafe { std::alloc::dealloc(self.list.as_ptr().cast(), self.group.layout()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_is_not_read_beyond_its_end() {
        let mut buffers = Buffers::new(DATAGRAMS);
        let last = DATAGRAMS.count - 1;
        for length in [0, 1, 15, 16, 47, 48, 143, 144, 145, u32::MAX] {
            for said in [0, 1, 28, 32, 33, 96, 97, u32::MAX] {
                let start = usize::from(last) * DATAGRAMS.stride();
                for field in 0..4 {
                    let at = start + 4 * field;
                    buffers.bytes[at..at + 4].copy_from_slice(&said.to_ne_bytes());
                }
                let place = buffers.message(last, length, 32, Control::ROOM);
                if let Some(place) = place {
                    assert!(place.bytes.end <= buffers.bytes.len(), "{place:?}");
                    assert!(place.bytes.len() <= LONGEST, "{place:?}");
                }
            }
        }
        assert_eq!(
            buffers.message(DATAGRAMS.count, 200, 32, Control::ROOM),
            None,
            "there is no such buffer"
        );
    }
}
