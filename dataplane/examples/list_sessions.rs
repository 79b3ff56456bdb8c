//! How long it takes to show a page of 200 000 sessions, and what the data plane notices of it.
//!
//! `cargo run --release -p guideway-dataplane --example list_sessions`. A process has not the descriptors for so many
//! flows, so 4 000 are listed fifty times over; the page is made of 200 000 rows.
#![expect(clippy::print_stdout, reason = "a program that says what it has measured")]

#[path = "../tests/bed/bed.rs"]
mod bed;

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use guideway_model::session::SessionRow;

use bed::datagrams::{Gate, Server, ask, bed, client, client_on};
use bed::{DRIVERS, config};

const FLOWS: u16 = 4000;
const SESSIONS: usize = 200_000;
const PAGE: usize = 100;

fn main() {
    let server = Server::echo();
    let gate = Gate::reserve();
    let mut config = config(DRIVERS[0]);
    config.max_sessions = Some(usize::from(FLOWS));
    let bed = bed(config, &gate, &[server.share()], &Default::default());
    let clients: Vec<UdpSocket> = (0..FLOWS)
        .map(|number| client_on([127, 0, 1 + number.to_be_bytes()[0], 1].into()))
        .collect();
    for client in &clients {
        ask(client, gate.address(), b"1");
    }
    let quiet = latencies(&gate, || std::thread::park_timeout(Duration::from_millis(200)));
    let mut rows: Vec<SessionRow> = Vec::with_capacity(SESSIONS);
    let mut took = Duration::ZERO;
    let busy = latencies(&gate, || {
        let began = Instant::now();
        while rows.len() < SESSIONS {
            let silent = bed.plane.visit_sessions(|row| rows.push(row));
            assert_eq!(silent, 0, "every thread answers");
        }
        took = began.elapsed();
    });
    println!("{} rows listed in {took:?}", rows.len());
    for (number, row) in (0u32..).zip(&mut rows) {
        row.client = SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0a00_0000 + number), 40_000));
        row.bytes[0] = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    }
    let began = Instant::now();
    let page = page(&rows);
    println!(
        "a page of {} of them, filtered and sorted, in {:?}",
        page.len(),
        began.elapsed()
    );
    println!("a row takes {} bytes", size_of::<SessionRow>());
    println!("echo through the data plane: {quiet:?} at rest, {busy:?} meanwhile (median, longest)");
}

/// Those of a network, by the bytes that they have sent.
fn page(rows: &[SessionRow]) -> Vec<&SessionRow> {
    let wanted = |row: &&SessionRow| match row.client {
        SocketAddr::V4(client) => client.ip().octets()[3] < 128,
        SocketAddr::V6(_) => false,
    };
    let mut page: Vec<&SessionRow> = rows.iter().filter(wanted).collect();
    page.sort_by_key(|row| std::cmp::Reverse(row.bytes[0]));
    page.truncate(PAGE);
    page
}

/// Round trips of one client while something is done: the median and the longest.
fn latencies(gate: &Gate, work: impl FnOnce()) -> [Duration; 2] {
    let over = std::sync::atomic::AtomicBool::new(false);
    let to = gate.address();
    let mut trips = std::thread::scope(|scope| {
        let prober = scope.spawn(|| {
            let client = client();
            let mut trips = Vec::new();
            while !over.load(std::sync::atomic::Ordering::Acquire) || trips.is_empty() {
                let began = Instant::now();
                ask(&client, to, b"2");
                trips.push(began.elapsed());
            }
            trips
        });
        work();
        over.store(true, std::sync::atomic::Ordering::Release);
        prober.join().expect("the prober")
    });
    trips.sort();
    [trips[trips.len() / 2], trips[trips.len() - 1]]
}
