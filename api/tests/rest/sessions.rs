//! `Session`: what is shown, selected, sorted, paged and closed.

use std::sync::Arc;
use std::time::Duration;

use guideway_api::Limits;
use guideway_model::NodeId;
use guideway_model::node::Protocol;
use guideway_model::plan::{ListenerName, Why};
use guideway_model::session::SessionState;
use hyper::Method;
use serde_json::Value;

use crate::client::Client;
use crate::cluster::Server;

const ALL: &str = "/apis/guideway.dev/v1alpha1/sessions";
const DEFAULT: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/sessions";

async fn start() -> (Server, Client) {
    let server = Server::start().await;
    let client = Client::new(server.address);
    (server, client)
}

/// Three sessions on one node and one on a node that never answers, in two namespaces.
async fn with_four() -> (Server, Client, [String; 4]) {
    let (server, client) = start().await;
    server.cluster.join("two");
    let live = &server.cluster.live;
    let first = live.add_with(1, "10.1.0.1:1001", "10.0.0.1:5432", |_, row| {
        row.age = Duration::from_secs(10);
        row.bytes = [5, 5];
    });
    let second = live.add_with(1, "10.1.0.2:1002", "10.0.0.2:5432", |id, row| {
        id.local.protocol = Protocol::Udp;
        row.route = "shop/dns".into();
        row.age = Duration::from_secs(1000);
        row.idle = Duration::from_secs(100);
        row.bytes = [500, 500];
        row.packets = [4, 3];
        row.why = Some(Why::Pin);
    });
    let third = live.add_with(1, "[2001:db8::1]:1003", "10.0.0.1:5433", |_, row| {
        row.route = "".into();
        row.listener = Arc::new(ListenerName {
            namespace: "shop".to_owned(),
            gateway: "edge".to_owned(),
            listener: "tls".to_owned(),
        });
        row.endpoint = None;
        row.why = None;
        row.sni = Some("db.example".into());
        row.alpn = Some("h2".into());
        row.state = SessionState::Greeting;
        row.bytes = [50, 0];
    });
    let fourth = live.add(2, "10.1.0.4:1004", "10.0.0.1:5432");
    live.silent.lock().expect("lock").push(NodeId(2));
    (server, client, [first, second, third, fourth])
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().expect("items").iter();
    items
        .map(|item| item["metadata"]["name"].as_str().expect("name").to_owned())
        .collect()
}

#[tokio::test]
async fn one_session_shows_everything() {
    let (_server, client, [first, second, ..]) = with_four().await;
    let session = client.get(&format!("{DEFAULT}/{first}")).await.expect(200);
    assert_eq!(session["kind"], "Session");
    assert_eq!(session["apiVersion"], "guideway.dev/v1alpha1");
    assert_eq!(session["metadata"]["name"], first.as_str());
    assert_eq!(session["metadata"]["namespace"], "default");
    assert!(session["metadata"]["creationTimestamp"].is_string());
    let spec = &session["spec"];
    assert_eq!(spec["node"], "one");
    assert_eq!(spec["protocol"], "TCP");
    assert_eq!(spec["listener"]["gateway"], "edge");
    assert_eq!(spec["listener"]["name"], "postgres");
    assert_eq!(spec["route"], "default/postgres");
    assert_eq!(spec["client"], "10.1.0.1:1001");
    assert_eq!(spec["endpoint"], "10.0.0.1:5432");
    let status = &session["status"];
    assert_eq!(status["state"], "Established");
    assert_eq!(status["bytesFromClient"], 5);
    assert_eq!(status["ageSeconds"], 10);
    assert_eq!(status["bytesPerSecond"], 1);
    assert_eq!(status["tcp"]["client"]["rttUs"], 250);
    assert!(status["tcp"].get("endpoint").is_none());
    assert_eq!(status["choice"]["reason"], "table");
    assert_eq!(
        (&status["choice"]["row"], &status["choice"]["generation"]),
        (&77.into(), &3.into())
    );
    assert_eq!(status["rates"]["bytesFromClient"], 1000);
    assert_eq!(status["rates"]["measuredMilliseconds"], 200);
    assert!(status["rates"].get("packetsFromClient").is_none());
    assert!(
        status["choice"]["message"]
            .as_str()
            .is_some_and(|text| text.contains("table"))
    );
    assert!(status.get("packetsFromClient").is_none());
    let flow = client
        .get(&format!(
            "/apis/guideway.dev/v1alpha1/namespaces/shop/sessions/{second}"
        ))
        .await
        .expect(200);
    assert_eq!(flow["spec"]["protocol"], "UDP");
    assert_eq!(flow["status"]["packetsFromClient"], 4);
}

#[tokio::test]
async fn a_session_is_found_only_by_its_very_name_and_in_its_namespace() {
    let (_server, client, [first, second, _, fourth]) = with_four().await;
    client.get(&format!("{DEFAULT}/{second}")).await.expect(404);
    let upper = first.replace("abc", "ABC");
    let long = "1".repeat(10_000);
    for name in [
        upper.as_str(),
        "1-+abc-t0-0-1",
        "x",
        "1-abc-t0-77-1",
        "9-abc-t0-0-1",
        long.as_str(),
    ] {
        let missing = client.get(&format!("{DEFAULT}/{name}")).await.expect(404);
        assert_eq!(missing["reason"], "NotFound", "{name}");
    }
    let silent = client.get(&format!("{DEFAULT}/{fourth}")).await.expect(503);
    let message = silent["message"].as_str().expect("text");
    assert!(
        message.contains("node two, which carries the session, did not answer"),
        "{message}"
    );
}

#[tokio::test]
async fn lists_name_the_nodes_that_did_not_answer() {
    let (_server, client, [first, second, third, _]) = with_four().await;
    let answer = client.get(ALL).await;
    assert_eq!(names(&answer.expect(200)), [first.clone(), third, second]);
    assert_eq!(
        answer.warnings(),
        ["299 - \"no answer from two: their sessions are missing\""]
    );
    assert_eq!(names(&client.get(DEFAULT).await.expect(200)), [first]);
}

#[tokio::test]
async fn selectors() {
    let (_server, client, [first, second, third, _]) = with_four().await;
    let table: &[(&str, &[&String])] = &[
        ("fieldSelector=spec.endpoint%3D10.0.0.1:5432", &[&first]),
        ("fieldSelector=spec.endpoint%3D10.0.0.2", &[&second]),
        ("fieldSelector=spec.endpoint!=10.0.0.2", &[&first, &third]),
        ("fieldSelector=spec.node%3Done", &[&first, &second, &third]),
        ("fieldSelector=spec.node%3Dseven", &[]),
        (
            "fieldSelector=spec.listener.name%3Dtls,spec.listener.gateway%3Dedge",
            &[&third],
        ),
        ("fieldSelector=spec.route%3Ddefault/postgres", &[&first]),
        ("fieldSelector=spec.client%3D10.1.0.2", &[&second]),
        ("fieldSelector=spec.protocol%3DUDP", &[&second]),
        ("fieldSelector=spec.sni%3Ddb.example", &[&third]),
        ("fieldSelector=status.state%3DGreeting", &[&third]),
        ("fieldSelector=status.choice.reason%3Dpin", &[&second]),
        ("fieldSelector=metadata.namespace%3Dshop", &[&second, &third]),
        ("labelSelector=a%3Db", &[]),
        ("labelSelector=!a", &[&first, &second, &third]),
        ("clientCIDR=10.0.0.0/8", &[&first, &second]),
        ("clientCIDR=2001:db8::/32", &[&third]),
        ("minAge=15m", &[&second]),
        ("maxAge=30s", &[&first]),
        ("minIdle=1m", &[&second]),
        ("maxIdle=1m", &[&first, &third]),
        ("minBytes=999", &[&second]),
        ("minBytes=1000", &[]),
        ("fieldSelector=bytes%3E20,endpoint!%3D10.0.0.0/8", &[&third]),
        ("fieldSelector=metadata.name!%3Dx,spec.protocol%3DUDP", &[&second]),
        ("sortBy=bytes", &[&first, &third, &second]),
        ("sortBy=-bytes", &[&second, &third, &first]),
        ("sortBy=-age&minBytes=20", &[&second, &third]),
    ];
    for (query, expected) in table {
        let found = names(&client.get(&format!("{ALL}?{query}")).await.expect(200));
        let mut found: Vec<&String> = found.iter().collect();
        let mut expected = expected.to_vec();
        if !query.contains("sortBy") {
            found.sort();
            expected.sort();
        }
        assert_eq!(found, expected, "{query}");
    }
    let by_name = client
        .get(&format!("{ALL}?fieldSelector=metadata.name%3D{first}"))
        .await;
    assert_eq!(names(&by_name.expect(200)), std::slice::from_ref(&first));
    assert_eq!(by_name.warnings(), [""; 0], "no other node is asked");
    let elsewhere =
        format!("/apis/guideway.dev/v1alpha1/namespaces/shop/sessions?fieldSelector=metadata.name%3D{first}");
    assert_eq!(names(&client.get(&elsewhere).await.expect(200)), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_with_what_could_be() {
    let (_server, client, _) = with_four().await;
    let long = "x".repeat(10_000);
    for (query, part) in [
        (
            "fieldSelector=spec.color%3Dred",
            "must be one of node, listener, gateway",
        ),
        (
            "fieldSelector=spec.node",
            "must be a field, one of =, !=, > and <, and a value",
        ),
        ("clientCIDR=10.0.0.0/33", "or a network such as 10.0.0.0/8"),
        ("clientCIDR=here", "clientCIDR: \"here\": must be an address"),
        ("minAge=5", "minAge: \"5\": must be a span of time such as 1h30m"),
        ("maxIdle=-5s", "maxIdle"),
        ("minBytes=many", "minBytes: \"many\": must be a number of bytes"),
        (
            "sortBy=color",
            "sortBy: \"color\": must be one of name, age, idle, bytes",
        ),
        ("limit=-1", "limit=-1"),
        ("continue=x", "continue key is not valid"),
        ("continue=session..0.zz.", "continue key is not valid"),
        ("continue=session.bytes.0.00.", "another sortBy"),
        (
            "continue=session..99999999999999999999999.7b7d.",
            "continue key is not valid",
        ),
        (&format!("sortBy={long}"), "must be one of"),
        (&format!("minAge={long}"), "span of time"),
        (&format!("continue={long}"), "continue key is not valid"),
        (&format!("fieldSelector={long}%3D1"), "must be one of"),
    ] {
        let status = client.get(&format!("{ALL}?{query}")).await.expect(400);
        let message = status["message"].as_str().expect("text");
        assert!(message.contains(part), "{query}: {message}");
        assert!(message.len() < 1000, "{query}: a message of {} bytes", message.len());
    }
    let many = vec!["spec.node%3Done"; 65].join(",");
    client.get(&format!("{ALL}?fieldSelector={many}")).await.expect(400);
}

#[tokio::test]
async fn pages_have_at_most_what_was_asked_for_and_no_more_than_the_limit() {
    let limits = Limits {
        list_page: 4,
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let mut expected: Vec<String> = (0..10u64)
        .map(|number| {
            server
                .cluster
                .live
                .add_with(1, "10.1.0.1:1", "10.0.0.1:1", |_, row| row.bytes = [number % 3, 0])
        })
        .collect();
    for (query, pages) in [
        ("", vec![4, 4, 2]),
        ("limit=3", vec![3, 3, 3, 1]),
        ("sortBy=-bytes&limit=9", vec![4, 4, 2]),
    ] {
        let mut found = Vec::new();
        let mut sizes = Vec::new();
        let mut path = format!("{ALL}?{query}");
        loop {
            let list = client.get(&path).await.expect(200);
            sizes.push(names(&list).len());
            found.extend(names(&list));
            let Some(token) = list["metadata"]["continue"].as_str() else {
                break;
            };
            path = format!("{ALL}?{query}&continue={token}");
        }
        assert_eq!(sizes, pages, "{query}");
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{query}");
    }
}

#[tokio::test]
async fn a_delete_closes() {
    let (server, client, [first, second, third, fourth]) = with_four().await;
    client
        .delete(&format!("{DEFAULT}/{first}?dryRun=All"))
        .await
        .expect(200);
    let json = [("content-type", "application/json")];
    let other = serde_json::json!({"preconditions": {"uid": "session-other"}}).to_string();
    let path = format!("{DEFAULT}/{first}");
    client.send(Method::DELETE, &path, &json, other).await.expect(409);
    assert_eq!(server.cluster.live.names().len(), 4);
    let closed = client.delete(&path).await.expect(200);
    assert_eq!(closed["status"], "Success");
    assert_eq!(closed["details"]["name"], first.as_str());
    assert_eq!(server.cluster.live.names(), [second, third, fourth.clone()]);
    client.delete(&path).await.expect(404);
    client.delete(&format!("{DEFAULT}/{fourth}")).await.expect(503);
}

#[tokio::test]
async fn a_delete_of_a_collection_closes_what_is_selected() {
    let (server, client, [first, second, third, fourth]) = with_four().await;
    let shop = "/apis/guideway.dev/v1alpha1/namespaces/shop/sessions";
    let tried = client.delete(&format!("{shop}?dryRun=All&minBytes=1")).await;
    let status = tried.expect(200);
    assert_eq!(status["message"], "2 sessions on 1 node would be closed");
    assert_eq!(
        tried.warnings(),
        [
            "299 - \"2 sessions on 1 node would be closed\"",
            "299 - \"no answer from two: their sessions are missing\""
        ]
    );
    assert_eq!(server.cluster.live.names().len(), 4);
    let closed = client
        .delete(&format!("{shop}?fieldSelector=spec.protocol%3DUDP"))
        .await
        .expect(200);
    assert_eq!(closed["kind"], "Status");
    assert_eq!(closed["message"], "1 session on 1 node closed");
    assert_eq!(server.cluster.live.names(), [first, third, fourth]);
    assert!(!server.cluster.live.names().contains(&second));
    client.delete(ALL).await.expect(405);
}

#[tokio::test]
async fn the_table_reads_well() {
    let (_server, client, [first, _, third, _]) = with_four().await;
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = client.send(Method::GET, ALL, &accept, "").await.expect(200);
    let columns = table["columnDefinitions"].as_array().expect("columns").iter();
    let columns: Vec<&str> = columns.map(|column| column["name"].as_str().expect("name")).collect();
    assert_eq!(
        columns,
        [
            "Name", "Node", "Proto", "Client", "Listener", "Route", "Endpoint", "State", "Age", "In", "Out", "SNI",
            "ALPN", "Why", "Idle"
        ]
    );
    let cells = |row: usize| -> Vec<String> {
        let cells = table["rows"][row]["cells"].as_array().expect("cells").iter();
        cells.map(|cell| cell.as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(
        cells(0),
        [
            &first,
            "one",
            "TCP",
            "10.1.0.1:1001",
            "edge/postgres",
            "default/postgres",
            "10.0.0.1:5432",
            "Established",
            "10s",
            "5",
            "5",
            "",
            "",
            "table",
            "2s"
        ]
    );
    assert_eq!(cells(1)[0], third);
    assert_eq!(cells(1)[11..13], ["db.example", "h2"]);
}

#[tokio::test]
async fn a_session_is_not_created() {
    let (_server, client) = start().await;
    client.post(DEFAULT, &serde_json::json!({})).await.expect(405);
}
