//! Promise: every manifest in the documents is accepted as it stands, and what it asks for is in force.
//!
//! Needs root, which binds low ports, and kubectl.

use std::collections::BTreeMap;
use std::path::Path;

use guideway_chaos_tests::api::condition_of;
use guideway_chaos_tests::kubectl::Kubectl;
use guideway_chaos_tests::page::{self, Block};
use guideway_chaos_tests::{Cluster, repository, wait};
use serde_json::Value;

#[test]
fn manifests_in_documents_are_in_force() {
    let cluster = Cluster::start();
    let kubectl = Kubectl::new(cluster.kubeconfig());
    let mut applied: BTreeMap<String, usize> = BTreeMap::new();
    for path in pages() {
        for block in page::blocks(&path) {
            let place = format!("{}:{}", path.display(), block.line);
            match block.language.as_str() {
                "yaml" => {
                    apply(&kubectl, &block, &place);
                    *applied.entry(path.display().to_string()).or_default() += 1;
                }
                // The commands of debugging.md have a test of their own.
                "sh" if !path.ends_with("debugging.md") => run(&kubectl, &block, &place),
                _ => {}
            }
        }
        clean(&kubectl);
    }
    let protocols = applied.keys().filter(|page| page.contains("/protocols/")).count();
    assert_eq!(protocols, 11, "each protocol has a manifest: {applied:?}");
}

/// Every page of docs/, and README.
fn pages() -> Vec<std::path::PathBuf> {
    let mut pages = repository::files_with_extension("md");
    pages.retain(|path| path.starts_with("docs") || path == Path::new("README.md"));
    pages
}

fn apply(kubectl: &Kubectl, block: &Block, place: &str) {
    let name = "page.yaml";
    kubectl
        .apply(name, &block.text)
        .unwrap_or_else(|failure| panic!("{place}: {failure}"));
    wait::until(&format!("{place} is in force"), || {
        let list: Value = serde_json::from_str(&kubectl.get(name)?).map_err(|error| error.to_string())?;
        let items = list["items"].as_array().cloned().unwrap_or_else(|| vec![list]);
        assert!(!items.is_empty(), "{place}: no objects");
        items.iter().try_for_each(in_force)
    });
}

/// Whether the standard's conditions say that an object does what it asks for.
fn in_force(object: &Value) -> Result<(), String> {
    let generation = &object["metadata"]["generation"];
    let (conditions, wanted): (&Value, &[&str]) = match object["kind"].as_str().unwrap_or_default() {
        // One machine has each address once, so only one of the nodes here can take an address of the page.
        "Gateway" if object["spec"]["addresses"].is_array() => (&object["status"]["conditions"], &["Accepted"]),
        "Gateway" => (&object["status"]["conditions"], &["Accepted", "Programmed"]),
        "TCPRoute" | "UDPRoute" | "TLSRoute" => (
            &object["status"]["parents"][0]["conditions"],
            &["Accepted", "ResolvedRefs"],
        ),
        "BackendTrafficPolicy" | "ClientTrafficPolicy" => {
            (&object["status"]["ancestors"][0]["conditions"], &["Accepted"])
        }
        "Drain" => (&object["status"]["conditions"], &["Accepted"]),
        "Backend" | "Service" | "EndpointSlice" => return Ok(()),
        other => panic!("{other} has no rule in this test"),
    };
    wanted
        .iter()
        .try_for_each(|kind| match condition_of(conditions, kind, generation) {
            Some(found) if found.status == "True" => Ok(()),
            found => Err(format!("{}: {kind}: {found:?}", object["metadata"]["name"])),
        })
}

fn run(kubectl: &Kubectl, block: &Block, place: &str) {
    kubectl
        .shell(&block.text, &[])
        .unwrap_or_else(|failure| panic!("{place}: {failure}"));
}

/// Pages use the same ports, so each starts with an empty configuration.
fn clean(kubectl: &Kubectl) {
    let kinds = "gateways,tcproutes,udproutes,tlsroutes,backends.guideway.dev,services,endpointslices,\
                 backendtrafficpolicies,clienttrafficpolicies,drains";
    kubectl.must(&["delete", kinds, "--all"]);
}
