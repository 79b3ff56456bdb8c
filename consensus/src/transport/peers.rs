//! The calling side: a connection per peer, made when it is needed and again, with back-off, when it is lost.
//!
//! Who lives here: one task per attempt to connect, and one per connection, which drives it and ends with it. Dropping
//! [`Peers`] ends them all.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::AlertDescription;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::task::{AbortHandle, JoinHandle};

use super::channel::DialError;
use super::{CONNECTION_WINDOW, Call, Dialer, HEADER_CLUSTER, HEADER_TO, KEEP_ALIVE, STREAM_WINDOW, channel};
use crate::metrics;
use crate::trust::{Caller, Trust};

/// How long connecting may take, handshake included. A call that has less patience leaves the attempt to the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// First and longest pause after a failed attempt to connect; calls in it fail at once.
const BACKOFF: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];
/// Addresses that are remembered; more than members can have. When there are so many, all are forgotten.
const LINKS: usize = 256;

/// A request's body.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, io::Error>;

/// The other nodes.
pub(crate) struct Peers {
    cluster: String,
    /// `None` where no one is called: in a cluster that is being made.
    dialer: Option<Dialer>,
    links: Mutex<BTreeMap<String, Arc<Link>>>,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// The peer never saw the call.
    #[error("{address} cannot be reached: {problem}")]
    NotSent { address: String, problem: String },
    /// The peer, or who answers in its stead, does not let this node in, or is not let in by it.
    #[error("{address}: {problem}")]
    ShutOut {
        address: String,
        problem: String,
        /// What a peer said that does not let this node in.
        alert: Option<AlertDescription>,
    },
    /// The peer said that it did not do it.
    #[error("{address} answered {status}: {problem}")]
    Refused {
        address: String,
        status: u16,
        problem: String,
    },
    /// The answer did not come in time.
    #[error("{address} did not answer within {waited:?}")]
    TimedOut { address: String, waited: Duration },
    /// The connection broke, or the answer cannot be read.
    #[error("the answer of {address} was lost: {problem}")]
    Lost { address: String, problem: String },
}

impl CallError {
    /// Whether the peer has certainly not done what it was asked.
    pub(crate) fn certainly_not_done(&self) -> bool {
        match self {
            CallError::NotSent { .. } | CallError::ShutOut { .. } | CallError::Refused { .. } => true,
            CallError::TimedOut { .. } | CallError::Lost { .. } => false,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            CallError::NotSent { .. } => "not_sent",
            CallError::ShutOut { .. } => "shut_out",
            CallError::Refused { .. } => "refused",
            CallError::TimedOut { .. } => "timed_out",
            CallError::Lost { .. } => "lost",
        }
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `host:port`.
    pub(crate) address: String,
    /// Which node must answer; `None` if any may.
    pub(crate) node: Option<u64>,
}

impl Peers {
    /// No connections yet. `cluster` is the identity of the cluster; empty for a node that has no place in one.
    pub(crate) fn new(cluster: String, dialer: Option<Dialer>) -> Peers {
        Peers {
            cluster,
            dialer,
            links: Mutex::default(),
        }
    }

    /// Makes a call with JSON both ways.
    pub(crate) async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        target: &Target,
        call: Call,
        question: &Q,
        timeout: Duration,
    ) -> Result<A, CallError> {
        let body = serde_json::to_vec(question).map_err(|error| CallError::NotSent {
            address: target.address.clone(),
            problem: error.to_string(),
        })?;
        self.call_bytes(target, call, body.into(), timeout).await
    }

    /// Makes a call with bytes one way and JSON back.
    pub(crate) async fn call_bytes<A: DeserializeOwned>(
        &self,
        target: &Target,
        call: Call,
        body: Bytes,
        timeout: Duration,
    ) -> Result<A, CallError> {
        let answer = self.call_raw(target, call, whole(body), timeout).await?;
        read_json(target, call, &answer)
    }

    /// Makes a call with bytes both ways.
    pub(crate) async fn call_opaque(
        &self,
        target: &Target,
        call: Call,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        self.call_raw(target, call, whole(body), timeout).await
    }

    /// Makes a call with a body of any kind and JSON back.
    pub(super) async fn call_body<A: DeserializeOwned>(
        &self,
        target: &Target,
        call: Call,
        body: RequestBody,
        timeout: Duration,
    ) -> Result<A, CallError> {
        let answer = self.call_raw(target, call, body, timeout).await?;
        read_json(target, call, &answer)
    }

    async fn call_raw(
        &self,
        target: &Target,
        call: Call,
        body: RequestBody,
        timeout: Duration,
    ) -> Result<Bytes, CallError> {
        let link = self.link(&target.address);
        let mut sent = false;
        let answer = tokio::time::timeout(timeout, self.exchange(&link, target, call, body, &mut sent)).await;
        let answer = answer.unwrap_or_else(|_| {
            let address = target.address.clone();
            Err(if sent {
                CallError::TimedOut {
                    address,
                    waited: timeout,
                }
            } else {
                let problem = format!("not connected within {timeout:?}");
                CallError::NotSent { address, problem }
            })
        });
        if let Err(error) = &answer {
            metrics::peer_error(call.name(), error.kind());
        }
        answer
    }

    async fn exchange(
        &self,
        link: &Link,
        target: &Target,
        call: Call,
        body: RequestBody,
        sent: &mut bool,
    ) -> Result<Bytes, CallError> {
        let address = || target.address.clone();
        let not_sent = |problem: String| CallError::NotSent {
            address: address(),
            problem,
        };
        let lost = |problem: String| CallError::Lost {
            address: address(),
            problem,
        };
        let mut request = Request::post(format!("http://{}/v1/{}", target.address, call.name()));
        if let Some(node) = target.node {
            request = request.header(HEADER_TO, node).header(HEADER_CLUSTER, &self.cluster);
        }
        let request = request.body(body).map_err(|error| not_sent(error.to_string()))?;
        let mut sender = link
            .sender(target.node)
            .await
            .map_err(|problem| problem.of_call(address()))?;
        sender.ready().await.map_err(|error| not_sent(error.to_string()))?;
        *sent = true;
        let answer = sender.try_send_request(request).await.map_err(|mut error| {
            let unsent = error.take_message().is_some();
            let problem = error.into_error().to_string();
            if unsent { not_sent(problem) } else { lost(problem) }
        })?;
        let status = answer.status();
        let body = read_answer(answer, call.answer_limit()).await.map_err(lost)?;
        if status != StatusCode::OK {
            return Err(CallError::Refused {
                address: address(),
                status: status.as_u16(),
                problem: String::from_utf8_lossy(&body).into_owned(),
            });
        }
        Ok(body)
    }

    /// Ends connections to those that are no members any more.
    pub(crate) async fn leave_strangers(&self, trust: &Trust) {
        let links: Vec<Arc<Link>> = {
            let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            links.values().cloned().collect()
        };
        for link in links {
            link.leave_stranger(trust).await;
        }
    }

    fn link(&self, address: &str) -> Arc<Link> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() >= LINKS && !links.contains_key(address) {
            links.clear();
        }
        links
            .entry(address.to_owned())
            .or_insert_with(|| {
                Arc::new(Link {
                    address: address.to_owned(),
                    dialer: self.dialer.clone(),
                    state: tokio::sync::Mutex::default(),
                })
            })
            .clone()
    }
}

fn whole(body: Bytes) -> RequestBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

fn read_json<A: DeserializeOwned>(target: &Target, call: Call, answer: &[u8]) -> Result<A, CallError> {
    serde_json::from_slice(answer).map_err(|error| {
        let error = CallError::Lost {
            address: target.address.clone(),
            problem: error.to_string(),
        };
        metrics::peer_error(call.name(), error.kind());
        error
    })
}

async fn read_answer(answer: Response<Incoming>, limit: usize) -> Result<Bytes, String> {
    let body = Limited::new(answer.into_body(), limit).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| error.to_string())
}

/// The connection to one address.
struct Link {
    address: String,
    dialer: Option<Dialer>,
    state: tokio::sync::Mutex<LinkState>,
}

#[derive(Default)]
struct LinkState {
    connected: Option<Connected>,
    /// An attempt under way; it goes on when the call that began it is given up.
    attempt: Option<JoinHandle<Result<Connected, Problem>>>,
    pause: Option<Pause>,
}

/// A connection.
struct Connected {
    sender: SendRequest<RequestBody>,
    driver: AbortHandle,
    peer: Caller,
}

/// After an attempt that failed.
struct Pause {
    until: Instant,
    length: Duration,
    problem: Problem,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
struct Problem {
    text: String,
    shut_out: bool,
    alert: Option<AlertDescription>,
}

impl Problem {
    fn new(text: String) -> Problem {
        Problem {
            text,
            shut_out: false,
            alert: None,
        }
    }

    fn of_call(self, address: String) -> CallError {
        let (problem, alert) = (self.text, self.alert);
        if self.shut_out {
            CallError::ShutOut {
                address,
                problem,
                alert,
            }
        } else {
            CallError::NotSent { address, problem }
        }
    }
}

impl From<DialError> for Problem {
    fn from(error: DialError) -> Problem {
        Problem {
            text: error.to_string(),
            shut_out: !matches!(error, DialError::Io(_)),
            alert: match error {
                DialError::ShutOut(alert) => Some(alert),
                DialError::Io(_) | DialError::Stranger(_) => None,
            },
        }
    }
}

impl Link {
    /// A way to call the node at this address, which must be `wanted` if that is given.
    async fn sender(&self, wanted: Option<u64>) -> Result<SendRequest<RequestBody>, Problem> {
        let mut state = self.state.lock().await;
        if state
            .connected
            .as_ref()
            .is_none_or(|connected| connected.sender.is_closed())
        {
            state.connected = None;
            self.connect(&mut state).await?;
        }
        let connected = state
            .connected
            .as_ref()
            .ok_or_else(|| Problem::new("not connected".to_owned()))?;
        match &connected.peer {
            Caller::Member(peer) if wanted.is_none_or(|wanted| wanted == peer.number) => Ok(connected.sender.clone()),
            other => Err(Problem::new(format!("{other:?} answers there"))),
        }
    }

    async fn connect(&self, state: &mut LinkState) -> Result<(), Problem> {
        if state.attempt.is_none() {
            if let Some(pause) = state.pause.as_ref().filter(|pause| Instant::now() < pause.until) {
                return Err(pause.problem.clone());
            }
            let dialer = self.dialer.clone();
            let dialer = dialer.ok_or_else(|| Problem::new("no one is called yet".to_owned()))?;
            state.attempt = Some(tokio::spawn(attempt(self.address.clone(), dialer)));
        }
        let Some(attempt) = &mut state.attempt else {
            return Ok(());
        };
        let connected = attempt.await;
        state.attempt = None;
        match connected.unwrap_or_else(|error| Err(Problem::new(error.to_string()))) {
            Ok(connected) => {
                metrics::peer_connection("made");
                state.pause = None;
                state.connected = Some(connected);
                Ok(())
            }
            Err(problem) => {
                metrics::peer_connection("failed");
                // Once, not at every attempt.
                let known = state
                    .pause
                    .as_ref()
                    .is_some_and(|pause| pause.problem.text == problem.text);
                if problem.shut_out && !known {
                    tracing::warn!(
                        address = self.address,
                        problem = problem.text,
                        "no connection with a member"
                    );
                }
                let length = match &state.pause {
                    Some(pause) => (pause.length * 2).min(BACKOFF[1]),
                    None => BACKOFF[0],
                };
                state.pause = Some(Pause {
                    until: Instant::now() + length,
                    length,
                    problem: problem.clone(),
                });
                Err(problem)
            }
        }
    }

    async fn leave_stranger(&self, trust: &Trust) {
        let mut state = self.state.lock().await;
        let connected = state.connected.as_ref();
        if let Some(Err(stranger)) = connected.map(|connected| trust.judge_again(&connected.peer)) {
            tracing::info!(address = self.address, %stranger, "a connection is ended");
            state.connected = None;
        }
    }
}

/// Connects, within [`CONNECT_TIMEOUT`].
async fn attempt(address: String, dialer: Dialer) -> Result<Connected, Problem> {
    let connect = async {
        let (channel, peer) = channel::connect(&address, &dialer).await?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .handshake(channel)
            .await
            .map_err(|error| Problem::new(error.to_string()))?;
        let address = address.clone();
        let driver = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(address, %error, "a connection to a peer ended");
            }
        });
        Ok(Connected {
            sender,
            driver: driver.abort_handle(),
            peer,
        })
    };
    let connected = tokio::time::timeout(CONNECT_TIMEOUT, connect).await;
    connected.unwrap_or_else(|_| Err(Problem::new(format!("no connection within {CONNECT_TIMEOUT:?}"))))
}

impl Drop for Connected {
    fn drop(&mut self) {
        // Whoever waits for an answer holds the link; with no one left, nothing is lost.
        self.driver.abort();
    }
}

impl Drop for LinkState {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt.take() {
            attempt.abort();
        }
    }
}
