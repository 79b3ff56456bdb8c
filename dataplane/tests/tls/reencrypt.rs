//! TLS that ends at the node and goes on to the endpoint in TLS of its own.

use std::io::{Read, Write};
use std::time::Duration;

use guideway_dataplane::Config;
use guideway_model::plan::BackendTls;

use super::terminate::exchange;
use crate::bed::endpoint::{Blackhole, Endpoint};
use crate::bed::tls::{self, Authority, Client, TlsBed, VERSIONS, listener, route, say_goodbye, terminate};
use crate::bed::{DRIVERS, End, config, plans, read_to_end};

/// A port whose TLS ends here, and goes on to these endpoints as the policy says.
fn onward(config: Config, front: &Authority, shares: &[plans::Share], policy: BackendTls) -> TlsBed {
    let handling = terminate(&[front.identity(&["a.test"]).secret("test/one", "1")]);
    TlsBed::start(config, &[listener("", handling, &[route("", shares, Some(policy))])])
}

/// Closed, whether before or after its own handshake was done.
fn expect_closed(outcome: std::io::Result<Client>) {
    if let Ok(client) = outcome {
        assert_eq!(read_to_end(&client.sock).1, End::Reset);
    }
}

#[test]
fn names_that_a_certificate_may_carry() {
    let (front, back) = (Authority::new(), Authority::new());
    let trust = front.client(&VERSIONS);
    let uri = "spiffe://cluster.test/ns/shop";
    let cases: [(&[&str], &[&str], bool); 9] = [
        (&["shop.inside.test"], &[], true),
        (&["*.inside.test"], &[], true),
        (&["outside.test"], &[], false),
        (&["shop.inside.test"], &["other.test"], false),
        (&["other.test"], &["nobody.test", "other.test"], true),
        (&["*.other.test"], &["*.other.test"], true),
        (&["x.test", uri], &[uri], true),
        (&["shop.inside.test", "spiffe://cluster.test/ns/other"], &[uri], false),
        (&["shop.inside.test"], &[uri], false),
    ];
    for driver in DRIVERS {
        for (carried, wanted, good) in cases {
            let endpoint = back.identity(carried).echo("verified");
            let policy = back.policy("shop.inside.test", wanted);
            let bed = onward(config(driver), &front, &[endpoint.share()], policy);
            let outcome = bed.connect("a.test", &trust);
            if good {
                let mut client = outcome.expect("handshake");
                assert_eq!(tls::read_exactly(&mut client, 8), b"verified", "{carried:?} {wanted:?}");
            } else {
                expect_closed(outcome);
                bed.bed.wait_sessions(0);
            }
        }
    }
}

#[test]
fn nothing_goes_out_that_is_not_verified() {
    let (front, back) = (Authority::new(), Authority::new());
    let trust = front.client(&VERSIONS);
    for driver in DRIVERS {
        let stranger = Authority::new().identity(&["inside.test"]).echo("stranger");
        let (plain, heard) = Endpoint::handing_over();
        for (share, policy) in [
            (stranger.share(), back.policy("inside.test", &[])),
            (plain.share(), back.policy("inside.test", &[])),
            (plain.share(), back.policy("no DNS name", &[])),
        ] {
            let bed = onward(config(driver), &front, &[share], policy);
            let outcome = bed.connect("a.test", &trust).and_then(|mut client| {
                client.write_all(b"secret")?;
                Ok(client)
            });
            if share == plain.share() {
                // It hears a ClientHello at most, and answers it with what is no TLS.
                let mut server = heard.next();
                server.write_all(b"220 mail.test ESMTP\r\n").ok();
                let (bytes, _) = read_to_end(&server);
                assert!(!bytes.windows(6).any(|bytes| bytes == b"secret"));
                assert!(bytes.is_empty() || bytes[0] == 22, "{bytes:?}");
            }
            if let Ok(client) = outcome {
                // rustls hides the error of the write that the reset failed, and a socket tells its error only once: what is
                // left to see may be a plain end.
                read_to_end(&client.sock);
            }
            bed.bed.wait_sessions(0);
        }
    }
}

#[test]
fn the_next_endpoint_is_tried_when_one_does_not_verify() {
    let (front, back) = (Authority::new(), Authority::new());
    let trust = front.client(&VERSIONS);
    for driver in DRIVERS {
        let stranger = Authority::new().identity(&["inside.test"]).echo("stranger");
        let friend = back.identity(&["inside.test"]).echo("friend");
        let silent = Blackhole::open();
        let shares = [stranger.share(), friend.share(), silent.share()];
        let quick = Config {
            connect_timeout: Duration::from_millis(500),
            ..config(driver)
        };
        let bed = onward(quick, &front, &shares, back.policy("inside.test", &[]));
        for _ in 0..6 {
            let mut client = bed.connect("a.test", &trust).expect("handshake");
            assert_eq!(tls::read_exactly(&mut client, 6), b"friend");
        }
    }
}

#[test]
fn an_endpoint_that_does_not_answer_in_tls_times_out() {
    let (front, back) = (Authority::new(), Authority::new());
    for driver in DRIVERS {
        let (mute, _connections) = Endpoint::handing_over();
        let quick = Config {
            connect_timeout: Duration::from_millis(100),
            ..config(driver)
        };
        let bed = onward(quick, &front, &[mute.share()], back.policy("inside.test", &[]));
        expect_closed(bed.connect("a.test", &front.client(&VERSIONS)));
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn ends_are_passed_on_both_ways() {
    let (front, back) = (Authority::new(), Authority::new());
    let trust = front.client(&VERSIONS);
    for driver in DRIVERS {
        // Says goodbye first, then tells what it heard until the client's goodbye.
        let endpoint = back.identity(&["inside.test"]).endpoint(|mut stream| {
            stream.write_all(b"bye").expect("write");
            say_goodbye(&mut stream.conn, &mut stream.sock);
            let mut heard = Vec::new();
            stream.read_to_end(&mut heard).expect("close_notify");
            assert_eq!(heard, b"so long");
        });
        let bed = onward(
            config(driver),
            &front,
            &[endpoint.share()],
            back.policy("inside.test", &[]),
        );
        let mut client = bed.connect("a.test", &trust).expect("handshake");
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).expect("close_notify");
        assert_eq!(bytes, b"bye");
        client.write_all(b"so long").expect("write");
        say_goodbye(&mut client.conn, &mut client.sock);
        bed.bed.wait_sessions(0);

        // The client first; an echo answers the end with the end.
        let endpoint = back.identity(&["inside.test"]).echo("");
        let bed = onward(
            config(driver),
            &front,
            &[endpoint.share()],
            back.policy("inside.test", &[]),
        );
        let mut client = bed.connect("a.test", &trust).expect("handshake");
        client.write_all(b"echo").expect("write");
        say_goodbye(&mut client.conn, &mut client.sock);
        let mut bytes = Vec::new();
        client.read_to_end(&mut bytes).expect("close_notify");
        assert_eq!(bytes, b"echo");
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn an_endpoint_that_is_cut_off_is_no_end_for_the_client() {
    let (front, back) = (Authority::new(), Authority::new());
    for driver in DRIVERS {
        let endpoint = back.identity(&["inside.test"]).endpoint(|mut stream| {
            stream.write_all(b"half").ok();
            stream.sock.shutdown(std::net::Shutdown::Write).ok();
            stream.sock.read_to_end(&mut Vec::new()).ok();
        });
        let bed = onward(
            config(driver),
            &front,
            &[endpoint.share()],
            back.policy("inside.test", &[]),
        );
        let client = bed.connect("a.test", &front.client(&VERSIONS)).expect("handshake");
        assert_eq!(read_to_end(&client.sock).1, End::Reset);
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn much_both_ways_at_once() {
    let (front, back) = (Authority::new(), Authority::new());
    for driver in DRIVERS {
        let endpoint = back.identity(&["inside.test"]).echo("");
        let bed = onward(
            config(driver),
            &front,
            &[endpoint.share()],
            back.policy("inside.test", &[]),
        );
        exchange(
            bed.connect("a.test", &front.client(&VERSIONS)).expect("handshake"),
            48 << 20,
        );
        bed.bed.wait_sessions(0);
    }
}
