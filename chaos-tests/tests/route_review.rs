//! Promise: what a RouteReview says is where traffic goes, for a thousand random clients; also for an endpoint that would be
//! gone. And every session is listed with where it went, and why.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use guideway_chaos_tests::mesh::wait_settled;
use guideway_chaos_tests::traffic::{self, Answer, Session};
use guideway_chaos_tests::{Api, Cluster, Endpoint, manifest, wait};
use serde_json::{Value, json};

const CLIENTS: usize = 1000;

#[test]
fn a_review_agrees_with_where_traffic_goes() {
    let cluster = Cluster::start();
    let endpoints: Vec<Endpoint> = (0..5)
        .map(|number| Endpoint::start(&format!("e{number}"), cluster.addresses().endpoint(number)))
        .collect();
    let addresses: Vec<SocketAddr> = endpoints.iter().map(Endpoint::address).collect();
    let labels: BTreeMap<String, &str> = endpoints
        .iter()
        .map(|endpoint| (endpoint.address().to_string(), endpoint.label()))
        .collect();
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("reviewed", &[("main", port)]);
    api.apply(&gateway);
    api.apply(&manifest::backend("reviewed", &addresses));
    api.apply(&manifest::tcp_route_to_backend(
        "reviewed", "reviewed", "main", "reviewed",
    ));
    api.wait_condition(&gateway, "Programmed", "True");
    cluster.wait_traffic(&[0, 1, 2], port, "an endpoint", |answer| {
        matches!(answer, Answer::Label(_))
    });

    let clients = clients(&cluster);
    for (number, client) in clients.iter().enumerate() {
        let review = review(&cluster.api(number % 3), *client, json!({}));
        let endpoint = review["endpoint"]
            .as_str()
            .unwrap_or_else(|| panic!("{client}: {review}"));
        let answer = traffic::ask_from(cluster.listener(number % 3, port), *client).expect("an answer");
        assert_eq!(answer, Answer::Label(labels[endpoint].to_owned()), "{client}: {review}");
    }

    // If the first endpoint were gone: said before, and true after.
    let without: Vec<(SocketAddr, String)> = clients[..100]
        .iter()
        .map(|client| {
            let review = review(&api, *client, json!({"without": [addresses[0].to_string()]}));
            (
                *client,
                review["endpoint"].as_str().expect("an endpoint is left").to_owned(),
            )
        })
        .collect();
    assert!(
        without
            .iter()
            .all(|(_, endpoint)| *endpoint != addresses[0].to_string())
    );
    let with_object: Vec<String> = clients[..100]
        .iter()
        .map(|client| {
            let review = review(
                &api,
                *client,
                json!({"withObject": manifest::backend("reviewed", &addresses[1..])}),
            );
            review["endpoint"].as_str().expect("an endpoint is left").to_owned()
        })
        .collect();
    api.apply(&manifest::backend("reviewed", &addresses[1..]));
    wait_settled(&cluster, &[0, 1, 2]);
    for (place, ((client, _), foretold)) in without.iter().zip(&with_object).enumerate() {
        let answer = traffic::ask_from(cluster.listener(place % 3, port), *client).expect("an answer");
        assert_eq!(
            answer,
            Answer::Label(labels[foretold].to_owned()),
            "{client}: the review with the new Backend said {foretold}"
        );
    }

    sessions_say_where_and_why(&cluster, &api, port, &labels);
}

/// Live sessions of all nodes are listed by any of them; deleting one closes it.
fn sessions_say_where_and_why(cluster: &Cluster, api: &Api, port: u16, labels: &BTreeMap<String, &str>) {
    let from = cluster.addresses().client(7);
    let mut open: Vec<Session> = (0..9)
        .map(|number| Session::open(cluster.listener(number % 3, port), from).expect("a session"))
        .collect();
    let path = "/apis/guideway.dev/v1alpha1/namespaces/default/sessions";
    let listed = wait::until("nine sessions are listed", || {
        let answer = api
            .get(&format!("{path}?clientCIDR={from}/32"))
            .map_err(|error| error.to_string())?;
        let items = answer.json()["items"].as_array().cloned().unwrap_or_default();
        let settled = items.iter().all(|item| item["status"]["state"] == "Established");
        if items.len() == open.len() && settled {
            Ok(items)
        } else {
            Err(format!("{}: {}", answer.status, answer.text()))
        }
    });
    let mut wanted: Vec<&str> = open.iter().map(Session::label).collect();
    let mut found: Vec<&str> = listed
        .iter()
        .map(|item| labels[item["spec"]["endpoint"].as_str().expect("an endpoint")])
        .collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, wanted);
    for item in &listed {
        assert_eq!(item["spec"]["route"], "default/reviewed", "{item}");
        assert!(item["status"]["choice"]["reason"].is_string(), "{item}");
        let name = item["metadata"]["name"].as_str().expect("a name");
        let one = api.get(&format!("{path}/{name}")).expect("an answer").json();
        assert!(one["status"]["tcp"]["client"].is_object(), "{one}");
        // Where its key lies is what a review of its client says.
        let client = item["spec"]["client"].as_str().expect("a client");
        let review = review(api, client.parse().expect("an address"), json!({}));
        let choice = &one["status"]["choice"];
        assert!(choice["row"].is_u64(), "{one}");
        assert_eq!(
            (&choice["row"], &choice["generation"]),
            (&review["row"], &review["generation"]),
            "{one}: {review}"
        );
        // Nothing passes, so nothing is measured, over a span that was.
        let rates = &one["status"]["rates"];
        assert_eq!(rates["bytesFromClient"], 0, "{one}");
        assert!(rates["measuredMilliseconds"].as_u64() > Some(0), "{one}");
    }
    let name = listed[0]["metadata"]["name"].as_str().expect("a name");
    let answer = api
        .send("DELETE", &format!("{path}/{name}"), &json!({}))
        .expect("an answer");
    assert!(answer.is_success(), "{}", answer.text());
    let mut closed = 0;
    wait::until("one session is closed", || {
        open.retain_mut(|session| {
            let lives = session.echo("still").is_ok();
            closed += usize::from(!lives);
            lives
        });
        if closed == 1 { Ok(()) } else { Err(closed.to_string()) }
    });
    let closed = "guideway_dataplane_sessions_closed_total";
    cluster.wait_sample(&[0, 1, 2], closed, &[("reason", "killed")], |count| count == 1.0);
}

fn review(api: &Api, client: SocketAddr, more: Value) -> Value {
    let mut spec = json!({"gateway": "reviewed", "listener": "main", "client": client.to_string()});
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    let review = json!({
        "apiVersion": "guideway.dev/v1alpha1", "kind": "RouteReview",
        "metadata": {"name": "asked", "namespace": manifest::NAMESPACE}, "spec": spec,
    });
    let answer = api.create(&review).expect("an answer");
    assert!(answer.is_success(), "{}: {}", answer.status, answer.text());
    answer.json()["status"].clone()
}

/// Client addresses and ports that are free now; the block's client addresses belong to this test alone.
fn clients(cluster: &Cluster) -> Vec<SocketAddr> {
    let sockets: Vec<TcpListener> = (0..CLIENTS)
        .map(|number| {
            let client = cluster
                .addresses()
                .client(u8::try_from(10 + number % 30).expect("below 50"));
            TcpListener::bind((client, 0)).expect("a loopback address has free ports")
        })
        .collect();
    sockets
        .iter()
        .map(|socket| socket.local_addr().expect("a bound socket has an address"))
        .collect()
}
