//! Lists: order, pages, versions, selectors.

use std::time::Duration;

use guideway_api::Limits;
use guideway_model::State;
use serde_json::Value;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{NAMESPACES, SERVICES, namespace, service};

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().expect("items");
    items
        .iter()
        .map(|item| item["metadata"]["name"].as_str().expect("name"))
        .collect()
}

async fn with_services(names: &[&str]) -> (Server, Client) {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for name in names {
        client.post(SERVICES, &service(name, name)).await.expect(201);
    }
    (server, client)
}

#[tokio::test]
async fn one_namespace_or_all() {
    let (_server, client) = with_services(&["b", "a"]).await;
    client.post(NAMESPACES, &namespace("aaa")).await.expect(201);
    client
        .post("/api/v1/namespaces/aaa/services", &service("c", "c"))
        .await
        .expect(201);
    let list = client.get(SERVICES).await.expect(200);
    assert_eq!(list["kind"], "ServiceList");
    assert_eq!(list["apiVersion"], "v1");
    assert_eq!(list["items"][0]["kind"], "Service");
    assert_eq!(names(&list), ["a", "b"]);
    assert_eq!(
        names(&client.get("/api/v1/services").await.expect(200)),
        ["c", "a", "b"]
    );
    let empty = client.get("/api/v1/namespaces/nowhere/services").await.expect(200);
    assert_eq!(names(&empty), [""; 0]);
}

#[tokio::test]
async fn selectors() {
    let (_server, client) = with_services(&["a", "b", "c"]).await;
    let table = [
        ("labelSelector=app%3Da", vec!["a"]),
        ("labelSelector=app%20in%20(a,c)", vec!["a", "c"]),
        ("labelSelector=app,app!=b", vec!["a", "c"]),
        ("labelSelector=!app", vec![]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!=b&labelSelector=app!=c", vec!["a"]),
    ];
    for (query, expected) in table {
        let list = client.get(&format!("/api/v1/services?{query}")).await.expect(200);
        assert_eq!(names(&list), expected, "{query}");
    }
    let status = client
        .get("/api/v1/services?fieldSelector=spec.type%3DX")
        .await
        .expect(400);
    let message = status["message"].as_str().expect("text");
    assert!(
        message.contains("supported are metadata.name and metadata.namespace"),
        "{message}"
    );
    client.get("/api/v1/services?labelSelector=a%20b").await.expect(400);
}

#[tokio::test]
async fn pages_show_one_version_although_objects_change() {
    let (_server, client) = with_services(&["a", "b", "c", "d", "e"]).await;
    let first = client.get(&format!("{SERVICES}?limit=2")).await.expect(200);
    assert_eq!(names(&first), ["a", "b"]);
    let token = first["metadata"]["continue"].as_str().expect("more").to_owned();

    client.delete(&format!("{SERVICES}/c")).await.expect(200);
    client.post(SERVICES, &service("cc", "new")).await.expect(201);
    client
        .patch(
            "merge",
            &format!("{SERVICES}/d"),
            &serde_json::json!({"metadata": {"labels": {"app": "x"}}}),
        )
        .await
        .expect(200);
    client.delete(&format!("{SERVICES}/e")).await.expect(200);
    client.post(SERVICES, &service("e", "again")).await.expect(201);

    let second = client
        .get(&format!("{SERVICES}?limit=2&continue={token}"))
        .await
        .expect(200);
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(second["items"][1]["metadata"]["labels"]["app"], "d");
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    let token = second["metadata"]["continue"].as_str().expect("more");
    let third = client
        .get(&format!("{SERVICES}?limit=2&continue={token}"))
        .await
        .expect(200);
    assert_eq!(names(&third), ["e"]);
    assert_eq!(third["items"][0]["metadata"]["labels"]["app"], "e");
    assert!(third["metadata"].get("continue").is_none());

    assert_eq!(
        names(&client.get(SERVICES).await.expect(200)),
        ["a", "b", "cc", "d", "e"]
    );
    let version = first["metadata"]["resourceVersion"].as_str().expect("version");
    let exact = client
        .get(&format!(
            "{SERVICES}?resourceVersion={version}&resourceVersionMatch=Exact"
        ))
        .await;
    assert_eq!(names(&exact.expect(200)), ["a", "b", "c", "d", "e"]);
}

#[tokio::test]
async fn a_token_that_is_too_old_offers_the_present() {
    let (server, client) = with_services(&["a", "b", "c"]).await;
    let first = client.get(&format!("{SERVICES}?limit=1")).await.expect(200);
    let token = first["metadata"]["continue"].as_str().expect("more");
    let mut touched = service("b", "b");
    for round in 0..=State::CHANGES_KEPT {
        touched["metadata"]["annotations"]["round"] = round.to_string().into();
        let object = guideway_model::Object::decode(
            guideway_model::Kind::Service,
            {
                let mut body = touched.clone();
                body["metadata"]["namespace"] = "default".into();
                body
            },
            guideway_model::object::FieldValidation::Strict,
        )
        .expect("valid")
        .object;
        server.cluster.apply(guideway_model::Command::Replace {
            object,
            part: guideway_model::command::Part::Main,
            expected: None,
            uid: None,
        });
    }
    let status = client
        .get(&format!("{SERVICES}?limit=1&continue={token}"))
        .await
        .expect(410);
    assert_eq!(status["reason"], "Expired");
    let token = status["metadata"]["continue"]
        .as_str()
        .expect("a token for the present");
    let rest = client.get(&format!("{SERVICES}?continue={token}")).await.expect(200);
    assert_eq!(names(&rest), ["b", "c"]);
    client.get(&format!("{SERVICES}?continue=nonsense")).await.expect(400);
}

#[tokio::test]
async fn versions() {
    let limits = Limits {
        version_wait: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let created = client.post(SERVICES, &service("a", "a")).await.expect(201);
    let version: u64 = created["metadata"]["resourceVersion"]
        .as_str()
        .expect("text")
        .parse()
        .expect("number");
    for query in [
        String::new(),
        "?resourceVersion=0".to_owned(),
        format!("?resourceVersion={version}"),
    ] {
        let list = client.get(&format!("{SERVICES}{query}")).await.expect(200);
        assert_eq!(names(&list), ["a"], "{query}");
        client.get(&format!("{SERVICES}/a{query}")).await.expect(200);
    }
    let later = version + 1;
    for path in [SERVICES.to_owned(), format!("{SERVICES}/a")] {
        let answer = client.get(&format!("{path}?resourceVersion={later}")).await;
        assert_eq!(answer.headers["retry-after"], "1");
        let status = answer.expect(504);
        assert_eq!(status["reason"], "Timeout");
        assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
        assert_eq!(status["details"]["retryAfterSeconds"], 1);
    }
}

#[tokio::test]
async fn a_list_waits_for_the_version_it_asks_for() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let version = server.cluster.state().revision() + 1;
    let path = format!("{SERVICES}?resourceVersion={version}");
    let service = service("a", "a");
    let (list, _) = tokio::join!(client.get(&path), client.post(SERVICES, &service));
    assert_eq!(names(&list.expect(200)), ["a"]);
}

#[tokio::test]
async fn ten_thousand_objects_in_pages_and_at_once() {
    const COUNT: usize = 10_000;
    let server = Server::start().await;
    let client = Client::new(server.address);
    let mut body = service("x", "x");
    body["metadata"]["namespace"] = "default".into();
    for index in 0..COUNT {
        body["metadata"]["name"] = format!("s{index:05}").into();
        let object = guideway_model::Object::decode(
            guideway_model::Kind::Service,
            body.clone(),
            guideway_model::object::FieldValidation::Strict,
        );
        server.cluster.apply(guideway_model::Command::Create {
            object: object.expect("valid").object,
            uid: guideway_model::meta::Uid(format!("uid-{index}")),
        });
    }
    let whole = client.get(SERVICES).await.expect(200);
    assert_eq!(names(&whole).len(), COUNT);
    let mut found = 0;
    let mut token = String::new();
    loop {
        let page = client
            .get(&format!("{SERVICES}?limit=500&continue={token}"))
            .await
            .expect(200);
        let names = names(&page);
        assert!(names.len() <= 500);
        assert_eq!(names[0], format!("s{found:05}"));
        found += names.len();
        match page["metadata"]["continue"].as_str() {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(found, COUNT);
}
