//! Each event on a TLS port moves exactly its metrics and its fields of the access log.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use guideway_dataplane::{Config, Driver};
use guideway_model::plan::{Certificate, TlsHandling, TlsListener};
use rustls::ClientConfig;
use rustls::version::TLS12;

use crate::bed::endpoint::Endpoint;
use crate::bed::recorder::kept;
use crate::bed::tls::{
    self, Authority, Client, TlsBed, VERSIONS, client_hello, listener, route, say_goodbye, terminate,
};
use crate::bed::watched::logged;
use crate::bed::{DRIVERS, eventually, plans, read_to_end};

/// A TLS port whose metrics and lines are its own: they carry the name of its test and driver.
struct Watched {
    bed: TlsBed,
    word: String,
    log: tempfile::NamedTempFile,
}

impl Watched {
    fn start(driver: Driver, word: &str, listeners: &[TlsListener], change: impl FnOnce(&mut Config)) -> Watched {
        let (config, log) = logged(driver, change);
        let mut listeners = listeners.to_vec();
        let word = format!("{word}-{}", driver.name());
        for listener in &mut listeners {
            listener.name.gateway = word.as_str().into();
        }
        Watched {
            bed: TlsBed::start(config, &listeners),
            word,
            log,
        }
    }

    /// Waits until exactly these metrics of the port's listeners are not zero. `{any` and `{a` stand for the labels of the
    /// port without a route, and of the route of `a.test`.
    fn expect_metrics(&self, expected: &[(&str, f64)]) {
        let word = &self.word;
        let labels = |route: &str| format!("{{namespace=test,gateway={word},listener=listener-,route={route}");
        let expected: BTreeMap<String, f64> = expected
            .iter()
            .map(|(name, value)| {
                let name = name
                    .replace("{any", &labels(""))
                    .replace("{a", &labels("test/route-a.test"));
                (name, *value)
            })
            .collect();
        eventually("the metrics", || {
            let values = kept().values(&format!("gateway={word},"));
            if values == expected {
                Ok(())
            } else {
                Err(format!("\n  have {values:#?}\n  want {expected:#?}"))
            }
        });
    }

    /// Waits for the line of the session, and compares fields.
    fn expect_line(&self, fields: &[(&str, serde_json::Value)]) {
        let line: serde_json::Value = eventually("an access log line", || {
            let text = std::fs::read_to_string(self.log.path()).expect("log");
            match text.lines().next() {
                Some(line) if text.ends_with('\n') => Ok(serde_json::from_str(line).expect("JSON")),
                Some(_) | None => Err("no line"),
            }
        });
        for (field, value) in fields {
            assert_eq!(
                line.get(field).unwrap_or(&serde_json::Value::Null),
                value,
                "{field} in {line:?}"
            );
        }
    }
}

fn offering(authority: &Authority, protocols: &[&str]) -> std::sync::Arc<ClientConfig> {
    let mut config = ClientConfig::clone(&authority.client(&VERSIONS));
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config.into()
}

#[test]
fn a_session_that_is_passed_through() {
    let authority = Authority::new();
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let routes = [route("a.test", &[endpoint.share()], None)];
        let listeners = [listener("", TlsHandling::Passthrough, &routes)];
        let watched = Watched::start(driver, "passed", &listeners, |_| {});
        let hello = client_hello("a.test", &offering(&authority, &["h2", "http/1.1"]));
        let mut client = watched.bed.dial();
        watched.expect_metrics(&[("sessions_active{any}", 1.0)]);
        client.write_all(&hello).expect("write");
        let server = connections.next();
        client.shutdown(Shutdown::Write).expect("shutdown");
        read_to_end(&server);
        drop((client, server));
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let length = hello.len() as f64;
        watched.expect_metrics(&[
            ("sessions_accepted_total{a}", 1.0),
            ("sessions_closed_total{a,reason=client_fin}", 1.0),
            ("session_duration_seconds{a}", 1.0),
            ("connect_duration_seconds{a}", 1.0),
            ("relayed_bytes_total{a,direction=to_endpoint}", length),
        ]);
        watched.expect_line(&[
            ("listener", format!("test/{}/listener-", watched.word).into()),
            ("route", "test/route-a.test".into()),
            ("sni", "a.test".into()),
            ("alpn", "h2,http/1.1".into()),
            ("tls_version", "1.3".into()),
            ("bytes_to_endpoint", hello.len().into()),
            ("reason", "client_fin".into()),
        ]);
    }
}

#[test]
fn greetings_that_fail() {
    let trust = Authority::new().client(&VERSIONS);
    let hello = |name: &str| client_hello(name, &trust);
    let cases: [(&str, Vec<u8>, bool, &str, serde_json::Value); 6] = [
        ("unnamed", hello("192.0.2.1"), false, "no_sni", serde_json::Value::Null),
        ("unmatched", hello("B.test"), false, "no_sni_match", "b.test".into()),
        (
            "garbage",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            false,
            "bad_hello",
            serde_json::Value::Null,
        ),
        (
            "short",
            hello("a.test")[..90].to_vec(),
            true,
            "bad_hello",
            serde_json::Value::Null,
        ),
        ("empty", Vec::new(), true, "client_fin", serde_json::Value::Null),
        ("silent", Vec::new(), false, "hello_timeout", serde_json::Value::Null),
    ];
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        for (word, bytes, ends, reason, sni) in &cases {
            let routes = [route("a.test", &[endpoint.share()], None)];
            let listeners = [listener("", TlsHandling::Passthrough, &routes)];
            let watched = Watched::start(driver, word, &listeners, |config| {
                if *reason == "hello_timeout" {
                    config.handshake_timeout = Duration::from_millis(50);
                }
            });
            let mut client = watched.bed.dial();
            client.write_all(bytes).expect("write");
            if *ends {
                client.shutdown(Shutdown::Write).expect("shutdown");
            }
            read_to_end(&client);
            watched.expect_metrics(&[
                ("sessions_accepted_total{any}", 1.0),
                (&format!("sessions_closed_total{{any,reason={reason}}}"), 1.0),
                ("session_duration_seconds{any}", 1.0),
            ]);
            watched.expect_line(&[
                ("reason", (*reason).into()),
                ("sni", sni.clone()),
                ("endpoint", serde_json::Value::Null),
                ("route", "".into()),
            ]);
        }
    }
}

#[test]
fn a_name_that_no_listener_has_counts_for_the_port() {
    let trust = Authority::new().client(&VERSIONS);
    for driver in DRIVERS {
        let listeners = ["a.test", "b.test"].map(|name| listener(name, TlsHandling::Passthrough, &[]));
        let watched = Watched::start(driver, "shared", &listeners, |_| {});
        for name in ["c.test", "b.test"] {
            let mut client = watched.bed.dial();
            client.write_all(&client_hello(name, &trust)).expect("write");
            read_to_end(&client);
        }
        let port = watched.bed.port.number();
        let values = [format!("*:{port}"), "listener-b.test".into()].map(|listener| {
            let labels = format!("namespace=test,gateway={},listener={listener},route=", watched.word);
            [
                (format!("sessions_accepted_total{{{labels}}}"), 1.0),
                (format!("sessions_closed_total{{{labels},reason=no_sni_match}}"), 1.0),
                (format!("session_duration_seconds{{{labels}}}"), 1.0),
            ]
        });
        let expected: BTreeMap<String, f64> = values.into_iter().flatten().collect();
        eventually("the metrics", || {
            let values = kept().values(&format!("gateway={},", watched.word));
            if values == expected {
                Ok(())
            } else {
                Err(format!("{values:#?}"))
            }
        });
    }
}

/// What a session leaves behind whose TLS ended here.
fn closed(reason: &'static str) -> Vec<(String, f64)> {
    [
        "sessions_accepted_total{a}".to_owned(),
        format!("sessions_closed_total{{a,reason={reason}}}"),
        "session_duration_seconds{a}".to_owned(),
    ]
    .map(|name| (name, 1.0))
    .into()
}

fn shaken(side: &'static str, outcome: &'static str) -> Vec<(String, f64)> {
    let mut values = vec![(format!("tls_handshakes_total{{a,side={side},outcome={outcome}}}"), 1.0)];
    if outcome == "ok" {
        values.push((format!("tls_handshake_duration_seconds{{a,side={side}}}"), 1.0));
    }
    values
}

fn expect(watched: &Watched, expected: &[Vec<(String, f64)>]) {
    let expected: Vec<(&str, f64)> = expected
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    watched.expect_metrics(&expected);
}

#[test]
fn handshakes_by_side_and_outcome() {
    let (front, back) = (Authority::new(), Authority::new());
    let secret = front.identity(&["a.test"]).secret("test/one", "1");
    let connected = vec![("connect_duration_seconds{a}".to_owned(), 1.0)];
    for driver in DRIVERS {
        let good = back.identity(&["inside.test"]).echo("");
        let stranger = Authority::new().identity(&["inside.test"]).echo("");
        let here = |share: plans::Share| {
            let routes = [route("a.test", &[share], Some(back.policy("inside.test", &[])))];
            [listener("", terminate(std::slice::from_ref(&secret)), &routes)]
        };
        let leave = |mut client: Client| {
            say_goodbye(&mut client.conn, &mut client.sock);
            read_to_end(&client.sock);
        };
        let watched = Watched::start(driver, "both_ok", &here(good.share()), |_| {});
        leave(
            watched
                .bed
                .connect("a.test", &front.client(&[&TLS12]))
                .expect("handshake"),
        );
        let handshakes = [shaken("client", "ok"), shaken("endpoint", "ok")].concat();
        expect(&watched, &[closed("client_fin"), connected.clone(), handshakes]);
        watched.expect_line(&[
            ("tls_version", "1.2".into()),
            ("sni", "a.test".into()),
            ("alpn", serde_json::Value::Null),
        ]);

        let watched = Watched::start(driver, "stranger", &here(stranger.share()), |_| {});
        drop(
            watched
                .bed
                .connect("a.test", &front.client(&VERSIONS))
                .map(|client| read_to_end(&client.sock)),
        );
        let handshakes = [shaken("client", "ok"), shaken("endpoint", "certificate")].concat();
        expect(&watched, &[closed("handshake_failed"), handshakes]);
        watched.expect_line(&[("connect_errno", serde_json::Value::Null), ("tries", 1.into())]);
        let failures = kept().values(&format!("endpoint={},cause=handshake_failed", stranger.address()));
        assert_eq!(failures.values().copied().collect::<Vec<_>>(), [1.0], "{failures:?}");

        // The client's side fails.
        let watched = Watched::start(driver, "distrust", &here(good.share()), |_| {});
        assert!(
            watched
                .bed
                .connect("a.test", &Authority::new().client(&[&TLS12]))
                .is_err()
        );
        expect(&watched, &[closed("handshake_failed"), shaken("client", "alert")]);

        let watched = Watched::start(driver, "slow", &here(good.share()), |config| {
            config.handshake_timeout = Duration::from_millis(100);
        });
        let mut client = watched.bed.dial();
        client
            .write_all(&client_hello("a.test", &front.client(&VERSIONS)))
            .expect("write");
        read_to_end(&client);
        expect(&watched, &[closed("hello_timeout"), shaken("client", "timeout")]);

        let mut unfit = Certificate::clone(&secret);
        unfit.chain.clear();
        let listeners = [listener(
            "",
            terminate(&[unfit.into()]),
            &[route("a.test", &[good.share()], None)],
        )];
        let watched = Watched::start(driver, "unfit", &listeners, |_| {});
        assert!(watched.bed.connect("a.test", &front.client(&VERSIONS)).is_err());
        expect(
            &watched,
            &[closed("handshake_failed"), shaken("client", "no_certificate")],
        );
    }
}

#[test]
fn bytes_inside_are_what_counts() {
    let front = Authority::new();
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let routes = [route("a.test", &[endpoint.share()], None)];
        let secret = front.identity(&["a.test"]).secret("test/one", "1");
        let watched = Watched::start(driver, "inside", &[listener("", terminate(&[secret]), &routes)], |_| {});
        let mut client = watched
            .bed
            .connect("a.test", &front.client(&VERSIONS))
            .expect("handshake");
        client.write_all(b"12345").expect("write");
        assert_eq!(tls::read_exactly(&mut client, 5), b"12345");
        say_goodbye(&mut client.conn, &mut client.sock);
        read_to_end(&client.sock);
        watched.expect_line(&[
            ("bytes_to_endpoint", 5.into()),
            ("bytes_to_client", 5.into()),
            ("reason", "client_fin".into()),
        ]);
    }
}
