//! Discovery: which groups, versions and resources there are. kubectl asks for the aggregated form first.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde_json::{Map, Value, json};

use crate::resource::{Resource, STATUS_VERBS, Source, Verb, api_version};
use crate::status::Status;

/// Content type of aggregated discovery; clients look for these very parameters.
pub(crate) const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// API groups other than core, and core as the empty one.
pub(crate) fn groups() -> Vec<&'static str> {
    let mut groups: Vec<&str> = Resource::all().map(|resource| resource.group).collect();
    groups.sort_unstable();
    groups.dedup();
    groups
}

/// Served versions of a group, the preferred one first; empty if there is no such group.
pub(crate) fn versions(group: &str) -> Vec<&'static str> {
    let mut versions = Vec::new();
    let members = || Resource::all().filter(|resource| resource.group == group);
    let preferred = members().map(|resource| resource.version);
    for version in preferred.chain(members().flat_map(|resource| resource.versions())) {
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions
}

/// Resources that a group serves in a version.
pub(crate) fn resources(group: &str, version: &str) -> Vec<Resource> {
    Resource::all()
        .filter(|resource| resource.group == group && resource.versions().any(|served| served == version))
        .collect()
}

/// Whether a client asks for aggregated discovery.
pub(crate) fn wants_aggregated(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let json = parts.next() == Some("application/json");
            let parameters: Vec<&str> = parts.collect();
            json && ["g=apidiscovery.k8s.io", "v=v2", "as=APIGroupDiscoveryList"]
                .iter()
                .all(|wanted| parameters.contains(wanted))
        })
}

/// `GET /api`
pub(crate) fn core_versions() -> Value {
    json!({ "kind": "APIVersions", "versions": versions(""), "serverAddressByClientCIDRs": [] })
}

/// `GET /apis`
pub(crate) fn group_list() -> Value {
    let groups: Vec<Value> = groups()
        .into_iter()
        .filter(|group| !group.is_empty())
        .map(group_entry)
        .collect();
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
}

/// `GET /apis/{group}`
pub(crate) fn group(name: &str) -> Result<Value, Status> {
    if name.is_empty() || versions(name).is_empty() {
        return Err(Status::no_such_path(format!(
            "the server could not find the requested resource: there is no API group {name:?}"
        )));
    }
    let mut entry = group_entry(name);
    entry["kind"] = Value::from("APIGroup");
    entry["apiVersion"] = Value::from("v1");
    Ok(entry)
}

/// `GET /api/v1` and `GET /apis/{group}/{version}`
pub(crate) fn resource_list(group: &str, version: &str) -> Result<Value, Status> {
    let resources = resources(group, version);
    if resources.is_empty() {
        return Err(Status::no_such_path(format!(
            "the server could not find the requested resource: {:?} is not served",
            api_version(group, version)
        )));
    }
    let mut rows = Vec::new();
    for resource in resources {
        rows.push(json!({
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.name,
            "verbs": verbs(resource.verbs()),
            "shortNames": resource.short_names,
            "categories": categories(&resource),
        }));
        if resource.has_status {
            rows.push(json!({
                "name": format!("{}/status", resource.plural),
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.name,
                "verbs": verbs(STATUS_VERBS),
            }));
        }
    }
    Ok(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version(group, version),
        "resources": rows,
    }))
}

/// `GET /api` (core) and `GET /apis` (the others) for clients that take the aggregated form.
pub(crate) fn aggregated(core: bool) -> Value {
    let items: Vec<Value> = groups()
        .into_iter()
        .filter(|group| group.is_empty() == core)
        .map(|group| {
            let versions: Vec<Value> = versions(group)
                .into_iter()
                .map(|version| {
                    let resources: Vec<Value> = resources(group, version)
                        .iter()
                        .map(|resource| aggregated_resource(resource, version))
                        .collect();
                    json!({ "version": version, "resources": resources, "freshness": "Current" })
                })
                .collect();
            let mut metadata = Map::from_iter([("creationTimestamp".to_owned(), Value::Null)]);
            if !group.is_empty() {
                metadata.insert("name".to_owned(), Value::from(group));
            }
            json!({ "metadata": metadata, "versions": versions })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_resource(resource: &Resource, version: &str) -> Value {
    let kind = json!({ "group": resource.group, "version": version, "kind": resource.name });
    let mut entry = json!({
        "resource": resource.plural,
        "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular,
        "verbs": verbs(resource.verbs()),
        "shortNames": resource.short_names,
        "categories": categories(resource),
    });
    if resource.has_status {
        entry["subresources"] = json!([{
            "subresource": "status",
            "responseKind": kind,
            "verbs": verbs(STATUS_VERBS),
        }]);
    }
    entry
}

fn group_entry(group: &str) -> Value {
    let versions: Vec<Value> = versions(group)
        .into_iter()
        .map(|version| json!({ "groupVersion": api_version(group, version), "version": version }))
        .collect();
    json!({ "name": group, "preferredVersion": versions.first(), "versions": versions })
}

/// What `kubectl get all` and `kubectl get gateway-api` show.
fn categories(resource: &Resource) -> &'static [&'static str] {
    // What comes and goes by the thousand is shown only to those who ask for it.
    if !matches!(resource.source, Source::Stored(_)) {
        return &[];
    }
    match (resource.group, resource.namespaced) {
        ("gateway.networking.k8s.io", true) => &["all", "gateway-api"],
        ("gateway.networking.k8s.io", false) => &["gateway-api"],
        (_, true) => &["all"],
        (_, false) => &[],
    }
}

fn verbs(verbs: &[Verb]) -> Vec<&'static str> {
    verbs.iter().map(|verb| verb.as_str()).collect()
}
