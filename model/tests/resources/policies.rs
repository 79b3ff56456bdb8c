//! BackendTLSPolicy, ClientTrafficPolicy and BackendTrafficPolicy.

use std::time::Duration;

use guideway_model::Kind;
use guideway_model::object::Object;
use guideway_model::plan::{
    Affinity, AffinityKind, BackendSettings, ClientSettings, Keepalive, Replication, UdpSettings,
};

use crate::{accept, decode, object, reject};

const GATEWAY: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: edge}";
const SERVICE: &str = "{group: '', kind: Service, name: db}";

fn client(fields: &str) -> String {
    format!("spec: {{targetRefs: [{GATEWAY}], {fields}}}")
}

fn backend(fields: &str) -> String {
    format!("spec: {{targetRefs: [{SERVICE}], {fields}}}")
}

fn tls(validation: &str) -> String {
    format!("spec: {{targetRefs: [{SERVICE}], validation: {validation}}}")
}

#[test]
fn every_field_of_a_client_policy_reaches_the_data_plane() {
    let body = client(
        "timeout: {tls: {handshakeTimeout: 2s}, tcp: {idleTimeout: 1h30m, userTimeout: 30s}},
         connection: {connectionLimit: {maxConnectionDuration: 24h}},
         tcpKeepalive: {probes: 3, idleTime: 1m, interval: 10s}, udp: {maxFlows: 1000, maxFlowsPerClient: 10}",
    );
    let Object::ClientTrafficPolicy(policy) = accept(Kind::ClientTrafficPolicy, &body) else {
        panic!("a ClientTrafficPolicy")
    };
    let expected = ClientSettings {
        handshake_timeout: Some(Duration::from_secs(2)),
        tcp_idle_timeout: Some(Duration::from_secs(5400)),
        max_connection_duration: Some(Duration::from_secs(86_400)),
        keepalive: Some(Keepalive {
            idle: Some(Duration::from_secs(60)),
            interval: Some(Duration::from_secs(10)),
            probes: Some(3),
        }),
        user_timeout: Some(Duration::from_secs(30)),
        max_flows: Some(1000),
        max_flows_per_client: Some(10),
    };
    assert_eq!(policy.spec.settings(), expected);
    let Object::ClientTrafficPolicy(empty) = accept(Kind::ClientTrafficPolicy, &client("")) else {
        panic!("a ClientTrafficPolicy")
    };
    assert_eq!(empty.spec.settings(), ClientSettings::default());
}

#[test]
fn every_field_of_a_backend_policy_reaches_the_data_plane() {
    let body = backend(
        "timeout: {tcp: {connectTimeout: 500ms, firstByteTimeout: 5s, idleTimeout: 2h, writeStallTimeout: 20s,
                         userTimeout: 10s}},
         tcpKeepalive: {}, udp: {idleTimeout: 5s, mode: TwoWay, expectedReplies: 1}",
    );
    let Object::BackendTrafficPolicy(policy) = accept(Kind::BackendTrafficPolicy, &body) else {
        panic!("a BackendTrafficPolicy")
    };
    let expected = BackendSettings {
        connect_timeout: Some(Duration::from_millis(500)),
        first_byte_timeout: Some(Duration::from_secs(5)),
        tcp_idle_timeout: Some(Duration::from_secs(7200)),
        write_stall_timeout: Some(Duration::from_secs(20)),
        keepalive: Some(Keepalive::default()),
        user_timeout: Some(Duration::from_secs(10)),
        udp: UdpSettings {
            idle_timeout: Some(Duration::from_secs(5)),
            one_way: false,
            expected_replies: Some(1),
        },
    };
    assert_eq!(policy.spec.settings(), expected);
    let Object::BackendTrafficPolicy(one_way) = accept(Kind::BackendTrafficPolicy, &backend("udp: {mode: OneWay}"))
    else {
        panic!("a BackendTrafficPolicy")
    };
    assert!(one_way.spec.settings().udp.one_way);
}

#[test]
fn affinity_has_defaults() {
    let affinity = |fields: &str| match accept(Kind::BackendTrafficPolicy, &backend(fields)) {
        Object::BackendTrafficPolicy(policy) => policy.spec.affinity.settings(),
        other => panic!("{other:?}"),
    };
    assert_eq!(affinity(""), Affinity::default());
    let client = |v4_prefix, v6_prefix, seconds| AffinityKind::ClientIp {
        v4_prefix,
        v6_prefix,
        timeout: Duration::from_secs(seconds),
    };
    let found = affinity("affinity: {type: ClientIP}");
    assert_eq!(found.kind, client(32, 64, 10_800));
    assert_eq!(found.replication, Replication::OnChange);
    let found = affinity(
        "affinity: {type: ClientIP, replication: Always,
                    clientIP: {ipv4PrefixLength: 24, ipv6PrefixLength: 48, timeout: 10m}}",
    );
    assert_eq!(found.kind, client(24, 48, 600));
    assert_eq!(found.replication, Replication::Always);
}

#[test]
fn spans_are_kept_as_they_were_written() {
    let object = accept(Kind::BackendTrafficPolicy, &backend("udp: {idleTimeout: 90s}"));
    let json = object.encode("v1alpha1");
    assert_eq!(json["spec"]["udp"]["idleTimeout"], "90s");
    assert!(json["spec"].get("timeout").is_none() && json["spec"].get("tcpKeepalive").is_none());
}

#[test]
fn client_policies_that_are_refused() {
    for (fields, field, message) in [
        (
            "timeout: {tcp: {idleTimeout: 0s}}",
            "spec.timeout.tcp.idleTimeout",
            "\"0s\": must be between 1ms and 8784h; leave it out for the default",
        ),
        (
            "timeout: {tcp: {idleTimeout: 1d}}",
            "spec.timeout.tcp.idleTimeout",
            "\"1d\": must be up to four numbers of up to five digits with h, m, s or ms",
        ),
        (
            "timeout: {tcp: {idleTimeout: 60}}",
            "spec.timeout.tcp.idleTimeout",
            "expected string, found number 60",
        ),
        (
            "timeout: {tcp: {userTimeout: 597h}}",
            "spec.timeout.tcp.userTimeout",
            "must be between 1ms and 596h",
        ),
        (
            "timeout: {tls: {handshakeTimeout: 1h1ms}}",
            "spec.timeout.tls.handshakeTimeout",
            "must be between 1ms and 1h",
        ),
        (
            "connection: {connectionLimit: {maxConnectionDuration: 8785h}}",
            "spec.connection.connectionLimit.maxConnectionDuration",
            "must be between 1ms and 8784h",
        ),
        (
            "tcpKeepalive: {idleTime: 1500ms}",
            "spec.tcpKeepalive.idleTime",
            "must be whole seconds between 1s and 32767s",
        ),
        (
            "tcpKeepalive: {interval: 10h}",
            "spec.tcpKeepalive.interval",
            "must be whole seconds between 1s and 32767s",
        ),
        (
            "tcpKeepalive: {probes: 128}",
            "spec.tcpKeepalive.probes",
            "128: must be between 1 and 127",
        ),
        ("udp: {maxFlows: 0}", "spec.udp.maxFlows", "0: must be between 1 and"),
        (
            "udp: {maxFlows: 5, maxFlowsPerClient: 6}",
            "spec.udp.maxFlowsPerClient",
            "6: must be at most maxFlows, 5",
        ),
        ("timeout: {http: {}}", "spec.timeout.http", "unknown field"),
    ] {
        reject(Kind::ClientTrafficPolicy, &client(fields), &[(field, message)]);
    }
}

#[test]
fn backend_policies_that_are_refused() {
    for (fields, field, message) in [
        (
            "timeout: {tcp: {connectTimeout: 2h}}",
            "spec.timeout.tcp.connectTimeout",
            "must be between 1ms and 1h",
        ),
        (
            "timeout: {tcp: {firstByteTimeout: 0ms}}",
            "spec.timeout.tcp.firstByteTimeout",
            "must be between 1ms and 1h",
        ),
        (
            "timeout: {tcp: {writeStallTimeout: 0s}}",
            "spec.timeout.tcp.writeStallTimeout",
            "must be between 1ms and 8784h",
        ),
        (
            "udp: {mode: Both}",
            "spec.udp.mode",
            "\"Both\": must be one of TwoWay, OneWay",
        ),
        (
            "udp: {expectedReplies: 0}",
            "spec.udp.expectedReplies",
            "0: must be between 1 and",
        ),
        (
            "udp: {mode: OneWay, expectedReplies: 1}",
            "spec.udp.expectedReplies",
            "must not be set when mode is OneWay",
        ),
        (
            "affinity: {type: Cookie}",
            "spec.affinity.type",
            "\"Cookie\": must be one of FiveTuple, ClientIP",
        ),
        (
            "affinity: {clientIP: {}}",
            "spec.affinity.clientIP",
            "must only be set when type is ClientIP",
        ),
        (
            "affinity: {type: FiveTuple, replication: Always}",
            "spec.affinity.replication",
            "must only be Always when type is ClientIP",
        ),
        (
            "affinity: {type: ClientIP, clientIP: {ipv4PrefixLength: 0}}",
            "spec.affinity.clientIP.ipv4PrefixLength",
            "0: must be between 1 and 32",
        ),
        (
            "affinity: {type: ClientIP, clientIP: {ipv6PrefixLength: 129}}",
            "spec.affinity.clientIP.ipv6PrefixLength",
            "129: must be between 1 and 128",
        ),
        (
            "affinity: {type: ClientIP, clientIP: {timeout: 0s}}",
            "spec.affinity.clientIP.timeout",
            "must be between 1ms and 8784h",
        ),
    ] {
        reject(Kind::BackendTrafficPolicy, &backend(fields), &[(field, message)]);
    }
}

#[test]
fn targets_are_of_the_kinds_that_a_policy_is_for() {
    let with = |kind: Kind, target: &str| object(kind, &format!("spec: {{targetRefs: [{target}]}}"));
    let route = |kind: &str| format!("{{group: gateway.networking.k8s.io, kind: {kind}, name: a}}");
    for target in [
        route("Gateway"),
        route("ListenerSet"),
        GATEWAY.replace('}', ", sectionName: dns}"),
    ] {
        decode(Kind::ClientTrafficPolicy, with(Kind::ClientTrafficPolicy, &target)).expect(&target);
    }
    for target in [
        route("TCPRoute"),
        route("UDPRoute"),
        route("TLSRoute"),
        SERVICE.to_owned(),
        SERVICE.replace('}', ", sectionName: dns}"),
        "{group: guideway.dev, kind: Backend, name: b}".to_owned(),
    ] {
        decode(Kind::BackendTrafficPolicy, with(Kind::BackendTrafficPolicy, &target)).expect(&target);
    }
    for (kind, target, field, message) in [
        (
            Kind::ClientTrafficPolicy,
            SERVICE.to_owned(),
            "spec.targetRefs[0]",
            "\"Service\": must be one of Gateway.gateway.networking.k8s.io, ListenerSet.gateway.networking.k8s.io",
        ),
        (
            Kind::BackendTrafficPolicy,
            GATEWAY.to_owned(),
            "spec.targetRefs[0]",
            "\"Gateway.gateway.networking.k8s.io\": must be one of TCPRoute.gateway.networking.k8s.io, ",
        ),
        (
            Kind::BackendTrafficPolicy,
            "{group: apps, kind: Service, name: b}".to_owned(),
            "spec.targetRefs[0]",
            "\"Service.apps\": must be one of",
        ),
        (
            Kind::BackendTrafficPolicy,
            route("TCPRoute").replace('}', ", sectionName: a}"),
            "spec.targetRefs[0].sectionName",
            "must only be set for a Service, where it names a port",
        ),
        (
            Kind::BackendTrafficPolicy,
            "{kind: Service, name: b}".to_owned(),
            "spec.targetRefs[0].group",
            "must be set",
        ),
    ] {
        reject(kind, &format!("spec: {{targetRefs: [{target}]}}"), &[(field, message)]);
    }
    reject(
        Kind::ClientTrafficPolicy,
        "spec: {targetRefs: []}",
        &[("spec.targetRefs", "0 entries: must be at least 1")],
    );
}

#[test]
fn targets_tell_the_sections_of_one_object_apart() {
    const SPECIFIED: &str =
        "sectionName must be specified when targetRefs includes 2 or more references to the same target";
    const UNIQUE: &str = "sectionName must be unique when targetRefs includes 2 or more references to the same target";
    let section = |name: &str| SERVICE.replace('}', &format!(", sectionName: {name}}}"));
    let validation = "validation: {hostname: a.example.com, wellKnownCACertificates: System}";
    for (targets, message) in [
        (format!("{SERVICE}, {}", section("a")), Some(SPECIFIED)),
        (format!("{SERVICE}, {SERVICE}"), Some(UNIQUE)),
        (format!("{}, {}", section("a"), section("a")), Some(UNIQUE)),
        (format!("{}, {}", section("a"), section("b")), None),
        (format!("{SERVICE}, {{group: '', kind: Service, name: other}}"), None),
    ] {
        for (kind, rest) in [(Kind::BackendTrafficPolicy, ""), (Kind::BackendTlsPolicy, validation)] {
            let body = format!("spec: {{targetRefs: [{targets}], {rest}}}");
            match message {
                Some(message) => reject(kind, &body, &[("spec.targetRefs", message)]),
                None => {
                    let policy = accept(kind, &body);
                    assert_eq!(policy.as_policy().expect("a policy").targets.len(), 2);
                }
            }
        }
    }
}

#[test]
fn tls_policies_that_are_accepted() {
    for validation in [
        "{hostname: a.example.com, wellKnownCACertificates: System}",
        "{hostname: a.example.com, wellKnownCACertificates: System, caCertificateRefs: []}",
        "{hostname: a.example.com, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}",
        "{hostname: a.example.com, wellKnownCACertificates: example.com/roots,
          subjectAltNames: [{type: Hostname, hostname: '*.example.com'}, {type: URI, uri: 'spiffe://example.com/db'}]}",
    ] {
        accept(Kind::BackendTlsPolicy, &tls(validation));
        let mut older = object(Kind::BackendTlsPolicy, &tls(validation));
        older["apiVersion"] = "gateway.networking.k8s.io/v1alpha3".into();
        decode(Kind::BackendTlsPolicy, older).expect("the older version is the same");
    }
}

#[test]
fn tls_policies_that_are_refused() {
    let names = |names: &str| format!("{{hostname: a, wellKnownCACertificates: System, subjectAltNames: [{names}]}}");
    let first = "spec.validation.subjectAltNames[0]";
    for (validation, field, message) in [
        (
            "{hostname: a}".to_owned(),
            "spec.validation",
            "must specify either CACertificateRefs or WellKnownCACertificates",
        ),
        (
            "{hostname: a, wellKnownCACertificates: System, caCertificateRefs: [{group: '', kind: ConfigMap, name: ca}]}"
                .to_owned(),
            "spec.validation",
            "must not contain both CACertificateRefs and WellKnownCACertificates",
        ),
        (
            "{wellKnownCACertificates: System}".to_owned(),
            "spec.validation.hostname",
            "must be set",
        ),
        (
            "{hostname: '*.a', wellKnownCACertificates: System}".to_owned(),
            "spec.validation.hostname",
            "must be lower-case letters",
        ),
        (
            "{hostname: a, wellKnownCACertificates: system}".to_owned(),
            "spec.validation.wellKnownCACertificates",
            "\"system\": must be System, or a domain and a name",
        ),
        (
            names("{type: Hostname}"),
            first,
            "SubjectAltName element must contain Hostname, if Type is set to Hostname",
        ),
        (
            names("{type: URI, hostname: a}"),
            first,
            "SubjectAltName element must contain URI, if Type is set to URI",
        ),
        (
            names("{type: Hostname, hostname: a, uri: 'a://b'}"),
            first,
            "SubjectAltName element must not contain URI, if Type is not set to URI",
        ),
        (
            names("{type: URI, hostname: a, uri: 'a://b'}"),
            first,
            "SubjectAltName element must not contain Hostname, if Type is not set to Hostname",
        ),
        (
            names("{type: URI, uri: nothing}"),
            "spec.validation.subjectAltNames[0].uri",
            "must be a URI with scheme",
        ),
    ] {
        reject(Kind::BackendTlsPolicy, &tls(&validation), &[(field, message)]);
    }
}
