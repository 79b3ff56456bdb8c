//! Discovery.

use hyper::Method;
use serde_json::{Value, json};

use crate::client::Client;
use crate::cluster::Server;

#[tokio::test]
async fn groups_and_versions() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    assert_eq!(client.get("/api").await.expect(200)["versions"], json!(["v1"]));
    let groups = client.get("/apis").await.expect(200);
    assert_eq!(groups["kind"], "APIGroupList");
    let names: Vec<_> = groups["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .map(|group| &group["name"])
        .collect();
    let expected = [
        "authentication.k8s.io",
        "authorization.k8s.io",
        "discovery.k8s.io",
        "gateway.networking.k8s.io",
        "guideway.dev",
        "rbac.authorization.k8s.io",
    ];
    assert_eq!(names, expected);
    let group = client.get("/apis/gateway.networking.k8s.io").await.expect(200);
    assert_eq!(group["kind"], "APIGroup");
    assert_eq!(group["preferredVersion"]["version"], "v1");
    let versions: Vec<_> = group["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|row| &row["version"])
        .collect();
    assert_eq!(versions, ["v1", "v1beta1", "v1alpha2", "v1alpha3"]);
}

#[tokio::test]
async fn resources_list_only_what_works() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let all = json!([
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch"
    ]);
    let rows = |list: &Value| -> Vec<(String, Value)> {
        let rows = list["resources"].as_array().expect("resources").iter();
        rows.map(|row| (row["name"].as_str().expect("name").to_owned(), row["verbs"].clone()))
            .collect()
    };
    let core = client.get("/api/v1").await.expect(200);
    assert_eq!(core["groupVersion"], "v1");
    let status = json!(["get", "patch", "update"]);
    assert_eq!(
        rows(&core),
        [
            ("namespaces".to_owned(), all.clone()),
            ("namespaces/status".to_owned(), status.clone()),
            ("services".to_owned(), all.clone()),
            ("services/status".to_owned(), status.clone()),
            ("secrets".to_owned(), all.clone()),
            ("configmaps".to_owned(), all.clone()),
            ("events".to_owned(), json!(["get", "list"])),
        ]
    );
    let own = client.get("/apis/guideway.dev/v1alpha1").await.expect(200);
    for (name, verbs) in [
        ("nodes", json!(["get", "list"])),
        ("pins", json!(["get", "list"])),
        (
            "sessions",
            json!(["delete", "deletecollection", "get", "list", "watch"]),
        ),
        ("routereviews", json!(["create"])),
        ("drains", all.clone()),
        ("drains/status", status.clone()),
    ] {
        assert!(rows(&own).contains(&(name.to_owned(), verbs)), "{name}: {own}");
    }
    let old = client.get("/apis/gateway.networking.k8s.io/v1alpha2").await.expect(200);
    let old = rows(&old);
    for row in [("tcproutes".to_owned(), all), ("tcproutes/status".to_owned(), status)] {
        assert!(old.contains(&row), "{old:?}");
    }
    assert!(
        old.iter().all(|(name, _)| !name.starts_with("gatewayclasses")),
        "{old:?}"
    );
    for missing in [
        "/apis/apps",
        "/apis/apps/v1",
        "/api/v2",
        "/apis/gateway.networking.k8s.io/v9",
    ] {
        let status = client.get(missing).await.expect(404);
        assert_eq!(status["kind"], "Status", "{missing}");
    }
}

#[tokio::test]
async fn aggregated_discovery_says_the_same() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    for (path, group, version, resource) in [
        ("/api", Value::Null, "v1", "namespaces"),
        ("/apis", json!("authentication.k8s.io"), "v1", "selfsubjectreviews"),
    ] {
        let answer = client.send(Method::GET, path, &[("accept", accept)], "").await;
        assert_eq!(
            answer.headers["content-type"],
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        );
        let list = answer.expect(200);
        assert_eq!(list["kind"], "APIGroupDiscoveryList");
        let first = &list["items"][0];
        assert_eq!(first["metadata"]["name"], group);
        assert_eq!(first["versions"][0]["version"], version);
        assert_eq!(first["versions"][0]["resources"][0]["resource"], resource);
    }
}
