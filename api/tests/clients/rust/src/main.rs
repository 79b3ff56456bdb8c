//! Drives a Guideway API with `kube`: typed and dynamic objects, server-side apply, a watcher with streamed lists.

use std::error::Error;
use std::pin::pin;

use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Service;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams, PostParams,
};
use kube::runtime::watcher::{self, Event};
use kube::{Client, Config, ResourceExt};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or("usage: clients URL")?;
    let mut config = Config::new(url.parse()?);
    config.auth_info.token = Some(std::env::var("GUIDEWAY_TOKEN")?.into());
    let client = Client::try_from(config)?;
    typed(client.clone()).await?;
    dynamic(client).await
}

fn service() -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "db" },
        "spec": { "ports": [{ "port": 5432, "targetPort": 15432 }] },
    })
}

async fn typed(client: Client) -> Result<()> {
    let services: Api<Service> = Api::default_namespaced(client);
    let created = services
        .create(&PostParams::default(), &serde_json::from_value(service())?)
        .await?;
    let listed = services.list(&ListParams::default().limit(10)).await?;
    assert_eq!(listed.items.len(), 1);
    let missing = services.get_opt("nobody").await?;
    assert!(missing.is_none());
    let merge = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let patched = services.patch("db", &PatchParams::default(), &merge).await?;
    assert_eq!(patched.labels()["a"], "b");
    let stale = services.replace("db", &PostParams::default(), &created).await;
    assert!(matches!(stale, Err(kube::Error::Api(status)) if status.code == 409));

    let mut events = pin!(watcher::watcher(
        services.clone(),
        watcher::Config::default().streaming_lists()
    ));
    let mut seen = Vec::new();
    while let Some(event) = events.try_next().await? {
        match event {
            Event::Init => {}
            Event::InitApply(object) => seen.push(format!("there {}", object.name_any())),
            Event::InitDone => {
                seen.push("listed".to_owned());
                services.delete("db", &DeleteParams::default()).await?;
            }
            Event::Apply(object) => seen.push(format!("changed {}", object.name_any())),
            Event::Delete(object) => {
                seen.push(format!("gone {}", object.name_any()));
                break;
            }
        }
    }
    assert_eq!(seen, ["there db", "listed", "gone db"]);
    Ok(())
}

async fn dynamic(client: Client) -> Result<()> {
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "TCPRoute");
    let routes: Api<DynamicObject> = Api::default_namespaced_with(client, &ApiResource::from_gvk(&kind));
    let route = |port: u16| {
        Patch::Apply(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute", "metadata": { "name": "db" },
            "spec": { "rules": [{ "backendRefs": [{ "name": "db", "port": port }] }] },
        }))
    };
    let applied = routes.patch("db", &PatchParams::apply("one"), &route(1)).await?;
    assert_eq!(applied.managed_fields()[0].manager.as_deref(), Some("one"));
    let conflict = routes.patch("db", &PatchParams::apply("two"), &route(2)).await;
    assert!(matches!(conflict, Err(kube::Error::Api(status)) if status.code == 409));
    let forced = routes
        .patch("db", &PatchParams::apply("two").force(), &route(2))
        .await?;
    assert_eq!(forced.data["spec"]["rules"][0]["backendRefs"][0]["port"], 2);
    let metadata = routes.list_metadata(&ListParams::default()).await?;
    assert_eq!(metadata.items[0].name_any(), "db");
    routes.delete("db", &DeleteParams::default()).await?;
    Ok(())
}
