//! Sessions that are still looking for their endpoint while the plan changes, and those that did not get their first.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use guideway_maglev::Target;
use guideway_model::plan::{Standing, TlsHandling, UdpSettings};

use crate::bed::datagrams::{Gate, Nobody, Server, answers, bed, client};
use crate::bed::endpoint::{Blackhole, Endpoint};
use crate::bed::plans::{self, Phases};
use crate::bed::tls::{self, Authority, TlsBed, VERSIONS, client_hello};
use crate::bed::{Bed, DRIVERS, Port, config, dial, eventually, read_exactly};

/// The first endpoint of each session neither accepts nor refuses, so that it is given up only when the plan has changed.
#[test]
fn a_session_that_dials_goes_on_under_the_plan_that_counts_now() {
    for driver in DRIVERS {
        let hole = Blackhole::open();
        let (leaves, comes) = (Endpoint::named("old"), Endpoint::named("new"));
        let mut config = config(driver);
        config.connect_timeout = Duration::from_millis(500);
        let (bed, port) = (Bed::start(config), Port::reserve());
        let heavy = (hole.share().0, 1_000_000);
        bed.activate(plans::plan(
            1,
            &[plans::listener(port.loopback_key(), Some(&[heavy, leaves.share()]))],
        ));
        bed.wait_bound();
        let streams: Vec<_> = (0..20).map(|_| dial(port.address())).collect();
        bed.wait_sessions(20);
        let shares = [heavy, leaves.share(), comes.share()];
        let standings = [(leaves.address(), Standing::Leaving)];
        let phases = Phases {
            active: &shares,
            standings: &standings,
            ..Phases::default()
        };
        bed.activate(phases.plan(2, port.loopback_key()));
        for stream in &streams {
            assert_eq!(read_exactly(stream, 3), b"new");
        }
    }
}

#[test]
fn a_client_that_greets_while_the_plan_changes_is_chosen_an_endpoint_of_the_new_one() {
    for driver in DRIVERS {
        let authority = Authority::new();
        let trust = authority.client(&VERSIONS);
        let (old, new) = (Endpoint::named("old"), Endpoint::named("new"));
        let listener = |endpoint: &Endpoint| {
            let routes = [tls::route("shop.test", &[endpoint.share()], None)];
            tls::listener("shop.test", TlsHandling::Passthrough, &routes)
        };
        let bed = TlsBed::start(config(driver), &[listener(&old)]);
        let hello = client_hello("shop.test", &trust);
        let (first, rest) = hello.split_at(hello.len() / 2);
        let mut streams: Vec<_> = (0..10).map(|_| bed.dial()).collect();
        for stream in &mut streams {
            stream.write_all(first).expect("write");
        }
        bed.bed.wait_sessions(10);
        for generation in 2..5 {
            bed.activate(generation, &[listener(&new)]);
        }
        for stream in &mut streams {
            stream.write_all(rest).expect("write");
            assert_eq!(read_exactly(stream, 3), b"new");
        }
        let row = bed.bed.plane.sessions(|_| true).found.remove(0);
        assert_eq!(row.sni.as_deref(), Some("shop.test"));
        assert_eq!(&*row.route, "test/route-shop.test");
    }
}

#[test]
fn a_passed_through_session_that_dials_goes_on_under_the_new_plan() {
    for driver in DRIVERS {
        let authority = Authority::new();
        let trust = authority.client(&VERSIONS);
        let hole = Blackhole::open();
        let (old, new) = (Endpoint::named("old"), Endpoint::named("new"));
        let listener = |endpoint: &Endpoint| {
            let shares = [(hole.share().0, 1_000_000), endpoint.share()];
            let routes = [tls::route("shop.test", &shares, None)];
            tls::listener("shop.test", TlsHandling::Passthrough, &routes)
        };
        let mut config = config(driver);
        config.connect_timeout = Duration::from_millis(500);
        let bed = TlsBed::start(config, &[listener(&old)]);
        let hello = client_hello("shop.test", &trust);
        let mut streams: Vec<_> = (0..10).map(|_| bed.dial()).collect();
        for stream in &mut streams {
            stream.write_all(&hello).expect("write");
        }
        eventually("all to dial", || {
            let dialing = bed.bed.plane.sessions(|row| row.endpoint.is_some()).found.len();
            if dialing == 10 { Ok(()) } else { Err(dialing) }
        });
        bed.activate(2, &[listener(&new)]);
        for stream in &streams {
            assert_eq!(read_exactly(stream, 3), b"new");
        }
    }
}

/// Seconds of life, or a change of its tables, prove that a redispatched flow is worth a pin.
#[test]
fn a_redispatched_flow_needs_a_pin_when_it_has_lived() {
    for driver in DRIVERS {
        for by_plan in [true, false] {
            let dead = Nobody::at();
            let live = Server::echo();
            let third = Server::echo();
            let shares = [(Target::Endpoint(dead.address()), 1_000_000), live.share()];
            let gate = Gate::reserve();
            let bed = bed(config(driver), &gate, &shares, &UdpSettings::default());
            let client = client();
            let tries = (1..100).find(|_| answers(&client, gate.address()));
            assert_eq!(tries, Some(4));
            assert_eq!(bed.plane.pin_needs(), []);
            if by_plan {
                let next = [shares[0], shares[1], third.share()];
                let phases = Phases {
                    active: &shares,
                    prepared: Some(&next),
                    ..Phases::default()
                };
                bed.prepare(phases.plan(2, gate.key()));
                assert_eq!(needed(&bed), [live.address()]);
            } else {
                eventually("the flow to need a pin", || {
                    let needed = needed(&bed);
                    if needed == [live.address()] {
                        Ok(())
                    } else {
                        Err(format!("{needed:?}"))
                    }
                });
                let row = bed.plane.sessions(|_| true).found.remove(0);
                assert!(row.age >= Duration::from_secs(5));
            }
        }
    }
}

fn needed(bed: &Bed) -> Vec<SocketAddr> {
    let needs = bed.plane.pin_needs().into_iter();
    needs.map(|(_, endpoint)| endpoint).collect()
}
