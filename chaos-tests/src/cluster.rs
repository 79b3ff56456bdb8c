//! A cluster of real `guideway` processes, started as a user starts it: `guideway demo`, or on three boxes.

mod boxed;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::addresses::Addresses;
use crate::api::{Api, NodeStatus};
use crate::boxes::Boxes;
use crate::process::{self, Process};
use crate::traffic::{self, Answer};
use crate::{binary, credentials, wait};

/// A running cluster. Dropping it ends every process of it.
#[derive(Debug)]
pub struct Cluster {
    origin: Origin,
    nodes: Vec<Node>,
    kubeconfig: PathBuf,
    /// Nodes that are the test's children, by name: on boxes all, of a demo those that a test has restarted.
    started: BTreeMap<String, Process>,
    addresses: Addresses,
    directory: PathBuf,
    /// Removed with the cluster, unless the test brought a folder of its own.
    temporary: Option<TempDir>,
}

/// What the nodes run in.
#[derive(Debug)]
enum Origin {
    /// Started and ended by `guideway demo`.
    Demo(Process),
    /// One in each box, the first in box 1.
    Boxes(Boxes),
}

/// One member.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    /// Name in the cluster.
    pub name: String,
    /// Process id of its latest start.
    pub pid: u32,
    /// Where it serves listeners.
    pub address: IpAddr,
    /// URL of its API.
    pub api: String,
    /// URL of its metrics.
    pub metrics: String,
}

/// The demo's folder in the test's own.
const DATA: &str = "demo";

/// What `--ready-file` holds.
#[derive(Deserialize)]
struct Ready {
    kubeconfig: PathBuf,
    nodes: Vec<Node>,
}

impl Cluster {
    /// Starts three nodes with an empty configuration and waits until they answer.
    pub fn start() -> Cluster {
        Cluster::start_with(&[])
    }

    /// [`Cluster::start`] with keys of every node's configuration set, each as `KEY=VALUE`.
    pub fn start_with(settings: &[&str]) -> Cluster {
        let temporary = tempfile::tempdir().expect("a temporary folder can be made");
        let mut cluster = Cluster::start_in_with(temporary.path(), settings);
        cluster.temporary = Some(temporary);
        cluster
    }

    /// [`Cluster::start`] with everything in `directory`, which may have been prepared.
    pub fn start_in(directory: &Path) -> Cluster {
        Cluster::start_in_with(directory, &[])
    }

    fn start_in_with(directory: &Path, settings: &[&str]) -> Cluster {
        let addresses = Addresses::claim();
        let ready_file = directory.join("ready.json");
        let (base, data) = (addresses.base().to_string(), directory.join(DATA));
        let (data, ready) = (data.to_string_lossy(), ready_file.to_string_lossy());
        let mut arguments = vec!["demo", "--no-endpoints", "--nodes", "3", "--base-address", &base];
        arguments.extend(["--data-dir", &data, "--ready-file", &ready]);
        arguments.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
        let mut demo = Process::start(binary::guideway(), arguments);
        let ready: Ready = wait::until("the demo cluster is ready", || {
            assert!(demo.exited().is_none(), "the demo ended:\n{}", demo.tail());
            let text = std::fs::read(&ready_file).map_err(|error| format!("{error}; output:\n{}", demo.tail()))?;
            serde_json::from_slice(&text).map_err(|error| error.to_string())
        });
        assert_eq!(ready.nodes.len(), 3, "the ready file lists every node");
        credentials::read(&ready.kubeconfig);
        Cluster {
            origin: Origin::Demo(demo),
            nodes: ready.nodes,
            kubeconfig: ready.kubeconfig,
            started: BTreeMap::new(),
            addresses,
            directory: directory.to_owned(),
            temporary: None,
        }
    }

    /// How many members there are.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// A member, from 0.
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// The API of a member.
    pub fn api(&self, index: usize) -> Api {
        Api::new(&self.nodes[index].api)
    }

    /// The kubeconfig that came with the cluster.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Addresses that belong to this cluster's test.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// A folder that lives as long as the cluster.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A port that is free on every node.
    pub fn free_port(&self) -> u16 {
        let all: Vec<IpAddr> = self.nodes.iter().map(|node| node.address).collect();
        self.addresses.free_port(&all)
    }

    /// A listener's address on a member.
    pub fn listener(&self, index: usize, port: u16) -> SocketAddr {
        SocketAddr::new(self.nodes[index].address, port)
    }

    /// Where a member keeps its store.
    pub fn data_dir(&self, index: usize) -> PathBuf {
        self.node_dir(index).join("data")
    }

    /// Where the members of a cluster that is started in `directory` will keep their stores.
    pub fn data_dirs(directory: &Path, count: usize) -> Vec<PathBuf> {
        (1..=count)
            .map(|number| directory.join(DATA).join(format!("node-{number}")).join("data"))
            .collect()
    }

    /// What a member writes: its log, and the lines of its sessions.
    pub fn log_file(&self, index: usize) -> PathBuf {
        self.node_dir(index).join("guideway.log")
    }

    /// The last that the demo and every node have said.
    pub fn output(&self) -> String {
        let mut text = match &self.origin {
            Origin::Demo(demo) => format!("== demo\n{}\n", demo.tail()),
            Origin::Boxes(_) => String::new(),
        };
        for (index, node) in self.nodes.iter().enumerate() {
            let log = std::fs::read(self.log_file(index)).unwrap_or_default();
            let end = String::from_utf8_lossy(&log[log.len().saturating_sub(8192)..]).into_owned();
            text += &format!("== {}\n{end}\n", node.name);
            if let Some(process) = self.started.get(&node.name) {
                text += &format!("== {}, started by the test\n{}\n", node.name, process.tail());
            }
        }
        text
    }

    fn node_dir(&self, index: usize) -> PathBuf {
        self.directory.join(DATA).join(&self.nodes[index].name)
    }

    /// The index of the node that leads, once the nodes named in `ask` agree on one that is alive.
    pub fn leader(&self, ask: &[usize]) -> usize {
        wait::until("a leader", || {
            let mut seen = None;
            for &index in ask {
                let nodes = self.api(index).nodes()?;
                let leader = leader_of(&nodes).ok_or_else(|| format!("{nodes:?}"))?;
                let position = self
                    .nodes
                    .iter()
                    .position(|node| node.name == leader)
                    .ok_or_else(|| format!("{leader} is not of this cluster"))?;
                if *seen.get_or_insert(position) != position {
                    return Err(format!("nodes disagree: {nodes:?}"));
                }
            }
            let leader = seen.ok_or("nobody was asked")?;
            if process::is_running(self.nodes[leader].pid) {
                Ok(leader)
            } else {
                Err(format!("{} leads and is dead", self.nodes[leader].name))
            }
        })
    }

    /// `kill -9`, and waits until the process is gone and its sockets with it.
    pub fn kill(&mut self, index: usize) {
        let Node { name, pid, .. } = self.nodes[index].clone();
        process::signal(pid, Signal::KILL);
        wait::until(&format!("{name} is dead"), || {
            // A restarted node is the test's child and must be reaped here; the others are the demo's.
            if let Some(process) = self.started.get_mut(&name)
                && process.pid() == pid
            {
                process.exited();
            }
            if process::is_present(pid) {
                Err(format!("pid {pid} is still there"))
            } else {
                Ok(())
            }
        });
    }

    /// Starts a dead node as it was started, or with the command that the demo printed for it. Does not wait for it.
    pub fn start_again(&mut self, index: usize) {
        let name = self.nodes[index].name.clone();
        let process = match &self.origin {
            Origin::Demo(demo) => Process::start_shell(&restart_command(demo, &name)),
            Origin::Boxes(boxes) => boxed::run(boxes, boxed::box_of(index)),
        };
        self.nodes[index].pid = process.pid();
        self.started.insert(name, process);
    }

    /// A restarted node's process.
    pub fn restarted(&mut self, index: usize) -> &mut Process {
        let name = &self.nodes[index].name;
        self.started.get_mut(name).expect("only a restarted node is asked for")
    }

    /// Starts a dead node again and waits until it is ready.
    pub fn restart(&mut self, index: usize) {
        self.start_again(index);
        self.wait_ready(index);
    }

    /// Waits until a node says it is ready.
    pub fn wait_ready(&mut self, index: usize) {
        let api = self.api(index);
        let name = self.nodes[index].name.clone();
        wait::until(&format!("{name} is ready"), || {
            if let Some(process) = self.started.get_mut(&name)
                && let Some(status) = process.exited()
            {
                panic!("{name} ended with {status}:\n{}", process.tail());
            }
            let answer = api.get("/readyz").map_err(|error| error.to_string())?;
            if answer.status == 200 {
                Ok(())
            } else {
                Err(format!("{}: {}", answer.status, answer.text()))
            }
        });
    }

    /// Waits until every node named has applied what the first of them has applied by now.
    pub fn wait_caught_up(&self, indexes: &[usize]) {
        let target = wait::until("an applied index", || self.applied(indexes[0], indexes[0]));
        for &index in indexes {
            let name = &self.nodes[index].name;
            wait::until(&format!("{name} has applied index {target}"), || {
                let applied = self.applied(indexes[0], index)?;
                if applied >= target {
                    Ok(())
                } else {
                    Err(format!("at {applied}"))
                }
            });
        }
    }

    /// Waits until a fresh connection through each node named gets an answer that `wanted` takes.
    pub fn wait_traffic(&self, indexes: &[usize], port: u16, what: &str, wanted: impl Fn(&Answer) -> bool) {
        for &index in indexes {
            let listener = self.listener(index, port);
            wait::until(&format!("{what} through {listener}"), || {
                match traffic::ask(listener, self.addresses.client(49)) {
                    Ok(answer) if wanted(&answer) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            });
        }
    }

    /// Whether each process that should run does; panics with the output if not.
    pub fn assert_running(&self, indexes: &[usize]) {
        for &index in indexes {
            let node = &self.nodes[index];
            assert!(
                process::is_running(node.pid),
                "{} (pid {}) has ended; output:\n{}",
                node.name,
                node.pid,
                self.output()
            );
        }
    }

    fn applied(&self, ask: usize, about: usize) -> Result<u64, String> {
        let nodes = self.api(ask).nodes()?;
        let name = &self.nodes[about].name;
        let node = nodes.iter().find(|node| node.name == *name).ok_or("not a member")?;
        node.applied_index.ok_or_else(|| format!("{name} does not answer"))
    }
}

fn restart_command(demo: &Process, name: &str) -> String {
    wait::until(&format!("the demo prints how to restart {name}"), || {
        let lines = demo.output();
        lines
            .iter()
            .rev()
            .find(|line| line.contains(" run ") && line.contains(name) && line.contains("guideway"))
            .map(|line| line.trim().trim_start_matches("$ ").to_owned())
            .ok_or_else(|| demo.tail())
    })
}

fn leader_of(nodes: &[NodeStatus]) -> Option<&str> {
    nodes
        .iter()
        .find(|node| node.role == "leader")
        .map(|node| node.name.as_str())
}

impl Node {
    /// The value of one field of the `Node` object as another node lists it.
    pub fn field(&self, api: &Api, pointer: &str) -> Result<Value, String> {
        let nodes = api.nodes()?;
        let node = nodes.iter().find(|node| node.name == self.name).ok_or("not a member")?;
        node.object
            .pointer(pointer)
            .cloned()
            .ok_or_else(|| format!("{pointer} is not in {}", node.object))
    }
}
