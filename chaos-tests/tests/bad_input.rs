//! Promise: bad input is refused with what is wrong and where, costs the cluster nothing, and never ends a node.

use std::io;

use guideway_chaos_tests::http::{self, Response};
use guideway_chaos_tests::traffic::Answer;
use guideway_chaos_tests::{Cluster, Endpoint, manifest};
use serde_json::{Value, json};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways";

/// Objects of the large list, and how many clients create them.
const OBJECTS: usize = 10_000;
const WRITERS: usize = 24;

#[test]
fn bad_input_is_refused_and_traffic_goes_on() {
    let cluster = Cluster::start();
    let endpoint = Endpoint::start("steady", cluster.addresses().endpoint(0));
    let port = cluster.free_port();
    let api = cluster.api(0);
    let gateway = manifest::gateway("steady", &[("main", port)]);
    api.apply(&gateway);
    api.apply_all(&manifest::service_with("steady", 80, &[endpoint.address()]));
    api.apply(&manifest::tcp_route("steady", "steady", "main", &[("steady", 80, 1)]));
    api.wait_condition(&gateway, "Programmed", "True");
    let steady = |what: &str| {
        cluster.assert_running(&[0, 1, 2]);
        cluster.wait_traffic(&[0, 1, 2], port, what, |answer| {
            *answer == Answer::Label("steady".into())
        });
    };
    steady("traffic before bad input");

    malformed_bodies(&cluster);
    steady("traffic after malformed bodies");
    unknown_fields(&cluster);
    duplicate_names(&cluster);
    large_bodies(&cluster);
    steady("traffic after large bodies");
    broken_requests(&cluster);
    steady("traffic after broken requests");
    ten_thousand_objects(&cluster);
    steady("traffic after ten thousand objects");
}

/// Refused with a `Status` object; returns it.
fn refused(what: &str, answer: io::Result<Response>, code: u16, reason: &str) -> Value {
    let answer = answer.unwrap_or_else(|error| panic!("{what}: {error}"));
    let status = answer.json();
    assert_eq!(answer.status, code, "{what}: {}", answer.text());
    assert_eq!(status["kind"], "Status", "{what}: {status}");
    assert_eq!(status["status"], "Failure", "{what}: {status}");
    assert_eq!(status["code"], code, "{what}: {status}");
    assert_eq!(status["reason"], reason, "{what}: {status}");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(!message.is_empty(), "{what}: the refusal says why: {status}");
    status
}

fn malformed_bodies(cluster: &Cluster) {
    let api = cluster.api(1);
    let deep = "[".repeat(200_000);
    let bodies: [(&str, &str, &[u8]); 9] = [
        ("cut JSON", "application/json", b"{\"apiVersion\": \"v1\", \"kind\": "),
        ("empty body", "application/json", b""),
        ("no JSON at all", "application/json", b"\xff\xfe\x00\x01"),
        ("a list instead of an object", "application/json", b"[]"),
        ("200 000 open brackets", "application/json", deep.as_bytes()),
        (
            "text that is no UTF-8",
            "application/json",
            b"{\"apiVersion\": \"v\xff1\"}",
        ),
        (
            "malformed YAML",
            "application/yaml",
            b"apiVersion: v1\n kind: [Service\n",
        ),
        (
            "a YAML anchor that refers to itself",
            "application/yaml",
            b"a: &a [*a, *a]\n",
        ),
        ("YAML of nothing", "application/yaml", b"---\n"),
    ];
    for (what, content_type, body) in bodies {
        refused(
            what,
            api.send_as("POST", SERVICES, content_type, body),
            400,
            "BadRequest",
        );
    }
    let protobuf = api.send_as("POST", SERVICES, "application/vnd.kubernetes.protobuf", b"k8s\0");
    refused("protobuf", protobuf, 415, "UnsupportedMediaType");
    for (what, patch) in [("cut merge patch", "{\"spec\":"), ("merge patch of a number", "7")] {
        let path = format!("{SERVICES}/steady");
        let answer = api.send_as("PATCH", &path, "application/merge-patch+json", patch.as_bytes());
        refused(what, answer, 400, "BadRequest");
    }
}

fn unknown_fields(cluster: &Cluster) {
    let api = cluster.api(2);
    let mut service = manifest::service("with-unknown", 80);
    service["spec"]["ports"][0]["prot"] = json!("TCP");
    let strict = format!("{SERVICES}?fieldValidation=Strict");
    let status = refused("unknown field", api.send("POST", &strict, &service), 400, "BadRequest");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("spec.ports[0].prot"), "the path is named: {status}");

    let warned = api
        .send("POST", &format!("{SERVICES}?fieldValidation=Warn"), &service)
        .expect("answers");
    assert_eq!(warned.status, 201, "{}", warned.text());
    let warning = warned.header("warning").unwrap_or_default();
    assert!(
        warning.contains("spec.ports[0].prot"),
        "the path is in a warning: {warning:?}"
    );

    service["metadata"]["name"] = json!("with-ignored");
    let ignored = api
        .send("POST", &format!("{SERVICES}?fieldValidation=Ignore"), &service)
        .expect("answers");
    assert_eq!(
        (ignored.status, ignored.header("warning")),
        (201, None),
        "{}",
        ignored.text()
    );
}

fn duplicate_names(cluster: &Cluster) {
    let api = cluster.api(0);
    let again = api.create(&manifest::service("steady", 80));
    refused("a name that is taken", again, 409, "AlreadyExists");

    let port = cluster.free_port();
    let gateway = manifest::gateway("twice", &[("same", port), ("same", port.wrapping_add(1).max(1))]);
    let status = refused(
        "two listeners of one name",
        api.send("POST", GATEWAYS, &gateway),
        422,
        "Invalid",
    );
    let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
    assert!(
        causes.iter().any(|cause| cause["field"]
            .as_str()
            .is_some_and(|field| field.starts_with("spec.listeners"))),
        "the field is named: {status}"
    );

    let twice = br#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "name": "b"}, "spec": {"ports": [{"port": 80}]}}"#;
    let strict = format!("{SERVICES}?fieldValidation=Strict");
    let answer = api.send_as("POST", &strict, "application/json", twice);
    refused("one field twice", answer, 400, "BadRequest");
}

fn large_bodies(cluster: &Cluster) {
    let api = cluster.api(1);
    let mut service = manifest::service("large", 80);
    service["metadata"]["annotations"] = json!({"filler": "x".repeat(10 << 20)});
    refused("a body of 10 MB", api.create(&service), 413, "RequestEntityTooLarge");
    let path = format!("{SERVICES}/steady");
    let patch = json!({"metadata": {"annotations": {"filler": "x".repeat(10 << 20)}}}).to_string();
    let answer = api.send_as("PATCH", &path, "application/merge-patch+json", patch.as_bytes());
    refused("a patch of 10 MB", answer, 413, "RequestEntityTooLarge");
}

fn broken_requests(cluster: &Cluster) {
    let api = cluster.api(2);
    for query in [
        "limit=many",
        "resourceVersion=newest",
        "continue=!",
        "labelSelector=a%20in%20(",
        "fieldSelector=x%3Dy",
    ] {
        refused(query, api.get(&format!("{SERVICES}?{query}")), 400, "BadRequest");
    }
    refused("an unknown kind", api.get("/apis/apps/v1/deployments"), 404, "NotFound");
    let raw: [&[u8]; 4] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ];
    for request in raw {
        // Any refusal will do, an answer or a closed connection; that the node lives is checked by the caller.
        if let Ok(answer) = http::send_raw(&api.url("/"), request) {
            assert!(!answer.is_success(), "{request:?} succeeded: {}", answer.text());
        }
    }
}

fn ten_thousand_objects(cluster: &Cluster) {
    let before = cluster.api(0).list(SERVICES, 500).expect("lists").len();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let api = cluster.api(writer % cluster.size());
            scope.spawn(move || {
                for number in (writer..OBJECTS).step_by(WRITERS) {
                    let name = format!("many-{number}");
                    let answer = api
                        .create(&manifest::service(&name, 80))
                        .unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert_eq!(answer.status, 201, "{name}: {}", answer.text());
                }
            });
        }
    });
    cluster.wait_caught_up(&[0, 1, 2]);
    for index in 0..cluster.size() {
        let items = cluster.api(index).list(SERVICES, 500).expect("lists in pages");
        let mut names: Vec<&str> = items
            .iter()
            .filter_map(|item| item["metadata"]["name"].as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(items.len(), before + OBJECTS, "node {index} lists every object");
        assert_eq!(names.len(), items.len(), "node {index} lists each object once");
    }
}
