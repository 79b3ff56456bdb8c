//! Promise: a watch of sessions at one node tells of every session that opens or closes on any, once, with the reason why it was
//! closed; and when a node is lost it ends with 410 instead of going on without that node's sessions.

use guideway_chaos_tests::http::Watch;
use guideway_chaos_tests::traffic::{Answer, Session};
use guideway_chaos_tests::{Cluster, Endpoint, manifest, wait};
use serde_json::Value;

const SESSIONS: &str = "/apis/guideway.dev/v1alpha1/sessions";

#[test]
fn a_watch_at_one_node_tells_of_the_sessions_of_all() {
    let mut cluster = Cluster::start();
    let endpoint = Endpoint::start("e0", cluster.addresses().endpoint(0));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("watched", &[("main", port)]);
    api.apply(&gateway);
    api.apply(&manifest::backend("watched", &[endpoint.address()]));
    api.apply(&manifest::tcp_route_to_backend("watched", "watched", "main", "watched"));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&[0, 1, 2], port, "the endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });
    // What asked whether there is traffic is over before the list is made.
    wait::until("no session lives", || match api.list(SESSIONS, 100) {
        Ok(sessions) if sessions.is_empty() => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let list = api.get(SESSIONS).expect("an answer").json();
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .expect("a version")
        .to_owned();

    // Opened between the list and the watch, one through each node.
    let sessions: Vec<Session> = (0..3).map(|index| open(&cluster, index, port)).collect();
    let query = format!("watch=true&resourceVersion={version}&fieldSelector=spec.listener.name%3Dmain");
    let mut watch = Watch::open(&api.url(&format!("{SESSIONS}?{query}"))).expect("a watch");
    let opened: Vec<Value> = (0..3).map(|_| expect(&mut watch, "ADDED")).collect();
    let mut nodes: Vec<&str> = opened.iter().map(|object| field(object, "/spec/node")).collect();
    nodes.sort_unstable();
    nodes.dedup();
    assert_eq!(nodes.len(), 3, "one session on each node: {opened:?}");
    for object in &opened {
        assert_eq!(field(object, "/spec/endpoint"), endpoint.address().to_string());
    }

    // One is killed, the others end.
    let killed = name(&opened[1]);
    let path = format!("/apis/guideway.dev/v1alpha1/namespaces/default/sessions/{killed}");
    let answer = cluster.api(2).send_as("DELETE", &path, "application/json", b"");
    let answer = answer.expect("an answer");
    assert!(answer.is_success(), "{}", answer.text());
    let closed = expect(&mut watch, "DELETED");
    assert_eq!(
        (name(&closed), field(&closed, "/status/closeReason")),
        (killed, "killed")
    );
    drop(sessions);
    let mut ended: Vec<Value> = (0..2).map(|_| expect(&mut watch, "DELETED")).collect();
    ended.sort_by_key(|object| name(object).to_owned());
    let mut expected = vec![name(&opened[0]), name(&opened[2])];
    expected.sort_unstable();
    assert_eq!(ended.iter().map(name).collect::<Vec<_>>(), expected);

    // Resumed at another node behind the kill, only what came after it comes.
    let after = field(&closed, "/metadata/resourceVersion");
    let query = format!("watch=true&resourceVersion={after}");
    let mut resumed = Watch::open(&cluster.api(1).url(&format!("{SESSIONS}?{query}"))).expect("a watch");
    let mut again: Vec<Value> = (0..2).map(|_| expect(&mut resumed, "DELETED")).collect();
    again.sort_by_key(|object| name(object).to_owned());
    assert_eq!(again.iter().map(name).collect::<Vec<_>>(), expected);

    cluster.kill(2);
    for watch in [&mut watch, &mut resumed] {
        let event = watch.event().expect("an event");
        assert_eq!(
            (&event["type"], &event["object"]["code"]),
            (&"ERROR".into(), &410.into()),
            "{event}"
        );
        watch.event().expect_err("the watch ends with it");
    }
    // Listed again, the watch goes on with the nodes that are left.
    let mut watch = wait::until("a list without the lost node", || {
        let list = cluster.api(0).get(SESSIONS).map_err(|error| error.to_string())?;
        match list.header("warning") {
            Some(warning) => Err(warning.to_owned()),
            None => {
                let version = list.json()["metadata"]["resourceVersion"].as_str().map(str::to_owned);
                let query = format!("watch=true&resourceVersion={}", version.unwrap_or_default());
                Watch::open(&cluster.api(0).url(&format!("{SESSIONS}?{query}"))).map_err(|error| error.to_string())
            }
        }
    });
    let session = open(&cluster, 1, port);
    expect(&mut watch, "ADDED");
    drop(session);
    expect(&mut watch, "DELETED");
}

fn open(cluster: &Cluster, index: usize, port: u16) -> Session {
    Session::open(cluster.listener(index, port), cluster.addresses().client(1)).expect("a session opens")
}

/// The object of the next event, which must be of this type.
fn expect(watch: &mut Watch, kind: &str) -> Value {
    let mut event = watch.event().expect("an event");
    assert_eq!(event["type"], kind, "{event}");
    event["object"].take()
}

fn name(object: &Value) -> &str {
    field(object, "/metadata/name")
}

fn field<'a>(object: &'a Value, pointer: &str) -> &'a str {
    let text = object.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer}: {object}"))
}
