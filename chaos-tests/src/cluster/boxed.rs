//! Clusters whose nodes have a machine each. Needs root and `ip`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::{Cluster, Node, Origin};
use crate::addresses::Addresses;
use crate::api::Api;
use crate::boxes::Boxes;
use crate::process::Process;
use crate::{credentials, wait};

/// Nodes of such a cluster.
const NODES: u8 = 3;

/// The box that has neither node nor address of one: endpoints and clients are in it.
const OUTSIDE: u8 = NODES + 1;

/// Addresses of endpoints and of clients that the outside has.
const ENDPOINTS: u8 = 8;
const CLIENTS: u8 = 32;

/// The client that asks whether there is traffic, the last there may be.
const ASKING_CLIENT: u8 = 49;

const FILE: &str = "/etc/guideway/guideway.toml";

/// The box of a node.
pub(super) fn box_of(index: usize) -> u8 {
    u8::try_from(index + 1).expect("few nodes")
}

/// Starts the node of a box.
pub(super) fn run(boxes: &Boxes, number: u8) -> Process {
    boxes.start(number, &format!("guideway run --config {FILE}"))
}

impl Cluster {
    /// Starts three nodes in network namespaces of their own, with keys of `data` in every node's configuration set, each as
    /// `KEY=VALUE`, and waits until all vote. The last node has no other local ports than `few_ports`.
    ///
    /// Moves the calling thread into a fourth namespace, which has the addresses of endpoints and clients; what a test does
    /// afterwards happens there.
    pub fn start_in_boxes(data: &[&str], few_ports: RangeInclusive<u16>) -> Cluster {
        let boxes = Boxes::make_apart(OUTSIDE);
        let network = boxes.host(0).octets();
        let addresses = Addresses::alone([network[0], network[1], network[2]]);
        let endpoints = (0..ENDPOINTS).map(|number| addresses.endpoint(number));
        let clients = (0..CLIENTS)
            .chain([ASKING_CLIENT])
            .map(|number| addresses.client(number));
        for address in endpoints.chain(clients) {
            boxes.add_address(OUTSIDE, address);
        }
        let range = format!("{} {}", few_ports.start(), few_ports.end());
        let narrow = format!("echo '{range}' >/proc/sys/net/ipv4/ip_local_port_range");
        must(&boxes, NODES, &narrow, &[]);
        boxes.enter(OUTSIDE);

        let mut started = BTreeMap::new();
        let mut nodes = Vec::new();
        for number in 1..=NODES {
            configure(&boxes, number, data);
            if number == 1 {
                must(&boxes, number, &format!("guideway init --config {FILE}"), &[]);
            } else {
                let token = wait::until("a node gives out a token", || {
                    boxes.run(1, &format!("guideway invite --config {FILE}"), &[])
                });
                let token = token.trim_end().lines().last().unwrap_or_default();
                let join = format!("guideway join --config {FILE} --token \"$TOKEN\"");
                must(&boxes, number, &join, &[("TOKEN", token)]);
            }
            credentials::read(&boxes.folder(number).join("data/admin.kubeconfig"));
            let process = run(&boxes, number);
            nodes.push(node(&boxes, number, process.pid()));
            started.insert(format!("box-{number}"), process);
        }
        let cluster = Cluster {
            kubeconfig: boxes.folder(1).join("data/admin.kubeconfig"),
            directory: boxes.folder(1),
            origin: Origin::Boxes(boxes),
            nodes,
            started,
            addresses,
            temporary: None,
        };
        cluster.wait_voting();
        cluster
    }

    /// Waits until each node sees that all of them vote.
    fn wait_voting(&self) {
        for index in 0..self.size() {
            wait::until("every node votes", || {
                let nodes = self
                    .api(index)
                    .nodes()
                    .map_err(|error| format!("{error}\n{}", self.output()))?;
                let votes = nodes
                    .iter()
                    .filter(|node| ["leader", "follower"].contains(&node.role.as_str()));
                if votes.count() == self.size() {
                    Ok(())
                } else {
                    Err(format!("{nodes:?}"))
                }
            });
        }
    }
}

fn configure(boxes: &Boxes, number: u8, data: &[&str]) {
    let address = boxes.host(number);
    let data: Vec<String> = data.iter().map(|setting| setting.replace('=', " = ")).collect();
    let file = format!(
        "name = \"box-{number}\"\ndata_dir = \"/var/lib/guideway\"\n[peer]\nlisten = \"{address}:7444\"\n\
         [api]\nlisten = \"{address}:7443\"\n[data]\n{}\n",
        data.join("\n")
    );
    must(boxes, number, &format!("cat >{FILE} <<'END'\n{file}END"), &[]);
}

fn node(boxes: &Boxes, number: u8, pid: u32) -> Node {
    let api = format!("https://{}:7443", boxes.host(number));
    Node {
        name: format!("box-{number}"),
        pid,
        address: IpAddr::V4(boxes.host(number)),
        // The page of metrics itself is on loopback.
        metrics: Api::new(&api).url("/metrics"),
        api,
    }
}

fn must(boxes: &Boxes, number: u8, lines: &str, variables: &[(&str, &str)]) {
    if let Err(failure) = boxes.run(number, lines, variables) {
        panic!("box {number}: {failure}");
    }
}
