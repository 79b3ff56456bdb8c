//! Promise: TLS services share a port by name; the bytes of a ClientHello may arrive in any pieces; a client without a name
//! is refused unless some route is for everybody.
//!
//! Needs tools: openssl.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use guideway_chaos_tests::certificate::Certificate;
use guideway_chaos_tests::tls_server::{TlsServer, subject};
use guideway_chaos_tests::{Cluster, manifest, wait};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::json;

const NAMES: [&str; 2] = ["a.example.test", "b.example.test"];

#[test]
fn services_share_a_port_by_name() {
    let cluster = Cluster::start();
    let [named, open] = [cluster.free_port(), cluster.free_port()];
    let certificates = NAMES.map(|name| Certificate::make(cluster.directory(), name));
    let servers = [0, 1].map(|number| {
        let address = cluster.addresses().endpoint(number);
        let port = cluster.addresses().free_port(&[address.into()]);
        TlsServer::start(address, port, &certificates[usize::from(number)])
    });
    configure(&cluster, named, open, &servers);

    for index in 0..cluster.size() {
        let listener = cluster.listener(index, named);
        for name in NAMES {
            let found = wait::until(&format!("{name} through {listener}"), || {
                subject(listener, &["-servername", name])
            });
            assert_eq!(found, format!("CN={name}"));
        }
        // A wildcard takes what no exact name has, in any case.
        assert_eq!(
            subject(listener, &["-servername", "X.Example.Test"]),
            Ok("CN=b.example.test".to_owned())
        );
        for nobody in [["-servername", "other.test"].as_slice(), &["-noservername"]] {
            subject(listener, nobody).expect_err("no route has it");
        }
        let old = subject(cluster.listener(index, open), &["-noservername", "-tls1_2"]);
        assert_eq!(
            old,
            Ok("CN=a.example.test".to_owned()),
            "a route for everybody takes an old client"
        );
    }
    for (reason, least) in [("no_sni", 3.0), ("no_sni_match", 3.0)] {
        let labels = [("reason", reason)];
        cluster.wait_sample(
            &[0, 1, 2],
            "guideway_dataplane_sessions_closed_total",
            &labels,
            |count| count >= least,
        );
    }

    let listener = cluster.listener(0, named);
    for (name, certificate) in NAMES.iter().zip(&certificates) {
        let (hello, version) = byte_by_byte(listener, name, certificate);
        assert!(
            hello > 1_200,
            "a hello with a post-quantum key share is large; this one has {hello} bytes"
        );
        assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
    }
}

fn configure(cluster: &Cluster, named: u16, open: u16, servers: &[TlsServer; 2]) {
    let api = cluster.api(0);
    let gateway = manifest::gateway_with(
        "sni",
        json!([
            {"name": "named", "protocol": "TLS", "port": named, "hostname": "*.example.test", "tls": {"mode": "Passthrough"}},
            {"name": "open", "protocol": "TLS", "port": open, "tls": {"mode": "Passthrough"}},
        ]),
    );
    api.apply(&gateway);
    for (name, server) in ["a", "b"].iter().zip(servers) {
        api.apply(&manifest::backend(name, &[server.address()]));
    }
    let routes = [
        ("a", "named", "a", json!(["a.example.test"])),
        ("b", "named", "b", json!(["b.example.test", "*.example.test"])),
        ("everybody", "open", "a", json!([])),
    ];
    for (name, section, backend, hostnames) in routes {
        let mut route = manifest::route_to_backend("TLSRoute", name, "sni", section, backend);
        if hostnames == json!([]) {
            // Newer versions of the kind cannot say that no name is fine, too.
            route["apiVersion"] = json!("gateway.networking.k8s.io/v1alpha2");
        } else {
            route["spec"]["hostnames"] = hostnames;
        }
        api.apply(&route);
        api.wait_parent_condition(&route, "Accepted", "True", "Accepted");
    }
    api.wait_condition(&gateway, "Programmed", "True");
}

/// Shakes hands with X25519MLKEM768 first, sending one byte in a segment, until both sides have finished. Returns the
/// length of the first flight and the version agreed on.
fn byte_by_byte(listener: SocketAddr, name: &str, trusted: &Certificate) -> (usize, Option<rustls::ProtocolVersion>) {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&trusted.certificate).expect("a certificate"))
        .expect("it can be trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has both versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a DNS name");
    let mut tls = ClientConnection::new(Arc::new(config), name).expect("a connection");
    let mut socket = TcpStream::connect(listener).expect("the listener accepts");
    socket.set_nodelay(true).expect("it can be set");
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("it is not zero");
    let first = send_in_bytes(&mut tls, &mut socket).expect("the hello is sent");
    while tls.is_handshaking() {
        let read = tls.read_tls(&mut socket).expect("the endpoint answers");
        assert_ne!(read, 0, "the session was closed during the handshake");
        tls.process_new_packets()
            .expect("the endpoint's certificate is trusted");
        send_in_bytes(&mut tls, &mut socket).expect("the rest is sent");
    }
    tls.writer()
        .write_all(b"GET / HTTP/1.0\r\n\r\n")
        .expect("there is room");
    send_in_bytes(&mut tls, &mut socket).expect("the request is sent");
    let mut page = [0; 64];
    loop {
        match tls.reader().read(&mut page) {
            Ok(length) => {
                assert_ne!(length, 0, "the server closed without an answer");
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                tls.read_tls(&mut socket).expect("the endpoint answers");
                tls.process_new_packets().expect("what it says is TLS");
            }
            Err(error) => panic!("{error}"),
        }
    }
    (first, tls.protocol_version())
}

/// The relay reads as fast as this writes, so most bytes arrive alone.
fn send_in_bytes(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<usize> {
    let mut flight = Vec::new();
    while tls.wants_write() {
        tls.write_tls(&mut flight)?;
    }
    for byte in &flight {
        socket.write_all(&[*byte])?;
    }
    Ok(flight.len())
}
