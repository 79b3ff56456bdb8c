//! How sessions end: FIN and RST from either side, in every state, and the ends that the node makes.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use crate::bed::endpoint::{Blackhole, Endpoint};
use crate::bed::{
    Bed, DRIVERS, End, config, dial, eventually, pattern, read_exactly, read_to_end, reset, reset_on_close,
};

#[test]
fn the_client_ends_first_and_still_gets_its_answer() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let mut client = dial(address);
        client.write_all(b"question").expect("write");
        client.shutdown(Shutdown::Write).expect("shutdown");
        let mut server = connections.next();
        assert_eq!(read_to_end(&server), (b"question".to_vec(), End::Fin));
        server.write_all(b"answer").expect("write");
        drop(server);
        assert_eq!(read_to_end(&client), (b"answer".to_vec(), End::Fin));
        bed.wait_sessions(0);
    }
}

#[test]
fn the_backend_ends_first_and_still_gets_what_the_client_sends() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let mut client = dial(address);
        let mut server = connections.next();
        server.write_all(b"greeting").expect("write");
        server.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(read_to_end(&client), (b"greeting".to_vec(), End::Fin));
        let upload = pattern(1, 3 << 20);
        client.write_all(&upload).expect("write");
        drop(client);
        assert!(read_to_end(&server) == (upload, End::Fin));
        drop(server);
        bed.wait_sessions(0);
    }
}

#[test]
fn a_session_without_a_byte_ends_in_order() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let client = dial(address);
        let server = connections.next();
        drop(client);
        assert_eq!(read_to_end(&server), (Vec::new(), End::Fin));
        drop(server);
        bed.wait_sessions(0);
    }
}

#[test]
fn a_reset_is_passed_on_as_a_reset_either_way() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let mut client = dial(address);
        client.write_all(b"x").expect("write");
        let server = connections.next();
        read_exactly(&server, 1);
        reset(client);
        assert_eq!(read_to_end(&server), (Vec::new(), End::Reset));

        let client = dial(address);
        reset(connections.next());
        assert_eq!(read_to_end(&client), (Vec::new(), End::Reset));
        bed.wait_sessions(0);
    }
}

#[test]
fn bytes_before_a_reset_arrive_before_the_reset() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        for _ in 0..50 {
            let client = dial(address);
            let mut server = connections.next();
            server.write_all(b"last words").expect("write");
            reset(server);
            assert_eq!(read_to_end(&client), (b"last words".to_vec(), End::Reset));
        }
        bed.wait_sessions(0);
    }
}

#[test]
fn a_reset_after_a_half_close_is_passed_on() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let client = dial(address);
        let server = connections.next();
        client.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(read_to_end(&server), (Vec::new(), End::Fin));
        reset(client);
        eventually("the reset to reach the backend", || {
            (&server).write_all(b"?").is_err().then_some(()).ok_or("no reset")
        });

        let client = dial(address);
        let server = connections.next();
        server.shutdown(Shutdown::Write).expect("shutdown");
        assert_eq!(read_to_end(&client), (Vec::new(), End::Fin));
        reset(server);
        eventually("the reset to reach the client", || {
            (&client).write_all(b"?").is_err().then_some(()).ok_or("no reset")
        });
        bed.wait_sessions(0);
    }
}

#[test]
fn a_reset_while_the_other_side_does_not_read_ends_the_session() {
    for driver in DRIVERS {
        for pipes in [0, 8] {
            let (endpoint, connections) = Endpoint::handing_over();
            let (bed, address) = Bed::with_pool(
                guideway_dataplane::Config {
                    max_pipes: pipes,
                    ..config(driver)
                },
                &[endpoint.share()],
            );
            // The client floods a backend that reads nothing, until nothing more fits; then it resets.
            let client = dial(address);
            let server = connections.next();
            fill(&client);
            reset(client);
            bed.wait_sessions(0);
            let (_, end) = read_to_end(&server);
            assert_eq!(end, End::Reset);

            let client = dial(address);
            let server = connections.next();
            fill(&server);
            reset(server);
            bed.wait_sessions(0);
            let (_, end) = read_to_end(&client);
            assert_eq!(end, End::Reset);
        }
    }
}

/// Writes until the whole way to the other end is full.
fn fill(mut stream: &std::net::TcpStream) {
    stream
        .set_write_timeout(Some(Duration::from_millis(200)))
        .expect("timeout");
    let chunk = pattern(2, 1 << 20);
    while stream.write(&chunk).is_ok() {}
}

#[test]
fn a_client_that_resets_while_its_endpoint_is_dialed_is_gone() {
    for driver in DRIVERS {
        let blackhole = Blackhole::open();
        let (bed, address) = Bed::with_pool(config(driver), &[blackhole.share()]);
        let client = dial(address);
        bed.wait_sessions(1);
        reset(client);
        bed.wait_sessions(0);
    }
}

#[test]
fn an_idle_session_is_reset_and_a_busy_one_is_not() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let idle_timeout = Duration::from_millis(400);
        let config = guideway_dataplane::Config {
            idle_timeout,
            ..config(driver)
        };
        let (bed, address) = Bed::with_pool(config, &[endpoint.share()]);
        let mut busy = dial(address);
        let idle = dial(address);
        bed.wait_sessions(2);
        idle.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
        let mut probe = [0];
        let started = std::time::Instant::now();
        loop {
            busy.write_all(b"x").expect("busy session lives");
            read_exactly(&busy, 1);
            match (&idle).peek_once(&mut probe) {
                Some(End::Reset) => break,
                Some(End::Fin) => panic!("an idle close must not look like an orderly end"),
                None => assert!(
                    started.elapsed() < crate::bed::PATIENCE / 2,
                    "the idle session lives on"
                ),
            }
        }
        assert!(started.elapsed() >= Duration::from_millis(300));
        busy.write_all(b"y").expect("busy session lives");
        assert_eq!(read_exactly(&busy, 1), b"y");
        bed.wait_sessions(1);
    }
}

/// Looks for an end without waiting long.
trait PeekOnce {
    fn peek_once(self, probe: &mut [u8]) -> Option<End>;
}

impl PeekOnce for &&std::net::TcpStream {
    fn peek_once(self, probe: &mut [u8]) -> Option<End> {
        match self.peek(probe) {
            Ok(0) => Some(End::Fin),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Some(End::Reset),
            Ok(_) | Err(_) => None,
        }
    }
}

#[test]
fn shutdown_waits_for_sessions_and_resets_those_that_stay() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let mut leaves = dial(address);
        let stays = dial(address);
        bed.wait_sessions(2);
        let plane = bed.plane;
        let (report, ()) = std::thread::scope(|scope| {
            let shutdown = scope.spawn(|| plane.shutdown(Duration::from_secs(2)));
            eventually("the listener to be closed", || {
                match std::net::TcpStream::connect(address) {
                    Err(_) => Ok(()),
                    Ok(stream) => {
                        reset_on_close(&stream);
                        Err("still accepts")
                    }
                }
            });
            leaves.write_all(b"works on").expect("write");
            assert_eq!(read_exactly(&leaves, 8), b"works on");
            drop(leaves);
            (shutdown.join().expect("report"), ())
        });
        assert_eq!(report.closed, 1);
        assert!(report.ended >= 1);
        assert_eq!(read_to_end(&stays), (Vec::new(), End::Reset));
    }
}

#[test]
fn shutdown_does_not_wait_longer_than_for_the_last_session() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        let client = dial(address);
        bed.wait_sessions(1);
        let started = std::time::Instant::now();
        let plane = bed.plane;
        let report = std::thread::scope(|scope| {
            let shutdown = scope.spawn(|| plane.shutdown(crate::bed::PATIENCE));
            drop(client);
            shutdown.join().expect("report")
        });
        assert_eq!(report.closed, 0);
        assert!(started.elapsed() < crate::bed::PATIENCE);
    }
}
