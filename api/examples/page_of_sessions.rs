//! How long the API takes for a page of 200 000 sessions of three nodes: selected by client and size, sorted, the first
//! hundred, over HTTP.
//!
//! `cargo run --release -p guideway-api --example page_of_sessions`. The server is the real one; the sessions are rows in memory,
//! which are copied as relay threads copy theirs, and pages come from nodes as JSON. Collecting rows from relay threads is
//! measured by the example of the same name in `dataplane`.
#![expect(clippy::print_stdout, reason = "a program that says what it has measured")]

#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/rest/client.rs"]
mod client;
#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../tests/rest/cluster.rs"]
mod cluster;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use client::Client;
use cluster::Server;

const SESSIONS: u32 = 200_000;
const ROUNDS: usize = 21;
/// Half of the clients; of those, nearly all.
const QUERY: &str = "clientCIDR=10.0.0.0/15&minBytes=64Ki&limit=100&sortBy=";

#[tokio::main(worker_threads = 2)]
async fn main() {
    let server = Server::start().await;
    for number in 0..SESSIONS {
        let client = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 40_000)).to_string();
        let endpoint = format!("192.0.2.{}:80", number % 100);
        let live = &server.cluster.live;
        live.add_with(u64::from(number % 3) + 1, &client, &endpoint, |_, row| {
            row.bytes[0] = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        });
    }
    let client = Client::new(server.address);
    for sort in ["-bytes", "client", "-age", ""] {
        let path = format!("/apis/guideway.dev/v1alpha1/sessions?{QUERY}{sort}");
        let mut took = Vec::new();
        let mut shown = 0;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let list = client.get(&path).await.expect(200);
            took.push(began.elapsed());
            shown = list["items"].as_array().map_or(0, Vec::len);
        }
        took.sort();
        let [median, longest]: [Duration; 2] = [took[ROUNDS / 2], took[ROUNDS - 1]];
        println!("sortBy={sort}: {shown} of {SESSIONS} sessions in {median:?}, at most {longest:?}");
    }
}
