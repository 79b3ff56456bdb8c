//! A crowd of UDP clients, each of whose flows remembers which endpoint it met first.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How long an endpoint sleeps between two looks whether it should end.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How long nothing may come before the next questions are asked; an answer counts whenever it comes.
const PATIENCE: Duration = Duration::from_millis(200);

/// Questions in flight of one client thread: no more than sockets take without loss.
const TOGETHER: usize = 64;

/// How often a client asks before it gives up.
const TRIES: usize = 40;

/// The same where silence is the rule: many flows are not worth a long wait for each few of them.
const PATIENCE_UNSERVED: Duration = Duration::from_millis(10);
const TRIES_UNSERVED: usize = 2;

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
    /// The label that each flow met first, by client and then by port; empty for one that has met none.
    homes: Vec<String>,
    /// Flows that are asked no more.
    given_up: BTreeSet<usize>,
    round: u64,
}

/// What a round of questions found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Flows that met the endpoint they had met before.
    pub kept: usize,
    /// Flows that met another one, by the label of the one before.
    pub moved: BTreeMap<String, usize>,
    /// Flows that had no answer and need not have had one, by the label of the one before.
    pub unserved: BTreeMap<String, usize>,
}

/// Which flows a node may leave without an answer, for want of local ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage<'a> {
    /// None.
    Nowhere,
    /// Those that are to be opened.
    OfPorts {
        /// The home that is gone, if one is: its flows are opened anew, beside those that have no home.
        gone: Option<&'a str>,
    },
}

impl Crowd {
    /// `count` clients that dial from `from`, with flows to these ports; nothing is asked yet.
    pub fn new(count: usize, from: impl Into<IpAddr>, ports: &[u16]) -> io::Result<Crowd> {
        let from = from.into();
        let clients: Vec<UdpSocket> = (0..count)
            .map(|_| {
                let socket = UdpSocket::bind((from, 0))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .collect::<io::Result<_>>()?;
        Ok(Crowd {
            homes: vec![String::new(); clients.len() * ports.len()],
            clients,
            ports: ports.to_vec(),
            given_up: BTreeSet::new(),
            round: 0,
        })
    }

    /// How many flows there are.
    pub fn flows(&self) -> usize {
        self.homes.len()
    }

    /// How many flows have an endpoint.
    pub fn served(&self) -> usize {
        self.homes.iter().filter(|home| !home.is_empty()).count()
    }

    /// Leaves the flows that have no endpoint alone from here on.
    pub fn give_up_unserved(&mut self) {
        let homes = self.homes.iter().enumerate();
        let unserved = homes.filter(|(_, home)| home.is_empty()).map(|(flow, _)| flow);
        self.given_up.extend(unserved);
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
    /// take it as their home from here on; those that met none and need not have are without one.
    ///
    /// # Errors
    /// A flow that has no answer after many tries.
    pub fn ask(&mut self, node: IpAddr, shortage: Shortage<'_>) -> Result<Round, String> {
        self.round += 1;
        let may_be_silent = |home: &String| match shortage {
            Shortage::Nowhere => false,
            Shortage::OfPorts { gone } => home.is_empty() || gone == Some(home.as_str()),
        };
        let asked = (0..self.homes.len()).filter(|flow| !self.given_up.contains(flow));
        let (doubtful, certain): (BTreeSet<usize>, BTreeSet<usize>) =
            asked.partition(|flow| may_be_silent(&self.homes[*flow]));
        let mut answers = BTreeMap::new();
        let silent = self.ask_flows(node, certain, (TRIES, PATIENCE), &mut answers);
        if let Some(flow) = silent.first() {
            let client = self.client(flow / self.ports.len());
            let home = &self.homes[*flow];
            return Err(format!(
                "{} flows had no answer from {node}, such as that of {client} with {home:?}",
                silent.len(),
            ));
        }
        let manner = (TRIES_UNSERVED, PATIENCE_UNSERVED);
        let mut silent = self.ask_flows(node, doubtful, manner, &mut answers);
        let late: Vec<usize> = silent.iter().copied().collect();
        self.collect(&late, PATIENCE, &mut silent, &mut answers);
        Ok(self.sum_up(answers, silent))
    }

    fn sum_up(&mut self, answers: BTreeMap<usize, String>, silent: BTreeSet<usize>) -> Round {
        let mut found = Round::default();
        for (flow, label) in answers {
            let home = &mut self.homes[flow];
            if home.is_empty() || *home == label {
                found.kept += 1;
            } else {
                *found.moved.entry(home.clone()).or_default() += 1;
            }
            *home = label;
        }
        for flow in silent {
            let home = std::mem::take(&mut self.homes[flow]);
            *found.unserved.entry(home).or_default() += 1;
        }
        found
    }

    /// Asks on these flows, a few at a time, until each has its answer or was tried often enough; returns those without.
    fn ask_flows(
        &self,
        node: IpAddr,
        mut open: BTreeSet<usize>,
        (tries, patience): (usize, Duration),
        answers: &mut BTreeMap<usize, String>,
    ) -> BTreeSet<usize> {
        for _ in 0..tries {
            let asked: Vec<usize> = open.iter().copied().collect();
            for together in asked.chunks(TOGETHER) {
                for flow in together {
                    let (client, place) = (flow / self.ports.len(), flow % self.ports.len());
                    let question = format!("{}-{place}", self.round);
                    // What is lost is asked again.
                    self.clients[client]
                        .send_to(question.as_bytes(), (node, self.ports[place]))
                        .ok();
                }
                self.collect(together, patience, &mut open, answers);
            }
            if open.is_empty() {
                break;
            }
        }
        open
    }

    /// Receives until each of `together` has its answer, or nothing has come for a while.
    fn collect(
        &self,
        together: &[usize],
        patience: Duration,
        open: &mut BTreeSet<usize>,
        answers: &mut BTreeMap<usize, String>,
    ) {
        let mut last = Instant::now();
        loop {
            let waiting = together.iter().filter(|flow| open.contains(flow));
            let waiting: BTreeSet<usize> = waiting.map(|flow| flow / self.ports.len()).collect();
            let left = patience.saturating_sub(last.elapsed());
            if waiting.is_empty() || left.is_zero() {
                return;
            }
            for client in wait_readable(&self.clients, &waiting, left) {
                while let Ok((place, label)) = self.receive(client) {
                    let flow = client * self.ports.len() + place;
                    if open.remove(&flow) {
                        answers.insert(flow, label);
                        last = Instant::now();
                    }
                }
            }
        }
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

/// Those of the clients in `waiting` that have something to read, once one has; none when the time is up.
fn wait_readable(clients: &[UdpSocket], waiting: &BTreeSet<usize>, time: Duration) -> Vec<usize> {
    let mut polled: Vec<PollFd<'_>> = waiting
        .iter()
        .map(|client| PollFd::new(&clients[*client], PollFlags::IN))
        .collect();
    let time = Timespec::try_from(time).expect("less than a second");
    match poll(&mut polled, Some(&time)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => panic!("poll: {error}"),
    }
    let ready = waiting.iter().zip(&polled);
    let ready = ready.filter(|(_, polled)| !polled.revents().is_empty());
    ready.map(|(client, _)| *client).collect()
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
        for (home, count) in other.unserved {
            *self.unserved.entry(home).or_default() += count;
        }
    }
}
