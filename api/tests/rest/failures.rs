//! What the cluster cannot do, as clients see it; and paths and methods that do not exist.

use guideway_api::ports::{ProposeFailure, ReadFailure};
use hyper::Method;

use crate::client::Client;
use crate::cluster::Server;
use crate::manifests::{SERVICES, service};

#[tokio::test]
async fn writes_that_fail() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    let table = [
        (
            ProposeFailure::NoQuorum {
                reachable: 1,
                voters: 3,
            },
            503,
            "ServiceUnavailable",
            "1 of 3 voters reachable); nothing was written",
        ),
        (
            ProposeFailure::Timeout {
                may_have_happened: true,
            },
            504,
            "Timeout",
            "it may have happened or may still happen: read the object before trying again",
        ),
        (
            ProposeFailure::Timeout {
                may_have_happened: false,
            },
            504,
            "Timeout",
            "nothing was written, so it is safe to try again",
        ),
        (
            ProposeFailure::DiskFull {
                node: "two".to_owned(),
                path: "/var/lib/guideway".to_owned(),
                free_bytes: 7,
                needed_bytes: 100,
            },
            507,
            "InsufficientStorage",
            "node two has 7 bytes free under /var/lib/guideway, and writes need 100",
        ),
        (
            ProposeFailure::TooLarge {
                bytes: 2_000_000,
                limit_bytes: 1_000_000,
            },
            413,
            "RequestEntityTooLarge",
            "2000000 bytes in the log; the limit is 1000000",
        ),
        (
            ProposeFailure::Overloaded { limit: 64 },
            429,
            "TooManyRequests",
            "64 writes wait for the log already",
        ),
        (
            ProposeFailure::Stopped {
                reason: "it shuts down".to_owned(),
            },
            503,
            "ServiceUnavailable",
            "this node takes no writes: it shuts down",
        ),
    ];
    for (failure, code, reason, part) in table {
        *server.cluster.propose_failure.lock().expect("lock") = Some(failure);
        let answer = client.post(SERVICES, &service("db", "pg")).await;
        assert_eq!(answer.headers.contains_key("retry-after"), code == 429);
        let status = answer.expect(code);
        assert_eq!(status["kind"], "Status");
        assert_eq!(status["apiVersion"], "v1");
        assert_eq!(status["status"], "Failure");
        assert_eq!(status["code"], code);
        assert_eq!(status["reason"], reason);
        assert!(status["message"].as_str().expect("text").contains(part), "{status}");
    }
}

#[tokio::test]
async fn reads_that_fail_offer_the_local_state() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    client.post(SERVICES, &service("db", "pg")).await.expect(201);
    let table = [
        (
            ReadFailure::NoQuorum {
                reachable: 1,
                voters: 3,
            },
            503,
            "ServiceUnavailable",
        ),
        (ReadFailure::Timeout, 504, "Timeout"),
        (
            ReadFailure::Stopped {
                reason: "it shuts down".to_owned(),
            },
            503,
            "ServiceUnavailable",
        ),
    ];
    for (failure, code, reason) in table {
        *server.cluster.read_failure.lock().expect("lock") = Some(failure);
        for path in [SERVICES.to_owned(), format!("{SERVICES}/db")] {
            let status = client.get(&path).await.expect(code);
            assert_eq!(status["reason"], reason);
            let message = status["message"].as_str().expect("text");
            assert!(
                message.contains("resourceVersion=0 reads what this node has"),
                "{message}"
            );
            client.get(&format!("{path}?resourceVersion=0")).await.expect(200);
        }
    }
}

#[tokio::test]
async fn paths_that_do_not_exist() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for path in [
        "/",
        "/nothing",
        "/api/v1/pods",
        "/api/v1/namespaces/default/pods/x",
        "/apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/x/scale",
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/x/status",
        "/openapi/v3/apis/apps/v1",
        "/api/v1/namespaces/default/services/%2e%2e/x/y",
    ] {
        let status = client.get(path).await.expect(404);
        assert_eq!(status["kind"], "Status", "{path}");
        assert_eq!(status["reason"], "NotFound", "{path}");
    }
}

#[tokio::test]
async fn methods_that_do_not_work_name_those_that_do() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    for (method, path, allowed) in [
        (Method::POST, "/api/v1/services", "GET"),
        (Method::PUT, SERVICES, "GET, POST, DELETE"),
        (Method::POST, "/version", "GET"),
        (Method::DELETE, "/apis/guideway.dev/v1alpha1/nodes/one", "GET"),
    ] {
        let answer = client.send(method, path, &[], "").await;
        assert_eq!(answer.headers["allow"], allowed, "{path}");
        assert_eq!(answer.expect(405)["reason"], "MethodNotAllowed");
    }
}
