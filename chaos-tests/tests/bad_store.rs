//! Promise: a store that was damaged is noticed before it is believed: the node refuses to start and names the file, and
//! the others go on. What a kill leaves half written is no damage: the node comes back by itself.
//!
//! That a hole or a bad checksum is named with its log index, and that an unacknowledged tail is cut, is tested beside the
//! store, in `consensus`.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use guideway_chaos_tests::wait::StopOnDrop;
use guideway_chaos_tests::{Api, Cluster, manifest, wait};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const ROUNDS: usize = 6;

#[test]
fn a_damaged_store_is_refused_and_named() {
    let mut cluster = Cluster::start();
    let leader = cluster.leader(&[0, 1, 2]);
    let damaged = (leader + 1) % 3;
    let other = (leader + 2) % 3;
    for number in 0..50 {
        cluster
            .api(leader)
            .apply(&manifest::service(&format!("before-{number}"), 80));
    }
    cluster.wait_caught_up(&[leader, other, damaged]);
    cluster.kill(damaged);
    let folder = cluster.data_dir(damaged);
    let files = damage(&folder);
    assert!(!files.is_empty(), "{} holds a store", folder.display());

    cluster.start_again(damaged);
    let process = cluster.restarted(damaged);
    let status = process.wait();
    let said = process.tail();
    assert!(!status.success(), "a damaged store must not start: {said}");
    assert!(
        said.contains(&*folder.to_string_lossy()),
        "the refusal names what is damaged, below {}: {said}",
        folder.display()
    );

    cluster.api(other).apply(&manifest::service("after", 80));
    let names = names(&cluster.api(leader), "");
    assert!(
        names.iter().any(|name| name == "after"),
        "the others take writes: {names:?}"
    );
    assert_eq!(names.iter().filter(|name| name.starts_with("before-")).count(), 50);
}

#[test]
fn nodes_killed_in_the_midst_of_writes_come_back() {
    let mut cluster = Cluster::start();
    let apis: Vec<Api> = (0..3).map(|index| cluster.api(index)).collect();
    let stop = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write_until(&apis, &stop));
        let guard = StopOnDrop(&stop);
        for round in 0..ROUNDS {
            let before = wait::until("writes", || names_len(&apis[(round + 1) % 3]));
            let victim = round % 3;
            cluster.kill(victim);
            wait::until("more writes without the victim", || {
                let now = names_len(&apis[(round + 1) % 3])?;
                if now > before {
                    Ok(())
                } else {
                    Err(format!("{now} objects"))
                }
            });
            cluster.restart(victim);
        }
        drop(guard);
        writer.join().expect("the writer ends well")
    });
    cluster.wait_caught_up(&[0, 1, 2]);
    for (index, api) in apis.iter().enumerate() {
        let found = names(api, "?resourceVersion=0");
        let lost: Vec<&String> = acknowledged.iter().filter(|name| !found.contains(name)).collect();
        assert!(lost.is_empty(), "node {index} has lost acknowledged writes: {lost:?}");
    }
}

/// Writes through whichever node answers; the names that were acknowledged.
fn write_until(apis: &[Api], stop: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let mut through = apis.iter().cycle();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("write-{}", acknowledged.len());
        wait::until(&format!("{name} is written"), || {
            let api = through.next().ok_or("no node")?;
            let answer = api
                .create(&manifest::service(&name, 80))
                .map_err(|error| error.to_string())?;
            // 409: an attempt whose answer was lost with its node had been committed.
            if matches!(answer.status, 201 | 409) {
                Ok(())
            } else {
                Err(answer.text())
            }
        });
        acknowledged.push(name);
    }
    acknowledged
}

fn names(api: &Api, query: &str) -> Vec<String> {
    let answer = api.get(&format!("{SERVICES}{query}")).expect("a living node answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let list = answer.json();
    let items = list["items"].as_array().expect("a list has items");
    items
        .iter()
        .filter_map(|item| item["metadata"]["name"].as_str())
        .map(str::to_owned)
        .collect()
}

fn names_len(api: &Api) -> Result<usize, String> {
    let answer = api.get(SERVICES).map_err(|error| error.to_string())?;
    match answer.json()["items"].as_array() {
        Some(items) if answer.status == 200 => Ok(items.len()),
        _ => Err(answer.text()),
    }
}

/// Turns one bit in each 4 KiB of every file of the store that is not all zeros; returns the files.
fn damage(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        for entry in std::fs::read_dir(&path).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|name| name == "db") {
                damage_file(&path);
                files.push(path);
            }
        }
    }
    files
}

fn damage_file(path: &Path) {
    let bytes = std::fs::read(path).expect("readable");
    let file = std::fs::File::options().write(true).open(path).expect("writable");
    for (block, start) in bytes.chunks(4096).zip((0_u64..).step_by(4096)) {
        if let Some((position, byte)) = (0_u64..).zip(block).filter(|(_, byte)| **byte != 0).nth(100) {
            file.write_all_at(&[byte ^ 0x10], start + position).expect("writable");
        }
    }
}
