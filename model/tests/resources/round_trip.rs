//! Objects survive being written and read, and defaults are filled in once and for all.

use std::collections::BTreeMap;

use guideway_model::Kind;
use guideway_model::object::{FieldValidation, Object};
use guideway_model::resource::Blob;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::decode;

fn name() -> impl Strategy<Value = String> {
    "[a-z]([-a-z0-9]{0,8}[a-z0-9])?"
}

fn metadata() -> impl Strategy<Value = Value> {
    let labels = || proptest::collection::btree_map(name(), name(), 0..3);
    (name(), labels(), labels(), proptest::option::of(0_u32..9)).prop_map(
        |(name, labels, annotations, resource_version)| {
            json!({
                "name": name, "labels": labels, "annotations": annotations,
                "resourceVersion": resource_version.map(|version| version.to_string()),
                "creationTimestamp": resource_version.map(|second| format!("2026-01-31T12:00:0{second}Z")),
            })
        },
    )
}

/// A field that is absent, `null`, or one of these.
fn maybe(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::option::of(proptest::sample::select(values))
        .prop_map(|text| text.map_or(Value::Null, |text| serde_json::from_str(text).expect("JSON")))
}

fn gateway() -> impl Strategy<Value = Value> {
    let listener = (
        1_u16..,
        maybe(&[
            "{}",
            r#"{"namespaces":{"from":"All"}}"#,
            r#"{"kinds":[{"kind":"TCPRoute"}]}"#,
        ]),
    );
    let fields = (
        proptest::collection::btree_map(name(), listener, 1..4),
        maybe(&[
            r#"[{"value":"192.0.2.1"}]"#,
            r#"[{"type":"Hostname","value":"a.b"},{}]"#,
            "[]",
        ]),
        maybe(&["{}", r#"{"labels":{"a":"b"}}"#]),
        maybe(&["{}", r#"{"namespaces":{}}"#, r#"{"namespaces":{"from":"Same"}}"#]),
    );
    fields.prop_map(|(listeners, addresses, infrastructure, allowed_listeners)| {
        let listeners: Vec<Value> = listeners
            .into_iter()
            .enumerate()
            .map(|(index, (name, (port, allowed)))| {
                // Distinct protocols keep the listeners apart whatever their ports.
                json!({ "name": name, "port": port, "protocol": format!("example.com/p{index}"), "allowedRoutes": allowed })
            })
            .collect();
        json!({ "gatewayClassName": "guideway", "listeners": listeners, "addresses": addresses,
                "infrastructure": infrastructure, "allowedListeners": allowed_listeners })
    })
}

fn service() -> impl Strategy<Value = Value> {
    (
        1_u16..,
        maybe(&["80", "\"web\"", "0", "\"\""]),
        maybe(&[r#""TCP""#, r#""UDP""#]),
        maybe(&[r#""ClusterIP""#, r#""NodePort""#, r#""LoadBalancer""#]),
        maybe(&[r#""None""#, r#""ClientIP""#]),
        maybe(&[r#"["192.0.2.7"]"#, "[]"]),
    )
        .prop_map(|(port, target, protocol, service_type, affinity, external)| {
            json!({ "ports": [{ "port": port, "targetPort": target, "protocol": protocol }], "type": service_type,
                    "sessionAffinity": affinity, "externalIPs": external })
        })
}

fn route() -> impl Strategy<Value = Value> {
    let backend = (name(), 1_u16.., proptest::option::of(0_u32..=1_000_000));
    (
        proptest::collection::btree_set(name(), 0..4),
        proptest::collection::vec(backend, 1..5),
    )
        .prop_map(|(parents, backends)| {
            let parents: Vec<Value> = parents.into_iter().map(|name| json!({ "name": name })).collect();
            let backends: Vec<Value> = backends
                .into_iter()
                .map(|(name, port, weight)| json!({ "name": name, "port": port, "weight": weight }))
                .collect();
            json!({ "parentRefs": parents, "rules": [{ "backendRefs": backends }] })
        })
}

fn tls_route() -> impl Strategy<Value = Value> {
    (route(), proptest::collection::btree_set(name(), 1..4), any::<bool>()).prop_map(|(mut spec, names, wildcard)| {
        let star = if wildcard { "*." } else { "" };
        let names: Vec<String> = names.iter().map(|name| format!("{star}{name}.example.com")).collect();
        spec["hostnames"] = json!(names);
        spec
    })
}

fn listener_set() -> impl Strategy<Value = Value> {
    (gateway(), name(), proptest::option::of(name())).prop_map(|(gateway, parent, namespace)| {
        json!({ "parentRef": { "name": parent, "namespace": namespace }, "listeners": gateway["listeners"] })
    })
}

fn grant() -> impl Strategy<Value = Value> {
    (name(), proptest::collection::vec(proptest::option::of(name()), 1..5)).prop_map(|(namespace, names)| {
        let to: Vec<Value> = names
            .iter()
            .map(|name| json!({ "group": "", "kind": "Secret", "name": name }))
            .collect();
        json!({ "from": [{ "group": "example.com", "kind": "A", "namespace": namespace }], "to": to })
    })
}

fn target(group: &'static str, kind: &'static str) -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(name(), proptest::option::of(name()), 1..4).prop_map(move |names| {
        names
            .into_iter()
            .map(|(name, section)| json!({ "group": group, "kind": kind, "name": name, "sectionName": section }))
            .collect()
    })
}

fn tls_policy() -> impl Strategy<Value = Value> {
    let validation = maybe(&[
        r#"{"hostname":"a.b","wellKnownCACertificates":"System"}"#,
        r#"{"hostname":"a","caCertificateRefs":[{"group":"","kind":"ConfigMap","name":"ca"}],
            "subjectAltNames":[{"type":"URI","uri":"a://b"},{"type":"Hostname","hostname":"*.c"}]}"#,
    ]);
    let validation = validation.prop_filter("needed", |validation| !validation.is_null());
    let options = maybe(&["{}", r#"{"example.com/a":"b"}"#]);
    (target("", "Service"), validation, options).prop_map(
        |(targets, validation, options)| json!({ "targetRefs": targets, "validation": validation, "options": options }),
    )
}

/// A span of time, in one of the ways to write it.
fn span() -> impl Strategy<Value = Option<String>> {
    let span = (1_u32..60, proptest::sample::select(vec!["s", "ms", "m", "m1s", "s0ms"]));
    proptest::option::of(span.prop_map(|(number, unit)| format!("{number}{unit}")))
}

fn client_policy() -> impl Strategy<Value = Value> {
    let keepalive = maybe(&["{}", r#"{"probes":3}"#, r#"{"idleTime":"1m","interval":"60s"}"#]);
    let udp = maybe(&["{}", r#"{"maxFlows":9}"#, r#"{"maxFlows":9,"maxFlowsPerClient":9}"#]);
    (
        target("gateway.networking.k8s.io", "Gateway"),
        [span(), span(), span(), span()],
        keepalive,
        udp,
    )
        .prop_map(|(targets, [handshake, idle, user, longest], keepalive, udp)| {
            json!({ "targetRefs": targets, "tcpKeepalive": keepalive, "udp": udp,
                    "timeout": { "tls": { "handshakeTimeout": handshake },
                                 "tcp": { "idleTimeout": idle, "userTimeout": user } },
                    "connection": { "connectionLimit": { "maxConnectionDuration": longest } } })
        })
}

fn backend_policy() -> impl Strategy<Value = Value> {
    let udp = maybe(&[
        "{}",
        r#"{"mode":"OneWay"}"#,
        r#"{"expectedReplies":1,"idleTimeout":"5s"}"#,
    ]);
    let affinity = maybe(&[
        "{}",
        r#"{"type":"FiveTuple","replication":"OnChange"}"#,
        r#"{"type":"ClientIP"}"#,
        r#"{"type":"ClientIP","clientIP":{},"replication":"Always"}"#,
        r#"{"type":"ClientIP","clientIP":{"ipv4PrefixLength":24,"ipv6PrefixLength":48,"timeout":"1h"}}"#,
    ]);
    let spans = [span(), span(), span(), span(), span()];
    (target("", "Service"), spans, udp, affinity).prop_map(
        |(targets, [connect, first, idle, stall, user], udp, affinity)| {
            json!({ "targetRefs": targets, "udp": udp, "affinity": affinity,
                    "timeout": { "tcp": { "connectTimeout": connect, "firstByteTimeout": first, "idleTimeout": idle,
                                          "writeStallTimeout": stall, "userTimeout": user } } })
        },
    )
}

/// `data` and what stands beside it in a Secret or a ConfigMap.
fn data(kind: Kind) -> impl Strategy<Value = (Kind, Value)> {
    let bytes = proptest::collection::btree_map("[-._a-z0-9]{1,9}[a-z]", any::<Vec<u8>>(), 0..4);
    let text = proptest::collection::btree_map("[A-Z]{1,9}", any::<String>(), 0..4);
    let immutable = proptest::option::of(any::<bool>());
    (metadata(), bytes, text, immutable).prop_map(move |(metadata, bytes, text, immutable)| {
        let bytes: BTreeMap<String, Blob> = bytes.into_iter().map(|(key, value)| (format!("k{key}"), Blob(value))).collect();
        let (of_bytes, of_text) = if kind == Kind::Secret { ("data", "stringData") } else { ("binaryData", "data") };
        let json = json!({ "apiVersion": "v1", "kind": kind.info().name, "metadata": metadata, of_bytes: bytes, of_text: text,
                           "immutable": immutable });
        (kind, json)
    })
}

fn backend() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map((any::<[u8; 3]>(), 1_u16..), proptest::option::of(0_u32..9), 1..6).prop_map(
        |endpoints| {
            let endpoints: Vec<Value> = endpoints
                .into_iter()
                .map(|(([a, b, c], port), weight)| json!({ "ip": format!("10.{a}.{b}.{c}"), "port": port, "weight": weight }))
                .collect();
            json!({ "endpoints": endpoints })
        },
    )
}

fn drain() -> impl Strategy<Value = Value> {
    let target = maybe(&[
        r#"{"endpoint":{"ip":"10.0.0.1","port":1}}"#,
        r#"{"endpoint":{"ip":"::ffff:10.0.0.1","port":1}}"#,
        r#"{"backend":{"namespace":"a","name":"b.c"}}"#,
        r#"{"node":{"name":"A b"}}"#,
    ]);
    let target = target.prop_filter("needed", |target| !target.is_null());
    let pace = maybe(&["{}", r#"{"jitterPercent":0}"#, r#"{"sessionsPerSecond":1}"#]);
    let words = (
        maybe(&[r#""Keep""#, r#""Close""#]),
        maybe(&[r#""KeepUntilIdle""#, r#""Rechoose""#]),
    );
    (target, span(), words, pace, maybe(&["true", "false"])).prop_map(
        |(target, deadline, (at_deadline, udp), pace, force)| {
            json!({ "target": target, "deadline": deadline, "atDeadline": at_deadline, "udp": udp, "pace": pace,
                    "force": force })
        },
    )
}

fn slice() -> impl Strategy<Value = Value> {
    let endpoint = (
        any::<[u8; 3]>(),
        maybe(&["{}", r#"{"ready":false}"#, r#"{"serving":true,"terminating":true}"#]),
    );
    (
        proptest::collection::vec(endpoint, 0..5),
        maybe(&[r#"[{"port":80}]"#, r#"[{"name":"a","port":1},{"name":"b","protocol":"UDP"}]"#, "[]"]),
    )
        .prop_map(|(endpoints, ports)| {
            let endpoints: Vec<Value> = endpoints
                .into_iter()
                .map(|([a, b, c], conditions)| json!({ "addresses": [format!("10.{a}.{b}.{c}")], "conditions": conditions }))
                .collect();
            json!({ "addressType": "IPv4", "endpoints": endpoints, "ports": ports })
        })
}

fn any_object() -> impl Strategy<Value = (Kind, Value)> {
    let spec = |kind: Kind, spec: BoxedStrategy<Value>| {
        (metadata(), spec).prop_map(move |(metadata, spec)| {
            let info = kind.info();
            (
                kind,
                json!({ "apiVersion": info.api_version(), "kind": info.name, "metadata": metadata, "spec": spec }),
            )
        })
    };
    let slices = (metadata(), slice()).prop_map(|(metadata, mut json)| {
        json["apiVersion"] = "discovery.k8s.io/v1".into();
        json["kind"] = "EndpointSlice".into();
        json["metadata"] = metadata;
        (Kind::EndpointSlice, json)
    });
    prop_oneof![
        spec(
            Kind::Namespace,
            maybe(&["{}", r#"{"finalizers":["kubernetes"]}"#]).boxed()
        ),
        spec(Kind::Service, service().boxed()),
        slices,
        spec(
            Kind::GatewayClass,
            name()
                .prop_map(|name| json!({ "controllerName": format!("example.com/{name}") }))
                .boxed()
        ),
        spec(Kind::Gateway, gateway().boxed()),
        spec(Kind::TcpRoute, route().boxed()),
        spec(Kind::UdpRoute, route().boxed()),
        spec(Kind::TlsRoute, tls_route().boxed()),
        spec(Kind::ListenerSet, listener_set().boxed()),
        spec(Kind::ReferenceGrant, grant().boxed()),
        spec(Kind::BackendTlsPolicy, tls_policy().boxed()),
        spec(Kind::ClientTrafficPolicy, client_policy().boxed()),
        spec(Kind::BackendTrafficPolicy, backend_policy().boxed()),
        data(Kind::Secret),
        data(Kind::ConfigMap),
        spec(Kind::Backend, backend().boxed()),
        spec(Kind::Drain, drain().boxed()),
    ]
}

proptest! {
    #[test]
    fn reading_what_was_written_changes_nothing((kind, json) in any_object()) {
        let object = decode(kind, json).map_err(|causes| TestCaseError::fail(format!("{causes:?}")))?;
        let version = kind.info().version;
        let again = decode(kind, object.encode(version)).map_err(|causes| TestCaseError::fail(format!("{causes:?}")))?;
        prop_assert_eq!(&again, &object, "defaults are filled in once");
        prop_assert_eq!(again.encode(version), object.encode(version));
    }

    /// Each older version that takes the object is a relabelling: what is stored is the same.
    #[test]
    fn older_versions_are_relabelled((kind, mut json) in any_object()) {
        let info = kind.info();
        let object = decode(kind, json.clone()).map_err(|causes| TestCaseError::fail(format!("{causes:?}")))?;
        for version in info.accepted_versions {
            json["apiVersion"] = info.api_version_as(version).into();
            let older = decode(kind, json.clone()).map_err(|causes| TestCaseError::fail(format!("{causes:?}")))?;
            prop_assert_eq!(&older, &object);
            let mut emitted = older.encode(version);
            prop_assert_eq!(&emitted["apiVersion"], &info.api_version_as(version));
            emitted["apiVersion"] = info.api_version().into();
            prop_assert_eq!(emitted, object.encode(info.version));
        }
    }

    #[test]
    fn the_log_carries_objects_exactly((kind, json) in any_object(), generation in 1_i64.., uid in name()) {
        let mut object = decode(kind, json).map_err(|causes| TestCaseError::fail(format!("{causes:?}")))?;
        object.meta_mut().generation = generation;
        object.meta_mut().uid.0 = uid;
        if kind == Kind::Gateway {
            let mut json = object.encode("v1");
            json["status"] = json!({
                "attachedListenerSets": 1, "addresses": [{ "value": "192.0.2.1" }],
                "listeners": [{ "name": "a", "attachedRoutes": 2, "conditions": [], "supportedKinds": [{ "kind": "TCPRoute" }] }],
            });
            object = object
                .decode_status(json, FieldValidation::Strict)
                .map_err(|causes| TestCaseError::fail(format!("{causes:?}")))?
                .object;
        }
        let bytes = serde_json::to_vec(&object)?;
        prop_assert_eq!(serde_json::from_slice::<Object>(&bytes)?, object);
    }
}
