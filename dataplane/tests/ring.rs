//! Which connections an io_uring carries, and when they come back.

#[path = "bed/bed.rs"]
mod bed;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bed::endpoint::Endpoint;
use bed::recorder::kept;
use bed::{Bed, End, config, dial, eventually, pattern, read_exactly, read_to_end, reset};
use guideway_dataplane::{Config, Driver};

/// The gauge is the process's: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    kept();
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn carried() -> f64 {
    let values = kept().values("ring_sessions");
    values.values().sum()
}

fn wait_carried(count: f64) {
    eventually(&format!("{count} sessions in the ring"), || match carried() {
        found if (found - count).abs() < 0.5 => Ok(()),
        found => Err(format!("{found} are")),
    });
}

fn ping(client: &TcpStream, server: &TcpStream) {
    for (mut from, to) in [(client, server), (server, client)] {
        from.write_all(b"message").expect("write");
        assert_eq!(read_exactly(to, 7), b"message");
    }
}

#[test]
fn a_session_comes_back_for_whatever_is_no_message() {
    let _alone = alone();
    let (endpoint, connections) = Endpoint::handing_over();
    let (bed, address) = Bed::with_pool(config(Driver::IoUring), &[endpoint.share()]);

    // It ends in order.
    let client = dial(address);
    let server = connections.next();
    ping(&client, &server);
    wait_carried(1.0);
    client.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(read_to_end(&server), (Vec::new(), End::Fin));
    wait_carried(0.0);
    (&server).write_all(b"last").expect("write");
    drop(server);
    assert_eq!(read_to_end(&client), (b"last".to_vec(), End::Fin));

    // It is reset.
    let client = dial(address);
    let server = connections.next();
    ping(&client, &server);
    wait_carried(1.0);
    reset(server);
    assert_eq!(read_to_end(&client), (Vec::new(), End::Reset));
    wait_carried(0.0);

    // Its receiver does not read; then it does.
    let mut client = dial(address);
    let server = connections.next();
    ping(&client, &server);
    wait_carried(1.0);
    let bytes = pattern(1, 32 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            client.write_all(&bytes).expect("write");
            client.shutdown(Shutdown::Write).expect("shutdown");
        });
        wait_carried(0.0);
        assert!(read_to_end(&server) == (pattern(1, 32 << 20), End::Fin));
    });
    drop((client, server));
    bed.wait_sessions(0);
}

#[test]
fn a_lonely_session_is_carried_by_system_calls_and_a_crowd_by_the_ring() {
    let _alone = alone();
    let (endpoint, connections) = Endpoint::handing_over();
    let settings = Config {
        ring_after: Config::default().ring_after,
        threads: NonZeroUsize::MIN,
        ..config(Driver::IoUring)
    };
    let (bed, address) = Bed::with_pool(settings, &[endpoint.share()]);
    let pair = || (dial(address), connections.next());
    let first = pair();
    for _ in 0..200 {
        ping(&first.0, &first.1);
    }
    wait_carried(0.0);
    let mut crowd: Vec<_> = (0..64).map(|_| pair()).collect();
    crowd.push(first);
    eventually("a crowd to be carried", || {
        for (mut client, _) in crowd.iter().map(|(client, server)| (client, server)) {
            client.write_all(b"message").expect("write");
        }
        for (_, server) in &crowd {
            assert_eq!(read_exactly(server, 7), b"message");
        }
        match carried() {
            0.0 => Err("none is"),
            _ => Ok(()),
        }
    });
    drop(crowd);
    bed.wait_sessions(0);
    wait_carried(0.0);
}

/// More sessions than the ring has room for operations or buffers, each with several messages under way.
#[test]
fn many_sessions_at_once_keep_their_bytes_in_order() {
    const SESSIONS: usize = 900;
    let _alone = alone();
    let endpoint = Endpoint::echo();
    let settings = Config {
        threads: NonZeroUsize::MIN,
        ..config(Driver::IoUring)
    };
    let (bed, address) = Bed::with_pool(settings, &[endpoint.share()]);
    let clients: Vec<TcpStream> = (0..SESSIONS).map(|_| dial(address)).collect();
    for (number, client) in clients.iter().enumerate() {
        let mut client = client;
        for piece in pattern(number as u64, 3000).chunks(300) {
            client.write_all(piece).expect("write");
        }
    }
    for (number, client) in clients.iter().enumerate() {
        assert!(
            read_exactly(client, 3000) == pattern(number as u64, 3000),
            "session {number}"
        );
    }
    drop(clients);
    bed.wait_sessions(0);
    wait_carried(0.0);
}

/// What ends a session from outside reaches those in the ring.
#[test]
fn a_data_plane_that_ends_resets_what_the_ring_carries() {
    let _alone = alone();
    let (endpoint, connections) = Endpoint::handing_over();
    let (bed, address) = Bed::with_pool(config(Driver::IoUring), &[endpoint.share()]);
    let sessions: Vec<_> = (0..20).map(|_| (dial(address), connections.next())).collect();
    for (client, server) in &sessions {
        ping(client, server);
    }
    wait_carried(20.0);
    bed.plane.shutdown(std::time::Duration::ZERO);
    for (client, server) in &sessions {
        assert_eq!(read_to_end(client), (Vec::new(), End::Reset));
        assert_eq!(read_to_end(server), (Vec::new(), End::Reset));
    }
    wait_carried(0.0);
}
