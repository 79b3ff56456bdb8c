//! Promise: a stranger who follows docs/install.md has a cluster of three boxes that carries a real PostgreSQL, and goes on
//! without one of them.
//!
//! Needs root, which makes network namespaces, and kubectl, and PostgreSQL, and the tools: ip.

use std::net::SocketAddr;
use std::path::Path;

use guideway_chaos_tests::boxes::Boxes;
use guideway_chaos_tests::postgres::Postgres;
use guideway_chaos_tests::process::Process;
use guideway_chaos_tests::{manifest, page, visits, wait};
use rustix::process::Signal;

const RUN: &str = "guideway run --config /etc/guideway/guideway.toml";
const STATUS: &str = "guideway status --config /etc/guideway/guideway.toml";
const INVITE: &str = "guideway invite --config /etc/guideway/guideway.toml";
/// Nothing else listens in a box.
const PORT: u16 = 5432;

#[test]
fn the_page_makes_a_cluster_of_three_boxes() {
    // The fourth is the machine of the database, and of its clients.
    let boxes = Boxes::make(4);
    let mut running: Vec<Process> = Vec::new();
    let mut token = String::new();
    let mut ran = 0;
    for block in page::blocks(Path::new("docs/install.md")) {
        let place = format!("docs/install.md:{}", block.line);
        let mut words = block.language.split(' ');
        if words.next() != Some("bash") {
            continue;
        }
        let number = words.next().and_then(|name| name.strip_prefix("box-")?.parse().ok());
        let number = number.unwrap_or_else(|| panic!("{place}: on which box?"));
        ran += 1;
        let run = || boxes.run(number, &block.text, &[("TOKEN", &token)]);
        match words.next() {
            None => {
                run().unwrap_or_else(|failure| panic!("{place}: {failure}"));
            }
            Some("stays") => running.push(boxes.start(number, &block.text)),
            Some("token") => {
                let mut printed = wait::until(&format!("{place}: the node answers"), run);
                printed.truncate(printed.trim_end().len());
                token = printed.lines().last().expect("a token").to_owned();
            }
            Some("check") => {
                wait::until(&format!("{place}: three voters"), || three_voters(&run()?));
            }
            Some(other) => panic!("{place}: what is {other:?}?"),
        }
    }
    assert_eq!(ran, 10, "every block was run");
    assert_eq!(running.len(), 3);

    let postgres = database(&boxes);
    let listeners = [1, 2, 3].map(|number| SocketAddr::new(Boxes::address(number).into(), PORT));
    wait::until("every box carries the database", || {
        listeners
            .iter()
            .try_for_each(|listener| postgres.psql(*listener, "select 1").map(drop))
    });
    visits::transactions_through_each(&postgres, &listeners);
    // Any one box may be lost: that of the leader, if the last is it, as well.
    let lost = running.pop().expect("the third box");
    visits::traffic_goes_on(&postgres, listeners[0], listeners[2], || {
        lost.signal(Signal::KILL);
        wait::until("the other two agree on a write", || boxes.run(2, INVITE, &[]));
        drop(lost);
        running.push(boxes.start(3, RUN));
        wait::until("three voters again", || live_voters(&boxes.run(3, STATUS, &[])?));
        wait::until("the box that came back carries the database", || {
            postgres.psql(listeners[2], "select 1")
        });
    });
    let lost = running.pop().expect("the third box");
    lost.signal(Signal::KILL);
    wait::until("the other two go on without it", || boxes.run(2, INVITE, &[]));
}

/// A PostgreSQL on the fourth box, and the objects that have the others carry it.
fn database(boxes: &Boxes) -> Postgres {
    let postgres = Postgres::start_inside(boxes.inside(4), Boxes::address(4), PORT);
    let gateway = manifest::gateway("database", &[("postgres", PORT)]);
    let route = manifest::tcp_route("postgres", "database", "postgres", &[("postgres", PORT, 1)]);
    let mut objects = manifest::service_with("postgres", PORT, &[postgres.address()]);
    objects.extend([gateway, route]);
    let kubectl = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let apply = format!(
        "{kubectl} --kubeconfig /var/lib/guideway/admin.kubeconfig apply -f - <<'END'\n{}END",
        manifest::stream(&objects)
    );
    boxes.run(1, &apply, &[]).expect("the objects are applied");
    postgres
}

fn live_voters(table: &str) -> Result<(), String> {
    three_voters(table)?;
    if table.contains(" NO ") {
        Err(table.to_owned())
    } else {
        Ok(())
    }
}

fn three_voters(table: &str) -> Result<(), String> {
    let votes = |line: &&str| line.contains("leader") || line.contains("follower");
    if table.lines().filter(votes).count() == 3 {
        Ok(())
    } else {
        Err(table.to_owned())
    }
}
