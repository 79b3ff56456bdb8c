//! Each event moves exactly its metrics and its fields of the access log.

#[path = "bed/bed.rs"]
mod bed;

use std::cell::Cell;
use std::io::Write;
use std::net::Shutdown;
use std::path::Path;
use std::time::Duration;

use bed::endpoint::{Blackhole, Connections, Endpoint};
use bed::plans::{self, Share};
use bed::watched::Watched;
use bed::{Bed, DRIVERS, config, eventually, read_exactly, read_to_end, reset};
use guideway_dataplane::{AccessLogTarget, Config, Driver};
use guideway_maglev::Target;

fn connected(driver: Driver, change: impl FnOnce(&mut Config)) -> (Watched, Endpoint, Connections) {
    let (endpoint, connections) = Endpoint::handing_over();
    let watched = Watched::start(driver, Some(&[endpoint.share()]), change);
    (watched, endpoint, connections)
}

const OPEN: [(&str, f64); 5] = [
    ("sessions_accepted_total{L}", 1.0),
    ("sessions_active{L}", 1.0),
    ("connect_duration_seconds{L}", 1.0),
    ("connect_attempts_total{E}", 1.0),
    ("local_ports_used{E}", 1.0),
];

/// What a session that was connected leaves behind when it ends for this reason.
fn ended(reason: &'static str, more: &[(&'static str, f64)]) -> Vec<(&'static str, f64)> {
    let mut expected = vec![
        ("sessions_accepted_total{L}", 1.0),
        (reason, 1.0),
        ("session_duration_seconds{L}", 1.0),
        ("connect_duration_seconds{L}", 1.0),
        ("connect_attempts_total{E}", 1.0),
    ];
    expected.extend_from_slice(more);
    expected
}

#[test]
fn an_open_session_with_bytes_and_its_orderly_ends() {
    for driver in DRIVERS {
        for client_first in [true, false] {
            let (watched, endpoint, connections) = connected(driver, |_| {});
            let mut client = watched.dial();
            let mut server = connections.next();
            watched.expect_metrics(Some(endpoint.address()), &OPEN);
            client.write_all(b"12345").expect("write");
            read_exactly(&server, 5);
            server.write_all(b"123").expect("write");
            read_exactly(&client, 3);
            let name = client.local_addr().expect("address");
            let source = server.peer_addr().expect("address");
            let (first, second) = if client_first {
                (client, server)
            } else {
                (server, client)
            };
            first.shutdown(Shutdown::Write).expect("shutdown");
            read_to_end(&second);
            drop((second, first));
            let bytes = [
                ("relayed_bytes_total{L,direction=to_endpoint}", 5.0),
                ("relayed_bytes_total{L,direction=to_client}", 3.0),
            ];
            let (metric, word) = if client_first {
                ("sessions_closed_total{L,reason=client_fin}", "client_fin")
            } else {
                ("sessions_closed_total{L,reason=backend_fin}", "backend_fin")
            };
            watched.expect_metrics(Some(endpoint.address()), &ended(metric, &bytes));
            let route = format!("test/route-{}", watched.port.number());
            watched.expect_close(
                name,
                Some(endpoint.address()),
                &[
                    ("reason", word.into()),
                    ("bytes_to_endpoint", 5.into()),
                    ("bytes_to_client", 3.into()),
                    ("source", source.to_string().into()),
                    ("route", route.into()),
                    ("tries", 1.into()),
                    ("connect_errno", serde_json::Value::Null),
                ],
            );
        }
    }
}

#[test]
fn resets_by_side() {
    for driver in DRIVERS {
        for (by_client, metric, word) in [
            (true, "sessions_closed_total{L,reason=client_rst}", "client_rst"),
            (false, "sessions_closed_total{L,reason=backend_rst}", "backend_rst"),
        ] {
            let (watched, endpoint, connections) = connected(driver, |_| {});
            let client = watched.dial();
            let server = connections.next();
            watched.expect_metrics(Some(endpoint.address()), &OPEN);
            let name = client.local_addr().expect("address");
            let source = server.peer_addr().expect("address");
            let (first, second) = if by_client { (client, server) } else { (server, client) };
            reset(first);
            read_to_end(&second);
            watched.expect_metrics(Some(endpoint.address()), &ended(metric, &[]));
            // Both 4-tuples are known after a reset too.
            let fields = [("reason", word.into()), ("source", source.to_string().into())];
            watched.expect_close(name, Some(endpoint.address()), &fields);
        }
    }
}

#[test]
fn an_idle_close() {
    for driver in DRIVERS {
        let (watched, endpoint, _connections) =
            connected(driver, |config| config.idle_timeout = Duration::from_millis(100));
        let client = watched.dial();
        read_to_end(&client);
        watched.expect_metrics(
            Some(endpoint.address()),
            &ended("sessions_closed_total{L,reason=idle_timeout}", &[]),
        );
        let name = client.local_addr().expect("address");
        watched.expect_close(name, Some(endpoint.address()), &[("reason", "idle_timeout".into())]);
    }
}

#[test]
fn a_shutdown() {
    for driver in DRIVERS {
        let (watched, endpoint, _connections) = connected(driver, |_| {});
        let client = watched.dial();
        watched.expect_metrics(Some(endpoint.address()), &OPEN);
        let Watched { bed, port, log } = watched;
        bed.plane.shutdown(Duration::ZERO);
        let watched = Watched {
            bed: Bed::start(config(driver)),
            port,
            log,
        };
        watched.expect_metrics(
            Some(endpoint.address()),
            &ended("sessions_closed_total{L,reason=node_shutdown}", &[]),
        );
        let name = client.local_addr().expect("address");
        watched.expect_close(name, Some(endpoint.address()), &[("reason", "node_shutdown".into())]);
    }
}

#[test]
fn a_refusal_and_a_timeout_of_the_only_endpoint() {
    for driver in DRIVERS {
        let blackhole = Blackhole::open();
        let refused = (
            plans::endpoint(plans::nobody()),
            "connect_failures_total{E,cause=refused}",
            111,
        );
        let silent = (blackhole.share(), "connect_failures_total{E,cause=timeout}", 110);
        for (share, metric, errno) in [refused, silent] {
            let watched = Watched::start(driver, Some(&[share]), |config| {
                config.connect_timeout = Duration::from_millis(100);
            });
            let client = watched.dial();
            read_to_end(&client);
            let Target::Endpoint(endpoint) = share.0 else {
                panic!("an endpoint")
            };
            watched.expect_metrics(
                Some(endpoint),
                &[
                    ("sessions_accepted_total{L}", 1.0),
                    ("sessions_closed_total{L,reason=connect_failed}", 1.0),
                    ("session_duration_seconds{L}", 1.0),
                    ("connect_attempts_total{E}", 1.0),
                    (metric, 1.0),
                ],
            );
            let fields = [
                ("reason", "connect_failed".into()),
                ("connect_errno", errno.into()),
                ("tries", 1.into()),
                ("source", serde_json::Value::Null),
            ];
            watched.expect_close(client.local_addr().expect("address"), Some(endpoint), &fields);
        }
    }
}

#[test]
fn a_redispatch() {
    for driver in DRIVERS {
        let dead = plans::nobody();
        let (endpoint, connections) = Endpoint::handing_over();
        // Weight makes the dead endpoint the first choice of nearly every client.
        let shares = [
            (Target::Endpoint(dead), 1_000),
            (Target::Endpoint(endpoint.address()), 1),
        ];
        let watched = Watched::start(driver, Some(&shares), |_| {});
        let client = watched.dial();
        let name = client.local_addr().expect("address");
        drop(client);
        read_to_end(&connections.next());
        let line = watched.line(1);
        let tries = line["tries"].as_u64().expect("tries");
        assert_eq!(line["reason"], "client_fin");
        if tries == 2 {
            watched.expect_metrics(
                Some(endpoint.address()),
                &[
                    ("sessions_accepted_total{L}", 1.0),
                    ("sessions_closed_total{L,reason=client_fin}", 1.0),
                    ("session_duration_seconds{L}", 1.0),
                    ("connect_duration_seconds{L}", 1.0),
                    ("connect_attempts_total{E}", 1.0),
                    ("redispatches_total{L}", 1.0),
                    (
                        &format!(
                            "connect_attempts_total{{route=test/route-{},endpoint={dead}}}",
                            watched.port.number()
                        ),
                        1.0,
                    ),
                    (
                        &format!(
                            "connect_failures_total{{route=test/route-{},endpoint={dead},cause=refused}}",
                            watched.port.number()
                        ),
                        1.0,
                    ),
                ],
            );
            watched.expect_close(
                name,
                Some(endpoint.address()),
                &[("tries", 2.into()), ("connect_errno", 111.into())],
            );
        } else {
            assert_eq!(tries, 1, "one client in a thousand goes to the living endpoint at once");
        }
    }
}

#[test]
fn a_session_that_has_nowhere_to_go() {
    for driver in DRIVERS {
        let cases: [(Option<&[Share]>, &str, &str); 3] = [
            (None, "sessions_closed_total{L,reason=no_route}", "no_route"),
            (Some(&[]), "sessions_closed_total{L,reason=no_endpoint}", "no_endpoint"),
            (
                Some(&[(Target::Reject(0), 1)]),
                "sessions_closed_total{L,reason=rejected_share}",
                "rejected_share",
            ),
        ];
        for (shares, metric, word) in cases {
            let watched = Watched::start(driver, shares, |_| {});
            let client = watched.dial();
            read_to_end(&client);
            let expected = [
                ("sessions_accepted_total{L}", 1.0),
                (metric, 1.0),
                ("session_duration_seconds{L}", 1.0),
            ];
            watched.expect_metrics(None, &expected);
            let fields = [("reason", word.into()), ("tries", 0.into())];
            watched.expect_close(client.local_addr().expect("address"), None, &fields);
        }
    }
}

#[test]
fn a_log_that_is_moved_away_or_deleted_is_opened_anew() {
    for driver in DRIVERS {
        let folder = tempfile::tempdir().expect("folder");
        let (path, moved) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let endpoint = Endpoint::echo();
        let watched = Watched::start(driver, Some(&[endpoint.share()]), |config| {
            config.access_log.target = AccessLogTarget::File(path.clone());
        });
        let lines = |path: &Path| std::fs::read_to_string(path).unwrap_or_default().lines().count();
        let sessions = Cell::new(0);
        // Sessions come and go until one of them shows in the file.
        let until_written = |path: &Path| {
            eventually("a line in the log", || {
                drop(watched.dial());
                sessions.set(sessions.get() + 1);
                if lines(path) > 0 { Ok(()) } else { Err("no line") }
            });
        };
        until_written(&path);
        std::fs::rename(&path, &moved).expect("rename");
        until_written(&path);
        eventually("no line to be lost", || {
            let found = lines(&path) + lines(&moved);
            if found == sessions.get() { Ok(()) } else { Err(found) }
        });
        std::fs::remove_file(&path).expect("remove");
        until_written(&path);
    }
}

#[test]
fn open_lines_come_before_close_lines() {
    for driver in DRIVERS {
        let (watched, endpoint, connections) = connected(driver, |config| config.access_log.open_lines = true);
        let client = watched.dial();
        let server = connections.next();
        let line = watched.line(1);
        assert_eq!(line["event"], "open");
        assert_eq!(line["client"], client.local_addr().expect("address").to_string());
        assert_eq!(line["source"], server.peer_addr().expect("address").to_string());
        assert_eq!(line["endpoint"], endpoint.address().to_string());
        assert!(line.get("reason").is_none() && line.get("bytes_to_client").is_none());
        drop((client, server));
        assert_eq!(watched.line(2)["event"], "close");
    }
}
