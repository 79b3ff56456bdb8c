//! A plain HTTP/1.1 client: one connection for each request.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{HeaderMap, Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use guideway_identity::ApiToken;

use crate::cluster::ROOT;

/// Far more than any step takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// The body, if the status code is the expected one.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let values = self.headers.get_all("warning").iter();
        values.map(|value| value.to_str().expect("text").to_owned()).collect()
    }
}

pub(crate) struct Client {
    address: SocketAddr,
    /// The token that is shown, if any.
    token: Option<String>,
}

/// An answer whose body is still coming.
pub(crate) struct Stream {
    pub(crate) status: StatusCode,
    body: Incoming,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Client {
        Client::signed_in(address, &ROOT)
    }

    /// As whom a token speaks for.
    pub(crate) fn signed_in(address: SocketAddr, token: &ApiToken) -> Client {
        Client {
            address,
            token: Some(token.text()),
        }
    }

    /// As nobody.
    pub(crate) fn anonymous(address: SocketAddr) -> Client {
        Client { address, token: None }
    }

    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Stream {
        let stream = self.exchange(method, path, headers, body.into());
        timeout(DEADLINE, stream).await.expect("answered in time").1
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let whole = async {
            let (headers, mut stream) = self.exchange(method, path, headers, body.into()).await;
            while stream.more().await {}
            Answer {
                status: stream.status,
                headers,
                text: String::from_utf8(stream.buffer).expect("UTF-8"),
            }
        };
        timeout(DEADLINE, whole).await.expect("answered in time")
    }

    async fn exchange(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Bytes) -> (HeaderMap, Stream) {
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .expect("handshake");
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body)).expect("request");
        let response = sender.send_request(request).await.expect("response");
        let (head, body) = response.into_parts();
        let stream = Stream {
            status: head.status,
            body,
            buffer: Vec::new(),
        };
        (head.headers, stream)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::POST, path, &json, body.to_string()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json")];
        self.send(Method::PUT, path, &json, body.to_string()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], "").await
    }

    /// `kind` is `json`, `merge` or `strategic-merge`.
    pub(crate) async fn patch(&self, kind: &str, path: &str, body: &Value) -> Answer {
        let content_type = format!("application/{kind}-patch+json");
        let headers = [("content-type", content_type.as_str())];
        self.send(Method::PATCH, path, &headers, body.to_string()).await
    }

    /// Opens a watch that has answered 200.
    pub(crate) async fn watch(&self, path: &str) -> Stream {
        let stream = self.open(Method::GET, path, &[], "").await;
        assert_eq!(stream.status, 200);
        stream
    }
}

impl Stream {
    /// The next event of a watch; `None` if the stream has ended.
    pub(crate) async fn event(&mut self) -> Option<Value> {
        let next = async {
            loop {
                if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.buffer.drain(..=end).collect();
                    return Some(serde_json::from_slice(&line).expect("JSON line"));
                }
                if !self.more().await {
                    assert!(self.buffer.is_empty(), "half a line at the end");
                    return None;
                }
            }
        };
        timeout(DEADLINE, next).await.expect("an event in time")
    }

    /// Type and object name of the next event.
    pub(crate) async fn expect(&mut self, event: &str, name: &str) -> Value {
        let found = self.event().await.expect("the watch goes on");
        assert_eq!(
            (&found["type"], &found["object"]["metadata"]["name"]),
            (&event.into(), &name.into()),
            "{found}"
        );
        found
    }

    async fn more(&mut self) -> bool {
        match self.body.frame().await {
            Some(Ok(frame)) => {
                self.buffer.extend(frame.into_data().unwrap_or_default());
                true
            }
            Some(Err(_)) | None => false,
        }
    }
}
