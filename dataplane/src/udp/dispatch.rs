//! Many datagrams to one socket with one system call (sendmmsg), those of one size to one receiver in one piece
//! (UDP_SEGMENT).

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::core::train;
use crate::udp::intake::NO_MESSAGE;
use crate::udp::sockets::{is_icmp, last_error};
use crate::udp::wire::{Control, Name};

/// Messages handed to the kernel at once.
const BATCH: usize = 64;
/// The longest datagram that leaves together with others: what an Ethernet frame carries over IPv6. Longer ones would
/// often have to be fragmented, which the kernel does not do for a piece of several.
const LONGEST_TOGETHER: usize = 1452;

/// What is to be sent from one socket, in order. Bytes lie in a buffer that is given when it is sent.
#[derive(Debug, Default)]
pub(crate) struct Post {
    messages: Vec<Message>,
    datagrams: Vec<Range<usize>>,
}

/// Datagrams that leave together.
#[derive(Clone, Debug)]
struct Message {
    /// Whoever called for it knows it by this number.
    tag: usize,
    to: Option<SocketAddr>,
    from: Option<IpAddr>,
    segment: Option<u16>,
    /// In `Post::datagrams`.
    datagrams: Range<usize>,
}

/// A message for whoever sends it otherwise than by [`Dispatch`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline<'a> {
    /// `None` on a connected socket.
    pub(crate) to: Option<SocketAddr>,
    /// `None` if the socket has only one.
    pub(crate) from: Option<IpAddr>,
    /// The size into which the datagrams, sent as one, are cut.
    pub(crate) segment: Option<u16>,
    /// Where they are.
    pub(crate) datagrams: &'a [Range<usize>],
}

/// To whom datagrams go, and from which address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Envelope {
    /// `None` on a connected socket.
    pub(crate) to: Option<SocketAddr>,
    /// `None` if the socket has only one.
    pub(crate) from: Option<IpAddr>,
    /// Datagrams must leave one by one: the way to the receiver does not take pieces.
    pub(crate) singly: bool,
}

/// What became of a message, by its tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// An error had come back for an earlier datagram; this one is tried again.
    Icmp,
    /// The kernel does not take pieces toward this receiver; its datagrams are sent one by one.
    Singly,
    /// This many datagrams could not be sent.
    Failed(Errno, usize),
}

impl Post {
    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.datagrams.clear();
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The tag of a message, and what it says.
    pub(crate) fn message(&self, number: usize) -> Option<(usize, Outline<'_>)> {
        let message = self.messages.get(number)?;
        let outline = Outline {
            to: message.to,
            from: message.from,
            segment: message.segment,
            datagrams: self.datagrams.get(message.datagrams.clone())?,
        };
        Some((message.tag, outline))
    }

    /// Puts datagrams of one flow in, each with its place in the buffer.
    pub(crate) fn push(&mut self, tag: usize, envelope: Envelope, datagrams: impl Iterator<Item = Range<usize>>) {
        let mut start = self.datagrams.len();
        self.datagrams.extend(datagrams);
        while start < self.datagrams.len() {
            let lengths = self.datagrams[start..].iter().map(Range::len);
            let together = if envelope.singly { 0 } else { LONGEST_TOGETHER };
            let Some(train) = train::head(lengths, together) else {
                return;
            };
            self.messages.push(Message {
                tag,
                to: envelope.to,
                from: envelope.from,
                segment: train.segment,
                datagrams: start..start + train.count,
            });
            start += train.count;
        }
    }
}

/// The datagrams in a piece of `place` bytes.
pub(crate) fn datagrams(place: Range<usize>, segment: Option<u16>) -> impl Iterator<Item = Range<usize>> {
    let size = segment.map_or(usize::MAX, usize::from);
    let mut next = Some(place.start);
    std::iter::from_fn(move || {
        let start = next?;
        let end = place.end.min(start.saturating_add(size));
        next = (end < place.end).then_some(end);
        Some(start..end)
    })
}

/// How many datagrams a piece has.
pub(crate) fn count(length: usize, segment: Option<u16>) -> usize {
    match segment {
        Some(segment) if segment > 0 => length.div_ceil(usize::from(segment)).max(1),
        Some(_) | None => 1,
    }
}

/// Sends posts; its memory is used again and again.
pub(crate) struct Dispatch {
    names: Box<[Name]>,
    controls: Box<[Control]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Dispatch {
    pub(crate) fn new() -> Dispatch {
        Dispatch {
            names: [Name::EMPTY; BATCH].into(),
            controls: [Control::EMPTY; BATCH].into(),
            vectors: Vec::with_capacity(BATCH),
            headers: Vec::with_capacity(BATCH),
        }
    }

    /// Sends all of `post`, whose datagrams lie in `bytes`, and reports what did not go as it should.
    pub(crate) fn send(&mut self, socket: &OwnedFd, bytes: &[u8], post: &Post, mut report: impl FnMut(usize, Report)) {
        let mut next = 0;
        let mut retried = None;
        while let Some(message) = post.messages.get(next) {
            let end = post.messages.len().min(next + BATCH);
            match self.submit(socket, bytes, post, next..end) {
                Ok(count) => next += count.max(1),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    for message in &post.messages[next..] {
                        report(message.tag, Report::Failed(Errno::AGAIN, message.datagrams.len()));
                    }
                    return;
                }
                Err(errno) if is_icmp(errno) && retried != Some(next) => {
                    report(message.tag, Report::Icmp);
                    retried = Some(next);
                }
                Err(errno) => {
                    if message.segment.is_some() && refuses_pieces(errno) {
                        report(message.tag, Report::Singly);
                        self.send_singly(socket, bytes, post, message, &mut report);
                    } else {
                        report(message.tag, Report::Failed(errno, message.datagrams.len()));
                    }
                    next += 1;
                }
            }
        }
    }

    fn send_singly(
        &mut self,
        socket: &OwnedFd,
        bytes: &[u8],
        post: &Post,
        message: &Message,
        report: &mut impl FnMut(usize, Report),
    ) {
        let mut single = Post::default();
        let envelope = Envelope {
            to: message.to,
            from: message.from,
            singly: true,
        };
        let datagrams = post.datagrams[message.datagrams.clone()].iter().cloned();
        single.push(message.tag, envelope, datagrams);
        let mut next = 0;
        while next < single.messages.len() {
            match self.submit(socket, bytes, &single, next..single.messages.len()) {
                Ok(count) => next += count.max(1),
                Err(Errno::INTR) => {}
                Err(errno) => {
                    report(message.tag, Report::Failed(errno, 1));
                    next += 1;
                }
            }
        }
    }

    /// Hands messages, at most a batch, to the kernel; gives how many it has taken. An error is about the first.
    fn submit(&mut self, socket: &OwnedFd, bytes: &[u8], post: &Post, range: Range<usize>) -> Result<usize, Errno> {
        let messages = &post.messages[range];
        if let [first, ..] = messages
            && let Some(place) = first.plain(post)
        {
            let bytes = bytes.get(place).ok_or(Errno::FAULT)?;
            return send_plain(socket, bytes, first.to).map(|()| 1);
        }
        // Up to the next plain one.
        let end = messages.iter().position(|message| message.plain(post).is_some());
        let messages = &messages[..end.unwrap_or(messages.len())];
        self.vectors.clear();
        for message in messages {
            for datagram in &post.datagrams[message.datagrams.clone()] {
                let bytes = bytes.get(datagram.clone()).ok_or(Errno::FAULT)?;
                self.vectors.push(libc::iovec {
                    // The kernel only reads from it.
                    iov_base: bytes.as_ptr().cast_mut().cast(),
                    iov_len: bytes.len(),
                });
            }
        }
        self.headers.clear();
        let mut vectors = self.vectors.as_mut_slice();
        for ((message, name), control) in messages.iter().zip(&mut self.names).zip(&mut self.controls) {
            let (own, rest) = vectors.split_at_mut(message.datagrams.len());
            vectors = rest;
            let mut header = NO_MESSAGE;
            header.msg_hdr.msg_iov = own.as_mut_ptr();
            header.msg_hdr.msg_iovlen = own.len();
            if let Some(to) = message.to {
                let (bytes, length) = Name::of(to);
                *name = bytes;
                header.msg_hdr.msg_name = std::ptr::from_mut(&mut name.0).cast();
                header.msg_hdr.msg_namelen = length;
            }
            if message.from.is_some() || message.segment.is_some() {
                control.length = 0;
                if let Some(from) = message.from {
                    control.push_source(from);
                }
                if let Some(segment) = message.segment {
                    control.push_segment(segment);
                }
                header.msg_hdr.msg_control = control.bytes.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = control.length;
            }
            self.headers.push(header);
        }
        let count = libc::c_uint::try_from(self.headers.len()).map_err(|_| Errno::INVAL)?;
        // SAFETY: the descriptor is open for the duration of the call. Each of the `count` headers points at its own part of
        // the vectors, and at a name and a control buffer of this value or at nothing, with their lengths; each vector points
        // into `bytes`, which is borrowed until after the call, and the kernel only reads from it.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| last_error())
    }
}

impl Message {
    /// The place of its only datagram, if nothing but an address is to be said with it. Such a one costs less with a system
    /// call of its own than the header costs that a batch has for it.
    fn plain(&self, post: &Post) -> Option<Range<usize>> {
        match &post.datagrams[self.datagrams.clone()] {
            [place] if self.from.is_none() => Some(place.clone()),
            _ => None,
        }
    }
}

fn send_plain(socket: &OwnedFd, bytes: &[u8], to: Option<SocketAddr>) -> Result<(), Errno> {
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    match to {
        Some(to) => rustix::net::sendto(socket, bytes, flags, &to),
        None => rustix::net::send(socket, bytes, flags),
    }
    .map(drop)
}

/// Whether sending one by one may succeed where a piece failed: its datagrams are too long for the way, or the interface
/// or kernel cannot cut.
fn refuses_pieces(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::INVAL | Errno::MSGSIZE | Errno::IO | Errno::OPNOTSUPP | Errno::NOPROTOOPT
    )
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::udp::intake::{Intake, receive_one};
    use crate::udp::sockets;

    fn pair() -> (OwnedFd, UdpSocket) {
        let server = UdpSocket::bind("127.0.0.1:0").expect("server");
        let address = server.local_addr().expect("address");
        let client = sockets::connect(address, "127.0.0.1:0".parse().expect("local"), false).expect("client");
        (client, server)
    }

    fn places(lengths: &[usize]) -> Vec<Range<usize>> {
        let mut end = 0;
        let place = |length: &usize| {
            let start = end;
            end += length;
            start..end
        };
        lengths.iter().map(place).collect()
    }

    #[test]
    fn datagrams_of_every_size_arrive_as_they_were_and_in_order() {
        let (client, server) = pair();
        let lengths = [0, 3, 3, 3, 1, 0, 1452, 1452, 1453, 9000, 65_507, 5];
        let bytes: Vec<u8> = (0..80_000u32).map(|number| number.to_le_bytes()[0]).collect();
        let mut post = Post::default();
        post.push(0, Envelope::default(), places(&lengths).into_iter());
        Dispatch::new().send(&client, &bytes, &post, |_, report| panic!("{report:?}"));
        let mut buffer = vec![0; 70_000];
        for place in places(&lengths) {
            let length = server.recv(&mut buffer).expect("datagram");
            assert!(buffer[..length] == bytes[place], "{length}");
        }
    }

    #[test]
    fn pieces_are_received_as_pieces_and_cut_where_they_were() {
        let (client, server) = pair();
        let bytes: Vec<u8> = (0..100u8).collect();
        sockets::receive_together(&client);
        let address = sockets_name(&client);
        server.connect(address).expect("connect");
        let server = OwnedFd::from(server);
        let mut post = Post::default();
        post.push(0, Envelope::default(), places(&[30, 30, 30, 10]).into_iter());
        Dispatch::new().send(&server, &bytes, &post, |_, report| panic!("{report:?}"));
        let mut buffer = vec![0; 70_000];
        let (length, segment) = receive_one(&client, &mut buffer).expect("piece");
        assert_eq!((length, segment), (100, Some(30)));
        assert_eq!(count(length, segment), 4);
        let cut: Vec<Range<usize>> = datagrams(5..105, segment).collect();
        assert_eq!(cut, [5..35, 35..65, 65..95, 95..105]);
        assert_eq!(datagrams(5..5, None).collect::<Vec<_>>(), vec![5..5]);
    }

    #[test]
    fn a_wildcard_socket_tells_what_was_dialled_and_answers_from_there() {
        let listen = crate::sockets::Listen {
            address: "0.0.0.0:0".parse().expect("address"),
            freebind: false,
            backlog: 0,
        };
        let listener = sockets::listen(listen, false).expect("listener");
        let port = sockets_name(&listener).port();
        let client = UdpSocket::bind("127.0.0.1:0").expect("client");
        client.send_to(b"to the seventh", ("127.0.0.7", port)).expect("send");
        let mut intake = Intake::new();
        rustix::event::poll(
            &mut [rustix::event::PollFd::new(&listener, rustix::event::PollFlags::IN)],
            None,
        )
        .expect("poll");
        assert_eq!(intake.receive(&listener), Ok(1));
        let received = intake.received(0).expect("received");
        assert_eq!(received.client, client.local_addr().expect("address"));
        assert_eq!(received.dialled, Some([127, 0, 0, 7].into()));
        assert_eq!(&intake.bytes()[received.place.clone()], b"to the seventh");
        let mut post = Post::default();
        let envelope = Envelope {
            to: Some(received.client),
            from: received.dialled,
            singly: false,
        };
        post.push(0, envelope, std::iter::once(received.place));
        Dispatch::new().send(&listener, intake.bytes(), &post, |_, report| panic!("{report:?}"));
        let (length, from) = client.recv_from(&mut [0; 100]).expect("reply");
        assert_eq!((length, from.to_string()), (14, format!("127.0.0.7:{port}")));
    }

    #[test]
    fn a_refusal_is_reported_and_the_datagram_sent_again() {
        let (client, server) = pair();
        let address = server.local_addr().expect("address");
        drop(server);
        let mut post = Post::default();
        post.push(4, Envelope::default(), std::iter::once(0..5));
        let mut dispatch = Dispatch::new();
        dispatch.send(&client, b"first", &post, |_, report| panic!("{report:?}"));
        // The refusal has come back by now: on the loopback the kernel sends it within the call.
        let server = UdpSocket::bind(address).expect("server");
        let mut reports = Vec::new();
        dispatch.send(&client, b"again", &post, |tag, report| reports.push((tag, report)));
        assert_eq!(reports, [(4, Report::Icmp)]);
        let mut buffer = [0; 9];
        let length = server.recv(&mut buffer).expect("datagram");
        assert_eq!(&buffer[..length], b"again");
    }

    fn sockets_name(socket: &OwnedFd) -> SocketAddr {
        let name = rustix::net::getsockname(socket).expect("name");
        SocketAddr::try_from(name).expect("address")
    }
}
