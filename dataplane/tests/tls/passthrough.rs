//! TLS that ends at the endpoint.

use std::io::Write;
use std::net::Shutdown;

use guideway_maglev::Target;
use guideway_model::plan::TlsHandling;

use crate::bed::endpoint::Endpoint;
use crate::bed::tls::{self, Authority, TlsBed, VERSIONS, client_hello, listener, route};
use crate::bed::{DRIVERS, End, config, pattern, plans, read_exactly, read_to_end};

#[test]
fn each_name_reaches_its_endpoint_whose_certificate_the_client_sees() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let names = ["a.test", "b.test", "x.wild.test"];
        let words = ["endpoint a", "endpoint b", "endpoint w"];
        let identities = names.map(|name| authority.identity(&[name]));
        let endpoints = [0, 1, 2].map(|place: usize| identities[place].echo(words[place]));
        let routes = [("a.test", 0), ("b.test", 1), ("*.wild.test", 2)]
            .map(|(name, place): (&str, usize)| route(name, &[endpoints[place].share()], None));
        let bed = TlsBed::start(config(driver), &[listener("", TlsHandling::Passthrough, &routes)]);
        for place in [0, 1, 2] {
            let mut client = bed.connect(names[place], &trust).expect("handshake");
            assert_eq!(tls::read_exactly(&mut client, 10), words[place].as_bytes());
            assert_eq!(client.conn.peer_certificates(), Some(&identities[place].chain[..]));
            let sent = pattern(place as u64, 300_000);
            client.write_all(&sent[..]).expect("write");
            assert_eq!(tls::read_exactly(&mut client, sent.len()), sent);
        }
    }
}

#[test]
fn bytes_pass_untouched_however_they_are_cut() {
    let trust = Authority::new().client(&VERSIONS);
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let route = route("a.test", &[endpoint.share()], None);
        let bed = TlsBed::start(config(driver), &[listener("", TlsHandling::Passthrough, &[route])]);
        let hello = client_hello("a.test", &trust);
        assert!(hello.len() > 1200, "{} bytes hold no key share of ML-KEM", hello.len());
        for piece in [1, 100, hello.len()] {
            let mut client = bed.dial();
            for bytes in hello.chunks(piece) {
                client.write_all(bytes).expect("write");
            }
            let server = connections.next();
            assert_eq!(read_exactly(&server, hello.len()), hello);
            // The rest need not look like TLS.
            for (mut from, to, seed) in [(&client, &server, 1), (&server, &client, 2)] {
                let sent = pattern(seed, 10_000);
                from.write_all(&sent).expect("write");
                assert_eq!(read_exactly(to, sent.len()), sent);
            }
            client.shutdown(Shutdown::Write).expect("shutdown");
            assert_eq!(read_to_end(&server), (Vec::new(), End::Fin));
            drop(server);
            assert_eq!(read_to_end(&client), (Vec::new(), End::Fin));
        }
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn what_follows_the_hello_at_once_follows_it_to_the_endpoint() {
    let trust = Authority::new().client(&VERSIONS);
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let route = route("", &[endpoint.share()], None);
        let bed = TlsBed::start(config(driver), &[listener("", TlsHandling::Passthrough, &[route])]);
        let sent = [client_hello("a.test", &trust), pattern(3, 300_000)].concat();
        let mut client = bed.dial();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                client.write_all(&sent).expect("write");
                client.shutdown(Shutdown::Write).expect("shutdown");
            });
            let server = connections.next();
            assert_eq!(read_to_end(&server), (sent.clone(), End::Fin));
        });
    }
}

#[test]
fn rejects_want_of_endpoints_and_redispatch_are_as_everywhere() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let endpoint = authority.identity(&["a.test"]).echo("here");
        let mut shares = vec![plans::endpoint(plans::nobody()), plans::endpoint(plans::nobody())];
        shares.push(endpoint.share());
        let routes = [
            route("a.test", &shares, None),
            route("reject.test", &[(Target::Reject(0), 1)], None),
            route("empty.test", &[], None),
            route("down.test", &shares[..2], None),
        ];
        let bed = TlsBed::start(config(driver), &[listener("", TlsHandling::Passthrough, &routes)]);
        for _ in 0..10 {
            let mut client = bed.connect("a.test", &trust).expect("handshake");
            assert_eq!(tls::read_exactly(&mut client, 4), b"here");
        }
        for name in ["reject.test", "empty.test", "down.test"] {
            let mut client = bed.dial();
            client.write_all(&client_hello(name, &trust)).expect("write");
            assert_eq!(read_to_end(&client), (Vec::new(), End::Reset), "{name}");
        }
    }
}

#[test]
fn a_new_plan_takes_new_names_and_leaves_old_sessions() {
    let authority = Authority::new();
    let trust = authority.client(&VERSIONS);
    for driver in DRIVERS {
        let identity = authority.identity(&["a.test", "b.test"]);
        let (first, second) = (identity.echo("one"), identity.echo("two"));
        let listeners = |name: &str, endpoint: &Endpoint| {
            let route = route(name, &[endpoint.share()], None);
            [listener("", TlsHandling::Passthrough, &[route])]
        };
        let bed = TlsBed::start(config(driver), &listeners("a.test", &first));
        let mut old = bed.connect("a.test", &trust).expect("handshake");
        assert_eq!(tls::read_exactly(&mut old, 3), b"one");
        bed.activate(2, &listeners("b.test", &second));
        assert!(bed.connect("a.test", &trust).is_err());
        let mut new = bed.connect("b.test", &trust).expect("handshake");
        assert_eq!(tls::read_exactly(&mut new, 3), b"two");
        old.write_all(b"still").expect("write");
        assert_eq!(tls::read_exactly(&mut old, 5), b"still");
    }
}
