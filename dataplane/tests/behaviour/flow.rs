//! How bytes flow: large and small, fast and slow, both ways at once.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use guideway_dataplane::Config;

use crate::bed::endpoint::Endpoint;
use crate::bed::{Bed, DRIVERS, End, config, dial, pattern, read_exactly, read_to_end};

/// Sends `up` and receives `down` at the same time, on both ends, and compares.
fn exchange(client: &TcpStream, server: &TcpStream, up: &[u8], down: &[u8]) {
    let send = |mut stream: &TcpStream, bytes: &[u8]| {
        stream.write_all(bytes).expect("write");
        stream.shutdown(Shutdown::Write).expect("shutdown");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| send(client, up));
        scope.spawn(|| send(server, down));
        let received = scope.spawn(|| read_to_end(server));
        let (bytes, end) = read_to_end(client);
        assert!(
            bytes == down && end == End::Fin,
            "the client got {} of {} bytes",
            bytes.len(),
            down.len()
        );
        let (bytes, end) = received.join().expect("server");
        assert!(
            bytes == up && end == End::Fin,
            "the backend got {} of {} bytes",
            bytes.len(),
            up.len()
        );
    });
}

#[test]
fn bulk_flows_both_ways_at_once_with_splice_without_and_with_too_few_pipes() {
    let (up, down) = (pattern(11, 48 << 20), pattern(12, 48 << 20));
    for driver in DRIVERS {
        for pipes in [64, 1, 0] {
            let (endpoint, connections) = Endpoint::handing_over();
            let (bed, address) = Bed::with_pool(
                Config {
                    max_pipes: pipes,
                    ..config(driver)
                },
                &[endpoint.share()],
            );
            let client = dial(address);
            let server = connections.next();
            exchange(&client, &server, &up, &down);
            drop((client, server));
            bed.wait_sessions(0);
        }
    }
}

#[test]
fn many_bulk_sessions_share_few_pipes_and_little_buffer() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let scarce = Config {
            max_pipes: 2,
            max_buffer_bytes: 1 << 20,
            ..config(driver)
        };
        let (bed, address) = Bed::with_pool(scarce, &[endpoint.share()]);
        std::thread::scope(|scope| {
            for seed in 1..=6 {
                let client = dial(address);
                let server = connections.next();
                scope.spawn(move || exchange(&client, &server, &pattern(seed, 6 << 20), &pattern(seed + 100, 6 << 20)));
            }
        });
        bed.wait_sessions(0);
    }
}

#[test]
fn a_slow_reader_gets_every_byte_and_holds_its_sender_back() {
    for driver in DRIVERS {
        for pipes in [64, 0] {
            let (endpoint, connections) = Endpoint::handing_over();
            let (bed, address) = Bed::with_pool(
                Config {
                    max_pipes: pipes,
                    ..config(driver)
                },
                &[endpoint.share()],
            );
            let mut client = dial(address);
            let mut server = connections.next();
            let bytes = pattern(3, 64 << 20);
            std::thread::scope(|scope| {
                let sent = scope.spawn(|| {
                    server.write_all(&bytes).expect("write");
                    server.shutdown(Shutdown::Write).expect("shutdown");
                });
                // The first bytes have arrived, no more are read: the sender must come to a halt before it is done.
                let mut received = read_exactly(&client, 1);
                assert!(
                    !sent.is_finished(),
                    "64 MiB were taken for a reader that has read one byte"
                );
                let mut chunk = [0; 10_007];
                while received.len() < bytes.len() / 8 {
                    let count = client.read(&mut chunk).expect("read");
                    received.extend_from_slice(&chunk[..count]);
                    std::thread::yield_now();
                }
                let (rest, end) = read_to_end(&client);
                received.extend_from_slice(&rest);
                assert!(received == bytes && end == End::Fin);
            });
            drop((client, server));
            bed.wait_sessions(0);
        }
    }
}

#[test]
fn byte_by_byte() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (_bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let mut client = dial(address);
        for byte in pattern(4, 2000) {
            client.write_all(&[byte]).expect("write");
            assert_eq!(read_exactly(&client, 1), [byte]);
        }
        for byte in pattern(5, 2000) {
            client.write_all(&[byte]).expect("write");
        }
        client.shutdown(Shutdown::Write).expect("shutdown");
        assert!(read_to_end(&client) == (pattern(5, 2000), End::Fin));
    }
}

#[test]
fn bursts_of_every_size_around_the_buffers() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (_bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let client = dial(address);
        for size in [
            1,
            4095,
            4096,
            65_535,
            65_536,
            65_537,
            262_143,
            262_144,
            262_145,
            1 << 20,
            3,
        ] {
            let bytes = pattern(size as u64, size);
            let echoed = std::thread::scope(|scope| {
                scope.spawn(|| (&client).write_all(&bytes).expect("write"));
                read_exactly(&client, size)
            });
            assert!(echoed == bytes, "{size} bytes");
        }
    }
}

/// Urgent data makes a receive stop short of what is there.
#[test]
fn urgent_data_loses_nothing_around_it() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        for round in 0..20 {
            let mut client = dial(address);
            let server = connections.next();
            let (before, after) = (pattern(round + 1, 3000), pattern(round + 2, 5000));
            client.write_all(&before).expect("write");
            rustix::net::send(&client, b"!", rustix::net::SendFlags::OOB).expect("urgent byte");
            client.write_all(&after).expect("write");
            client.shutdown(Shutdown::Write).expect("shutdown");
            let (received, end) = read_to_end(&server);
            let expected: Vec<u8> = before.iter().chain(&after).copied().collect();
            assert!(
                received == expected && end == End::Fin,
                "{} of {} bytes",
                received.len(),
                expected.len()
            );
        }
        bed.wait_sessions(0);
    }
}
