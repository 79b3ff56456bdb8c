//! Promise: who is no member gets in nowhere, and what members say to each other is seen by no one.
//!
//! Each kind of stranger is tried against the transport in `consensus/tests/cluster/strangers.rs`; here are the commands
//! of an operator, what the members write about it, and what a wire shows.
//!
//! Needs root, which captures packets, and the tools: ip, tcpdump.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use guideway_chaos_tests::process::Process;
use guideway_chaos_tests::{Addresses, Cluster, binary, http, manifest, program, wait};
use rustix::process::Signal;

/// peer.listen of a demo's nodes.
const PEER_PORT: u16 = 7444;

/// What must not be seen: the name of an object, and how HTTP/2 begins.
const CLEAR: [&[u8]; 2] = [b"a-name-that-is-in-no-other-test", b"PRI * HTTP/2.0"];

#[test]
fn a_token_is_worth_nothing_twice_and_the_members_say_so() {
    let cluster = Cluster::start();
    let token = guideway(&config(&cluster.data_dir(0)), &["invite"]).expect("a token");
    let token = token
        .lines()
        .find(|line| !line.starts_with('#'))
        .expect("a line")
        .to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = ["one-more", "and-another"].map(|name| {
        let file = folder.path().join(format!("{name}.toml"));
        let text = format!(
            "name = \"{name}\"\ndata_dir = \"{}\"\n[peer]\nlisten = \"{}:7444\"\n",
            folder.path().join(name).display(),
            cluster.addresses().endpoint(9)
        );
        std::fs::write(&file, text).expect("written");
        file
    });
    guideway(&first, &["join", "--token", &token]).expect("it has a place");
    let refused = guideway(&second, &["join", "--token", &token]).expect_err("the token has been used");
    assert!(
        refused.contains("has been used") && refused.contains("guideway invite"),
        "{refused}"
    );
    assert!(
        !folder.path().join("and-another/identity.json").exists(),
        "it has no place"
    );
    let log = std::fs::read_to_string(cluster.log_file(0)).expect("a log");
    let line = log
        .lines()
        .find(|line| line.contains("token_used"))
        .expect("the member says so");
    assert!(line.contains("was not let in") && !line.contains(&token), "{line}");
    let metrics = http::get(&cluster.node(0).metrics).expect("metrics").text();
    assert!(
        metrics.contains("guideway_consensus_handshakes_total{outcome=\"token_used\"} 1"),
        "the refusal is counted"
    );
}

#[test]
fn a_wire_shows_tls_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("peers.pcap");
    let filter = format!("tcp port {PEER_PORT}");
    let written = file.display().to_string();
    // From before the first connection, so that each stream is seen from its start.
    let mut capture = Process::start(
        "tcpdump",
        [
            "-i", "lo", "-U", "-s", "0", "-B", "65536", "-Z", "root", "-w", &written, &filter,
        ],
    );
    wait::until("the capture has begun", || {
        let output = capture.tail();
        if output.contains("listening on") {
            Ok(())
        } else {
            Err(output)
        }
    });
    let cluster = Cluster::start();
    let name = std::str::from_utf8(CLEAR[0]).expect("text");
    cluster.api(1).apply(&manifest::service(name, 80));
    let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
    let before = size();
    wait::until("what followed is captured, too", || {
        if size() > before {
            Ok(())
        } else {
            Err(format!("{before} bytes"))
        }
    });
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(capture.pid()).expect("a number")).expect("a process"),
        Signal::INT,
    )
    .expect("it runs");
    capture.wait();
    let bases = cluster.addresses();
    let streams = streams(&std::fs::read(&file).expect("a capture"), bases);
    assert!(
        streams.len() >= 12,
        "each of three nodes calls two others: {}",
        streams.len()
    );
    for (ends, bytes) in &streams {
        for clear in CLEAR {
            let seen = bytes.windows(clear.len()).any(|window| window == clear);
            assert!(!seen, "{ends:?} shows {:?}", String::from_utf8_lossy(clear));
        }
        tls_only(bytes).unwrap_or_else(|problem| panic!("{ends:?}: {problem}"));
    }
}

/// RFC 8446, 5.1: a type from change_cipher_spec to application_data, a version, a length of at most 2^14 + 256.
fn tls_only(mut bytes: &[u8]) -> Result<(), String> {
    while let [kind, major, minor, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if !(20..=23).contains(kind) || *major != 3 || !(1..=3).contains(minor) || length > (1 << 14) + 256 {
            return Err(format!("{:02x?} starts no TLS record", &bytes[..bytes.len().min(16)]));
        }
        // The last may be cut off by the end of the capture.
        bytes = rest.get(length..).unwrap_or_default();
    }
    Ok(())
}

type Ends = ([u8; 6], [u8; 6]);

/// The bytes of each direction of each connection of this test's addresses, put in order.
fn streams(capture: &[u8], addresses: &Addresses) -> BTreeMap<Ends, Vec<u8>> {
    let std::net::IpAddr::V4(base) = std::net::IpAddr::from(addresses.base()) else {
        panic!("demos have IPv4 addresses");
    };
    let network = base.octets();
    let mut pieces: BTreeMap<Ends, (u32, BTreeMap<u32, Vec<u8>>)> = BTreeMap::new();
    // The file's header, then packets: a header of 16 bytes with the captured length, Ethernet, IPv4, TCP.
    let mut rest = &capture[24..];
    while rest.len() >= 16 {
        let length = u32::from_le_bytes([rest[8], rest[9], rest[10], rest[11]]) as usize;
        let Some(packet) = rest.get(16..16 + length) else { break };
        rest = &rest[16 + length..];
        let ip = &packet[14..];
        if ip[0] >> 4 != 4 || ![12, 16].iter().any(|at| ip[*at..at + 3] == network[..3]) {
            continue;
        }
        let header = usize::from(ip[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let (tcp, end) = (&ip[header..], if total == 0 { ip.len() } else { total });
        let ends: Ends = (
            [ip[12], ip[13], ip[14], ip[15], tcp[0], tcp[1]],
            [ip[16], ip[17], ip[18], ip[19], tcp[2], tcp[3]],
        );
        let number = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
        let data = ip.get(header + usize::from(tcp[12] >> 4) * 4..end).unwrap_or_default();
        if tcp[13] & 2 != 0 {
            pieces.insert(ends, (number.wrapping_add(1), BTreeMap::new()));
        } else if let Some((start, found)) = pieces.get_mut(&ends).filter(|_| !data.is_empty()) {
            found.insert(number.wrapping_sub(*start), data.to_vec());
        }
    }
    let whole = pieces.into_iter().map(|(ends, (_, found))| (ends, in_order(&found)));
    whole.filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// What is there without a gap; what was sent twice counts once.
fn in_order(pieces: &BTreeMap<u32, Vec<u8>>) -> Vec<u8> {
    let mut bytes: Vec<u8> = Vec::new();
    for (start, piece) in pieces {
        let Some(known) = bytes.len().checked_sub(*start as usize) else {
            break;
        };
        bytes.extend(piece.get(known..).unwrap_or_default());
    }
    bytes
}

/// The configuration of the node with this data folder.
fn config(data_dir: &Path) -> PathBuf {
    data_dir.parent().expect("a node has a folder").join("guideway.toml")
}

fn guideway(config: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = std::process::Command::new(binary::guideway());
    program::run(command.args(arguments).arg("--config").arg(config))
}
