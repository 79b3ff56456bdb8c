//! TLS that ends at the node.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

use guideway_dataplane::Driver;
use guideway_model::plan::TlsHandling;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, SupportedProtocolVersion};

use crate::bed::endpoint::{Connections, Endpoint};
use crate::bed::tls::{self, Authority, Client, Identity, TlsBed, VERSIONS, listener, route, say_goodbye, terminate};
use crate::bed::{DRIVERS, End, config, pattern, plans, read_exactly, read_to_end, reset};

/// A port whose TLS ends here with this certificate, and the endpoint behind.
fn ending_here(driver: Driver, identity: &Identity) -> (TlsBed, Endpoint, Connections) {
    let (endpoint, connections) = Endpoint::handing_over();
    let handling = terminate(&[identity.secret("test/one", "1")]);
    let route = route("", &[endpoint.share()], None);
    let bed = TlsBed::start(config(driver), &[listener("", handling, &[route])]);
    (bed, endpoint, connections)
}

/// Versions that a client offers, and the one that is agreed on.
const OFFERS: [(&[&SupportedProtocolVersion], ProtocolVersion); 2] = [
    (&[&TLS13, &TLS12], ProtocolVersion::TLSv1_3),
    (&[&TLS12], ProtocolVersion::TLSv1_2),
];

#[test]
fn both_versions_with_hybrid_key_exchange_in_the_newer() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, connections) = ending_here(driver, &authority.identity(&["a.test"]));
        for (versions, agreed) in OFFERS {
            let mut client = bed.connect("a.test", &authority.client(versions)).expect("handshake");
            assert_eq!(client.conn.protocol_version(), Some(agreed));
            let group = client.conn.negotiated_key_exchange_group().map(|group| group.name());
            if agreed == ProtocolVersion::TLSv1_3 {
                assert_eq!(group, Some(NamedGroup::X25519MLKEM768));
            }
            client.write_all(b"question").expect("write");
            let mut server = connections.next();
            assert_eq!(read_exactly(&server, 8), b"question");
            server.write_all(b"answer").expect("write");
            assert_eq!(tls::read_exactly(&mut client, 6), b"answer");
        }
    }
}

#[test]
fn words_of_the_endpoint_come_first_and_early_words_of_the_client_wait() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, connections) = ending_here(driver, &authority.identity(&["a.test"]));
        for (versions, _) in OFFERS {
            // Written before the handshake: they go out with its last flight.
            let socket = bed.dial();
            let name = "a.test".try_into().expect("name");
            let connection = rustls::ClientConnection::new(authority.client(versions), name).expect("connection");
            let mut client = rustls::StreamOwned::new(connection, socket);
            let early = pattern(5, 15_000);
            client.conn.writer().write_all(&early).expect("memory");
            client.flush().expect("handshake");
            let mut server = connections.next();
            assert_eq!(read_exactly(&server, early.len()), early);
            server.write_all(b"welcome").expect("write");
            assert_eq!(tls::read_exactly(&mut client, 7), b"welcome");
        }
    }
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, connections) = ending_here(driver, &authority.identity(&["a.test"]));
        for (versions, _) in OFFERS {
            let trust = authority.client(versions);
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let mut client = bed.connect("a.test", &trust).expect("handshake");
                assert_eq!(client.conn.handshake_kind(), Some(kind), "{versions:?}");
                // Tickets come with the first bytes.
                connections.next().write_all(b"x").expect("write");
                tls::read_exactly(&mut client, 1);
            }
        }
    }
}

#[test]
fn a_rotated_certificate_is_for_new_sessions() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (old, new) = (authority.identity(&["a.test"]), authority.identity(&["a.test"]));
        let listeners = |identity: &Identity, version: &str| {
            let route = route("", &[endpoint.share()], None);
            [listener(
                "",
                terminate(&[identity.secret("test/one", version)]),
                &[route],
            )]
        };
        let bed = TlsBed::start(config(driver), &listeners(&old, "1"));
        let mut before = bed.connect("a.test", &trust).expect("handshake");
        assert_eq!(before.conn.peer_certificates(), Some(&old.chain[..]));
        bed.activate(2, &listeners(&new, "2"));
        let after = bed.connect("a.test", &authority.client(&VERSIONS)).expect("handshake");
        assert_eq!(after.conn.peer_certificates(), Some(&new.chain[..]));
        before.write_all(b"still here").expect("write");
        assert_eq!(tls::read_exactly(&mut before, 10), b"still here");
    }
}

#[test]
fn the_certificate_is_chosen_by_name() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let identities = [&["default.test"][..], &["*.wild.test"], &["a.wild.test", "a.test"]]
            .map(|names| authority.identity(names));
        let secrets: Vec<_> = (0..)
            .zip(&identities)
            .map(|(place, identity)| identity.secret(&format!("test/{place}"), "1"))
            .collect();
        let route = route("", &[endpoint.share()], None);
        let bed = TlsBed::start(config(driver), &[listener("", terminate(&secrets), &[route])]);
        for (name, place) in [
            ("default.test", 0),
            ("b.wild.test", 1),
            ("a.wild.test", 2),
            ("a.test", 2),
        ] {
            let client = bed.connect(name, &trust).expect("handshake");
            assert_eq!(
                client.conn.peer_certificates(),
                Some(&identities[place].chain[..]),
                "{name}"
            );
        }
        // Shown the default, which is not what it asked for.
        let error = bed.connect("other.test", &trust).expect_err("wrong name");
        assert!(error.to_string().contains("not valid for name"), "{error}");
    }
}

#[test]
fn several_ways_on_one_port() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let (here, there) = (authority.identity(&["here.test"]), authority.identity(&["there.test"]));
        let plain = Endpoint::named("plain");
        let secure = there.echo("there");
        let listeners = [
            listener(
                "here.test",
                terminate(&[here.secret("test/here", "1")]),
                &[route("here.test", &[plain.share()], None)],
            ),
            listener(
                "there.test",
                TlsHandling::Passthrough,
                &[route("there.test", &[secure.share()], None)],
            ),
        ];
        let bed = TlsBed::start(config(driver), &listeners);
        for (name, identity, word) in [("here.test", &here, b"plain"), ("there.test", &there, b"there")] {
            let mut client = bed.connect(name, &trust).expect("handshake");
            assert_eq!(client.conn.peer_certificates(), Some(&identity.chain[..]));
            assert_eq!(tls::read_exactly(&mut client, 5), word);
        }
    }
}

#[test]
fn without_a_certificate_that_is_fit_handshakes_are_refused() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let mut broken =
            guideway_model::plan::Certificate::clone(&authority.identity(&["a.test"]).secret("test/x", "1"));
        broken.key = b"nothing".to_vec();
        let endpoint = Endpoint::echo();
        let route = route("", &[endpoint.share()], None);
        let bed = TlsBed::start(
            config(driver),
            &[listener("", terminate(&[Arc::new(broken)]), &[route])],
        );
        let error = bed
            .connect("a.test", &authority.client(&VERSIONS))
            .expect_err("refused");
        assert!(error.to_string().contains("HandshakeFailure"), "{error}");
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn handshakes_that_fail_on_the_way() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, _connections) = ending_here(driver, &authority.identity(&["a.test"]));
        // The client does not trust the authority.
        assert!(bed.connect("a.test", &Authority::new().client(&VERSIONS)).is_err());
        bed.bed.wait_sessions(0);
        // Half a handshake, then an end, a reset, or nonsense.
        let hello = tls::client_hello("a.test", &authority.client(&VERSIONS));
        for end in [0, 1, 2] {
            let mut client = bed.dial();
            client.write_all(&hello).expect("write");
            read_exactly(&client, 100);
            match end {
                0 => client.shutdown(Shutdown::Write).expect("shutdown"),
                1 => reset(client),
                _ => client.write_all(&[23, 3, 3, 0, 40].repeat(10)).expect("write"),
            }
            bed.bed.wait_sessions(0);
        }
    }
}

#[test]
fn the_end_of_either_side_is_passed_on_and_the_other_way_goes_on() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, connections) = ending_here(driver, &authority.identity(&["a.test"]));
        for (versions, _) in OFFERS {
            let trust = authority.client(versions);
            let pair = || {
                let client = bed.connect("a.test", &trust).expect("handshake");
                (client, connections.next())
            };
            // close_notify becomes FIN; the socket of the client stays open.
            let (mut client, mut server) = pair();
            client.write_all(b"last words").expect("write");
            say_goodbye(&mut client.conn, &mut client.sock);
            assert_eq!(read_to_end(&server), (b"last words".to_vec(), End::Fin));
            let answer = pattern(7, 200_000);
            server.write_all(&answer).expect("write");
            assert_eq!(tls::read_exactly(&mut client, answer.len()), answer);
            drop(server);
            assert_eq!(client.read(&mut [0]).expect("close_notify"), 0);
            assert_eq!(client.sock.read(&mut [0]).expect("FIN"), 0);

            // FIN becomes close_notify.
            let (mut client, mut server) = pair();
            server.write_all(b"bye").expect("write");
            server.shutdown(Shutdown::Write).expect("shutdown");
            let mut bytes = Vec::new();
            client.read_to_end(&mut bytes).expect("close_notify");
            assert_eq!(bytes, b"bye");
            client.write_all(b"more").expect("write");
            say_goodbye(&mut client.conn, &mut client.sock);
            assert_eq!(read_to_end(&server), (b"more".to_vec(), End::Fin));
            bed.bed.wait_sessions(0);
        }
    }
}

#[test]
fn a_fin_without_close_notify_is_no_end() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, connections) = ending_here(driver, &authority.identity(&["a.test"]));
        let mut client = bed.connect("a.test", &authority.client(&VERSIONS)).expect("handshake");
        let server = connections.next();
        client.write_all(b"cut").expect("write");
        read_exactly(&server, 3);
        client.sock.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(read_to_end(&server), (Vec::new(), End::Reset));
        bed.bed.wait_sessions(0);
        // A reset of the endpoint reaches the client as one.
        let client = bed.connect("a.test", &authority.client(&VERSIONS)).expect("handshake");
        reset(connections.next());
        assert_eq!(read_to_end(&client.sock).1, End::Reset);
    }
}

#[test]
fn a_slow_client_gets_everything_and_the_end() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (bed, _endpoint, connections) = ending_here(driver, &authority.identity(&["a.test"]));
        for length in [100_000, 400_000, 3_000_000] {
            let mut client = bed.connect("a.test", &authority.client(&VERSIONS)).expect("handshake");
            rustix::net::sockopt::set_socket_recv_buffer_size(&client.sock, 64 << 10).expect("SO_RCVBUF");
            let mut server = connections.next();
            let sent = pattern(9, length);
            say_goodbye(&mut client.conn, &mut client.sock);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    server.write_all(&sent).expect("write");
                    server.shutdown(Shutdown::Write).expect("shutdown");
                });
                wait_until_full(&client);
                let mut bytes = Vec::new();
                client.read_to_end(&mut bytes).expect("close_notify");
                assert!(bytes == sent, "{} bytes of {}", bytes.len(), sent.len());
            });
            bed.bed.wait_sessions(0);
        }
    }
}

/// Waits until the client's socket has been as full for many looks in a row.
fn wait_until_full(client: &Client) {
    let mut looks = 0;
    let mut queued = 0;
    while looks < 5000 {
        let now = rustix::io::ioctl_fionread(&client.sock).expect("FIONREAD");
        looks = if now == queued && now > 0 { looks + 1 } else { 0 };
        queued = now;
        std::thread::yield_now();
    }
}

#[test]
fn much_both_ways_at_once() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let handling = terminate(&[authority.identity(&["a.test"]).secret("test/one", "1")]);
        let route = route("", &[endpoint.share()], None);
        let bed = TlsBed::start(config(driver), &[listener("", handling, &[route])]);
        for (versions, _) in OFFERS {
            exchange(
                bed.connect("a.test", &authority.client(versions)).expect("handshake"),
                48 << 20,
            );
        }
        bed.bed.wait_sessions(0);
    }
}

/// Sends `length` bytes, receives them back meanwhile, and both ends.
pub(crate) fn exchange(mut client: Client, length: usize) {
    let sent = pattern(11, length);
    let mut sum = 0u64;
    let mut received = 0;
    let mut written = 0;
    let mut chunk = vec![0; 256 << 10];
    client.sock.set_nonblocking(true).expect("nonblocking");
    while received < length {
        if written < length {
            // rustls takes 64 KiB at a time while nothing goes out.
            written += client.conn.writer().write(&sent[written..]).expect("memory");
        }
        let mut moved = false;
        while client.conn.wants_write() {
            match client.conn.write_tls(&mut client.sock) {
                Ok(_) => moved = true,
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        match client.conn.read_tls(&mut client.sock) {
            Ok(bytes) => {
                assert!(bytes > 0, "ended after {received} bytes");
                moved = true;
                client.conn.process_new_packets().expect("TLS");
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
        while let Ok(bytes) = client.conn.reader().read(&mut chunk) {
            assert!(
                chunk[..bytes] == sent[received..received + bytes],
                "differs after {received} bytes"
            );
            sum = chunk[..bytes]
                .iter()
                .fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            received += bytes;
        }
        if !moved {
            std::thread::yield_now();
        }
    }
    let expected = sent
        .iter()
        .fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    assert_eq!(sum, expected);
    client.sock.set_nonblocking(false).expect("blocking");
    say_goodbye(&mut client.conn, &mut client.sock);
    assert_eq!(client.read(&mut chunk).expect("close_notify"), 0);
}

#[test]
fn no_endpoint_is_found_before_the_handshake_or_after_it() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let handling = terminate(&[authority.identity(&["a.test", "b.test"]).secret("test/one", "1")]);
        let down = plans::endpoint(plans::nobody());
        let routes = [route("a.test", &[], None), route("b.test", &[down], None)];
        let bed = TlsBed::start(config(driver), &[listener("", handling, &routes)]);
        assert!(bed.connect("a.test", &trust).is_err());
        if let Ok(client) = bed.connect("b.test", &trust) {
            assert_eq!(read_to_end(&client.sock).1, End::Reset);
        }
        bed.bed.wait_sessions(0);
    }
}
