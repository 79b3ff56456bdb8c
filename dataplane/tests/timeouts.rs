//! Each limit that a policy sets ends its session with its own reason, in the metrics and in the access log.

#[path = "bed/bed.rs"]
mod bed;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bed::endpoint::{Blackhole, Connections, Endpoint};
use bed::plans::{self, Share};
use bed::recorder::kept;
use bed::watched::Watched;
use bed::{DRIVERS, End, PATIENCE, dial, read_exactly, read_to_end};
use guideway_dataplane::{Config, Driver};
use guideway_model::plan::{BackendSettings, ClientSettings};
use rustix::net::sockopt;

const SHORT: Duration = Duration::from_millis(100);

/// A data plane with one listener and these policies.
fn node(driver: Driver, share: Share, client: &ClientSettings, backend: &BackendSettings) -> Watched {
    node_with(driver, share, client, backend, |_| {})
}

fn node_with(
    driver: Driver,
    share: Share,
    client: &ClientSettings,
    backend: &BackendSettings,
    change: impl FnOnce(&mut Config),
) -> Watched {
    Watched::with_listener(driver, change, |key| {
        plans::listener_with(key, Some(&[share]), client, backend)
    })
}

/// Waits for the reason in the access log and in the metrics, where it must be the only one.
fn expect_reason(watched: &Watched, reason: &str) {
    assert_eq!(watched.line(1)["reason"], reason);
    expect_counted(watched, reason, 1.0);
}

fn expect_counted(watched: &Watched, reason: &str, count: f64) {
    let part = format!("listener=port-{},", watched.port.number());
    bed::eventually("the reason in the metrics", || {
        let closed: Vec<(String, f64)> = kept()
            .values(&part)
            .into_iter()
            .filter(|(name, _)| name.starts_with("sessions_closed_total"))
            .collect();
        match closed.as_slice() {
            [(name, value)] if name.contains(&format!("reason={reason}}}")) && *value == count => Ok(()),
            _ => Err(format!("{closed:?}")),
        }
    });
}

/// Reads and writes until the stream is reset.
fn expect_reset(stream: &TcpStream) {
    assert_eq!(read_to_end(stream).1, End::Reset);
}

#[test]
fn an_endpoint_has_its_own_connect_timeout() {
    for driver in DRIVERS {
        let blackhole = Blackhole::open();
        let backend = BackendSettings {
            connect_timeout: Some(SHORT),
            ..BackendSettings::default()
        };
        let watched = node(driver, blackhole.share(), &ClientSettings::default(), &backend);
        let started = Instant::now();
        expect_reset(&watched.dial());
        assert!(started.elapsed() >= SHORT);
        assert_eq!(watched.line(1)["connect_errno"], 110);
        expect_reason(&watched, "connect_failed");
    }
}

#[test]
fn the_first_answer_is_waited_for_only_so_long_after_the_first_question() {
    for driver in DRIVERS {
        // Answers a dot with a dot, and nothing else with nothing.
        let endpoint = Endpoint::serve(|mut stream| {
            let mut byte = [0];
            while let Ok(1) = stream.read(&mut byte) {
                if byte == *b"." && stream.write_all(b".").is_err() {
                    return;
                }
            }
        });
        let backend = BackendSettings {
            first_byte_timeout: Some(5 * SHORT),
            ..BackendSettings::default()
        };
        let watched = node(driver, endpoint.share(), &ClientSettings::default(), &backend);
        let (quiet, mut answered, mut unanswered) = (watched.dial(), watched.dial(), watched.dial());
        answered.write_all(b".").expect("write");
        read_exactly(&answered, 1);
        answered.write_all(b"?").expect("write");
        let started = Instant::now();
        unanswered.write_all(b"?").expect("write");
        expect_reset(&unanswered);
        assert!(started.elapsed() >= 5 * SHORT);
        expect_reason(&watched, "first_byte_timeout");
        // Who had an answer before, or has asked nothing, is left alone.
        for mut client in [answered, quiet] {
            client.write_all(b".").expect("write");
            read_exactly(&client, 1);
        }
    }
}

#[test]
fn the_idle_timeout_is_the_endpoints_or_else_the_listeners() {
    for driver in DRIVERS {
        let hour = Some(Duration::from_secs(3600));
        for (of_listener, of_endpoint) in [(Some(SHORT), None), (hour, Some(SHORT))] {
            let client = ClientSettings {
                tcp_idle_timeout: of_listener,
                ..ClientSettings::default()
            };
            let backend = BackendSettings {
                tcp_idle_timeout: of_endpoint,
                ..BackendSettings::default()
            };
            let endpoint = Endpoint::echo();
            let watched = node(driver, endpoint.share(), &client, &backend);
            let started = Instant::now();
            expect_reset(&watched.dial());
            assert!(started.elapsed() >= SHORT);
            expect_reason(&watched, "idle_timeout");
        }
    }
}

fn handing_over(
    driver: Driver,
    client: &ClientSettings,
    backend: &BackendSettings,
    pipes: usize,
) -> (Watched, Endpoint, Connections) {
    let (endpoint, connections) = Endpoint::handing_over();
    let watched = node_with(driver, endpoint.share(), client, backend, |config| {
        config.max_pipes = pipes
    });
    (watched, endpoint, connections)
}

/// Writes until the stream is lost; gives how long that took.
fn flood(mut stream: &TcpStream) -> Duration {
    let started = Instant::now();
    let chunk = vec![7; 1 << 20];
    while stream.write_all(&chunk).is_ok() {}
    started.elapsed()
}

#[test]
fn a_side_that_takes_nothing_stalls_spliced_or_copied() {
    for driver in DRIVERS {
        for pipes in [8, 0] {
            for to_client in [true, false] {
                let backend = BackendSettings {
                    write_stall_timeout: Some(2 * SHORT),
                    ..BackendSettings::default()
                };
                let (watched, _endpoint, connections) =
                    handing_over(driver, &ClientSettings::default(), &backend, pipes);
                let client = watched.dial();
                let server = connections.next();
                let (reads_not, floods) = if to_client {
                    (&client, &server)
                } else {
                    (&server, &client)
                };
                assert!(flood(floods) >= 2 * SHORT);
                expect_reason(&watched, "write_stall");
                expect_reset(reads_not);
            }
        }
    }
}

#[test]
fn a_receiver_that_reads_is_not_stalled_however_long_the_transfer() {
    for driver in DRIVERS {
        let patience = 10 * SHORT;
        let backend = BackendSettings {
            write_stall_timeout: Some(patience),
            ..BackendSettings::default()
        };
        let floods = Endpoint::serve(|stream| {
            flood(&stream);
        });
        let watched = node(driver, floods.share(), &ClientSettings::default(), &backend);
        // Nothing is queued in an idle session, so it does not stall either.
        let echoes = Endpoint::echo();
        let idle = node(driver, echoes.share(), &ClientSettings::default(), &backend);
        let mut quiet = idle.dial();
        let client = watched.dial();
        let started = Instant::now();
        while started.elapsed() < 3 * patience {
            read_exactly(&client, 1 << 16);
        }
        quiet.write_all(b"still here").expect("write");
        assert_eq!(read_exactly(&quiet, 10), b"still here");
    }
}

#[test]
fn no_session_becomes_older_than_the_longest_duration() {
    for driver in DRIVERS {
        let client = ClientSettings {
            max_connection_duration: Some(2 * SHORT),
            ..ClientSettings::default()
        };
        let busy = Endpoint::echo();
        let watched = node(driver, busy.share(), &client, &BackendSettings::default());
        let started = Instant::now();
        let mut talks = watched.dial();
        while talks.write_all(b"x").and_then(|()| talks.read_exact(&mut [0])).is_ok() {}
        assert!(started.elapsed() >= 2 * SHORT);
        expect_reason(&watched, "max_duration");

        let silent = Blackhole::open();
        let watched = node(driver, silent.share(), &client, &BackendSettings::default());
        expect_reset(&watched.dial());
        expect_reason(&watched, "max_duration");
    }
}

#[test]
fn a_user_timeout_ends_the_side_it_is_set_for() {
    for driver in DRIVERS {
        for to_client in [true, false] {
            let (mut client, mut backend) = (ClientSettings::default(), BackendSettings::default());
            if to_client {
                client.user_timeout = Some(SHORT);
            } else {
                backend.user_timeout = Some(SHORT);
            }
            let (watched, _endpoint, connections) = handing_over(driver, &client, &backend, 0);
            let client = watched.dial();
            let server = connections.next();
            assert!(flood(if to_client { &server } else { &client }) >= SHORT);
            expect_reason(&watched, if to_client { "client_rst" } else { "backend_rst" });
        }
    }
}

/// What clients inherit from listening sockets follows the plan, back to the kernel's own too.
#[test]
fn a_user_timeout_comes_and_goes_with_the_plan() {
    for driver in DRIVERS {
        let (watched, endpoint, connections) =
            handing_over(driver, &ClientSettings::default(), &BackendSettings::default(), 0);
        let impatient = ClientSettings {
            user_timeout: Some(SHORT),
            ..ClientSettings::default()
        };
        let activate = |generation, client: &ClientSettings| {
            let (key, shares) = (watched.port.loopback_key(), [endpoint.share()]);
            let listener = plans::listener_with(key, Some(&shares), client, &BackendSettings::default());
            watched.bed.activate(plans::plan(generation, &[listener]));
        };
        activate(2, &impatient);
        let client = watched.dial();
        flood(&connections.next());
        expect_reason(&watched, "client_rst");
        drop(client);
        activate(3, &ClientSettings::default());
        let client = watched.dial();
        let mut server = connections.next();
        server.set_write_timeout(Some(10 * SHORT)).expect("timeout");
        let chunk = vec![7; 1 << 20];
        let stuck = std::iter::repeat_with(|| server.write_all(&chunk)).find_map(Result::err);
        let kind = stuck.map(|error| error.kind());
        assert_eq!(
            kind,
            Some(std::io::ErrorKind::WouldBlock),
            "the writer waits and is not cut off"
        );
        drop(client);
    }
}

#[test]
fn a_new_policy_is_for_new_sessions() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let watched = node(
            driver,
            endpoint.share(),
            &ClientSettings::default(),
            &BackendSettings::default(),
        );
        let mut old = watched.dial();
        old.write_all(b"1").expect("write");
        read_exactly(&old, 1);
        let impatient = ClientSettings {
            tcp_idle_timeout: Some(SHORT),
            ..ClientSettings::default()
        };
        let listener = plans::listener_with(
            watched.port.loopback_key(),
            Some(&[endpoint.share()]),
            &impatient,
            &BackendSettings::default(),
        );
        watched.bed.activate(plans::plan(2, &[listener]));
        expect_reset(&watched.dial());
        expect_reason(&watched, "idle_timeout");
        old.write_all(b"2").expect("write");
        assert_eq!(read_exactly(&old, 1), b"2");
    }
}

/// A client that sends keepalive probes after a second, the least there is.
fn dial_alive(address: SocketAddr) -> TcpStream {
    let stream = dial(address);
    sockopt::set_tcp_keepidle(&stream, Duration::from_secs(1)).expect("TCP_KEEPIDLE");
    sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(1)).expect("TCP_KEEPINTVL");
    sockopt::set_socket_keepalive(&stream, true).expect("SO_KEEPALIVE");
    stream
}

#[test]
fn an_idle_close_of_a_client_that_sends_keepalive_probes_is_counted() {
    for driver in DRIVERS {
        let client = ClientSettings {
            tcp_idle_timeout: Some(Duration::from_secs(4)),
            ..ClientSettings::default()
        };
        let endpoint = Endpoint::echo();
        let start = || node(driver, endpoint.share(), &client, &BackendSettings::default());
        let (alive, silent) = (start(), start());
        let mut clients = [dial_alive(alive.port.address()), dial(silent.port.address())];
        for client in &mut clients {
            client.write_all(b"x").expect("write");
            read_exactly(client, 1);
        }
        for client in &clients {
            client.set_read_timeout(Some(2 * PATIENCE)).expect("timeout");
            expect_reset(client);
        }
        for (watched, expected) in [(&alive, 1), (&silent, 0)] {
            expect_reason(watched, "idle_timeout");
            let part = format!("listener=port-{},", watched.port.number());
            let names = kept().values(&part);
            let counted = names
                .iter()
                .filter(|(name, value)| name.starts_with("idle_closes_alive_total") && **value == 1.0);
            assert_eq!(counted.count(), expected, "{names:?}");
        }
    }
}
