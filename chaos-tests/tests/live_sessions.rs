//! Promise: plan changes do not touch sessions whose endpoint stays: 50 changes leave an open session through each node
//! open, and a transfer of more than 1 GiB comes back with the checksum it was sent with.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, sync_channel};

use guideway_chaos_tests::traffic::{Answer, Session};
use guideway_chaos_tests::{Api, Cluster, Endpoint, manifest, wait};
use serde_json::Value;

const CHANGES: usize = 50;

/// What is sent while each change is made.
const PIECE_BYTES: usize = 20 << 20;

/// What is sent after the last change: just over 1 GiB in all.
const REST_BYTES: usize = (1 << 30) - CHANGES * PIECE_BYTES + 1;

#[test]
fn sessions_and_a_large_transfer_survive_fifty_plan_changes() {
    let cluster = Cluster::start();
    let addresses = cluster.addresses();
    let endpoints: Vec<Endpoint> = ["kept", "left", "right", "right"]
        .into_iter()
        .zip(0..)
        .map(|(label, number)| Endpoint::start(label, addresses.endpoint(number)))
        .collect();
    let (port, other_port) = (cluster.free_port(), cluster.free_port());
    assert_ne!(port, other_port, "two listeners need two ports");
    let setup = Setup {
        api: cluster.api(0),
        port,
        other_port,
        endpoints: endpoints.iter().map(Endpoint::address).collect(),
    };
    setup.create();
    cluster.wait_traffic(&[0, 1, 2], port, "the first endpoint", |answer| is(answer, "kept"));

    let open = |index: usize| {
        let session = Session::open(cluster.listener(index, port), addresses.client(1)).expect("a session opens");
        assert_eq!(session.label(), "kept", "only this endpoint has weight");
        session
    };
    let mut sessions: Vec<Session> = (0..3).map(open).collect();
    let stream = open(1).into_stream();
    let (send_piece, pieces) = sync_channel(CHANGES + 1);
    let transfer = std::thread::spawn(move || transfer(&stream, &pieces));
    for change in 0..CHANGES {
        send_piece.send(PIECE_BYTES).expect("the transfer goes on");
        let expected = setup.change(change);
        cluster.wait_traffic(&[0, 1, 2], port, expected, |answer| is(answer, expected));
        for (index, session) in sessions.iter_mut().enumerate() {
            session
                .echo(&format!("after change {change}"))
                .unwrap_or_else(|error| panic!("the session through node {index} after change {change}: {error}"));
        }
    }
    send_piece.send(REST_BYTES).expect("the transfer goes on");
    drop(send_piece);
    let (sent, received) = transfer.join().expect("the transfer ends well");
    assert!(sent.bytes > 1 << 30, "more than 1 GiB was sent: {sent:?}");
    assert_eq!(sent, received, "what came back is what was sent");
    cluster.assert_running(&[0, 1, 2]);
}

fn is(answer: &Answer, label: &str) -> bool {
    *answer == Answer::Label(label.to_owned())
}

/// One route over the Services `kept`, `left` and `right`, whose weights the changes turn.
struct Setup {
    api: Api,
    port: u16,
    other_port: u16,
    endpoints: Vec<SocketAddr>,
}

impl Setup {
    fn create(&self) {
        let gateway = manifest::gateway("live", &[("main", self.port)]);
        self.api.apply(&gateway);
        for (name, endpoint) in ["kept", "left", "right"].into_iter().zip(&self.endpoints) {
            self.api.apply_all(&manifest::service_with(name, 80, &[*endpoint]));
        }
        self.turn_to("kept");
        self.api.wait_condition(&gateway, "Programmed", "True");
    }

    /// Makes one of five kinds of change and returns who answers fresh connections after it.
    fn change(&self, number: usize) -> &'static str {
        match number % 5 {
            0 => self.turn_to("left"),
            1 => self.turn_to("right"),
            2 => self.api.apply_all(&[self.extra_slice()]),
            3 => self.api.delete(&self.extra_slice()),
            _ => self.turn_listener(number.is_multiple_of(2)),
        }
        if number.is_multiple_of(5) { "left" } else { "right" }
    }

    /// All weight to one Service; the others stay in the route with none.
    fn turn_to(&self, chosen: &str) {
        let weights = ["kept", "left", "right"].map(|name| (name, 80, u32::from(name == chosen)));
        self.api.apply(&manifest::tcp_route("live", "live", "main", &weights));
    }

    /// One more endpoint for the Service that answers now.
    fn extra_slice(&self) -> Value {
        manifest::slice("extra", "right", &[self.endpoints[3]])
    }

    fn turn_listener(&self, present: bool) {
        let mut listeners = vec![("main", self.port)];
        if present {
            listeners.push(("other", self.other_port));
        }
        self.api.apply(&manifest::gateway("live", &listeners));
    }
}

/// How much went one way, and its checksum.
#[derive(Debug, PartialEq, Eq)]
struct Sum {
    bytes: usize,
    crc32: u32,
}

/// Sends pieces of the sizes it receives through an echo and reads all back; ends the stream after the last piece.
fn transfer(stream: &TcpStream, pieces: &Receiver<usize>) -> (Sum, Sum) {
    // Between two pieces lies a change, which may take as long as any state.
    stream
        .set_read_timeout(Some(wait::DEADLINE * 2))
        .expect("a live socket");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read_to_end(stream));
        let sent = write_pieces(stream, pieces);
        stream.shutdown(Shutdown::Write).expect("a live socket");
        (sent, reader.join().expect("the echo comes back to its end"))
    })
}

fn write_pieces(mut stream: &TcpStream, pieces: &Receiver<usize>) -> Sum {
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = 0;
    let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut buffer = vec![0; 1 << 16];
    for piece in pieces {
        let mut left = piece;
        while left > 0 {
            // xorshift64: no two buffers are alike, so a swap or a loss shows in the checksum.
            for word in buffer.chunks_exact_mut(8) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                word.copy_from_slice(&random.to_le_bytes());
            }
            let part = &buffer[..left.min(buffer.len())];
            stream.write_all(part).expect("the session stays open");
            hasher.update(part);
            left -= part.len();
            bytes += part.len();
        }
    }
    Sum {
        bytes,
        crc32: hasher.finalize(),
    }
}

fn read_to_end(mut stream: &TcpStream) -> Sum {
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = stream.read(&mut buffer).expect("the session stays open");
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes += read;
    }
    Sum {
        bytes,
        crc32: hasher.finalize(),
    }
}
