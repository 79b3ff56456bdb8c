//! The upstream CRDs, examples and must-reject manifests as an oracle, where they are present beside the repository.

use std::fs;
use std::path::{Path, PathBuf};

use guideway_model::Kind;
use guideway_model::schema;
use serde_json::{Map, Value};

use crate::decode;

/// `None`, with a word about it, where the upstream files are not there: the other tests stand without them.
#[expect(
    clippy::print_stderr,
    reason = "tells the reader of the test's output that nothing was compared"
)]
fn upstream() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/gateway-api");
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/gateway-api");
    let found = [beside, path].into_iter().find(|path| path.is_dir());
    if found.is_none() {
        eprintln!("oracle absent: no ../shared/gateway-api beside the repository");
    }
    found
}

/// Every object of a kind of ours in the YAML files under `folder`, with the file it is from.
fn manifests(folder: &Path) -> Vec<(PathBuf, Kind, Value)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            found.extend(manifests(&path));
            continue;
        }
        let text = fs::read_to_string(&path).expect("a readable file");
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for json in documents {
            let api_version = json["apiVersion"].as_str().unwrap_or_default();
            let group = api_version.split_once('/').map_or("", |(group, _)| group);
            if let Some(kind) = Kind::by_name(group, json["kind"].as_str().unwrap_or_default()) {
                found.push((path.clone(), kind, json));
            }
        }
    }
    found
}

#[test]
fn upstream_examples_are_accepted() {
    let Some(upstream) = upstream() else { return };
    let examples = manifests(&upstream.join("examples"));
    assert!(examples.len() > 20, "only {} examples", examples.len());
    for (path, kind, json) in examples {
        if let Err(causes) = decode(kind, json) {
            panic!("{}: {causes:#?}", path.display());
        }
    }
}

#[test]
fn upstream_must_reject_manifests_are_refused() {
    let Some(upstream) = upstream() else { return };
    let manifests = manifests(&upstream.join("must-reject"));
    assert!(manifests.len() > 8, "only {} manifests", manifests.len());
    for (path, kind, json) in manifests {
        let causes = decode(kind, json)
            .err()
            .unwrap_or_else(|| panic!("{} is accepted", path.display()));
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let named: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        let (_, offending) = OFFENDING
            .iter()
            .find(|(name, _)| *name == file)
            .unwrap_or_else(|| panic!("{}: not in the table; it is refused for {causes:#?}", path.display()));
        for field in *offending {
            assert!(
                named.contains(field),
                "{}: {field} is not in {causes:#?}",
                path.display()
            );
        }
    }
}

/// What each of them is refused for.
const OFFENDING: [(&str, &[&str]); 14] = [
    ("invalid-controller.yaml", &["spec.controllerName"]),
    ("duplicate-listeners.yaml", &["spec.listeners"]),
    ("hostname-tcp.yaml", &["spec.listeners"]),
    ("hostname-udp.yaml", &["spec.listeners"]),
    (
        "invalid-addresses.yaml",
        &[
            "spec.addresses[0].value",
            "spec.addresses[8].value",
            "spec.addresses[9]",
        ],
    ),
    ("invalid-listener-name.yaml", &["spec.listeners[0].name"]),
    ("invalid-listener-port.yaml", &["spec.listeners[0].port"]),
    ("invalid-tls-mode.yaml", &["spec.listeners"]),
    ("tlsconfig-tcp.yaml", &["spec.listeners"]),
    ("missing-from.yaml", &["spec.from"]),
    ("missing-to.yaml", &["spec.to"]),
    ("missing-ns.yaml", &["spec.from[0].namespace"]),
    ("no-hostname.yaml", &["spec.hostnames"]),
    ("invalid-hostname.yaml", &["spec.hostnames[0]"]),
];

#[test]
fn schemas_have_the_fields_and_bounds_of_upstream() {
    let Some(upstream) = upstream() else { return };
    for (kind, file) in [
        (Kind::GatewayClass, "gatewayclasses"),
        (Kind::Gateway, "gateways"),
        (Kind::ListenerSet, "listenersets"),
        (Kind::TcpRoute, "tcproutes"),
        (Kind::UdpRoute, "udproutes"),
        (Kind::TlsRoute, "tlsroutes"),
        (Kind::ReferenceGrant, "referencegrants"),
        (Kind::BackendTlsPolicy, "backendtlspolicies"),
    ] {
        let path = upstream.join(format!("crds/gateway.networking.k8s.io_{file}.yaml"));
        let text = fs::read_to_string(&path).expect("a readable file");
        let definition: Value = serde_saphyr::from_str(&text).expect("YAML");
        let info = kind.info();
        assert_eq!(definition["spec"]["names"]["kind"], info.name);
        assert_eq!(definition["spec"]["names"]["plural"], info.plural);
        assert_eq!(definition["spec"]["names"]["singular"], info.singular);
        assert_eq!(
            sorted(&definition["spec"]["names"]["shortNames"]),
            sorted(&info.short_names.into())
        );
        for version in std::iter::once(info.version).chain(info.accepted_versions.iter().copied()) {
            let versions = definition["spec"]["versions"].as_array().expect("versions");
            let theirs = versions
                .iter()
                .find(|entry| entry["name"] == version)
                .expect("the version");
            let theirs = &theirs["schema"]["openAPIV3Schema"]["properties"];
            let components = schema::openapi_as(kind, version);
            let root = &components[schema::component_name(kind, version)]["properties"];
            let mut differences = Vec::new();
            let parts: &[&str] = if info.has_status {
                &["spec", "status"]
            } else {
                &["spec"]
            };
            for part in parts.iter().copied() {
                compare(&theirs[part], &root[part], &components, part, &mut differences);
            }
            assert_eq!(differences, Vec::<String>::new(), "{kind:?} {version}");
        }
    }
}

/// Keywords that bound a value; the rest is prose, or CEL, which the tables of the other tests hold.
const BOUNDS: [&str; 12] = [
    "type",
    "format",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minimum",
    "maximum",
    "maxProperties",
    "x-kubernetes-list-map-keys",
];

fn compare(theirs: &Value, ours: &Value, components: &Value, path: &str, differences: &mut Vec<String>) {
    let ours = resolve(ours, components);
    for key in BOUNDS {
        let mine = ours.get(key);
        let same = match (key, theirs.get(key), mine) {
            ("enum", Some(theirs), Some(ours)) => sorted(theirs) == sorted(ours),
            // No bound at all is the same as zero.
            ("minLength", theirs, ours) => {
                theirs.and_then(Value::as_u64).unwrap_or(0) == ours.and_then(Value::as_u64).unwrap_or(0)
            }
            // An integer of ours may know the bounds of its type.
            ("minimum" | "maximum", None, _) => true,
            (_, theirs, ours) => theirs == ours,
        };
        // Of a condition's type upstream says only the longest, since its pattern excludes the empty one.
        let excused = key == "minLength" && path.ends_with("conditions[].type");
        if !same && !excused {
            differences.push(format!("{path} {key}: theirs {:?}, ours {mine:?}", theirs.get(key)));
        }
    }
    if let Some(default @ (Value::String(_) | Value::Number(_))) = theirs.get("default")
        && ours.get("default") != Some(default)
    {
        differences.push(format!(
            "{path} default: theirs {default}, ours {:?}",
            ours.get("default")
        ));
    }
    if sorted(&theirs["required"]) != sorted(&ours["required"]) {
        differences.push(format!(
            "{path} required: theirs {}, ours {}",
            theirs["required"], ours["required"]
        ));
    }
    let empty = Map::new();
    let fields = |schema: &Value| schema["properties"].as_object().unwrap_or(&empty).clone();
    let (their_fields, our_fields) = (fields(theirs), fields(&ours));
    for name in our_fields.keys().filter(|name| !their_fields.contains_key(*name)) {
        differences.push(format!("{path}.{name} is only ours"));
    }
    for (name, schema) in &their_fields {
        match our_fields.get(name) {
            Some(field) => compare(schema, field, components, &format!("{path}.{name}"), differences),
            None => differences.push(format!("{path}.{name} is missing")),
        }
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "[*]")] {
        if let Some(schema) = theirs.get(key) {
            compare(schema, &ours[key], components, &format!("{path}{suffix}"), differences);
        }
    }
}

/// The schema that a reference leads to, with what stands beside the reference.
fn resolve(schema: &Value, components: &Value) -> Value {
    let target = schema["$ref"].as_str().or_else(|| schema["allOf"][0]["$ref"].as_str());
    match target.and_then(|target| target.strip_prefix("#/components/schemas/")) {
        Some(name) => {
            let mut resolved = resolve(&components[name], components);
            for (key, value) in schema.as_object().into_iter().flatten() {
                if !key.starts_with('$') && key != "allOf" {
                    resolved[key] = value.clone();
                }
            }
            resolved
        }
        None => schema.clone(),
    }
}

fn sorted(words: &Value) -> Vec<String> {
    let mut words: Vec<String> = words
        .as_array()
        .into_iter()
        .flatten()
        .map(|word| word.as_str().unwrap_or_default().to_owned())
        .collect();
    words.sort();
    words
}
