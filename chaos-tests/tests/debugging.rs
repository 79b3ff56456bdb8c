//! Promise: the commands of docs/debugging.md run as they stand, and tell what the page says they tell.
//!
//! Needs root, which captures packets, kubectl and the tools: nc, curl, openssl, ss, tcpdump.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use guideway_chaos_tests::certificate::Certificate;
use guideway_chaos_tests::datagrams::DatagramEndpoint;
use guideway_chaos_tests::kubectl::Kubectl;
use guideway_chaos_tests::page::{self, Block};
use guideway_chaos_tests::tls_server::TlsServer;
use guideway_chaos_tests::traffic::{self, Session};
use guideway_chaos_tests::wait::{self, StopOnDrop};
use guideway_chaos_tests::{Cluster, Endpoint, manifest};
use serde_json::json;

const NAME: &str = "shop.example.com";

#[test]
fn the_commands_of_the_page_run() {
    let cluster = Cluster::start();
    let host = |number| cluster.addresses().endpoint(number);
    let ports = [cluster.free_port(), cluster.free_port()];
    let [plain, tls] = ports;
    let endpoint = Endpoint::start("plain", host(0));
    let datagrams = DatagramEndpoint::start(host(1), false);
    let certificate = Certificate::make(cluster.directory(), NAME);
    let server_port = cluster.addresses().free_port(&[host(2).into()]);
    let server = TlsServer::start(host(2), server_port, &certificate);
    configure(
        &cluster,
        plain,
        tls,
        &[endpoint.address(), datagrams.address(), server.address()],
    );

    let listener = cluster.listener(0, plain);
    let held = Session::open(listener, cluster.addresses().client(0)).expect("a session opens");
    let kubectl = Kubectl::new(cluster.kubeconfig());
    let variables = [
        ("NODE", cluster.node(0).address.to_string()),
        ("TCP", plain.to_string()),
        ("UDP", plain.to_string()),
        ("TLS", tls.to_string()),
        ("NAME", NAME.to_owned()),
        ("GATEWAY", "debugging".to_owned()),
        ("ROUTE", "plain".to_owned()),
        ("METRICS", cluster.node(0).metrics.clone()),
    ];
    let blocks = page::blocks(Path::new("docs/debugging.md"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = StopOnDrop(&done);
        // What tcpdump waits for.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                traffic::ask(listener, cluster.addresses().client(1)).ok();
                wait::pause();
            }
        });
        let mut ran = 0;
        for block in blocks.iter().filter(|block| block.language == "sh") {
            let printed = kubectl
                .shell(&block.text, &variables)
                .unwrap_or_else(|failure| panic!("docs/debugging.md:{}: {failure}", block.line));
            check(block, &printed, plain);
            ran += 1;
        }
        assert!(ran >= 8, "the page has {ran} blocks of commands");
    });
    drop(held);

    let closed = [
        ("NODE", cluster.node(0).address.to_string()),
        ("TCP", cluster.free_port().to_string()),
    ];
    kubectl
        .shell(&blocks[0].text, &closed)
        .expect_err("a port without a listener is refused");
}

/// What each command is on the page for.
fn check(block: &Block, printed: &str, port: u16) {
    let port = format!(":{port}");
    let expected: &[&str] = match block.text.split_whitespace().next().unwrap_or_default() {
        "openssl" if block.text.contains("-noservername") => &["0\n"],
        "openssl" => &[NAME],
        "kubectl" if block.text.contains("describe") => &["Programmed", "ResolvedRefs"],
        "kubectl" => &["guideway_dataplane_sessions_active", "leader"],
        "ss" => &["ESTAB", &port],
        "timeout" => &["4 packets captured"],
        _ => &[],
    };
    for word in expected {
        assert!(
            printed.contains(word),
            "docs/debugging.md:{}: no {word:?} in:\n{printed}",
            block.line
        );
    }
}

fn configure(cluster: &Cluster, plain: u16, tls: u16, endpoints: &[std::net::SocketAddr; 3]) {
    let api = cluster.api(0);
    let gateway = manifest::gateway_with(
        "debugging",
        json!([
            {"name": "plain", "protocol": "TCP", "port": plain},
            {"name": "datagrams", "protocol": "UDP", "port": plain},
            {"name": "tls", "protocol": "TLS", "port": tls, "hostname": NAME, "tls": {"mode": "Passthrough"}},
        ]),
    );
    api.apply(&gateway);
    let routes = [("TCPRoute", "plain"), ("UDPRoute", "datagrams"), ("TLSRoute", "tls")];
    for ((kind, name), endpoint) in routes.into_iter().zip(endpoints) {
        api.apply(&manifest::backend(name, &[*endpoint]));
        let mut route = manifest::route_to_backend(kind, name, "debugging", name, name);
        if kind == "TLSRoute" {
            route["spec"]["hostnames"] = json!([NAME]);
        }
        api.apply(&route);
        api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
    }
    api.wait_condition(&gateway, "Programmed", "True");
}
