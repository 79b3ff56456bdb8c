//! Promise: what README tells a new user to type does what README says.
//!
//! Needs kubectl 1.29 or newer; `KUBECTL` names it.

use std::path::Path;

use guideway_chaos_tests::kubectl::Kubectl;
use guideway_chaos_tests::{Cluster, repository};

#[test]
fn a_new_user_gets_from_a_route_to_a_killed_node() {
    let readme = repository::read(Path::new("README.md"));
    let mut cluster = Cluster::start();
    let kubectl = Kubectl::new(cluster.kubeconfig());
    let run = |start| {
        let done = kubectl.shell(&block(&readme, start), &[]);
        done.unwrap_or_else(|failure| panic!("{failure}"))
    };

    let applied = run("kubectl apply -f -");
    assert!(
        applied.contains("gateway.gateway.networking.k8s.io/mine condition met"),
        "{applied}"
    );

    cluster.kill(0);
    cluster.leader(&[1, 2]);
    let roles = run("kubectl config use-context");
    assert!(roles.contains("node-1") && roles.contains(" leader"), "{roles}");
}

/// The indented block of `readme` that has a line beginning with `start`.
fn block(readme: &str, start: &str) -> String {
    let mut blocks = vec![String::new()];
    for line in readme.lines() {
        match line.strip_prefix("    ") {
            Some(code) => {
                let last = blocks.last_mut().expect("there is always one");
                last.push_str(code);
                last.push('\n');
            }
            None => blocks.push(String::new()),
        }
    }
    let found = blocks
        .into_iter()
        .find(|block| block.lines().any(|line| line.starts_with(start)));
    found.unwrap_or_else(|| panic!("README has no block with a line that begins with {start:?}"))
}
