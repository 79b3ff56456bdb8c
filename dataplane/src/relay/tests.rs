use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
use guideway_model::Plan;
use guideway_model::meta::Uid;
use guideway_model::node::{BindAddress, Protocol, SocketKey};
use guideway_model::plan::{
    Entry, Listener, ListenerName, ListenerService, OpaqueListener, Pool, PoolId, Route, Standing,
};

use super::*;
use crate::config::Config;
use crate::sockets::tuning::Tuning;
use crate::sockets::{self, Listen};

const SEED: Seed = Seed([9; 16]);

fn listener(socket: SocketKey, endpoint: SocketAddr) -> Listener {
    let weighted = Weighted {
        target: Target::Endpoint(endpoint),
        weight: 1,
    };
    let id = PoolId {
        route: Uid::default(),
        rule: 0,
    };
    let table = Arc::new(Table::build(TableSize::DEFAULT, SEED, &[weighted]).expect("table"));
    let entry = Entry::Endpoint {
        address: endpoint,
        origin: String::new(),
        upstream: Arc::default(),
        standing: Standing::Ready,
    };
    let pool = Pool::new(id, table, vec![entry]);
    Listener {
        socket,
        service: ListenerService::Opaque(OpaqueListener {
            name: ListenerName {
                namespace: "default".into(),
                gateway: "edge".into(),
                listener: "tcp".into(),
            },
            settings: Arc::default(),
            route: Some(Route {
                namespace: "default".into(),
                name: "route".into(),
                pool: Arc::new(pool),
            }),
        }),
    }
}

/// The orders that remove a listener are given before its thread runs, so every client finds the thread with the listener
/// and without it in one round, and is still in the queue when the listener goes.
#[test]
fn connections_that_wait_at_a_listener_that_goes_are_served_by_its_last_route() {
    const CLIENTS: usize = 20;
    let endpoint = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let socket = sockets::listen(
        Listen {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            freebind: false,
            backlog: 128,
        },
        Tuning::default(),
    );
    let socket = socket.expect("listen");
    let address = sockets::local_address(&socket);
    let key = SocketKey {
        protocol: Protocol::Tcp,
        address: BindAddress::Exactly(address.ip()),
        port: address.port(),
    };
    let shared = Arc::new(crate::plane::share(Config::default()).expect("shared"));
    shared.size();
    let first = Plan::new(1, SEED, vec![listener(key, endpoint.local_addr().expect("address"))]);
    let second = Plan::new(2, SEED, Vec::new());
    shared.seats[0].order(Order::Plan(Arc::new(first)));
    shared.seats[0].order(Order::Listen(key, vec![socket]));
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| TcpStream::connect(address).expect("a place in the queue"))
        .collect();
    shared.seats[0].order(Order::Plan(Arc::new(second)));
    let worker = spawn(&shared, 0).expect("thread");
    for _ in 0..CLIENTS {
        endpoint.accept().expect("accept").0.write_all(b"!").expect("write");
    }
    for mut client in clients {
        client.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
        client.read_exact(&mut [0]).expect("the endpoint's word");
    }
    assert!(TcpStream::connect(address).is_err(), "the listener is gone");
    shared.seats[0].order(Order::Finish);
    worker.join().expect("thread");
}
