//! Promise: when the leader is lost, writes through another node go on, and no acknowledged write is lost on any node.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};

use guideway_chaos_tests::wait::{self, StopOnDrop};
use guideway_chaos_tests::{Api, Cluster, manifest};

/// Acknowledged writes before the leader is killed, and after.
const WRITES: usize = 40;

const SERVICES: &str = "/api/v1/namespaces/default/services";

#[test]
fn acknowledged_writes_survive_the_leader() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader(&[0, 1, 2]);
    let living: Vec<usize> = (0..3).filter(|index| *index != leader).collect();
    let through = cluster.api(living[0]);

    let stop = AtomicBool::new(false);
    let (acknowledge, acknowledged) = sync_channel(10_000);
    let all = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                if stop.load(Ordering::Relaxed) {
                    drop(acknowledge);
                    return;
                }
                let name = format!("write-{number}");
                write(&through, &name);
                if acknowledge.send(name).is_err() {
                    return;
                }
            }
        });
        let guard = StopOnDrop(&stop);
        let mut all = take(&acknowledged, WRITES);
        cluster.kill(leader);
        all.extend(take(&acknowledged, WRITES));
        drop(guard);
        all.extend(acknowledged.iter());
        all
    });

    let next = cluster.leader(&living);
    assert_ne!(next, leader, "another node leads");
    for &index in &living {
        assert_has(&cluster.api(index), "", &all);
    }
    cluster.restart(leader);
    let with_first = [living[0], living[1], leader];
    cluster.wait_caught_up(&with_first);
    for index in 0..3 {
        // What the node itself has applied, without asking the leader.
        assert_has(&cluster.api(index), "?resourceVersion=0", &all);
    }
}

/// Returns once the write is acknowledged. An answer may be lost with the leader after the write was committed: then
/// the retry finds the name taken, and that is an acknowledgement too.
fn write(api: &Api, name: &str) {
    wait::until(&format!("{name} is written"), || {
        let answer = api
            .create(&manifest::service(name, 80))
            .map_err(|error| error.to_string())?;
        match answer.status {
            201 | 409 => Ok(()),
            500..=599 | 429 => Err(format!("{}: {}", answer.status, answer.text())),
            status => panic!("{name} is refused with {status}: {}", answer.text()),
        }
    });
}

fn take(acknowledged: &Receiver<String>, count: usize) -> Vec<String> {
    (0..count)
        .map(|_| acknowledged.recv_timeout(wait::DEADLINE).expect("writes go on"))
        .collect()
}

fn assert_has(api: &Api, query: &str, names: &[String]) {
    let answer = api.get(&format!("{SERVICES}{query}")).expect("a living node answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    let found: BTreeSet<&str> = list["items"]
        .as_array()
        .expect("a list has items")
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect();
    let lost: Vec<&String> = names.iter().filter(|name| !found.contains(name.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged writes are lost: {lost:?}");
}
