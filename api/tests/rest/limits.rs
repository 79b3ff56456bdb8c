//! Bounds on requests, time, heads and connections.

use std::time::Duration;

use guideway_api::Limits;
use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, DEADLINE};
use crate::cluster::Server;
use crate::manifests::{SERVICES, service};

#[tokio::test]
async fn requests_at_work_are_bounded() {
    let limits = Limits {
        requests: 1,
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    server.cluster.hangs.send_replace(true);
    let body = service("db", "pg");
    let held = client.post(SERVICES, &body);
    let others = async {
        // The held request needs a moment to be at work.
        loop {
            let answer = client.get(SERVICES).await;
            if answer.status == 429 {
                break answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let release = async {
        let refused = others.await;
        // Health and discovery answer all the same.
        assert_eq!(client.get("/livez").await.status, 200);
        client.get("/apis").await.expect(200);
        server.cluster.hangs.send_replace(false);
        refused
    };
    let (created, refused) = tokio::join!(held, release);
    created.expect(201);
    assert_eq!(refused.headers["retry-after"], "1");
    let status = refused.expect(429);
    assert_eq!(status["reason"], "TooManyRequests");
    assert_eq!(status["details"]["retryAfterSeconds"], 1);
}

#[tokio::test]
async fn a_request_ends_in_time() {
    let limits = Limits {
        request_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    server.cluster.hangs.send_replace(true);
    let status = client.post(SERVICES, &service("db", "pg")).await.expect(504);
    assert_eq!(status["reason"], "Timeout");
    let message = status["message"].as_str().expect("text");
    assert!(
        message.contains("the write may have happened or may still happen"),
        "{message}"
    );
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_time() {
    let limits = Limits {
        head_timeout: Duration::from_millis(100),
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let long = "x".repeat(70 * 1024);
    let answer = client.send(Method::GET, SERVICES, &[("x-long", &long)], "").await;
    assert_eq!(answer.status, 431);

    for beginning in ["", "PRI * HTTP/2.0", "GET /version HTTP/1.1\r\nhost: x\r\nx-slow: "] {
        let mut stream = TcpStream::connect(server.address).await.expect("connected");
        stream.write_all(beginning.as_bytes()).await.expect("written");
        let mut rest = Vec::new();
        let closed = timeout(DEADLINE, stream.read_to_end(&mut rest)).await;
        // Closed or reset: either way the server has let go of it.
        let _either = closed.expect("let go in time").is_err();
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let server = Server::with_limits(limits).await;
    let client = Client::new(server.address);
    let held = client.watch(&format!("{SERVICES}?watch=true")).await;
    let mut waiting = Box::pin(client.get("/livez"));
    assert!(timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    drop(held);
    assert_eq!(waiting.await.status, 200);
}

#[tokio::test]
async fn shutdown_lets_requests_finish() {
    let server = Server::start().await;
    let client = Client::new(server.address);
    server.cluster.hangs.send_replace(true);
    let cluster = std::sync::Arc::clone(&server.cluster);
    let body = service("db", "pg");
    let held = client.post(SERVICES, &body);
    let stop = async move {
        while cluster.hangs.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        let released = async {
            cluster.hangs.send_replace(false);
        };
        tokio::join!(server.stop(), released);
    };
    let (created, ()) = tokio::join!(held, stop);
    created.expect(201);
}
