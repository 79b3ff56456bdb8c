use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use super::*;
use crate::core::slab::Key;

const DOOR: u64 = 7;
const SENT: u64 = 1 << 32;

/// A ring, where the kernel has one.
fn ring() -> Option<Ring> {
    Ring::new().ok()
}

fn door() -> (OwnedFd, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("door");
    let address = socket.local_addr().expect("address");
    (socket.into(), address)
}

/// Enters until there are so many completions.
fn completions(ring: &mut Ring, count: usize) -> Vec<Completion> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut taken = Vec::new();
    while taken.len() < count {
        assert!(Instant::now() < deadline, "{} of {count}: {taken:?}", taken.len());
        ring.enter(Duration::from_millis(10));
        ring.reap(&mut taken);
    }
    taken
}

fn reply(to: SocketAddr, places: &[std::ops::Range<usize>], segment: Option<u16>) -> Sent {
    Sent {
        flow: Key {
            index: 0,
            generation: 0,
        },
        door: None,
        to: Some(to),
        from: None,
        segment,
        datagrams: Datagrams::of(places),
    }
}

#[test]
fn datagrams_come_with_their_sender_and_go_back() {
    let Some(mut ring) = ring() else { return };
    let (door, address) = door();
    ring.receive(&door, Telling::Sender, DOOR).expect("room");
    let client = UdpSocket::bind("127.0.0.1:0").expect("client");
    for length in [0, 1, 1472, 65_507] {
        client.send_to(&vec![b'x'; length], address).expect("send");
        let [completion] = completions(&mut ring, 1)[..] else {
            panic!("one datagram, one completion")
        };
        if !completion.more {
            // The kernel takes an empty datagram for an end.
            assert_eq!(length, 0, "{completion:?}");
            ring.receive(&door, Telling::Sender, DOOR).expect("room");
        }
        let buffer = completion.buffer.expect("a buffer");
        let place = ring.received(buffer, completion.result.expect("bytes"), Telling::Sender);
        let place = place.expect("as the kernel writes it");
        assert_eq!(place.sender, client.local_addr().ok());
        assert_eq!(place.bytes.len(), length);
        let sent = reply(client.local_addr().expect("address"), &[place.bytes], None);
        ring.send(&door, &sent, |number| SENT + u64::from(number))
            .expect("room");
        ring.enter(Duration::ZERO);
        assert_eq!(ring.queued(), 0);
        ring.clear();
        ring.give_back(&mut vec![buffer]);
        let mut back = vec![0; 70_000];
        let (received, from) = client.recv_from(&mut back).expect("a reply");
        assert_eq!((received, from), (length, address));
    }
}

#[test]
fn without_buffers_datagrams_wait_and_none_is_lost() {
    // More than there are buffers, and fewer than a socket of the default size holds.
    const COUNT: usize = 160;
    let Some(mut ring) = ring() else { return };
    let (door, address) = door();
    ring.receive(&door, Telling::Sender, DOOR).expect("room");
    let client = UdpSocket::bind("127.0.0.1:0").expect("client");
    for number in 0..COUNT {
        client.send_to(&number.to_be_bytes(), address).expect("send");
    }
    let (mut next, mut exhausted) = (0, 0);
    while next < COUNT {
        let mut buffers = Vec::new();
        for completion in completions(&mut ring, 1) {
            if !completion.more {
                exhausted += u32::from(completion.result == Err(Errno::NOBUFS));
                ring.receive(&door, Telling::Sender, DOOR).expect("room");
            }
            let (Ok(length), Some(buffer)) = (completion.result, completion.buffer) else {
                continue;
            };
            let place = ring.received(buffer, length, Telling::Sender).expect("a datagram");
            assert_eq!(ring.bytes()[place.bytes], next.to_be_bytes(), "in order");
            next += 1;
            buffers.push(buffer);
        }
        ring.enter(Duration::ZERO);
        ring.give_back(&mut buffers);
    }
    assert!(
        exhausted > 0,
        "there are fewer datagrams than buffers: nothing was tried"
    );
}

#[test]
fn only_a_message_that_does_not_go_is_told_of() {
    let Some(mut ring) = ring() else { return };
    let (door, _) = door();
    let client = UdpSocket::bind("127.0.0.1:0").expect("client");
    let to = client.local_addr().expect("address");
    // Three of one size leave as one; a broadcast is forbidden without asking for it.
    let good = reply(to, &[0..10, 10..20, 20..25], Some(10));
    let bad = reply(
        "255.255.255.255:9".parse().expect("address"),
        std::slice::from_ref(&(0..10)),
        None,
    );
    for sent in [&good, &bad, &good] {
        ring.send(&door, sent, |number| SENT + u64::from(number)).expect("room");
    }
    let told = completions(&mut ring, 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].word, SENT + 1);
    assert_eq!(told[0].result, Err(Errno::ACCESS));
    assert_eq!(ring.sent(1), Some(&bad));
    let mut bytes = [0; 100];
    for length in [10, 10, 5, 10, 10, 5] {
        assert_eq!(client.recv(&mut bytes).expect("a datagram"), length);
    }
}

#[test]
fn a_cancelled_receive_says_its_last_word() {
    let Some(mut ring) = ring() else { return };
    let (door, _) = door();
    ring.receive(&door, Telling::Control, DOOR).expect("room");
    ring.cancel(DOOR).expect("room");
    let told = completions(&mut ring, 1);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].word, told[0].more), (DOOR, false));
    assert_eq!(told[0].result, Err(Errno::CANCELED));
}

#[test]
fn what_does_not_fit_is_refused_until_the_ring_is_entered() {
    let Some(mut ring) = ring() else { return };
    let (door, _) = door();
    let client = UdpSocket::bind("127.0.0.1:0").expect("client");
    let sent = reply(
        client.local_addr().expect("address"),
        std::slice::from_ref(&(0..1)),
        None,
    );
    let mut count = 0;
    while ring.send(&door, &sent, |number| SENT + u64::from(number)).is_ok() {
        count += 1;
        assert!(count <= SUBMISSIONS, "the queue has a bound");
    }
    assert_eq!(count, SUBMISSIONS);
    ring.enter(Duration::ZERO);
    ring.clear();
    ring.send(&door, &sent, |number| SENT + u64::from(number))
        .expect("room again");
}

/// Two ends of a connection, the first of which does not wait.
fn connection() -> (OwnedFd, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
    let far = std::net::TcpStream::connect(listener.local_addr().expect("address")).expect("connect");
    let (near, _) = listener.accept().expect("accept");
    near.set_nonblocking(true).expect("a mode");
    (near.into(), far)
}

#[test]
fn a_connection_is_received_until_its_end_and_answered_in_silence() {
    use std::io::{Read, Write};
    let Some(mut ring) = ring() else { return };
    let (near, mut far) = connection();
    ring.receive_stream(&near, DOOR).expect("room");
    for length in [1, 64, 4095, 4096] {
        far.write_all(&vec![b'x'; length]).expect("write");
        let [completion] = completions(&mut ring, 1)[..] else {
            panic!("one message, one completion")
        };
        let (buffer, received) = (completion.buffer.expect("buffer"), completion.result.expect("bytes"));
        assert!(completion.more);
        assert_eq!(received as usize, length);
        assert_eq!(received == Ring::MESSAGE_BYTES, length == 4096);
        ring.send_stream(&near, buffer, received, SENT).expect("room");
        ring.enter(Duration::ZERO);
        ring.give_back_streams(&mut vec![buffer]);
        let mut back = vec![0; length];
        far.read_exact(&mut back).expect("an answer");
        assert_eq!(back, vec![b'x'; length]);
    }
    drop(far);
    let [end] = completions(&mut ring, 1)[..] else {
        panic!("one end")
    };
    assert_eq!((end.word, end.result, end.more), (DOOR, Ok(0), false));
}

#[test]
fn a_send_that_finds_too_little_room_tells_how_much_has_left() {
    use std::io::{Read, Write};
    let Some(mut ring) = ring() else { return };
    let (near, mut far) = connection();
    ring.receive_stream(&near, DOOR).expect("room");
    far.write_all(&[b'x'; 4096]).expect("write");
    let [completion] = completions(&mut ring, 1)[..] else {
        panic!("one completion")
    };
    let buffer = completion.buffer.expect("buffer");
    let (mut sent, mut told) = (0, Vec::new());
    while told.is_empty() {
        ring.send_stream(&near, buffer, 4096, SENT).expect("room");
        ring.enter(Duration::ZERO);
        ring.reap(&mut told);
        sent += if told.is_empty() { 4096 } else { 0 };
    }
    assert_eq!((told[0].word, told[0].more), (SENT, false));
    match told[0].result {
        Ok(part) => {
            assert!(part < 4096, "{told:?}");
            sent += u64::from(part);
        }
        Err(errno) => assert_eq!(errno, Errno::AGAIN),
    }
    ring.cancel(DOOR).expect("room");
    let [last] = completions(&mut ring, 1)[..] else {
        panic!("the last word")
    };
    assert_eq!(last.result, Err(Errno::CANCELED));
    drop(near);
    let mut arrived = Vec::new();
    far.read_to_end(&mut arrived).expect("to the end");
    assert_eq!(arrived.len() as u64, sent);
}
