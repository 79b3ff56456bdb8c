//! `Pin`: what is shown, selected and paged.

use guideway_api::Limits;
use guideway_model::flow::FlowKey;
use guideway_model::node::Protocol;
use guideway_model::object::ObjectKey;
use guideway_model::pin::{PinBatch, PinChange, PinKey};
use guideway_model::{Command, Incarnation, Kind, NodeId, Outcome};
use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;
use crate::cluster::live::address;
use crate::manifests::{NAMESPACES, backend, namespace, route};

const ALL: &str = "/apis/guideway.dev/v1alpha1/pins";
const DEFAULT: &str = "/apis/guideway.dev/v1alpha1/namespaces/default/pins";

/// Two routes in two namespaces with two endpoints each, and `clients` pins on each route.
async fn with_pins(limits: Limits, clients: u16) -> (Server, Client) {
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    client.post(NAMESPACES, &namespace("shop")).await.expect(201);
    server.cluster.start_node(NodeId(1), Incarnation(0xabc));
    for (sequence, namespace) in (1..).zip(["default", "shop"]) {
        let backends = format!("/apis/guideway.dev/v1alpha1/namespaces/{namespace}/backends");
        let endpoints = ["10.0.0.1:53", "10.0.0.2:53"];
        client.post(&backends, &backend("dns", &endpoints)).await.expect(201);
        let routes = format!("/apis/gateway.networking.k8s.io/v1/namespaces/{namespace}/udproutes");
        client.post(&routes, &route("UDPRoute", "dns", "dns")).await.expect(201);
        pin(&server, namespace, sequence, clients);
    }
    (server, client)
}

/// Pins the flows of some clients in turn to one and to the other endpoint.
fn pin(server: &Server, namespace: &str, sequence: u64, clients: u16) {
    let route = ObjectKey {
        kind: Kind::UdpRoute,
        namespace: namespace.to_owned(),
        name: "dns".to_owned(),
    };
    let pool = server.cluster.state().pool_number(&route).expect("a pool");
    let changes = (1..=clients).map(|number| {
        let client = address(&format!("192.0.2.7:{number}"));
        PinChange {
            key: PinKey {
                pool,
                flow: FlowKey::five_tuple(Protocol::Udp, 53, client),
            },
            endpoint: Some(address(if number % 2 == 0 { "10.0.0.1:53" } else { "10.0.0.2:53" })),
        }
    });
    let batch = PinBatch {
        node: NodeId(1),
        incarnation: Incarnation(0xabc),
        sequence,
        changes: changes.collect(),
    };
    assert_eq!(server.cluster.apply(Command::Pins(batch)).outcome, Outcome::Done);
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items").iter();
    items
        .map(|item| item["metadata"]["name"].as_str().expect("name"))
        .collect()
}

#[tokio::test]
async fn a_pin_says_what_goes_where_and_for_whom() {
    let (_server, client) = with_pins(Limits::default(), 2).await;
    let list = client.get(DEFAULT).await.expect(200);
    assert_eq!(list["kind"], "PinList");
    let names = names(&list);
    assert!(names[0].ends_with("-udp-53-192.0.2.7-1"), "{names:?}");
    let pin = client.get(&format!("{DEFAULT}/{}", names[0])).await.expect(200);
    assert_eq!(list["items"][0], pin);
    assert_eq!(pin["metadata"]["namespace"], "default");
    assert_eq!(
        pin["spec"],
        json!({
            "route": "default/dns",
            "routeKind": "UDPRoute",
            "rule": 0,
            "protocol": "UDP",
            "port": 53,
            "client": "192.0.2.7:1",
            "endpoint": "10.0.0.2:53",
            "message": "the UDP flow from 192.0.2.7:1 to port 53 goes to 10.0.0.2:53, whatever the table says",
            "holders": [{ "node": "one", "incarnation": "abc", "endpoint": "10.0.0.2:53", "live": true }],
        })
    );
    let elsewhere = format!("/apis/guideway.dev/v1alpha1/namespaces/shop/pins/{}", names[0]);
    client.get(&elsewhere).await.expect(404);
}

#[tokio::test]
async fn a_holder_that_is_gone_is_shown_so() {
    let (server, client) = with_pins(Limits::default(), 1).await;
    server.cluster.start_node(NodeId(1), Incarnation(0xdef));
    let list = client.get(DEFAULT).await.expect(200);
    assert_eq!(list["items"][0]["spec"]["holders"][0]["live"], false);
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = client.send(Method::GET, DEFAULT, &accept, "").await.expect(200);
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    let shown = ["default/dns", "UDP", "53", "192.0.2.7:1", "10.0.0.2:53", "(one)"];
    assert_eq!(cells[1..], shown.map(Value::from));
}

#[tokio::test]
async fn selectors_and_pages() {
    let limits = Limits {
        list_page: 3,
        ..Limits::default()
    };
    let (_server, client) = with_pins(limits, 5).await;
    for (query, count) in [
        ("", 10),
        ("fieldSelector=spec.route%3Dshop/dns", 5),
        ("fieldSelector=spec.route%3Ddns", 10),
        ("fieldSelector=spec.endpoint%3D10.0.0.1:53", 4),
        ("fieldSelector=spec.endpoint!=10.0.0.1:53,metadata.namespace%3Dshop", 3),
        ("fieldSelector=spec.node%3Done", 10),
        ("fieldSelector=spec.node%3Dtwo", 0),
        ("fieldSelector=spec.client%3D192.0.2.7:3", 2),
        ("fieldSelector=spec.client%3D192.0.2.7", 10),
        ("fieldSelector=spec.protocol%3DTCP", 0),
        ("labelSelector=a%3Db", 0),
        ("limit=2", 10),
    ] {
        let mut found = 0;
        let mut path = format!("{ALL}?{query}");
        loop {
            let list = client.get(&path).await.expect(200);
            assert!(names(&list).len() <= 3, "{query}");
            found += names(&list).len();
            let Some(token) = list["metadata"]["continue"].as_str() else {
                break;
            };
            path = format!("{ALL}?{query}&continue={token}");
        }
        assert_eq!(found, count, "{query}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let (_server, client) = with_pins(Limits::default(), 1).await;
    let long = "7".repeat(10_000);
    for query in [
        "continue=x",
        "continue=pin.7",
        "fieldSelector=spec.color%3Dred",
        &format!("continue={long}"),
    ] {
        let status = client.get(&format!("{ALL}?{query}")).await.expect(400);
        assert!(
            status["message"].as_str().is_some_and(|text| text.len() < 1000),
            "{query}"
        );
    }
    for name in ["x", "1-udp-53-192.0.2.7-77", "99-udp-53-192.0.2.7-1", long.as_str()] {
        client.get(&format!("{DEFAULT}/{name}")).await.expect(404);
    }
    client.get(&format!("{ALL}?watch=1")).await.expect(405);
    client.delete(DEFAULT).await.expect(405);
}
