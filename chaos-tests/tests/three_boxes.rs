//! Promise: a stranger who follows docs/install.md has a cluster of three boxes, which goes on without one of them.
//!
//! Needs root, which makes network namespaces, and the tools: ip.

use std::path::Path;

use guideway_chaos_tests::boxes::Boxes;
use guideway_chaos_tests::process::Process;
use guideway_chaos_tests::{page, wait};

#[test]
fn the_page_makes_a_cluster_of_three_boxes() {
    let boxes = Boxes::make(3);
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

    // Any one box may be lost: that of the leader, if the last is it, as well.
    let lost = running.pop().expect("the third box");
    lost.signal(rustix::process::Signal::KILL);
    let invite = "guideway invite --config /etc/guideway/guideway.toml";
    wait::until("the other two agree on a write", || boxes.run(2, invite, &[]));
}

fn three_voters(table: &str) -> Result<(), String> {
    let votes = |line: &&str| line.contains("leader") || line.contains("follower");
    if table.lines().filter(votes).count() == 3 {
        Ok(())
    } else {
        Err(table.to_owned())
    }
}
