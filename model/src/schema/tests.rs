use std::collections::BTreeSet;

use super::*;

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value.as_str()) {
                    ("$ref", Some(target)) => {
                        found.insert(target.to_owned());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(entries) => entries.iter().for_each(|entry| references(entry, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn components_are_complete_and_name_their_kind() {
    for kind in Kind::all() {
        let info = kind.info();
        for version in std::iter::once(info.version).chain(info.accepted_versions.iter().copied()) {
            let components = openapi_as(kind, version);
            let root = &components[component_name(kind, version)];
            assert_eq!(
                root["x-kubernetes-group-version-kind"],
                json!([{ "group": info.group, "version": version, "kind": info.name }])
            );
            assert_eq!(root["properties"]["apiVersion"]["type"], "string");
            let mut targets = BTreeSet::new();
            references(&components, &mut targets);
            for target in targets {
                let name = target.strip_prefix("#/components/schemas/").expect("a local reference");
                assert!(components.get(name).is_some(), "{kind:?} {version}: {name} is missing");
            }
        }
    }
}

#[test]
fn kinds_of_one_group_share_names_only_for_equal_schemas() {
    let mut merged: Map<String, Value> = Map::new();
    for kind in Kind::all() {
        let Value::Object(components) = openapi(kind) else {
            panic!("components are an object");
        };
        for (name, schema) in components {
            if let Some(other) = merged.get(&name) {
                assert_eq!(*other, schema, "{name}");
            }
            merged.insert(name, schema);
        }
    }
}

#[test]
fn published_words_are_those_of_kubernetes() {
    let service = openapi(Kind::Service);
    let ports = &service["io.k8s.api.core.v1.ServiceSpec"]["properties"]["ports"];
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "port");
    assert_eq!(ports["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(ports["x-kubernetes-list-map-keys"], json!(["port", "protocol"]));
    let port = &service["io.k8s.api.core.v1.ServicePort"]["properties"]["port"];
    assert_eq!(
        (&port["format"], &port["minimum"], &port["maximum"]),
        (&json!("int32"), &json!(1), &json!(65_535))
    );
    let meta = &service["io.k8s.api.core.v1.ObjectMeta"]["properties"];
    assert_eq!(meta["ownerReferences"]["x-kubernetes-patch-merge-key"], "uid");
    assert_eq!(meta["finalizers"]["x-kubernetes-patch-strategy"], "merge");
    let conditions = &service["io.k8s.api.core.v1.ServiceStatus"]["properties"]["conditions"];
    assert_eq!(conditions["x-kubernetes-patch-merge-key"], "type");
    let protocol = &service["io.k8s.api.core.v1.IpProtocol"];
    assert_eq!(
        (&protocol["type"], &protocol["enum"]),
        (&json!("string"), &json!(["TCP", "UDP", "SCTP"]))
    );
}

#[test]
fn schemas_for_editors_stand_alone() {
    for kind in Kind::all() {
        let info = kind.info();
        for version in std::iter::once(info.version).chain(info.accepted_versions.iter().copied()) {
            let schema = json_schema(kind, version);
            let what = json_schema_path(kind, version);
            assert_eq!(schema["properties"]["kind"]["const"], info.name, "{what}");
            assert_eq!(
                schema["properties"]["apiVersion"]["const"],
                info.api_version_as(version),
                "{what}"
            );
            assert_eq!(schema["additionalProperties"], false, "{what}");
            let mut targets = BTreeSet::new();
            references(&schema, &mut targets);
            assert!(!targets.is_empty(), "{what}");
            for target in targets {
                let name = target.strip_prefix("#/definitions/").expect("a local reference");
                assert!(schema["definitions"].get(name).is_some(), "{what}: {name} is missing");
            }
            let text = schema.to_string();
            for word in ["x-kubernetes", "int-or-string", "#/components"] {
                assert!(!text.contains(word), "{what}: {word}");
            }
        }
    }
    let route = json_schema(Kind::TlsRoute, "v1");
    assert_eq!(
        route["definitions"]["TlsRouteSpec"]["required"],
        json!(["rules", "hostnames"])
    );
    assert_eq!(
        json_schema_path(Kind::TlsRoute, "v1"),
        "gateway.networking.k8s.io/tlsroute_v1.json"
    );
    assert_eq!(json_schema_path(Kind::Secret, "v1"), "core/secret_v1.json");
}

#[test]
fn rules_of_a_tcp_route_are_bounded_by_version() {
    for (version, most) in [("v1", 1), ("v1alpha2", 16)] {
        let components = openapi_as(Kind::TcpRoute, version);
        let spec = &components[format!("io.k8s.networking.gateway.{version}.RouteSpec")];
        assert_eq!(spec["properties"]["rules"]["maxItems"], most, "{version}");
    }
}
