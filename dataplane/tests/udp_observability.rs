//! Each event of a UDP flow moves exactly its metrics and its fields of the access log.

#[path = "bed/bed.rs"]
mod bed;

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use bed::datagrams::{Gate, Nobody, Server, answers, ask, client, listener};
use bed::plans::{self, Share};
use bed::recorder::kept;
use bed::{Bed, DRIVERS, config, eventually};
use guideway_dataplane::{AccessLogConfig, AccessLogTarget, Config, Driver};
use guideway_maglev::Target;
use guideway_model::plan::{ClientSettings, UdpSettings};
use serde_json::{Value, json};

/// A data plane whose metrics and access log lines are its own: they carry its port.
struct Watched {
    bed: Bed,
    gate: Gate,
    log: tempfile::NamedTempFile,
}

impl Watched {
    fn start(driver: Driver, shares: Option<&[Share]>, client: &ClientSettings, udp: &UdpSettings) -> Watched {
        kept();
        let log = tempfile::NamedTempFile::new().expect("log");
        let bed = Bed::start(Config {
            access_log: AccessLogConfig {
                target: AccessLogTarget::File(log.path().into()),
                open_lines: false,
            },
            ..config(driver)
        });
        let gate = Gate::reserve();
        bed.activate(plans::plan(1, &[listener(gate.key(), shares, client, udp)]));
        bed.wait_bound();
        Watched { bed, gate, log }
    }

    fn with(driver: Driver, shares: &[Share], udp: &UdpSettings) -> Watched {
        Watched::start(driver, Some(shares), &ClientSettings::default(), udp)
    }

    /// Waits until exactly these values of this listener and its route are not zero. `{L}` stands for the labels of the
    /// listener, `{E}` for those of the endpoint.
    fn expect_metrics(&self, route: bool, endpoint: Option<SocketAddr>, expected: &[(&str, f64)]) {
        let port = self.gate.port();
        let route = if route {
            format!("test/route-{port}")
        } else {
            String::new()
        };
        let listener = format!("{{namespace=test,gateway=bed,listener=port-{port},route={route}");
        let endpoint = endpoint.map(|endpoint| format!("{{route={route},endpoint={endpoint}"));
        let expected: BTreeMap<String, f64> = expected
            .iter()
            .map(|(name, value)| {
                let name = name.replace("{E", endpoint.as_deref().unwrap_or("{E"));
                (name.replace("{L", &listener), *value)
            })
            .collect();
        eventually("the metrics", || {
            let values = kept().values(&format!("-{port},"));
            if values == expected {
                Ok(())
            } else {
                Err(format!("\n  have {values:#?}\n  want {expected:#?}"))
            }
        });
    }

    /// Waits for this many lines and gives the last.
    fn line(&self, count: usize) -> Value {
        eventually("an access log line", || {
            let text = std::fs::read_to_string(self.log.path()).expect("log");
            let lines: Vec<&str> = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).collect();
            match lines.last() {
                Some(line) if lines.len() == count => Ok(serde_json::from_str(line).expect("JSON")),
                Some(_) | None => Err(format!("{} lines", lines.len())),
            }
        })
    }

    fn expect_close(&self, client: &UdpSocket, endpoint: Option<SocketAddr>, fields: &[(&str, Value)]) {
        let line = self.line(1);
        let common = [
            ("event", json!("close")),
            ("protocol", json!("udp")),
            ("client", json!(client.local_addr().expect("address"))),
            ("local", json!(self.gate.address())),
            ("endpoint", json!(endpoint)),
        ];
        for (field, value) in common.iter().chain(fields) {
            assert_eq!(line[*field], *value, "{field} in {line:?}");
        }
        assert!(line["duration_ms"].is_u64(), "{line:?}");
    }
}

/// What a flow with these datagrams and bytes leaves behind when it ends for this reason.
fn ended<'a>(reason: &'a str, datagrams: [f64; 2], bytes: [f64; 2], more: &[(&'a str, f64)]) -> Vec<(&'a str, f64)> {
    let mut expected = vec![
        ("sessions_accepted_total{L}", 1.0),
        ("connect_attempts_total{E}", 1.0),
        (reason, 1.0),
        ("session_duration_seconds{L}", 1.0),
        ("datagrams_total{L,direction=to_endpoint}", datagrams[0]),
        ("relayed_bytes_total{L,direction=to_endpoint}", bytes[0]),
    ];
    if datagrams[1] > 0.0 {
        expected.push(("datagrams_total{L,direction=to_client}", datagrams[1]));
        expected.push(("relayed_bytes_total{L,direction=to_client}", bytes[1]));
    }
    expected.extend_from_slice(more);
    expected
}

#[test]
fn an_open_flow_and_its_idle_end() {
    for driver in DRIVERS {
        let server = Server::echo();
        let udp = UdpSettings {
            idle_timeout: Some(Duration::from_secs(2)),
            ..UdpSettings::default()
        };
        let watched = Watched::with(driver, &[server.share()], &udp);
        let client = client();
        for length in [5, 0, 7] {
            ask(&client, watched.gate.address(), &[1; 9][..length]);
        }
        watched.expect_metrics(
            true,
            Some(server.address()),
            &[
                ("sessions_accepted_total{L}", 1.0),
                ("sessions_active{L}", 1.0),
                ("connect_attempts_total{E}", 1.0),
                ("local_ports_used{E}", 1.0),
                ("datagrams_total{L,direction=to_endpoint}", 3.0),
                ("datagrams_total{L,direction=to_client}", 3.0),
                ("relayed_bytes_total{L,direction=to_endpoint}", 12.0),
                ("relayed_bytes_total{L,direction=to_client}", 12.0),
            ],
        );
        watched.bed.wait_sessions(0);
        let reason = "sessions_closed_total{L,reason=idle_timeout}";
        watched.expect_metrics(
            true,
            Some(server.address()),
            &ended(reason, [3.0, 3.0], [12.0, 12.0], &[]),
        );
        let fields = [
            ("reason", json!("idle_timeout")),
            ("datagrams_to_endpoint", json!(3)),
            ("datagrams_to_client", json!(3)),
            ("bytes_to_endpoint", json!(12)),
            ("bytes_to_client", json!(12)),
            ("tries", json!(1)),
            ("route", json!(format!("test/route-{}", watched.gate.port()))),
        ];
        watched.expect_close(&client, Some(server.address()), &fields);
        let source = watched.line(1)["source"].as_str().expect("source").to_owned();
        assert!(source.starts_with("127.0.0.1:"), "{source}");
    }
}

#[test]
fn the_last_expected_reply() {
    for driver in DRIVERS {
        let server = Server::echo();
        let udp = UdpSettings {
            expected_replies: Some(1),
            ..UdpSettings::default()
        };
        let watched = Watched::with(driver, &[server.share()], &udp);
        let client = client();
        ask(&client, watched.gate.address(), b"four");
        let reason = "sessions_closed_total{L,reason=replies_done}";
        watched.expect_metrics(true, Some(server.address()), &ended(reason, [1.0; 2], [4.0; 2], &[]));
        watched.expect_close(&client, Some(server.address()), &[("reason", json!("replies_done"))]);
    }
}

#[test]
fn the_end_of_a_listener_and_of_the_node() {
    for driver in DRIVERS {
        for (word, shuts_down) in [("listener_closed", false), ("node_shutdown", true)] {
            let server = Server::echo();
            let watched = Watched::with(driver, &[server.share()], &UdpSettings::default());
            let client = client();
            ask(&client, watched.gate.address(), b"four");
            let Watched { bed, gate, log } = watched;
            let bed = if shuts_down {
                bed.plane.shutdown(Duration::ZERO);
                Bed::start(config(driver))
            } else {
                bed.activate(plans::plan(2, &[]));
                bed
            };
            let watched = Watched { bed, gate, log };
            let reason = format!("sessions_closed_total{{L,reason={word}}}");
            watched.expect_metrics(true, Some(server.address()), &ended(&reason, [1.0; 2], [4.0; 2], &[]));
            watched.expect_close(&client, Some(server.address()), &[("reason", json!(word))]);
        }
    }
}

#[test]
fn refusals_and_the_choice_that_follows() {
    for driver in DRIVERS {
        let dead = Nobody::at();
        let live = Server::echo();
        let shares = [
            (Target::Endpoint(dead.address()), 100_000),
            (Target::Endpoint(live.address()), 1),
        ];
        let watched = Watched::with(driver, &shares, &UdpSettings::default());
        let client = client();
        assert_eq!((1..9).find(|_| answers(&client, watched.gate.address())), Some(4));
        let route = format!(
            "{{route=test/route-{},endpoint={}}}",
            watched.gate.port(),
            dead.address()
        );
        watched.expect_metrics(
            true,
            Some(live.address()),
            &[
                ("sessions_accepted_total{L}", 2.0),
                ("sessions_active{L}", 1.0),
                ("sessions_closed_total{L,reason=endpoint_gone}", 1.0),
                ("session_duration_seconds{L}", 1.0),
                ("redispatches_total{L}", 1.0),
                ("connect_attempts_total{E}", 1.0),
                (&format!("connect_attempts_total{route}"), 1.0),
                (&format!("icmp_errors_total{route}"), 3.0),
                ("local_ports_used{E}", 1.0),
                ("datagrams_total{L,direction=to_endpoint}", 4.0),
                ("datagrams_total{L,direction=to_client}", 1.0),
                ("relayed_bytes_total{L,direction=to_endpoint}", 4.0),
                ("relayed_bytes_total{L,direction=to_client}", 1.0),
            ],
        );
        let fields = [
            ("reason", json!("endpoint_gone")),
            ("datagrams_to_endpoint", json!(3)),
            ("datagrams_to_client", json!(0)),
        ];
        watched.expect_close(&client, Some(dead.address()), &fields);
    }
}

#[test]
fn datagrams_for_which_no_flow_is_opened() {
    for driver in DRIVERS {
        let server = Server::echo();
        let share = [server.share()];
        let none = ClientSettings {
            max_flows: Some(0),
            ..ClientSettings::default()
        };
        let cases: [(Option<&[Share]>, &ClientSettings, &str); 4] = [
            (None, &ClientSettings::default(), "no_route"),
            (Some(&[]), &ClientSettings::default(), "no_endpoint"),
            (
                Some(&[(Target::Reject(0), 1)]),
                &ClientSettings::default(),
                "rejected_share",
            ),
            (Some(&share), &none, "flow_limit"),
        ];
        for (shares, settings, word) in cases {
            let watched = Watched::start(driver, shares, settings, &UdpSettings::default());
            assert!(!answers(&client(), watched.gate.address()));
            let dropped = format!("datagrams_dropped_total{{L,reason={word}}}");
            watched.expect_metrics(shares.is_some(), None, &[(&dropped, 1.0)]);
            assert_eq!(watched.bed.plane.figures().sessions, 0);
        }
    }
}

#[test]
fn an_endpoint_that_cannot_be_reached_from_here() {
    for driver in DRIVERS {
        // The loopback cannot be left from its own address.
        let away: SocketAddr = "[2001:db8::1]:9".parse().expect("address");
        let watched = Watched::with(driver, &[plans::endpoint(away)], &UdpSettings::default());
        let client = client();
        // A machine with a way to that address opens a flow that no one answers.
        assert!(!answers(&client, watched.gate.address()));
        if watched.bed.plane.figures().flows == 0 {
            watched.expect_metrics(
                true,
                Some(away),
                &[
                    ("sessions_accepted_total{L}", 1.0),
                    ("sessions_closed_total{L,reason=connect_failed}", 1.0),
                    ("session_duration_seconds{L}", 1.0),
                    ("connect_attempts_total{E}", 1.0),
                    ("connect_failures_total{E,cause=unreachable}", 1.0),
                    ("datagrams_dropped_total{L,reason=connect_failed}", 1.0),
                ],
            );
            watched.expect_close(&client, None, &[("reason", json!("connect_failed"))]);
        }
    }
}

#[test]
fn datagrams_that_are_too_long_for_the_endpoints_family() {
    for driver in DRIVERS {
        let server = Server::echo();
        kept();
        let bed = Bed::start(config(driver));
        let v6 = "::1".parse().expect("address");
        let port = bed::datagrams::free_port(v6);
        let key = bed::datagrams::exactly(SocketAddr::new(v6, port));
        bed.activate(plans::plan(1, &[plans::listener(key, Some(&[server.share()]))]));
        bed.wait_bound();
        let client = bed::datagrams::client_on(v6);
        client
            .send_to(&vec![1; 65_527], SocketAddr::new(v6, port))
            .expect("send");
        let name = format!(
            "datagrams_dropped_total{{namespace=test,gateway=bed,listener=port-{port},route=test/route-{port},reason=too_long}}"
        );
        eventually("the drop to be counted", || {
            let values = kept().values(&format!("port-{port},"));
            if values.get(&name) == Some(&1.0) {
                Ok(())
            } else {
                Err(format!("{values:?}"))
            }
        });
    }
}

#[test]
fn the_flow_table_and_the_ports_have_gauges() {
    for driver in DRIVERS {
        let server = Server::echo();
        let watched = Watched::with(driver, &[server.share()], &UdpSettings::default());
        ask(&client(), watched.gate.address(), b"1");
        eventually("the gauges", || {
            let values = kept().values("");
            let used = values.get("flow_table_used{}").copied().unwrap_or_default();
            let ports = values
                .get("flow_ports_capacity{family=ipv4}")
                .copied()
                .unwrap_or_default();
            // Other tests of this process set the same gauges.
            if used >= 1.0 && values.get("flow_table_capacity{}") == Some(&4000.0) && ports > 1000.0 {
                Ok(())
            } else {
                Err(format!("{values:?}"))
            }
        });
    }
}
