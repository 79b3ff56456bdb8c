//! A crowd of UDP clients, each of whose flows remembers which endpoint it met first.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long an endpoint sleeps between two looks whether it should end.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a client waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Questions in flight of one client thread: no more than sockets take without loss.
const TOGETHER: usize = 64;

/// How often a client asks before it gives up.
const TRIES: usize = 8;

/// A UDP server that answers every datagram with its label and the datagram.
///
/// One thread serves; it ends when the endpoint is dropped.
#[derive(Debug)]
pub struct LabelledEndpoint {
    label: String,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl LabelledEndpoint {
    /// Serves on a free port of `address`.
    pub fn start(label: &str, address: impl Into<IpAddr>) -> LabelledEndpoint {
        let socket = UdpSocket::bind((address.into(), 0)).expect("the block's addresses have free ports");
        socket.set_read_timeout(Some(LOOK_INTERVAL)).expect("it is not zero");
        let endpoint = LabelledEndpoint {
            label: label.to_owned(),
            address: socket.local_addr().expect("a bound socket has an address"),
            stop: Arc::default(),
        };
        let (stop, prefix) = (Arc::clone(&endpoint.stop), format!("{label} "));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 2048];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                // A client that has gone is its own affair.
                socket
                    .send_to(&[prefix.as_bytes(), &buffer[..length]].concat(), from)
                    .ok();
            }
        });
        endpoint
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its answers begin with.
    pub fn label(&self) -> &str {
        &self.label
    }
}

impl Drop for LabelledEndpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Flows of one thread of clients, all through one node: each client has one socket and a flow on every port.
#[derive(Debug)]
pub struct Crowd {
    clients: Vec<UdpSocket>,
    ports: Vec<u16>,
    /// The label that each flow met first, by client and then by port.
    homes: Vec<String>,
    round: u64,
}

/// What a round of questions found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Flows that met the endpoint they had met before.
    pub kept: usize,
    /// Flows that met another one, by the label of the one before.
    pub moved: BTreeMap<String, usize>,
}

impl Crowd {
    /// `count` clients that dial from `from`, with flows to these ports; nothing is asked yet.
    pub fn new(count: usize, from: impl Into<IpAddr>, ports: &[u16]) -> io::Result<Crowd> {
        let from = from.into();
        let clients: Vec<UdpSocket> = (0..count)
            .map(|_| {
                let socket = UdpSocket::bind((from, 0))?;
                socket.set_read_timeout(Some(PATIENCE))?;
                Ok(socket)
            })
            .collect::<io::Result<_>>()?;
        Ok(Crowd {
            homes: vec![String::new(); clients.len() * ports.len()],
            clients,
            ports: ports.to_vec(),
            round: 0,
        })
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.homes.len()
    }

    /// The address of a client.
    pub fn client(&self, number: usize) -> SocketAddr {
        self.clients[number]
            .local_addr()
            .expect("a bound socket has an address")
    }

    /// The label each flow met first or was told to call home, with its client's address and its port.
    pub fn homes(&self) -> impl Iterator<Item = (SocketAddr, u16, &str)> {
        let places = (0..self.homes.len()).map(|flow| {
            (
                self.client(flow / self.ports.len()),
                self.ports[flow % self.ports.len()],
            )
        });
        places
            .zip(&self.homes)
            .map(|((client, port), home)| (client, port, home.as_str()))
    }

    /// Asks on every flow through `node`. Flows that have no home take the one that answers; those that met another
    /// take it as their home from here on.
    ///
    /// # Errors
    /// A flow that has no answer after many tries.
    pub fn ask(&mut self, node: IpAddr) -> Result<Round, String> {
        self.round += 1;
        let mut found = Round::default();
        let clients: Vec<usize> = (0..self.clients.len()).collect();
        for together in clients.chunks(TOGETHER / self.ports.len().max(1)) {
            let answers = self.ask_together(node, together)?;
            for (flow, label) in answers {
                let home = &mut self.homes[flow];
                if home.is_empty() || *home == label {
                    found.kept += 1;
                } else {
                    *found.moved.entry(home.clone()).or_default() += 1;
                }
                *home = label;
            }
        }
        Ok(found)
    }

    fn ask_together(&self, node: IpAddr, clients: &[usize]) -> Result<BTreeMap<usize, String>, String> {
        let mut answers = BTreeMap::new();
        let flow = |client: usize, port: usize| client * self.ports.len() + port;
        for _ in 0..TRIES {
            for &client in clients {
                for (place, port) in self.ports.iter().enumerate() {
                    if !answers.contains_key(&flow(client, place)) {
                        let question = format!("{}-{place}", self.round);
                        // What is lost is asked again.
                        self.clients[client].send_to(question.as_bytes(), (node, *port)).ok();
                    }
                }
            }
            for &client in clients {
                while (0..self.ports.len()).any(|place| !answers.contains_key(&flow(client, place))) {
                    let Ok((place, label)) = self.receive(client) else {
                        break;
                    };
                    answers.insert(flow(client, place), label);
                }
            }
            if answers.len() == clients.len() * self.ports.len() {
                return Ok(answers);
            }
        }
        let silent: Vec<SocketAddr> = clients
            .iter()
            .filter(|client| (0..self.ports.len()).any(|place| !answers.contains_key(&flow(**client, place))))
            .map(|client| self.client(*client))
            .collect();
        Err(format!(
            "{} clients had no answer from {node}, such as {:?}",
            silent.len(),
            silent.first()
        ))
    }

    /// The next answer to a question of this round: the place of its port, and who gave it.
    fn receive(&self, client: usize) -> io::Result<(usize, String)> {
        let mut buffer = [0; 2048];
        loop {
            let length = self.clients[client].recv(&mut buffer)?;
            let text = String::from_utf8_lossy(&buffer[..length]);
            let Some((label, question)) = text.rsplit_once(' ') else {
                continue;
            };
            let Some((round, place)) = question.split_once('-') else {
                continue;
            };
            if round.parse() == Ok(self.round)
                && let Ok(place) = place.parse()
            {
                return Ok((place, label.to_owned()));
            }
        }
    }
}

impl Round {
    /// Flows that met another endpoint.
    pub fn moves(&self) -> usize {
        self.moved.values().sum()
    }

    /// Adds another round to this one.
    pub fn add(&mut self, other: Round) {
        self.kept += other.kept;
        for (home, count) in other.moved {
            *self.moved.entry(home).or_default() += count;
        }
    }
}
