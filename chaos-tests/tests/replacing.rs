//! Promise: a machine is replaced, and a node gets another address, by the commands of docs/operations.md, and neither stops
//! the cluster.

use std::path::{Path, PathBuf};

use guideway_chaos_tests::member::{Member, guideway};
use guideway_chaos_tests::{Api, Cluster, manifest, wait};

#[test]
fn a_lost_machine_is_replaced_under_its_own_name() {
    let mut cluster = Cluster::start();
    let config = config(&cluster.data_dir(0));
    let number = number_of(&cluster.api(0), "node-3");
    cluster.kill(2);
    let mut member = Member::prepare(cluster.directory(), "replacement", cluster.addresses().endpoint(20));
    member.rename("node-3");
    let token = guideway_chaos_tests::member::invited(&config);
    let refused = member
        .guideway(&["join", "--token", &token])
        .expect_err("the name is taken");
    assert!(refused.contains("remove the old node first"), "{refused}");
    guideway(&config, &["remove", &number.to_string()]).expect("it is removed");
    member
        .guideway(&["join", "--token", &token])
        .expect("the token is still good");
    member.start();
    for api in [cluster.api(0), member.api()] {
        wait::until("three voters", || api.voters(3));
    }
    let now = number_of(&member.api(), "node-3");
    assert!(now > number, "numbers are never given again: {number}, {now}");
    // With another one lost, the replacement is needed for a majority.
    cluster.kill(1);
    wait::until("two agree on a write", || write(&cluster.api(0), "after-replacing"));
    let contexts = guideway(&config, &["kubeconfig", "--print"]).expect("a kubeconfig");
    let named = |name: &str| contexts.contains(&format!("- name: \"{name}\"\n  context:"));
    assert!(["node-1", "node-2", "node-3"].into_iter().all(named), "{contexts}");
    assert!(contexts.contains(&member.api().url("")), "{contexts}");
}

#[test]
fn a_node_gets_another_address_and_is_found_again() {
    let mut cluster = Cluster::start();
    let config = config(&cluster.data_dir(0));
    let mut member = Member::prepare(cluster.directory(), "mover", cluster.addresses().endpoint(20));
    member.join(&config);
    member.start();
    wait::until("four voters", || cluster.api(0).voters(4));
    member.stop();
    let there = cluster.addresses().endpoint(21);
    member.readdress(there);
    member.start();
    wait::until("the others know its address", || {
        let nodes = cluster.api(0).nodes()?;
        let found = nodes.iter().find(|node| node.name == "mover").ok_or("not a member")?;
        let address = &found.object["status"]["peerAddress"];
        if address == &format!("{there}:7444") && found.applied_index.is_some() {
            Ok(())
        } else {
            Err(found.object.to_string())
        }
    });
    let shown = member.guideway(&["certs", "show"]).expect("shown");
    for part in ["mover", &there.to_string(), "sealing key", "authority"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    // It votes from there: of four, two others and it are needed.
    cluster.kill(1);
    wait::until("three of four agree on a write", || {
        write(&member.api(), "after-moving")
    });
}

fn write(api: &Api, name: &str) -> Result<(), String> {
    let answer = api
        .create(&manifest::service(name, 80))
        .map_err(|error| error.to_string())?;
    match answer.status {
        201 | 409 => Ok(()),
        status => Err(format!("{status}: {}", answer.text())),
    }
}

fn number_of(api: &Api, name: &str) -> u64 {
    wait::until(&format!("the number of {name}"), || {
        let nodes = api.nodes()?;
        let node = nodes.iter().find(|node| node.name == name).ok_or("not a member")?;
        let number = node.object["spec"]["id"]
            .as_u64()
            .or_else(|| node.object["status"]["id"].as_u64());
        number.ok_or_else(|| node.object.to_string())
    })
}

fn config(data_dir: &Path) -> PathBuf {
    data_dir.parent().expect("a node has a folder").join("guideway.toml")
}
