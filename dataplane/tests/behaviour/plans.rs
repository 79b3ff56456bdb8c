//! Plans that come and go under live sessions.

use std::io::Write;
use std::net::Shutdown;

use crate::bed::endpoint::Endpoint;
use crate::bed::{Bed, DRIVERS, End, Port, config, dial, eventually, pattern, plans, read_exactly, read_to_end};

#[test]
fn fifty_plans_do_not_touch_a_live_session_or_its_transfer() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let others = [Endpoint::named("a"), Endpoint::named("b")];
        let bed = Bed::start(config(driver));
        let port = Port::reserve();
        let listener = |shares: &[plans::Share]| plans::listener(port.loopback_key(), Some(shares));
        bed.activate(plans::plan(1, &[listener(&[endpoint.share()])]));
        bed.wait_bound();
        let client = dial(port.address());
        let mut server = connections.next();
        let bytes = pattern(9, 128 << 20);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                server.write_all(&bytes).expect("write");
                server.shutdown(Shutdown::Write).expect("shutdown");
            });
            let received = scope.spawn(|| read_to_end(&client));
            for generation in 2..=51 {
                let other = &others[usize::try_from(generation % 2).expect("index")];
                bed.activate(plans::plan(generation, &[listener(&[endpoint.share(), other.share()])]));
            }
            let (received, end) = received.join().expect("received");
            assert!(received == bytes && end == End::Fin);
        });
        (&client).write_all(b"still here").expect("write");
        assert_eq!(read_exactly(&server, 10), b"still here");
        assert_eq!(bed.plane.figures().generation, 51);
    }
}

#[test]
fn new_sessions_follow_the_new_plan_and_old_ones_stay() {
    for driver in DRIVERS {
        let (old, connections) = Endpoint::handing_over();
        let new = Endpoint::named("new");
        let bed = Bed::start(config(driver));
        let port = Port::reserve();
        bed.activate(plans::plan(
            1,
            &[plans::listener(port.loopback_key(), Some(&[old.share()]))],
        ));
        bed.wait_bound();
        let client = dial(port.address());
        let mut server = connections.next();
        bed.activate(plans::plan(
            2,
            &[plans::listener(port.loopback_key(), Some(&[new.share()]))],
        ));
        for _ in 0..20 {
            assert_eq!(read_exactly(&dial(port.address()), 3), b"new");
        }
        server.write_all(b"old").expect("write");
        assert_eq!(read_exactly(&client, 3), b"old");
    }
}

#[test]
fn a_removed_listener_closes_and_its_sessions_live_on() {
    for driver in DRIVERS {
        let endpoint = Endpoint::echo();
        let bed = Bed::start(config(driver));
        let (gone, stays) = (Port::reserve(), Port::reserve());
        let listener = |port: &Port| plans::listener(port.loopback_key(), Some(&[endpoint.share()]));
        bed.activate(plans::plan(1, &[listener(&gone), listener(&stays)]));
        bed.wait_bound();
        let mut client = dial(gone.address());
        client.write_all(b"1").expect("write");
        read_exactly(&client, 1);
        bed.activate(plans::plan(2, &[listener(&stays)]));
        assert_eq!(bed.plane.binds().len(), 1);
        let refused = std::net::TcpStream::connect(gone.address()).expect_err("the listener is gone");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        client.write_all(b"2").expect("write");
        assert_eq!(read_exactly(&client, 1), b"2");
        read_exactly(
            &{
                let mut other = dial(stays.address());
                other.write_all(b"3").expect("write");
                other
            },
            1,
        );
        // It may come back at once.
        bed.activate(plans::plan(3, &[listener(&gone), listener(&stays)]));
        bed.wait_bound();
        read_exactly(
            &{
                let mut again = dial(gone.address());
                again.write_all(b"4").expect("write");
                again
            },
            1,
        );
    }
}

#[test]
fn of_many_plans_at_once_the_last_one_counts() {
    for driver in DRIVERS {
        let endpoint = Endpoint::named("last");
        let bed = Bed::start(config(driver));
        let port = Port::reserve();
        for generation in 1..=200 {
            let shares: &[plans::Share] = if generation == 200 { &[endpoint.share()] } else { &[] };
            let listener = plans::listener(port.loopback_key(), Some(shares));
            bed.plane
                .apply(std::sync::Arc::new(plans::plan(generation, &[listener])));
        }
        eventually("the last plan", || {
            let generation = bed.plane.figures().generation;
            if generation == 200 { Ok(()) } else { Err(generation) }
        });
        bed.wait_bound();
        assert_eq!(read_exactly(&dial(port.address()), 4), b"last");
    }
}
