//! Machines of their own, each a network namespace with an address on a common switch. Needs root and `ip`.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::process::{self, Process};
use crate::{binary, program};

/// The prefix of every box's address, unless it is asked for another: for documentation (RFC 5737), and in no one's way inside a namespace.
const NETWORK: [u8; 3] = [192, 0, 2];

/// Sets of boxes that one test process has made. Each has names of its own, and its own network where it asks for one.
static MADE: AtomicU8 = AtomicU8::new(0);

/// Boxes that are removed, with everything in them, when they are dropped.
#[derive(Debug)]
pub struct Boxes {
    prefix: String,
    network: [u8; 3],
    count: u8,
    folder: TempDir,
}

impl Boxes {
    /// Makes `count` boxes, numbered from 1, with the addresses 192.0.2.1 and up.
    pub fn make(count: u8) -> Boxes {
        Boxes::make_in(NETWORK, count, MADE.fetch_add(1, Ordering::Relaxed))
    }

    /// Makes `count` boxes whose addresses no other boxes of this process have: what is known by address, such as who signs
    /// in where, is then known by box.
    pub fn make_apart(count: u8) -> Boxes {
        let serial = MADE.fetch_add(1, Ordering::Relaxed);
        // For tests of networks (RFC 2544).
        Boxes::make_in([198, 18, serial], count, serial)
    }

    fn make_in(network: [u8; 3], count: u8, serial: u8) -> Boxes {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes network namespaces: run it as root"
        );
        let boxes = Boxes {
            prefix: format!("gw{:x}-{serial}", std::process::id()),
            network,
            count,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        let switch = boxes.switch();
        ip(&["netns", "add", &switch]);
        ip(&["-n", &switch, "link", "add", "switch", "type", "bridge"]);
        ip(&["-n", &switch, "link", "set", "switch", "up"]);
        for number in 1..=count {
            let (name, port) = (boxes.name(number), format!("port{number}"));
            ip(&["netns", "add", &name]);
            ip(&["-n", &name, "link", "set", "lo", "up"]);
            let cable = [
                "-n", &name, "link", "add", "eth0", "type", "veth", "peer", "name", &port, "netns", &switch,
            ];
            ip(&cable);
            ip(&["-n", &switch, "link", "set", &port, "master", "switch", "up"]);
            ip(&["-n", &name, "link", "set", "eth0", "up"]);
            boxes.add_address(number, boxes.host(number));
            std::fs::create_dir_all(boxes.folder(number)).expect("a folder for the box");
        }
        boxes
    }

    /// The address of a box that [`Boxes::make`] has made.
    pub fn address(number: u8) -> Ipv4Addr {
        let [a, b, c] = NETWORK;
        Ipv4Addr::new(a, b, c, number)
    }

    /// The address in the boxes' network whose last byte is `last`; that of a box ends in its number.
    pub fn host(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.network;
        Ipv4Addr::new(a, b, c, last)
    }

    /// Gives a box one more address.
    pub fn add_address(&self, number: u8, address: Ipv4Addr) {
        let address = format!("{address}/24");
        ip(&["-n", &self.name(number), "addr", "add", &address, "dev", "eth0"]);
    }

    /// Moves the calling thread into a box: the sockets it makes, the threads it starts and the programs it runs are there.
    /// It stays there when the boxes are removed, so this is for a thread that ends with them, as that of a test does.
    pub fn enter(&self, number: u8) {
        let name = self.name(number);
        let space = File::open(format!("/run/netns/{name}")).expect("ip keeps names of namespaces here");
        move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))
            .unwrap_or_else(|error| panic!("cannot enter {name}: {error}"));
    }

    /// What stands before a program and its arguments to run it in a box.
    pub fn inside(&self, number: u8) -> Vec<String> {
        let name = self.name(number);
        ["ip", "netns", "exec", &name].map(str::to_owned).to_vec()
    }

    /// What a box has of its own of the file system, in the stead of `/etc/guideway` and `/var/lib/guideway`.
    pub fn folder(&self, number: u8) -> PathBuf {
        self.folder.path().join(format!("box-{number}"))
    }

    /// Runs lines of shell in a box as they stand in a document, with variables set; what they print.
    pub fn run(&self, number: u8, lines: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let mut command = program::command("ip");
        self.shell(&mut command, number, lines);
        program::run(command.envs(variables.iter().copied()))
    }

    /// Starts lines of shell in a box, which go on until they are ended.
    pub fn start(&self, number: u8, lines: &str) -> Process {
        let mut command = Command::new("ip");
        self.shell(&mut command, number, &format!("exec {lines}"));
        let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let settings = environment.map(|(name, value)| format!("{}={}", name.display(), value.display()));
        let arguments = command.get_args().map(|argument| argument.display().to_string());
        let whole: Vec<String> = settings.chain(["ip".to_owned()]).chain(arguments).collect();
        Process::start("env", whole)
    }

    fn shell(&self, command: &mut Command, number: u8, lines: &str) {
        let folder = self.folder(number).display().to_string();
        let lines = lines
            .replace("/etc/guideway", &folder)
            .replace("/var/lib/guideway", &format!("{folder}/data"));
        let binaries = binary::guideway();
        let binaries = binaries.parent().unwrap_or(Path::new("/"));
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args([
                "netns",
                "exec",
                &self.name(number),
                "bash",
                "-euo",
                "pipefail",
                "-c",
                &lines,
            ])
            .env("PATH", format!("{}:{path}", binaries.display()))
            .env("GUIDEWAY_CONFIG", format!("{folder}/guideway.toml"));
    }

    fn name(&self, number: u8) -> String {
        format!("{}-{number}", self.prefix)
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.prefix)
    }
}

impl Drop for Boxes {
    fn drop(&mut self) {
        for name in (1..=self.count).map(|number| self.name(number)).chain([self.switch()]) {
            // What lines of shell have started may outlive them, and would keep the namespace.
            let left = program::run(program::command("ip").args(["netns", "pids", &name])).unwrap_or_default();
            for pid in left.lines().filter_map(|line| line.trim().parse().ok()) {
                process::signal(pid, Signal::KILL);
            }
            // One that was not made is not there to be removed.
            drop(program::run(program::command("ip").args(["netns", "del", &name])));
        }
    }
}

fn ip(arguments: &[&str]) {
    program::must(program::command("ip").args(arguments));
}
