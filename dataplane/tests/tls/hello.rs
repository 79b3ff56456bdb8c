//! ClientHellos that lead nowhere, and those that come slowly.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use guideway_dataplane::Config;
use guideway_model::plan::{ClientSettings, TlsHandling};

use crate::bed::endpoint::Endpoint;
use crate::bed::tls::{Authority, TlsBed, VERSIONS, client_hello, listener, route};
use crate::bed::{DRIVERS, End, config, read_exactly, read_to_end};

/// A port that knows `a.test` and nothing else.
fn only_a(config: Config, endpoint: &Endpoint) -> TlsBed {
    let route = route("a.test", &[endpoint.share()], None);
    TlsBed::start(config, &[listener("", TlsHandling::Passthrough, &[route])])
}

fn said(mut client: TcpStream, bytes: &[u8]) -> (Vec<u8>, End) {
    client.write_all(bytes).expect("write");
    read_to_end(&client)
}

#[test]
fn names_that_lead_nowhere_are_reset() {
    let trust = Authority::new().client(&VERSIONS);
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let bed = only_a(config(driver), &endpoint);
        for name in ["b.test", "x.a.test", "test", "192.0.2.1"] {
            let answer = said(bed.dial(), &client_hello(name, &trust));
            assert_eq!(answer, (Vec::new(), End::Reset), "{name}");
        }
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn a_name_in_upper_case_is_the_same_name() {
    let trust = Authority::new().client(&VERSIONS);
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let bed = only_a(config(driver), &endpoint);
        let mut hello = client_hello("a.test", &trust);
        let place = hello.windows(6).position(|bytes| bytes == b"a.test").expect("name");
        hello[place..place + 6].copy_from_slice(b"A.TeSt");
        let mut client = bed.dial();
        client.write_all(&hello).expect("write");
        assert_eq!(read_exactly(&connections.next(), hello.len()), hello);
    }
}

#[test]
fn what_is_no_hello_is_refused_at_once() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let bed = only_a(config(driver), &endpoint);
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"[..],
            &[0; 100],
            &[22, 3, 1, 0, 0],
        ] {
            let (bytes, _) = said(bed.dial(), garbage);
            assert!(bytes.is_empty() || bytes[0] == 21, "{garbage:?}: {bytes:?}");
        }
        // A handshake message of 16 MiB, of which more than 64 KiB come.
        let mut client = bed.dial();
        let record = [&[22, 3, 1, 0x40, 0][..], &[1, 255, 255, 255], &[0; 0x4000 - 4]].concat();
        let more = [&[22, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat();
        // It may be reset before all of it is written.
        client.write_all(&record).ok();
        for _ in 0..5 {
            client.write_all(&more).ok();
        }
        read_to_end(&client);
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn half_a_hello_and_a_fin_or_none_and_a_fin() {
    let trust = Authority::new().client(&VERSIONS);
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let bed = only_a(config(driver), &endpoint);
        for (length, end) in [(0, End::Fin), (100, End::Reset)] {
            let mut client = bed.dial();
            client
                .write_all(&client_hello("a.test", &trust)[..length])
                .expect("write");
            client.shutdown(Shutdown::Write).expect("shutdown");
            assert_eq!(read_to_end(&client), (Vec::new(), end));
        }
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn a_hello_that_drips_is_cut_off() {
    let trust = Authority::new().client(&VERSIONS);
    let hello = client_hello("a.test", &trust);
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let bed = only_a(
            Config {
                handshake_timeout: Duration::from_millis(200),
                ..config(driver)
            },
            &endpoint,
        );
        let silent = bed.dial();
        let mut drip = bed.dial();
        // Until it is cut off, each byte is late enough to be a segment of its own.
        for byte in &hello[..hello.len() - 1] {
            if drip.write_all(&[*byte]).is_err() || bed.bed.plane.figures().sessions == 0 {
                break;
            }
        }
        assert_eq!(read_to_end(&drip), (Vec::new(), End::Reset));
        assert_eq!(read_to_end(&silent), (Vec::new(), End::Reset));
        bed.bed.wait_sessions(0);
    }
}

#[test]
fn the_most_patient_listener_of_a_port_decides() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let mut listeners = vec![];
        for (name, timeout) in [("a.test", 100), ("b.test", 300)] {
            let route = route(name, &[endpoint.share()], None);
            let mut listener = listener(name, TlsHandling::Passthrough, &[route]);
            listener.settings = Arc::new(ClientSettings {
                handshake_timeout: Some(Duration::from_millis(timeout)),
                ..ClientSettings::default()
            });
            listeners.push(listener);
        }
        let bed = TlsBed::start(config(driver), &listeners);
        let began = std::time::Instant::now();
        assert_eq!(read_to_end(&bed.dial()), (Vec::new(), End::Reset));
        assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    }
}
