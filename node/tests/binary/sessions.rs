//! Live sessions through `guideway sessions`, on two nodes of which only one is asked.

use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::addresses::Block;
use crate::node::{TestNode, by_address, echo, pair, say};
use crate::process::{Process, expect};
use crate::wait::until;

async fn sessions(arguments: &[&str], node: &TestNode) -> (String, String) {
    let server = node.client().server().to_owned();
    let all = ["sessions"].into_iter().chain(arguments.iter().copied());
    expect(0, all.chain(["--server", &server, "--kubeconfig", &node.kubeconfig()])).await
}

async fn listed(node: &TestNode, filter: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["list", "-o", "json"]
        .into_iter()
        .chain(filter.iter().copied())
        .collect();
    let (json, _) = sessions(&arguments, node).await;
    let list: Value = serde_json::from_str(&json).expect("JSON");
    list["items"].as_array().cloned().expect("items")
}

async fn ended(stream: &mut TcpStream) {
    until("the session is closed", async || {
        match say(stream, "still there?").await {
            Ok(()) => Err("it lives".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await;
}

async fn end(mut process: Process) {
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(0), "{}", process.output());
}

#[tokio::test]
async fn sessions_of_all_nodes_are_listed_ranked_and_closed_through_one() {
    let block = Block::claim();
    let [(one, first), (two, second)] = pair(&block).await;
    one.apply_route(by_address(echo().await)).await;
    let mut quiet = one.session().await;
    let mut busy = two.session().await;
    let mut other = two.session().await;
    say(&mut busy, &"x".repeat(5000)).await.expect("the session lives");

    let all = until("both nodes tell of their sessions", async || {
        let all = listed(&one, &[]).await;
        if all.len() == 3 {
            Ok(all)
        } else {
            Err(format!("{all:?}"))
        }
    })
    .await;
    assert!(
        all.iter().all(|session| session["spec"]["route"] == "default/db"),
        "{all:?}"
    );
    let (table, _) = sessions(&["list", "--sort=-bytes"], &one).await;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.iter().all(|line| line.len() <= 120), "{table}");
    let local = |stream: &TcpStream| stream.local_addr().expect("connected").to_string();
    assert!(
        lines[1].contains(&local(&busy)),
        "the one with the most bytes is first:\n{table}"
    );
    assert_eq!(listed(&one, &["--node", "two"]).await.len(), 2);
    assert_eq!(listed(&one, &["--client", &local(&quiet)]).await.len(), 1);
    let (wide, _) = sessions(&["list", "-o", "wide", "--min-bytes", "5000"], &two).await;
    assert!(
        wide.lines().count() == 2 && wide.contains("two") && wide.contains("default/db"),
        "{wide}"
    );

    let (top, _) = sessions(&["top", "--once", "--by", "bytes", "--limit", "1"], &one).await;
    assert!(top.contains(&local(&busy)), "{top}");
    let (top, _) = sessions(&["top", "--once", "--interval", "1"], &one).await;
    assert!(top.starts_with("IN/S"), "{top}");

    let (dry, _) = sessions(&["kill", "--node", "two", "--dry-run"], &one).await;
    assert!(dry.contains("default: 2 sessions on 1 node would be closed"), "{dry}");
    say(&mut busy, "after a dry run").await.expect("the session lives");
    let name = listed(&one, &["--client", &local(&busy)]).await[0]["metadata"]["name"].to_string();
    let name = name.trim_matches('"');
    let (killed, _) = sessions(&["kill", name], &one).await;
    assert_eq!(killed, format!("{name} closed\n"));
    ended(&mut busy).await;
    let (code, server) = (6, one.client().server().to_owned());
    let kubeconfig = one.kubeconfig();
    let at = ["--server", &server, "--kubeconfig", &kubeconfig];
    let (_, err) = expect(code, ["sessions", "kill", name].into_iter().chain(at)).await;
    assert!(err.contains(&format!("no such session: {name}")), "{err}");
    let (_, err) = expect(2, ["sessions", "kill"].into_iter().chain(at)).await;
    assert!(err.contains("--all"), "{err}");
    say(&mut quiet, "untouched").await.expect("the session lives");
    say(&mut other, "untouched").await.expect("the session lives");
    let (killed, _) = sessions(&["kill", "--all"], &two).await;
    assert!(killed.contains("default: 2 sessions on 2 nodes closed"), "{killed}");
    ended(&mut quiet).await;
    ended(&mut other).await;
    end(second).await;
    end(first).await;
}
