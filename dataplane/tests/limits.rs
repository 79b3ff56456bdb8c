//! What happens at the limits of a process: descriptors, sockets, disk, panics. Each case is a process of its own, since
//! limits and recorder belong to a whole process: this program runs itself.

#[path = "bed/bed.rs"]
mod bed;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

use bed::endpoint::Endpoint;
use bed::recorder::kept;
use bed::{Bed, DRIVERS, Port, dial, eventually, plans, read_exactly};
use guideway_dataplane::{AccessLogTarget, Config, DataPlane, Observer};
use guideway_model::node::{BindResult, SocketKey};
use rustix::process::{Resource, Rlimit, setrlimit};

/// Names the child's part; absent in the parent.
const PART: &str = "GUIDEWAY_LIMITS_PART";
/// The child's only endpoint.
const ENDPOINT: &str = "GUIDEWAY_LIMITS_ENDPOINT";

fn main() {
    match std::env::var(PART) {
        Ok(part) => child(&part),
        Err(_) => {
            let cases: [(&str, fn()); 6] = [
                ("descriptors_run_out_and_come_back", descriptors_run_out_and_come_back),
                (
                    "descriptors_that_others_take_are_not_promised_to_sessions",
                    descriptors_that_others_take_are_not_promised_to_sessions,
                ),
                (
                    "a_log_that_cannot_be_written_costs_its_lines_only",
                    a_log_that_cannot_be_written_costs_its_lines_only,
                ),
                (
                    "a_bind_that_fails_shows_in_the_gauge",
                    a_bind_that_fails_shows_in_the_gauge,
                ),
                (
                    "pipes_and_buffers_show_in_the_gauges",
                    pipes_and_buffers_show_in_the_gauges,
                ),
                (
                    "a_panic_in_a_thread_ends_the_process",
                    a_panic_in_a_thread_ends_the_process,
                ),
            ];
            for (name, case) in cases {
                say(&format!("test {name} ..."));
                case();
            }
            say("test result: ok.");
        }
    }
}

fn descriptors_run_out_and_come_back() {
    let endpoint = Endpoint::echo();
    let mut node = Node::start("descriptors", endpoint.address());
    shortage(&mut node);
}

/// Others take theirs after the data plane has measured what they have, and just before its clients come.
fn descriptors_that_others_take_are_not_promised_to_sessions() {
    let endpoint = Endpoint::echo();
    for round in 0..3 {
        let mut node = Node::start("descriptors", endpoint.address());
        node.ask(&format!("hold {}", 20 + round));
        shortage(&mut node);
    }
}

/// More clients come at once than there are descriptors for: none is turned away, and each has its turn.
fn shortage(node: &mut Node) {
    let clients: Vec<TcpStream> = (0..60).map(|_| node.dial()).collect();
    let waits = std::time::Duration::from_millis(20);
    let (mut served, mut waiting) = (Vec::new(), Vec::new());
    for mut client in clients {
        client.write_all(b"x").expect("no client is turned away");
        client.set_read_timeout(Some(waits)).expect("timeout");
        match client.read(&mut [0]) {
            Ok(1) => served.push(client),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => waiting.push(client),
            other => panic!("neither served nor left waiting: {other:?}"),
        }
    }
    let metrics = node.metrics();
    assert!(
        !served.is_empty() && !waiting.is_empty(),
        "{} served, {} wait: {metrics:?}",
        served.len(),
        waiting.len()
    );
    assert!(metrics["accept_pauses_total{cause=shortage}"] > 0.0, "{metrics:?}");
    // Those that are served leave, and those that wait are served in their place, some at a time.
    served.clear();
    eventually("every client to have its turn", || {
        waiting.retain_mut(|client| match client.read(&mut [0]) {
            Ok(1) => false,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => true,
            other => panic!("turned away while it waited: {other:?}"),
        });
        if waiting.is_empty() {
            Ok(())
        } else {
            Err(format!("{} wait", waiting.len()))
        }
    });
    for _ in 0..20 {
        let mut client = node.dial();
        client.write_all(b"y").expect("write");
        assert_eq!(read_exactly(&client, 1), b"y");
    }
    let metrics = node.metrics();
    let overload = metrics.keys().find(|name| name.contains("reason=overload"));
    assert_eq!(overload, None, "{metrics:?}");
}

fn a_log_that_cannot_be_written_costs_its_lines_only() {
    let endpoint = Endpoint::echo();
    let mut node = Node::start("full-disk", endpoint.address());
    for _ in 0..10 {
        let mut client = node.dial();
        client.write_all(b"z").expect("write");
        assert_eq!(read_exactly(&client, 1), b"z");
    }
    node.expect("ten lines dropped", |metrics| {
        metrics.get("access_log_lines_dropped_total{}") == Some(&10.0)
    });
}

fn a_bind_that_fails_shows_in_the_gauge() {
    let endpoint = Endpoint::echo();
    let mut node = Node::start("occupied", endpoint.address());
    node.expect("a failed bind", |metrics| {
        metrics.get("binds_failed{}") == Some(&1.0) && metrics.get("plan_generation{}") == Some(&1.0)
    });
}

fn pipes_and_buffers_show_in_the_gauges() {
    let flood = Endpoint::serve(|mut stream| {
        let chunk = vec![7; 1 << 20];
        while stream.write_all(&chunk).is_ok() {}
    });
    for (part, used, capacity) in [
        ("splicing", "pipes_used{}", "pipes_capacity{}"),
        ("copying", "buffer_bytes_used{}", "buffer_bytes_capacity{}"),
    ] {
        let mut node = Node::start(part, flood.address());
        let client = node.dial();
        read_exactly(&client, 8 << 20);
        node.expect("something in flight", |metrics| {
            let used = metrics.get(used).copied().unwrap_or_default();
            used > 0.0 && used <= metrics[capacity]
        });
        drop(client);
        if part == "copying" {
            node.expect("nothing in flight", |metrics| !metrics.contains_key(used));
        }
    }
}

fn a_panic_in_a_thread_ends_the_process() {
    let endpoint = Endpoint::echo();
    let mut child = spawn("panics", endpoint.address());
    let status = child.wait().expect("child");
    assert_eq!(
        status.signal(),
        Some(rustix::process::Signal::ABORT.as_raw()),
        "{status}"
    );
}

/// A data plane in a process of its own.
struct Node {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Node {
    fn start(part: &str, endpoint: SocketAddr) -> Node {
        let mut child = spawn(part, endpoint);
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("stdout"));
        let mut address = String::new();
        answers.read_line(&mut address).expect("the child's address");
        Node {
            child,
            orders,
            answers,
            address: address.trim().parse().expect("address"),
        }
    }

    fn dial(&self) -> TcpStream {
        dial(self.address)
    }

    fn metrics(&mut self) -> BTreeMap<String, f64> {
        serde_json::from_str(&self.ask("metrics")).expect("JSON")
    }

    fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders.as_mut().expect("stdin"), "{order}").expect("order");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("answer");
        line
    }

    fn expect(&mut self, what: &str, holds: impl Fn(&BTreeMap<String, f64>) -> bool) {
        eventually(what, || {
            let metrics = self.metrics();
            if holds(&metrics) {
                Ok(())
            } else {
                Err(format!("{metrics:#?}"))
            }
        });
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The end of its orders ends the child.
        self.orders.take();
        self.child.wait().expect("child");
    }
}

fn spawn(part: &str, endpoint: SocketAddr) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .env(PART, part)
        .env(ENDPOINT, endpoint.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(if part == "panics" {
            Stdio::null()
        } else {
            Stdio::inherit()
        })
        .spawn()
        .expect("child")
}

fn child(part: &str) {
    let endpoint = std::env::var(ENDPOINT).expect("endpoint").parse().expect("address");
    let port = Port::reserve();
    let key = port.loopback_key();
    let plan = plans::plan(1, &[plans::listener(key, Some(&[plans::endpoint(endpoint)]))]);
    kept();
    let mut config = bed::config(DRIVERS[0]);
    let mut occupant = None;
    match part {
        "descriptors" => {
            let limit = Rlimit {
                current: Some(60),
                maximum: Some(60),
            };
            setrlimit(Resource::Nofile, limit).expect("limit");
        }
        "full-disk" => config.access_log.target = AccessLogTarget::File("/dev/full".into()),
        "occupied" => occupant = Some(std::net::TcpListener::bind(port.address()).expect("occupant")),
        "splicing" => {}
        "copying" => config.max_pipes = 0,
        "panics" => panic_in_the_observer(config, plan),
        other => panic!("no part {other}"),
    }
    let bed = Bed::start(config);
    bed.activate(plan);
    match &occupant {
        Some(_) => drop(bed.wait_failed(key)),
        None => bed.wait_bound(),
    }
    say(&port.address().to_string());
    let mut held = Vec::new();
    for order in std::io::stdin().lines() {
        let order = order.expect("order");
        match order.split_once(' ') {
            None if order == "metrics" => say(&serde_json::to_string(&kept().values("")).expect("JSON")),
            Some(("hold", count)) => {
                let count: usize = count.parse().expect("count");
                held.extend((0..count).map(|_| std::fs::File::open("/dev/null").expect("descriptor")));
                say("held");
            }
            _ => panic!("no order {order}"),
        }
    }
}

fn panic_in_the_observer(config: Config, plan: guideway_model::Plan) -> ! {
    struct Panics;
    impl Observer for Panics {
        fn binds_changed(&self, _: &BTreeMap<SocketKey, BindResult>) {}
        fn plan_active(&self, _: u64) {
            panic!("an observer that panics");
        }
    }
    let plane = DataPlane::start(config, Arc::new(Panics)).expect("start");
    plane.apply(Arc::new(plan));
    eventually("the end of this process", || Err::<(), _>("still alive"));
    unreachable!("the process is ended");
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}")
        .and_then(|()| output.flush())
        .expect("someone who listens");
}
