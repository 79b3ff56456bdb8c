//! Live sessions as those see them who look.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};

use guideway_dataplane::{CloseReason, SessionEvent};
use guideway_model::node::Protocol;
use guideway_model::plan::{Pool, Why};
use guideway_model::session::{LocalSessionId, SessionRow, SessionState, TablePlace};

use crate::bed::datagrams::{Gate, Server, ask, client, mirror};
use crate::bed::endpoint::{Blackhole, Endpoint};
use crate::bed::plans::{self, Phases, SEED};
use crate::bed::watched::Watched;
use crate::bed::{Bed, DRIVERS, End, PATIENCE, Port, config, dial, eventually, read_exactly, read_to_end};

/// Every session.
fn all(bed: &Bed) -> Vec<SessionRow> {
    let answer = bed.plane.sessions(|_| true);
    assert_eq!(answer.silent, 0);
    answer.found
}

/// Waits until the one session looks as it should.
fn expect(bed: &Bed, what: &str, look: impl Fn(&SessionRow) -> bool) -> SessionRow {
    eventually(what, || match all(bed).as_slice() {
        [row] if look(row) => Ok(row.clone()),
        rows => Err(format!("{rows:?}")),
    })
}

#[test]
fn a_connection_shows_what_it_is_and_does() {
    for driver in DRIVERS {
        let (endpoint, connections) = Endpoint::handing_over();
        let (bed, address) = Bed::with_pool(config(driver), &[endpoint.share()]);
        assert_eq!(all(&bed), []);
        let mut stream = dial(address);
        let mut server = connections.next();
        stream.write_all(b"four").expect("write");
        server.write_all(b"seven!!").expect("write");
        read_exactly(&stream, 7);
        let row = expect(&bed, "the bytes", |row| row.bytes == [4, 7]);
        assert_eq!(row.client, stream.local_addr().expect("address"));
        assert_eq!((row.endpoint, row.why), (Some(endpoint.address()), Some(Why::Table)));
        assert_eq!((row.state, row.packets), (SessionState::Established, [0; 2]));
        assert_eq!(row.listener.listener, format!("port-{}", address.port()));
        assert_eq!(&*row.route, format!("test/route-{}", address.port()));
        assert!(row.idle <= row.age && row.sni.is_none());
        let detail = bed.plane.session(row.id).found.expect("a session");
        assert_eq!((detail.row.id, detail.local), (row.id, Some(address)));
        assert_eq!(detail.source, Some(server.peer_addr().expect("address")));
        for facts in detail.tcp {
            assert!(facts.expect("TCP_INFO").congestion_window > 0);
        }
        stream.shutdown(Shutdown::Write).expect("shutdown");
        expect(&bed, "the half-closed session", |row| {
            row.state == SessionState::HalfClosed
        });
        drop((stream, server));
        bed.wait_sessions(0);
        assert_eq!((all(&bed), bed.plane.session(row.id).found), (Vec::new(), None));
    }
}

#[test]
fn a_connection_that_is_dialed_has_no_endpoints_side() {
    for driver in DRIVERS {
        let hole = Blackhole::open();
        let (bed, address) = Bed::with_pool(config(driver), &[hole.share()]);
        let stream = dial(address);
        let row = expect(&bed, "the dialing session", |row| row.state == SessionState::Connecting);
        assert!(row.endpoint.is_some());
        let detail = bed.plane.session(row.id).found.expect("a session");
        assert!(detail.tcp[0].is_some() && detail.tcp[1].is_none());
        assert_eq!(bed.plane.close_sessions(&[row.id], CloseReason::Killed).found, 1);
        assert_eq!(read_to_end(&stream), (Vec::new(), End::Reset));
    }
}

#[test]
fn a_flow_counts_its_datagrams_each_way() {
    for driver in DRIVERS {
        let server = Server::echo();
        let gate = Gate::reserve();
        let bed = Bed::start(config(driver));
        bed.activate(plans::plan(1, &[plans::listener(gate.key(), Some(&[server.share()]))]));
        bed.wait_bound();
        let client = client();
        for length in [1, 2, 3] {
            ask(&client, gate.address(), &[7; 9][..length]);
        }
        let row = expect(&bed, "the flow", |row| row.packets == [3, 3] && row.bytes == [6, 6]);
        assert_eq!((row.id.protocol, row.endpoint), (Protocol::Udp, Some(server.address())));
        assert_eq!(row.client, client.local_addr().expect("address"));
        let detail = bed.plane.session(row.id).found.expect("a flow");
        assert_eq!((detail.local, detail.tcp), (Some(gate.address()), [None, None]));
        assert!(detail.source.is_some());
    }
}

/// More sessions than a slice has, on two threads, of both protocols, seen once each.
#[test]
fn every_session_is_listed_once_and_counted_where_it_goes() {
    // Flows in more slices than one; no more connections than wait at an endpoint that is slow to accept.
    const SESSIONS: usize = 100;
    const FLOWS: usize = 700;
    for driver in DRIVERS {
        let endpoints = [Endpoint::named("1"), Endpoint::named("2")];
        let server = Server::echo();
        let shares = endpoints.each_ref().map(Endpoint::share);
        let (gate, port) = (Gate::reserve(), Port::reserve());
        let bed = Bed::start(config(driver));
        let listeners = [
            plans::listener(port.loopback_key(), Some(&shares)),
            plans::listener(gate.key(), Some(&[server.share()])),
        ];
        bed.activate(plans::plan(1, &listeners));
        bed.wait_bound();
        let streams: Vec<TcpStream> = (0..SESSIONS).map(|_| dial(port.address())).collect();
        let clients: Vec<UdpSocket> = (0..FLOWS).map(|_| client()).collect();
        let mut expected: BTreeMap<SocketAddr, u64> = BTreeMap::new();
        for stream in &streams {
            let word = read_exactly(stream, 1);
            let endpoint = &endpoints[usize::from(word == b"2")];
            *expected.entry(endpoint.address()).or_default() += 1;
        }
        for client in &clients {
            ask(client, gate.address(), b"x");
        }
        expected.insert(server.address(), FLOWS as u64);
        let mut listed: Vec<SocketAddr> = all(&bed).iter().map(|row| row.client).collect();
        listed.sort();
        let tcp = streams.iter().map(|stream| stream.local_addr().expect("address"));
        let udp = clients.iter().map(|client| client.local_addr().expect("address"));
        let mut dialled: Vec<SocketAddr> = tcp.chain(udp).collect();
        dialled.sort();
        assert_eq!(listed, dialled);
        let nobody = plans::nobody();
        let asked: Vec<SocketAddr> = expected.keys().copied().chain([nobody]).collect();
        let counted = bed.plane.count_at(&asked);
        expected.insert(nobody, 0);
        assert_eq!((counted.found, counted.silent), (expected, 0));
        // Closed in slices, each with its reason.
        let flows = bed.plane.sessions(|row| row.id.protocol == Protocol::Udp).found;
        let ids: Vec<LocalSessionId> = flows.iter().map(|row| row.id).collect();
        assert_eq!(bed.plane.close_sessions(&ids, CloseReason::Drained).found, FLOWS);
        assert_eq!(bed.plane.close_sessions(&ids, CloseReason::Drained).found, 0);
        assert_eq!(bed.plane.figures().flows, 0);
        assert_eq!(all(&bed).len(), SESSIONS);
    }
}

#[test]
fn a_closed_session_tells_who_closed_it() {
    for driver in DRIVERS {
        for (reason, word) in [(CloseReason::Killed, "killed"), (CloseReason::Drained, "drained")] {
            let endpoint = Endpoint::echo();
            let watched = Watched::start(driver, Some(&[endpoint.share()]), |_| ());
            let mut stream = watched.dial();
            stream.write_all(b"x").expect("write");
            read_exactly(&stream, 1);
            let row = expect(&watched.bed, "the session", |row| row.bytes == [1, 1]);
            let elsewhere = LocalSessionId { seat: 99, ..row.id };
            assert_eq!(watched.bed.plane.close_sessions(&[elsewhere], reason).found, 0);
            assert_eq!(watched.bed.plane.session(elsewhere).found, None);
            let answer = watched.bed.plane.close_sessions(&[row.id, elsewhere], reason);
            assert_eq!((answer.found, answer.silent), (1, 0));
            assert_eq!(read_to_end(&stream), (Vec::new(), End::Reset));
            assert_eq!(watched.line(1)["reason"], word);
        }
    }
}

#[test]
fn why_a_session_is_where_it_is() {
    for driver in DRIVERS {
        let live = Endpoint::named("1");
        let shares = [(plans::endpoint(plans::nobody()).0, 100_000), live.share()];
        let (bed, address) = Bed::with_pool(config(driver), &shares);
        let stream = dial(address);
        read_exactly(&stream, 1);
        expect(&bed, "the redispatched session", |row| {
            row.why == Some(Why::Redispatch) && row.endpoint == Some(live.address())
        });
        drop(stream);
        bed.wait_sessions(0);
        let shares = [live.share()];
        let phases = Phases {
            active: &shares,
            affinity: crate::scene::client_ip(std::time::Duration::from_secs(60)),
            ..Phases::default()
        };
        let port = Port::reserve();
        bed.activate(phases.plan(2, port.loopback_key()));
        bed.wait_bound();
        for why in [Why::Table, Why::Affinity] {
            let stream = dial(port.address());
            read_exactly(&stream, 1);
            expect(&bed, "the session", |row| row.why == Some(why));
            drop(stream);
            bed.wait_sessions(0);
        }
    }
}

#[test]
fn whoever_watches_sees_sessions_open_and_close() {
    for driver in DRIVERS {
        let endpoint = Endpoint::named("1");
        let server = Server::echo();
        let (gate, port) = (Gate::reserve(), Port::reserve());
        let bed = Bed::start(config(driver));
        let listeners = [
            plans::listener(port.loopback_key(), Some(&[endpoint.share()])),
            plans::listener(gate.key(), Some(&[server.share()])),
        ];
        bed.activate(plans::plan(1, &listeners));
        bed.wait_bound();
        let unseen = dial(port.address());
        read_exactly(&unseen, 1);
        let mut watch = bed.plane.watch_sessions();
        let stream = dial(port.address());
        read_exactly(&stream, 1);
        ask(&client(), gate.address(), b"1");
        drop(stream);
        let flows = bed.plane.sessions(|row| row.id.protocol == Protocol::Udp).found;
        bed.plane.close_sessions(&[flows[0].id], CloseReason::Killed);
        let mut seen = Vec::new();
        eventually("two to open and two to close", || {
            let watched = watch.wait(1, PATIENCE);
            assert_eq!(watched.missed, 0);
            seen.extend(watched.events.into_iter().map(|event| match event {
                SessionEvent::Opened(row) => (row.id.protocol, row.endpoint, None),
                SessionEvent::Closed(row, reason) => (row.id.protocol, row.endpoint, Some(reason)),
            }));
            if seen.len() == 4 { Ok(()) } else { Err(seen.len()) }
        });
        seen.sort();
        let tcp = |reason| (Protocol::Tcp, Some(endpoint.address()), reason);
        let udp = |reason| (Protocol::Udp, Some(server.address()), reason);
        let mut expected = vec![
            tcp(None),
            tcp(Some(CloseReason::ClientFin)),
            udp(None),
            udp(Some(CloseReason::Killed)),
        ];
        expected.sort();
        assert_eq!(seen, expected);
        // Whoever comes later does not see what was before.
        drop(watch);
        let mut watch = bed.plane.watch_sessions();
        drop(unseen);
        let watched = watch.wait(10, PATIENCE);
        assert_eq!(watched.events.len(), 1);
        // Nor does one that goes on from a number of that time; it learns that something is missing.
        assert_eq!(watch.since(0, 10).events, watched.events);
        assert!(watch.since(0, 10).missed > 0);
        assert_eq!((watch.since(watched.next, 10).missed, watch.end()), (0, watched.next));
    }
}

/// A session says where its key lay when it was chosen, and by which generation, whatever has become of the tables since.
#[test]
fn a_session_remembers_its_place_in_the_table() {
    for driver in DRIVERS {
        let servers = [Server::reflecting(), Server::reflecting()];
        let endpoints = [Endpoint::named("1"), Endpoint::named("2")];
        let (gate, port) = (Gate::reserve(), Port::reserve());
        let bed = Bed::start(config(driver));
        let datagrams = servers.each_ref().map(Server::share);
        let streams = endpoints.each_ref().map(Endpoint::share);
        let listeners = |many: usize| {
            [
                plans::listener(port.loopback_key(), Some(&streams[..many])),
                plans::listener(gate.key(), Some(&datagrams[..many])),
            ]
        };
        bed.activate(plans::plan(7, &listeners(2)));
        bed.wait_bound();
        let (stream, client) = (dial(port.address()), client());
        read_exactly(&stream, 1);
        mirror(&client, gate.address());
        let of = |shares| {
            let active: &[_] = shares;
            Phases {
                active,
                ..Phases::default()
            }
        };
        let expected = |pool: &Pool, key, client| TablePlace {
            row: u32::try_from(pool.table.row(pool.flow_key(key, client).hash(SEED))).expect("a row"),
            generation: 7,
        };
        let name = stream.local_addr().expect("address");
        let tcp = expected(&of(&streams).pool(), port.loopback_key(), name);
        let name = client.local_addr().expect("address");
        let udp = expected(&of(&datagrams).pool(), gate.key(), name);
        for generation in [7, 8] {
            for row in all(&bed) {
                let detail = bed.plane.session(row.id).found.expect("a session");
                let expected = if row.id.protocol == Protocol::Tcp { tcp } else { udp };
                assert_eq!(detail.place, Some(expected), "in generation {generation}");
            }
            bed.activate(plans::plan(8, &listeners(1)));
        }
    }
}
