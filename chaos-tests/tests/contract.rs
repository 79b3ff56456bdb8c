//! Promise: what a condition says of a UDPRoute or TLSRoute is what its traffic meets: invalid shares, ports that two want,
//! parents that do not match, names that do not intersect, and grants that are taken back.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use guideway_chaos_tests::datagrams::{self, DatagramEndpoint};
use guideway_chaos_tests::traffic::{self, Answer};
use guideway_chaos_tests::{Cluster, Endpoint, manifest, wait};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::{Value, json};

/// A fifth of so many has a standard deviation of one point: ±5 is never luck.
const CLIENTS: usize = 1_500;
const VALID_PERCENT: f64 = 20.0;
const DROPPED: &str = "guideway_dataplane_datagrams_dropped_total";

#[test]
fn conditions_and_traffic_agree() {
    let cluster = Cluster::start();
    let endpoint = Endpoint::start("endpoint", cluster.addresses().endpoint(0));
    let mirror = DatagramEndpoint::start(cluster.addresses().endpoint(1), false);
    let api = cluster.api(0);
    api.apply(&manifest::backend("tcp", &[endpoint.address()]));
    api.apply(&manifest::backend("udp", &[mirror.address()]));

    invalid_shares_of_udp_are_dropped(&cluster);
    invalid_shares_of_tls_are_rejected(&cluster);
    parents_that_do_not_match(&cluster);
    ports_that_two_want(&cluster);
    grants_are_taken_back(&cluster, &endpoint, &mirror);
}

fn invalid_shares_of_udp_are_dropped(cluster: &Cluster) {
    let (api, port) = (cluster.api(0), cluster.free_port());
    let gateway = udp_gateway("udp-shares", port);
    let route = with_missing_share(manifest::route_to_backend(
        "UDPRoute",
        "udp-shares",
        "udp-shares",
        "main",
        "udp",
    ));
    api.apply(&gateway);
    api.apply(&route);
    api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
    api.wait_parent_condition(&route, "ResolvedRefs", "False", "BackendNotFound");
    api.wait_condition(&gateway, "Programmed", "True");
    wait_echo(cluster, port);

    let labels = [("gateway", "udp-shares"), ("reason", "rejected_share")];
    let before = cluster.sample(&[0, 1, 2], DROPPED, &labels);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let listener = cluster.listener(number % cluster.size(), port);
            let client = datagrams::client(listener, cluster.addresses().client(0)).expect("a socket");
            client.set_nonblocking(true).expect("it can be set");
            client.send(b"share").expect("there is room");
            client
        })
        .collect();
    let mut answered = BTreeSet::new();
    wait::until("an echo or a counted drop for each datagram", || {
        let mut buffer = [0; 16];
        for (number, client) in clients.iter().enumerate() {
            if client.recv(&mut buffer).is_ok() {
                answered.insert(number);
            }
        }
        let dropped = cluster.sample(&[0, 1, 2], DROPPED, &labels) - before;
        if answered.len() as f64 + dropped >= CLIENTS as f64 {
            Ok(())
        } else {
            Err(format!("{} echoes, {dropped} drops", answered.len()))
        }
    });
    assert_valid_share(answered.len());
}

fn invalid_shares_of_tls_are_rejected(cluster: &Cluster) {
    let (api, port) = (cluster.api(0), cluster.free_port());
    let gateway = tls_gateway("tls-shares", port, None);
    let mut route = with_missing_share(manifest::route_to_backend(
        "TLSRoute",
        "tls-shares",
        "tls-shares",
        "main",
        "tcp",
    ));
    route["spec"]["hostnames"] = json!(["a.test"]);
    api.apply(&gateway);
    api.apply(&route);
    api.wait_parent_condition(&route, "ResolvedRefs", "False", "BackendNotFound");
    api.wait_condition(&gateway, "Programmed", "True");
    wait_named(cluster, port, "a.test", &label());
    let mut valid = 0;
    for number in 0..CLIENTS {
        match ask_by_name(cluster.listener(number % cluster.size(), port), "a.test") {
            Answer::Label(_) => valid += 1,
            Answer::Rejected => {}
            Answer::Refused => panic!("the listener is there"),
        }
    }
    assert_valid_share(valid);
}

fn parents_that_do_not_match(cluster: &Cluster) {
    let (api, port) = (cluster.api(0), cluster.free_port());
    let gateway = tls_gateway("parents", port, Some("*.example.test"));
    api.apply(&gateway);
    let named = |name: &str, section: &str, hostname: &str| {
        let mut route = manifest::route_to_backend("TLSRoute", name, "parents", section, "tcp");
        route["spec"]["hostnames"] = json!([hostname]);
        route
    };
    for (route, reason) in [
        (named("section", "no-such", "a.example.test"), "NoMatchingParent"),
        (named("hostname", "main", "a.other.test"), "NoMatchingListenerHostname"),
        (
            manifest::route_to_backend("UDPRoute", "kind", "parents", "main", "udp"),
            "NotAllowedByListeners",
        ),
    ] {
        api.apply(&route);
        api.wait_parent_condition(&route, "Accepted", "False", reason);
    }
    let wider = named("wider", "main", "*.test");
    api.apply(&wider);
    api.wait_parent_condition(&wider, "Accepted", "True", "Accepted");
    api.wait_condition(&gateway, "Programmed", "True");
    assert_eq!(api.read(&gateway)["status"]["listeners"][0]["attachedRoutes"], 1);
    wait_named(cluster, port, "a.example.test", &label());
    for outside in ["a.other.test", "example.test"] {
        assert_eq!(
            ask_by_name(cluster.listener(0, port), outside),
            Answer::Rejected,
            "{outside}"
        );
    }
}

fn ports_that_two_want(cluster: &Cluster) {
    let (api, port) = (cluster.api(0), cluster.free_port());
    let older = udp_gateway("older", port);
    api.apply(&older);
    api.apply(&manifest::route_to_backend("UDPRoute", "older", "older", "main", "udp"));
    api.wait_condition(&older, "Programmed", "True");
    let younger = udp_gateway("younger", port);
    api.apply(&younger);
    wait_listener(cluster, &younger, 0, ("Conflicted", "True", "ProtocolConflict"));
    wait_listener(cluster, &younger, 0, ("Accepted", "False", "ProtocolConflict"));
    wait_echo(cluster, port);

    // Within one Gateway no one wins.
    let shared = cluster.free_port();
    let both = manifest::gateway_with(
        "both",
        json!([
            {"name": "tcp", "protocol": "TCP", "port": shared},
            {"name": "tls", "protocol": "TLS", "port": shared, "tls": {"mode": "Passthrough"}},
            {"name": "udp", "protocol": "UDP", "port": shared},
        ]),
    );
    api.apply(&both);
    for index in [0, 1] {
        wait_listener(cluster, &both, index, ("Accepted", "False", "ProtocolConflict"));
    }
    wait_listener(cluster, &both, 2, ("Programmed", "True", "Programmed"));
    let answer = traffic::ask(cluster.listener(0, shared), cluster.addresses().client(0));
    assert_eq!(answer.expect("an answer"), Answer::Refused);
}

fn grants_are_taken_back(cluster: &Cluster, endpoint: &Endpoint, mirror: &DatagramEndpoint) {
    let (api, ports) = (cluster.api(0), [cluster.free_port(), cluster.free_port()]);
    api.apply(&manifest::namespace("other"));
    let [udp, tls] = [
        udp_gateway("granted-udp", ports[0]),
        tls_gateway("granted-tls", ports[1], None),
    ];
    let mut routes = [("UDPRoute", "granted-udp"), ("TLSRoute", "granted-tls")]
        .map(|(kind, name)| manifest::route_to_backend(kind, name, name, "main", "far"));
    routes[1]["spec"]["hostnames"] = json!(["a.test"]);
    for route in &mut routes {
        route["spec"]["rules"][0]["backendRefs"][0]["namespace"] = json!("other");
    }
    // A session or flow that chooses the one which does not speak its protocol goes on to the other.
    let mut far = manifest::backend("far", &[endpoint.address(), mirror.address()]);
    far["metadata"]["namespace"] = json!("other");
    let grant = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "ReferenceGrant",
        "metadata": {"name": "far", "namespace": "other"},
        "spec": {
            "from": [
                {"group": "gateway.networking.k8s.io", "kind": "UDPRoute", "namespace": "default"},
                {"group": "gateway.networking.k8s.io", "kind": "TLSRoute", "namespace": "default"},
            ],
            "to": [{"group": "guideway.dev", "kind": "Backend"}],
        },
    });
    for object in [&udp, &tls, &far, &routes[0], &routes[1]] {
        api.apply(object);
    }
    for route in &routes {
        api.wait_parent_condition(route, "ResolvedRefs", "False", "RefNotPermitted");
    }
    api.wait_condition(&tls, "Programmed", "True");
    wait_named(cluster, ports[1], "a.test", &Answer::Rejected);

    api.apply(&grant);
    for route in &routes {
        api.wait_parent_condition(route, "ResolvedRefs", "True", "ResolvedRefs");
    }
    wait_named(cluster, ports[1], "a.test", &label());
    wait_echo(cluster, ports[0]);

    api.delete(&grant);
    for route in &routes {
        api.wait_parent_condition(route, "ResolvedRefs", "False", "RefNotPermitted");
    }
    for index in 0..cluster.size() {
        let listener = cluster.listener(index, ports[1]);
        wait::until(&format!("{listener} rejects"), || {
            (0..8)
                .all(|_| ask_by_name(listener, "a.test") == Answer::Rejected)
                .then_some(())
                .ok_or_else(|| "it still reaches the endpoint".to_owned())
        });
    }
    let labels = [("gateway", "granted-udp"), ("reason", "rejected_share")];
    let before = cluster.sample(&[0], DROPPED, &labels);
    wait::until("a datagram of a new flow is dropped", || {
        let client = datagrams::client(cluster.listener(0, ports[0]), cluster.addresses().client(0));
        client
            .and_then(|client| client.send(b"late"))
            .map_err(|error| error.to_string())?;
        let found = cluster.sample(&[0], DROPPED, &labels);
        if found > before { Ok(()) } else { Err(found.to_string()) }
    });
}

/// A missing Service takes four fifths of the route's traffic.
fn with_missing_share(mut route: Value) -> Value {
    let refs = &mut route["spec"]["rules"][0]["backendRefs"];
    refs[0]["weight"] = json!(20);
    if let Some(refs) = refs.as_array_mut() {
        refs.push(json!({"name": "missing", "port": 80, "weight": 80}));
    }
    route
}

fn assert_valid_share(count: usize) {
    let found = 100.0 * count as f64 / CLIENTS as f64;
    assert!(
        (found - VALID_PERCENT).abs() <= 5.0,
        "{found:.1} % instead of {VALID_PERCENT} % ± 5"
    );
}

fn udp_gateway(name: &str, port: u16) -> Value {
    manifest::gateway_with(name, json!([{"name": "main", "protocol": "UDP", "port": port}]))
}

fn tls_gateway(name: &str, port: u16, hostname: Option<&str>) -> Value {
    let mut listener = json!({"name": "main", "protocol": "TLS", "port": port, "tls": {"mode": "Passthrough"}});
    if let Some(hostname) = hostname {
        listener["hostname"] = json!(hostname);
    }
    manifest::gateway_with(name, json!([listener]))
}

fn label() -> Answer {
    Answer::Label("endpoint".to_owned())
}

/// Waits until every node echoes; each try is a new flow, since a share of them may be refused.
fn wait_echo(cluster: &Cluster, port: u16) {
    for index in 0..cluster.size() {
        let listener = cluster.listener(index, port);
        wait::until(&format!("an echo from {listener}"), || {
            let client =
                datagrams::client(listener, cluster.addresses().client(0)).map_err(|error| error.to_string())?;
            client
                .set_read_timeout(Some(Duration::from_millis(100)))
                .map_err(|error| error.to_string())?;
            client.send(b"probe").map_err(|error| error.to_string())?;
            client.recv(&mut [0; 16]).map_err(|error| error.to_string())
        });
    }
}

/// Waits until every node answers so to a client that asks for `name`.
fn wait_named(cluster: &Cluster, port: u16, name: &str, wanted: &Answer) {
    for index in 0..cluster.size() {
        let listener = cluster.listener(index, port);
        wait::until(&format!("{wanted:?} from {listener}"), || {
            let found = ask_by_name(listener, name);
            if found == *wanted {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
    }
}

fn wait_listener(cluster: &Cluster, gateway: &Value, index: usize, (kind, status, reason): (&str, &str, &str)) {
    let api = cluster.api(0);
    wait::until(&format!("listener {index}: {kind}={status}/{reason}"), || {
        let now = api.read(gateway);
        let conditions = &now["status"]["listeners"][index]["conditions"];
        let generation = &now["metadata"]["generation"];
        match guideway_chaos_tests::api::condition_of(conditions, kind, generation) {
            Some(found) if found.status == status && found.reason == reason => Ok(()),
            _ => Err(format!("status {}", now["status"])),
        }
    });
}

/// Sends a ClientHello for `name` and tells whose greeting comes back; endpoints greet before they have read it.
fn ask_by_name(listener: SocketAddr, name: &str) -> Answer {
    let mut stream = match TcpStream::connect(listener) {
        Ok(stream) => stream,
        Err(_) => return Answer::Refused,
    };
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("it is not zero");
    if stream.write_all(&client_hello(name)).is_err() {
        return Answer::Rejected;
    }
    let mut line = Vec::new();
    let mut byte = [0];
    while let Ok(1) = stream.read(&mut byte) {
        if byte[0] == b'\n' {
            return Answer::Label(String::from_utf8_lossy(&line).into_owned());
        }
        line.push(byte[0]);
    }
    assert!(line.is_empty(), "a greeting that ends early: {line:?}");
    Answer::Rejected
}

fn client_hello(name: &str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
    let mut connection = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).expect("a vector takes everything");
    hello
}
