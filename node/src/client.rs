//! A small client of Guideway's own REST API, for `status`, `sessions` and `demo`.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, WARNING};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;

mod access;
mod connection;

pub use access::{Access, AccessError};

/// Longest answer that is read; a longer one is an error.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// Longest backup that is read.
const MAX_BACKUP_BYTES: usize = 2 << 30;

/// Talks to one server, with a connection for each request: there are few, and none is left open.
#[derive(Clone, Debug)]
pub struct Client {
    access: Access,
    timeout: Duration,
}

/// What a server answered.
struct Answer {
    status: StatusCode,
    warnings: Vec<String>,
    body: Bytes,
}

/// Why a request has no useful answer.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The URL is not one.
    #[error("{url} is not a URL: {problem}; give one such as https://127.0.0.1:7443")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No connection, or it broke.
    #[error("{url} does not answer: {problem}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// The chain of causes.
        problem: String,
    },
    /// The answer did not come in time.
    #[error("{url} did not answer within {waited:?}")]
    Timeout {
        /// What was asked.
        url: String,
        /// How long.
        waited: Duration,
    },
    /// The server refused.
    #[error("{url} answered {status}: {message}")]
    Refused {
        /// What was asked.
        url: String,
        /// HTTP status.
        status: StatusCode,
        /// `message` of the `Status` object, or the body's beginning.
        message: String,
    },
    /// The answer is not JSON.
    #[error("{url} answered something that is not JSON; is a Guideway API served there?")]
    NotJson {
        /// What was asked.
        url: String,
    },
}

impl RequestError {
    /// Whether the server refused since there is such an object already.
    pub fn is_conflict(&self) -> bool {
        matches!(self, RequestError::Refused { status, .. } if *status == StatusCode::CONFLICT)
    }
}

impl Client {
    /// A client of a server; each request may take `timeout`.
    pub fn new(access: Access, timeout: Duration) -> Client {
        Client { access, timeout }
    }

    /// The server's URL, without a slash at the end.
    pub fn server(&self) -> &str {
        &self.access.server
    }

    /// The JSON at `path`.
    pub async fn get(&self, path: &str) -> Result<Value, RequestError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// The JSON at `path`, and what the server warns of.
    pub async fn get_warned(&self, path: &str) -> Result<(Value, Vec<String>), RequestError> {
        self.send_warned(Method::GET, path, Bytes::new()).await
    }

    /// Deletes what is at `path`; gives the answer, and what the server warns of.
    pub async fn delete(&self, path: &str) -> Result<(Value, Vec<String>), RequestError> {
        self.send_warned(Method::DELETE, path, Bytes::new()).await
    }

    /// Creates the object `body` in the collection at `path`.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, RequestError> {
        self.send(Method::POST, path, Bytes::from(body.to_string())).await
    }

    /// Replaces the object at `path` with `body`.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value, RequestError> {
        self.send(Method::PUT, path, Bytes::from(body.to_string())).await
    }

    /// The bytes at `path`, which may be many.
    pub async fn download(&self, path: &str) -> Result<Bytes, RequestError> {
        let url = format!("{}{path}", self.access.server);
        let answer = self
            .exchange_at_most(Method::GET, &url, Bytes::new(), MAX_BACKUP_BYTES)
            .await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(refused(url, answer.status, &answer.body))
    }

    /// The text at `path`, whatever the status; for the health endpoints.
    pub async fn probe(&self, path: &str) -> Result<(StatusCode, String), RequestError> {
        let url = format!("{}{path}", self.access.server);
        let Answer { status, body, .. } = self.exchange(Method::GET, &url, Bytes::new()).await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Value, RequestError> {
        Ok(self.send_warned(method, path, body).await?.0)
    }

    async fn send_warned(&self, method: Method, path: &str, body: Bytes) -> Result<(Value, Vec<String>), RequestError> {
        let url = format!("{}{path}", self.access.server);
        let Answer { status, warnings, body } = self.exchange(method, &url, body).await?;
        let json: Option<Value> = serde_json::from_slice(&body).ok();
        if status.is_success() {
            return json.map(|json| (json, warnings)).ok_or(RequestError::NotJson { url });
        }
        Err(refused(url, status, &body))
    }

    async fn exchange(&self, method: Method, url: &str, body: Bytes) -> Result<Answer, RequestError> {
        self.exchange_at_most(method, url, body, MAX_ANSWER_BYTES).await
    }

    async fn exchange_at_most(
        &self,
        method: Method,
        url: &str,
        body: Bytes,
        most: usize,
    ) -> Result<Answer, RequestError> {
        let unusable = |problem: String| RequestError::Url {
            url: url.to_owned(),
            problem,
        };
        let target: Uri = url
            .parse()
            .map_err(|error: hyper::http::uri::InvalidUri| unusable(error.to_string()))?;
        let authority = target.authority().map(ToString::to_string).unwrap_or_default();
        let mut request = Request::builder()
            .method(method)
            .uri(target.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, authority)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.access.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| unusable(error.to_string()))?;
        let unreachable = |problem| RequestError::Unreachable {
            url: url.to_owned(),
            problem,
        };
        let answer = async {
            let stream = connection::connect(&target, self.access.tls.as_ref());
            let stream = stream.await.map_err(|error| unreachable(causes(&error)))?;
            let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = shaken.map_err(|error| unreachable(causes(&error)))?;
            // Ends when the answer is read or given up, and with it the sender.
            let exchange = async {
                let response = sender.send_request(request).await;
                let response = response.map_err(|error| unreachable(causes(&error)))?;
                read(response, most).await.map_err(unreachable)
            };
            let mut connection = std::pin::pin!(connection);
            let mut exchange = std::pin::pin!(exchange);
            tokio::select! {
                answer = &mut exchange => answer,
                _ended = &mut connection => exchange.await,
            }
        };
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(RequestError::Timeout {
                url: url.to_owned(),
                waited: self.timeout,
            }),
        }
    }
}

/// What a server says when it refuses.
fn refused(url: String, status: StatusCode, body: &[u8]) -> RequestError {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let message = json.as_ref().and_then(|json| json["message"].as_str()).map_or_else(
        || String::from_utf8_lossy(body).chars().take(200).collect(),
        str::to_owned,
    );
    RequestError::Refused { url, status, message }
}

async fn read(response: hyper::Response<hyper::body::Incoming>, most: usize) -> Result<Answer, String> {
    let status = response.status();
    let warnings = response.headers().get_all(WARNING).iter();
    let warnings = warnings.filter_map(|value| warning(value.to_str().ok()?)).collect();
    let body = Limited::new(response.into_body(), most).collect().await;
    let body = body.map_err(|error| causes(error.as_ref()))?.to_bytes();
    Ok(Answer { status, warnings, body })
}

/// The text of `299 - "text"` (RFC 7234, section 5.5), as Kubernetes sends it.
fn warning(value: &str) -> Option<String> {
    let text = value.strip_prefix("299 ")?.split_once('"')?.1.rsplit_once('"')?.0;
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// The innermost cause says what happened; the outer ones only say in which layer.
fn causes(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::warning;

    #[test]
    fn warnings_lose_their_quotes() {
        let cases = [
            (r#"299 - "no answer from node-2""#, Some("no answer from node-2")),
            (r#"299 - "a \"b\" \\ c""#, Some(r#"a "b" \ c"#)),
            ("110 - \"stale\"", None),
            ("299 - ", None),
        ];
        for (value, expected) in cases {
            assert_eq!(warning(value).as_deref(), expected, "{value}");
        }
    }
}
