//! Messages on their way out: what the kernel reads of them lies here until it has.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use io_uring::{opcode, squeue, types};

use super::buffers::Buffers;
use crate::core::slab::Key;
use crate::udp::intake::NO_MESSAGE;
use crate::udp::wire::{Control, Name};

/// Messages at most.
const MESSAGES: usize = 256;
/// Pieces of bytes in all of them at most.
const VECTORS: usize = 1024;

/// There is no room for another operation until the ring was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Datagrams that leave together, in one piece (UDP_SEGMENT) if there are several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Whose they are.
    pub(crate) flow: Key,
    /// The door that they leave by; `None` if they go to the flow's endpoint.
    pub(crate) door: Option<Key>,
    /// `None` on a connected socket.
    pub(crate) to: Option<SocketAddr>,
    /// The address that it leaves from; `None` if the socket has only one.
    pub(crate) from: Option<IpAddr>,
    /// The size into which the bytes are cut.
    pub(crate) segment: Option<u16>,
    /// Where the datagrams are in the ring's buffers.
    pub(crate) datagrams: Datagrams,
}

/// The places of datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Datagrams {
    /// One.
    One(Range<usize>),
    /// Several.
    Many(Box<[Range<usize>]>),
}

impl Datagrams {
    pub(crate) fn of(places: &[Range<usize>]) -> Datagrams {
        match places {
            [place] => Datagrams::One(place.clone()),
            places => Datagrams::Many(places.into()),
        }
    }

    pub(crate) fn places(&self) -> &[Range<usize>] {
        match self {
            Datagrams::One(place) => std::slice::from_ref(place),
            Datagrams::Many(places) => places,
        }
    }
}

/// Messages since the last clearing.
pub(super) struct Outgoing {
    sent: Vec<Sent>,
    slots: Box<[Slot]>,
    /// Never grows: the kernel is told where its parts are.
    vectors: Vec<libc::iovec>,
}

#[derive(Clone, Copy)]
struct Slot {
    header: libc::msghdr,
    name: Name,
    control: Control,
}

const SLOT: Slot = Slot {
    header: NO_MESSAGE.msg_hdr,
    name: Name::EMPTY,
    control: Control::EMPTY,
};

impl Outgoing {
    pub(super) fn new() -> Outgoing {
        Outgoing {
            sent: Vec::with_capacity(MESSAGES),
            slots: vec![SLOT; MESSAGES].into_boxed_slice(),
            vectors: Vec::with_capacity(VECTORS),
        }
    }

    /// Keeps what the kernel is to read of a message; gives the operation, and the message's number.
    pub(super) fn put(
        &mut self,
        socket: types::Fd,
        sent: &Sent,
        buffers: &Buffers,
    ) -> Result<(squeue::Entry, u32), Full> {
        let number = self.sent.len();
        let slot = self.slots.get_mut(number).ok_or(Full)?;
        let places = sent.datagrams.places();
        if self.vectors.len() + places.len() > VECTORS {
            return Err(Full);
        }
        let (mut name, mut name_length) = (std::ptr::null_mut::<libc::c_void>(), 0);
        if let Some(to) = sent.to {
            (slot.name, name_length) = Name::of(to);
            name = std::ptr::from_mut(&mut slot.name.0).cast();
        }
        let bytes = |place: &Range<usize>| buffers.bytes().get(place.clone()).unwrap_or_default();
        let entry = match places {
            [place] if sent.from.is_none() => {
                let bytes = bytes(place);
                let length = u32::try_from(bytes.len()).map_err(|_| Full)?;
                opcode::Send::new(socket, bytes.as_ptr(), length)
                    .flags(FLAGS)
                    .dest_addr(name.cast_const().cast())
                    .dest_addr_len(name_length)
                    .build()
            }
            places => {
                let first = self.vectors.len();
                for place in places {
                    let bytes = bytes(place);
                    self.vectors.push(libc::iovec {
                        // The kernel only reads from it.
                        iov_base: bytes.as_ptr().cast_mut().cast(),
                        iov_len: bytes.len(),
                    });
                }
                slot.control.length = 0;
                if let Some(from) = sent.from {
                    slot.control.push_source(from);
                }
                if let Some(segment) = sent.segment {
                    slot.control.push_segment(segment);
                }
                slot.header = NO_MESSAGE.msg_hdr;
                slot.header.msg_name = name;
                slot.header.msg_namelen = name_length;
                slot.header.msg_iov = self.vectors[first..].as_mut_ptr();
                slot.header.msg_iovlen = places.len();
                if slot.control.length > 0 {
                    slot.header.msg_control = slot.control.bytes.as_mut_ptr().cast();
                    slot.header.msg_controllen = slot.control.length;
                }
                opcode::SendMsg::new(socket, &raw const slot.header)
                    .flags(FLAGS.cast_unsigned())
                    .build()
            }
        };
        self.sent.push(sent.clone());
        Ok((entry, u32::try_from(number).map_err(|_| Full)?))
    }

    pub(super) fn sent(&self, number: u32) -> Option<&Sent> {
        self.sent.get(number as usize)
    }

    pub(super) fn clear(&mut self) {
        self.sent.clear();
        self.vectors.clear();
    }
}

/// A datagram that cannot leave at once is dropped: a queue would only make it late. No send waits, which is what lets the
/// memory of one be used again after the call that hands it over.
const FLAGS: i32 = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
