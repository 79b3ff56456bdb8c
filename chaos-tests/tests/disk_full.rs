//! Promise: a full disk stops writes with a clear error, and nothing else: traffic goes on, and when there is space again
//! writes go on by themselves. Needs root, to mount small file systems.
//!
//! DESIGN section 9: proposals are refused below a free-space mark, followers included.

use guideway_chaos_tests::tmpfs::Tmpfs;
use guideway_chaos_tests::traffic::{Answer, Session};
use guideway_chaos_tests::{Cluster, Endpoint, manifest, wait};

/// Room for the free-space mark, the ballast and the store, and little more.
const MEBIBYTES: u32 = 160;

#[test]
fn a_full_disk_stops_writes_and_nothing_else() {
    // Dropped in reverse: first the nodes end, then their disks go, then the folder.
    let directory = tempfile::tempdir().expect("a temporary folder can be made");
    let disks: Vec<Tmpfs> = Cluster::data_dirs(directory.path(), 3)
        .iter()
        .map(|path| Tmpfs::mount(path, MEBIBYTES))
        .collect();
    let cluster = Cluster::start_in(directory.path());
    let endpoint = Endpoint::start("steady", cluster.addresses().endpoint(0));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("steady", &[("main", port)]);
    api.apply(&gateway);
    api.apply_all(&manifest::service_with("steady", 80, &[endpoint.address()]));
    api.apply(&manifest::tcp_route("steady", "steady", "main", &[("steady", 80, 1)]));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&[0, 1, 2], port, "the endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });
    let mut session = Session::open(cluster.listener(1, port), cluster.addresses().client(0)).expect("opens");

    let leader = cluster.leader(&[0, 1, 2]);
    let follower = (leader + 1) % 3;
    let everyone = [0, 1, 2];
    let cases: [(&str, &[usize]); 3] = [
        ("a follower", &[follower]),
        ("the leader", &[leader]),
        ("all", &everyone),
    ];
    for (what, full) in cases {
        for &index in full {
            disks[index].fill("filler");
        }
        for index in 0..3 {
            let refusal = refused(&cluster, index, what);
            assert!(
                refusal.contains("space") || refusal.contains("full"),
                "{what}: through node {index}: the refusal says why: {refusal}"
            );
        }
        cluster.assert_running(&everyone);
        session.echo(what).expect("the open session goes on");
        cluster.wait_traffic(&everyone, port, "fresh sessions", |answer| {
            matches!(answer, Answer::Label(_))
        });
        let local = api
            .get("/api/v1/namespaces/default/services?resourceVersion=0")
            .expect("answers");
        assert_eq!(local.status, 200, "{what}: reads go on: {}", local.text());
        for &index in full {
            disks[index].free("filler");
        }
        for index in 0..3 {
            let name = format!("after-{}-{index}", what.replace(' ', "-"));
            cluster.api(index).apply(&manifest::service(&name, 80));
        }
        session.echo("recovered").expect("the open session goes on");
        cluster.wait_caught_up(&everyone);
    }
    cluster.assert_running(&everyone);
}

/// Writes until a write is refused; the refusal's message.
fn refused(cluster: &Cluster, index: usize, what: &str) -> String {
    let mut number = 0;
    wait::until(&format!("{what} full: a write through node {index} is refused"), || {
        number += 1;
        let name = format!("full-{}-{index}-{number}", what.replace(' ', "-"));
        let answer = cluster
            .api(index)
            .create(&manifest::service(&name, 80))
            .map_err(|error| error.to_string())?;
        match answer.status {
            201 => Err("it was taken".to_owned()),
            500..=599 => Ok(answer.json()["message"].as_str().unwrap_or_default().to_owned()),
            status => panic!("{what}: refused with {status}: {}", answer.text()),
        }
    })
}
