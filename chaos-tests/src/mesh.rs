//! UDP flows through every node toward a changing set of labelled endpoints.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use serde_json::{Value, json};

use crate::crowd::{Crowd, LabelledEndpoint, Round, Shortage};
use crate::{Api, Cluster, manifest, wait};

/// Name of its Gateway, UDPRoute and Backend.
const NAME: &str = "mesh";

/// Ports that each client has a flow on.
const PORTS: usize = 4;

/// A UDPRoute on four ports, its endpoints, and the flows through each node.
pub struct Mesh {
    /// By number; the set may hold only some of them.
    pub endpoints: Vec<LabelledEndpoint>,
    ports: Vec<u16>,
    /// One for each node, in the order of the nodes.
    crowds: Vec<Crowd>,
    /// The node that lacks local ports for all of its flows, if one does.
    short: Option<usize>,
    /// Which endpoints the Backend has now, each with its weight.
    set: Vec<(usize, u32)>,
}

impl Mesh {
    /// Serves `set` of `count` endpoints; nothing is asked yet.
    pub fn start(cluster: &Cluster, count: u8, set: &[(usize, u32)]) -> Mesh {
        let endpoints: Vec<LabelledEndpoint> = (0..count)
            .map(|number| LabelledEndpoint::start(&format!("e{number}"), cluster.addresses().endpoint(number)))
            .collect();
        let mut ports = BTreeSet::new();
        while ports.len() < PORTS {
            ports.insert(cluster.free_port());
        }
        let mut mesh = Mesh {
            endpoints,
            ports: ports.into_iter().collect(),
            crowds: Vec::new(),
            short: None,
            set: Vec::new(),
        };
        let api = cluster.api(0);
        let listeners: Vec<Value> = mesh
            .ports
            .iter()
            .map(|port| json!({"name": format!("udp-{port}"), "protocol": "UDP", "port": port}))
            .collect();
        let gateway = manifest::gateway_with(NAME, listeners.into());
        api.apply(&gateway);
        mesh.put(&api, set);
        let mut route = manifest::route_to_backend("UDPRoute", NAME, NAME, "unused", NAME);
        route["spec"]["parentRefs"] = json!([{"name": NAME}]);
        api.apply(&route);
        let policy = json!({"udp": {"idleTimeout": "1h"}});
        api.apply(&manifest::backend_traffic_policy(NAME, "UDPRoute", NAME, policy));
        api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
        api.wait_condition(&gateway, "Programmed", "True");
        cluster.wait_caught_up(&[0, 1, 2]);
        mesh
    }

    /// Replaces the set of endpoints, each with its weight.
    pub fn put(&mut self, api: &Api, set: &[(usize, u32)]) {
        self.set = set.to_vec();
        let endpoints: Vec<Value> = set
            .iter()
            .map(|(number, weight)| {
                let address = self.endpoints[*number].address();
                json!({"ip": address.ip().to_string(), "port": address.port(), "weight": weight})
            })
            .collect();
        let mut backend = manifest::backend(NAME, &[]);
        backend["spec"]["endpoints"] = endpoints.into();
        api.apply(&backend);
    }

    /// The set that was last put.
    pub fn set(&self) -> &[(usize, u32)] {
        &self.set
    }

    /// An endpoint's address.
    pub fn address(&self, number: usize) -> SocketAddr {
        self.endpoints[number].address()
    }

    /// Opens `clients` clients with their flows through each node. The node `short`, if there is one, need not take them
    /// all: it lacks local ports.
    pub fn open(&mut self, cluster: &Cluster, clients: usize, short: Option<usize>) {
        self.short = short;
        for index in 0..cluster.size() {
            let from = cluster.addresses().client(u8::try_from(index).expect("few nodes"));
            let crowd = Crowd::new(clients, from, &self.ports).expect("sockets for the clients");
            self.crowds.push(crowd);
        }
        let opened = self.ask(cluster, None);
        assert_eq!(opened.moves(), 0, "a first answer makes a home");
    }

    /// How many flows there are, those that no node takes included.
    pub fn flows(&self) -> usize {
        self.crowds.iter().map(Crowd::flows).sum()
    }

    /// How many flows have an endpoint.
    pub fn served(&self) -> usize {
        self.crowds.iter().map(Crowd::served).sum()
    }

    /// Leaves the flows that the short node did not take alone from here on.
    pub fn give_up_unserved(&mut self) {
        self.crowds.iter_mut().for_each(Crowd::give_up_unserved);
    }

    /// Asks on every flow through the node it began on. `gone` is an endpoint whose flows are to be chosen anew.
    pub fn ask(&mut self, cluster: &Cluster, gone: Option<&str>) -> Round {
        let ways: Vec<usize> = (0..self.crowds.len()).collect();
        self.ask_through(cluster, &ways, gone)
    }

    /// Asks on every flow; the crowd of node `n` goes through the node `ways[n]`.
    pub fn ask_through(&mut self, cluster: &Cluster, ways: &[usize], gone: Option<&str>) -> Round {
        let short = self.short;
        let ways = ways
            .iter()
            .map(|way| (cluster.node(*way).address, shortage(short, *way, gone)));
        let ways: Vec<(IpAddr, Shortage<'_>)> = ways.collect();
        let rounds: Vec<Result<Round, String>> = std::thread::scope(|scope| {
            let crowds = self.crowds.iter_mut().zip(&ways);
            let asking = crowds.map(|(crowd, (node, shortage))| scope.spawn(|| crowd.ask(*node, *shortage)));
            let asking: Vec<_> = asking.collect();
            asking
                .into_iter()
                .map(|asked| asked.join().expect("no client panics"))
                .collect()
        });
        let mut all = Round::default();
        for round in rounds {
            all.add(round.unwrap_or_else(|problem| panic!("{problem}\n{}", cluster.output())));
        }
        all
    }

    /// Asks on the flows that began on node `crowd`, through `way`.
    pub fn ask_crowd_through(&mut self, cluster: &Cluster, crowd: usize, way: usize) -> Round {
        let shortage = shortage(self.short, way, None);
        let asked = self.crowds[crowd].ask(cluster.node(way).address, shortage);
        asked.unwrap_or_else(|problem| panic!("{problem}\n{}", cluster.output()))
    }

    /// Every flow with its home.
    pub fn homes(&self) -> impl Iterator<Item = (SocketAddr, u16, &str)> {
        self.crowds.iter().flat_map(Crowd::homes)
    }
}

fn shortage(short: Option<usize>, way: usize, gone: Option<&str>) -> Shortage<'_> {
    if short == Some(way) {
        Shortage::OfPorts { gone }
    } else {
        Shortage::Nowhere
    }
}

/// Waits until no change of tables is on its way on any of these nodes, all of which have applied the same.
pub fn wait_settled(cluster: &Cluster, nodes: &[usize]) {
    cluster.wait_caught_up(nodes);
    wait::until("no generation is being prepared", || {
        let statuses = nodes
            .iter()
            .map(|index| cluster.node(*index).field(&cluster.api(*index), "/status"));
        let statuses: Vec<Value> = statuses.collect::<Result<_, String>>()?;
        let settled = statuses.iter().all(|status| {
            let (runs, active) = (&status["planGeneration"], &status["activeGeneration"]);
            status["preparedGeneration"].is_null() && runs == active && *active == statuses[0]["activeGeneration"]
        });
        if settled { Ok(()) } else { Err(format!("{statuses:?}")) }
    });
}

/// Waits until each of these nodes has every pin that its sessions need. A busy node may have been passed over: the change
/// is active then, and it goes on pinning.
pub fn wait_pinned(cluster: &Cluster, nodes: &[usize]) {
    for index in nodes {
        wait::until(&format!("node {index} has the pins it needs"), || {
            let figure = |metric| cluster.sample(&[*index], metric, &[]);
            let (needed, held) = (figure("guideway_node_pins_needed"), figure("guideway_node_pins_held"));
            if needed == held {
                Ok(())
            } else {
                Err(format!("{held} of {needed}"))
            }
        });
    }
}
