//! Promise: endpoints are replaced under open transactions. A drain lets each session live to the deadline and sends new ones
//! to the new endpoint; what is left at the deadline is closed at the pace that was asked for.
//!
//! Needs PostgreSQL, as Debian packages it. DESIGN section 5.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use guideway_chaos_tests::postgres::{Postgres, PsqlSession};
use guideway_chaos_tests::{Api, Cluster, manifest, wait};
use serde_json::{Value, json};

const SESSIONS: usize = 12;

/// Sessions closed in a second, by the whole cluster.
const PACE: u64 = 6;

#[test]
fn a_rollout_cuts_no_transaction_before_the_deadline_and_closes_the_rest_in_pace() {
    let cluster = Cluster::start();
    let servers = [0, 1].map(|number| Postgres::start(cluster.addresses().endpoint(number)));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("database", &[("postgres", port)]);
    api.apply(&gateway);
    api.apply(&manifest::backend("postgres", &[servers[0].address()]));
    api.apply(&manifest::tcp_route_to_backend(
        "postgres", "database", "postgres", "postgres",
    ));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_caught_up(&[0, 1, 2]);
    for server in &servers {
        let own = format!(
            "create table who (port int); insert into who values ({}); create table work (n int)",
            server.address().port()
        );
        server.psql(server.address(), &own).expect("a table is made");
    }

    let begun = Instant::now();
    let mut short: Vec<PsqlSession> = (0..SESSIONS)
        .map(|number| transaction(&cluster, &servers[0], port, number))
        .collect();
    let long: Vec<PsqlSession> = (0..SESSIONS)
        .map(|number| transaction(&cluster, &servers[0], port, SESSIONS + number))
        .collect();
    wait_sessions(&api, servers[0].address(), 2 * SESSIONS);

    // The new endpoint comes in and the old one is drained; its sessions stay.
    api.apply(&manifest::backend(
        "postgres",
        &[servers[0].address(), servers[1].address()],
    ));
    let drain = drain("old", servers[0].address(), "20s");
    api.apply(&drain);
    for index in 0..3 {
        wait::until(
            &format!("new sessions through node {index} go to the new endpoint"),
            || who_answers(&cluster, &servers[1], index, port, servers[1].address()),
        );
    }
    for index in 0..3 {
        for _ in 0..5 {
            who_answers(&cluster, &servers[1], index, port, servers[1].address())
                .expect("no new session goes to an endpoint that is drained");
        }
    }
    // Transactions that end before the deadline end well.
    for (number, mut session) in short.drain(..).enumerate() {
        session.send("commit;");
        session
            .finish()
            .unwrap_or_else(|failure| panic!("transaction {number} was cut before the deadline: {failure}"));
    }
    let committed = servers[0].psql(servers[0].address(), "select count(*) from work");
    assert_eq!(committed.as_deref(), Ok(SESSIONS.to_string().as_str()));
    let status = api.read(&drain)["status"].clone();
    assert_eq!(status["phase"], "Draining", "{status}");

    // The others are closed after the deadline, and no faster than asked.
    wait_sessions(&api, servers[0].address(), 0);
    for mut session in long {
        session.send("commit;");
        session
            .finish()
            .expect_err("a session that is left at the deadline is closed");
    }
    api.wait_condition(&drain, "Drained", "True");
    let closed = "guideway_dataplane_sessions_closed_total";
    cluster.wait_sample(&[0, 1, 2], closed, &[("reason", "drained")], |count| {
        count == SESSIONS as f64
    });
    // By the nodes' own clock, and with room for one that comes late to some of its closes.
    let took = wait::until("every close is in a log", || closes(&cluster));
    let least = (SESSIONS as u64 / PACE - 1) * 1000;
    assert!(
        took * 2 >= least,
        "{SESSIONS} sessions were closed within {took} ms, at more than {PACE} a second"
    );

    // The old endpoint is updated meanwhile, and taken in again.
    api.delete(&drain);
    let seen: BTreeSet<SocketAddr> = wait::until("both endpoints answer", || {
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            let port_of_server = servers[0].psql(cluster.listener(1, port), "select port from who")?;
            seen.extend(
                servers
                    .iter()
                    .map(Postgres::address)
                    .filter(|address| address.port().to_string() == port_of_server),
            );
        }
        if seen.len() == 2 {
            Ok(seen)
        } else {
            Err(format!("{seen:?}"))
        }
    });
    assert_eq!(seen.len(), 2);
    println!(
        "the rollout took {:?}; {SESSIONS} sessions were closed in {took} ms",
        begun.elapsed()
    );
}

fn transaction(cluster: &Cluster, server: &Postgres, port: u16, number: usize) -> PsqlSession {
    let mut session = server.psql_session(cluster.listener(number % 3, port));
    session.send(&format!("begin; insert into work values ({number});"));
    session
}

fn who_answers(
    cluster: &Cluster,
    client: &Postgres,
    index: usize,
    port: u16,
    wanted: SocketAddr,
) -> Result<(), String> {
    let answer = client.psql(cluster.listener(index, port), "select port from who")?;
    if answer == wanted.port().to_string() {
        Ok(())
    } else {
        Err(answer)
    }
}

fn drain(name: &str, endpoint: SocketAddr, deadline: &str) -> Value {
    json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "Drain", "metadata": {"name": name},
        "spec": {
            "target": {"endpoint": {"ip": endpoint.ip().to_string(), "port": endpoint.port()}},
            "deadline": deadline, "atDeadline": "Close", "pace": {"sessionsPerSecond": PACE, "jitterPercent": 0},
        },
    })
}

/// Live sessions toward an endpoint, as the API lists them.
fn sessions(api: &Api, endpoint: SocketAddr) -> Result<usize, String> {
    let path = format!("/apis/guideway.dev/v1alpha1/sessions?fieldSelector=spec.endpoint%3D{endpoint}");
    let answer = api.get(&path).map_err(|error| error.to_string())?;
    let items = answer.json()["items"].as_array().map(Vec::len);
    items.ok_or_else(|| format!("{}: {}", answer.status, answer.text()))
}

fn wait_sessions(api: &Api, endpoint: SocketAddr, wanted: usize) {
    wait::until(&format!("{wanted} sessions at {endpoint}"), || {
        match sessions(api, endpoint)? {
            found if found == wanted => Ok(()),
            found => Err(found.to_string()),
        }
    });
}

/// Milliseconds from the first close with the reason `drained` to the last, as the nodes' access logs have them.
fn closes(cluster: &Cluster) -> Result<u64, String> {
    let mut times = Vec::new();
    for index in 0..cluster.size() {
        let log = std::fs::read_to_string(cluster.log_file(index)).map_err(|error| error.to_string())?;
        let lines = log.lines().filter(|line| line.contains(r#""reason":"drained""#));
        times.extend(lines.filter_map(millisecond_of_day));
    }
    match (times.iter().min(), times.iter().max()) {
        // The day may end meanwhile.
        (Some(first), Some(last)) if times.len() == SESSIONS => Ok((last - first).min(DAY_MS - (last - first))),
        _ => Err(format!("{} of {SESSIONS}", times.len())),
    }
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// From a line that begins with a time such as 2023-11-14T22:13:20.007Z.
fn millisecond_of_day(line: &str) -> Option<u64> {
    let (_, time) = line.split_once('T')?;
    let (time, _) = time.split_once('Z')?;
    let parts: Vec<u64> = time
        .split([':', '.'])
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    match parts.as_slice() {
        [hours, minutes, seconds, milliseconds] => Some(((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds),
        _ => None,
    }
}
