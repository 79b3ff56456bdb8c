//! The answering side.
//!
//! Who lives here: the accept loop and one task per connection, which shakes hands and runs the calls on it. A connection
//! ends when its caller is no member any more. All of them end when the node stops; a call that is cut off is one whose
//! answer was lost.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::channel::{self, Channel, Listener};
use super::lobby::{Lobby, Place};
use super::snapshot::Frames;
use super::tls::Doorway;
use super::{CONNECTION_WINDOW, Call, HEADER_CLUSTER, HEADER_TO, KEEP_ALIVE, STREAM_WINDOW};
use crate::metrics;
use crate::trust::{Caller, Stranger};

/// Connections of members at once; one more is closed.
const CONNECTIONS: usize = 256;
/// Calls at once on one connection; more wait at the caller.
const STREAMS: u32 = 256;
/// How long a request's body, or the next frame of a snapshot, may take.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after `accept` fails, as it does when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a call is answered with.
pub(crate) enum Answer {
    /// It was done; the body is JSON, but for [`Call::Ask`].
    Done(Bytes),
    /// It was not done, and why.
    NotDone { status: StatusCode, problem: String },
}

impl Answer {
    /// An answer in JSON.
    pub(crate) fn json<T: Serialize>(answer: &T) -> Answer {
        match serde_json::to_vec(answer) {
            Ok(body) => Answer::Done(body.into()),
            // What was asked may have been done: a body that cannot be read is what says so.
            Err(error) => {
                tracing::error!(%error, "an answer has no JSON form");
                Answer::Done(Bytes::new())
            }
        }
    }

    /// This node cannot do it now.
    pub(crate) fn unavailable(problem: impl Into<String>) -> Answer {
        Answer::NotDone {
            status: StatusCode::SERVICE_UNAVAILABLE,
            problem: problem.into(),
        }
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(problem: impl Into<String>) -> Answer {
        Answer::NotDone {
            status: StatusCode::BAD_REQUEST,
            problem: problem.into(),
        }
    }
}

/// Who answers.
pub(crate) trait Service: Send + Sync + 'static {
    /// Identity of the cluster.
    fn cluster(&self) -> &str;
    /// Number of this node.
    fn node(&self) -> u64;
    /// Fires when members or their keys have changed.
    fn members_changed(&self) -> watch::Receiver<u64>;
    /// Answers a call that has a body of bounded length.
    fn answer(&self, caller: &Caller, call: Call, body: Bytes) -> impl Future<Output = Answer> + Send;
    /// Receives a snapshot.
    fn receive_snapshot(&self, frames: Frames) -> impl Future<Output = Answer> + Send;
}

/// Serves until `stopping` turns true.
pub(crate) async fn serve<S: Service>(
    listener: Listener,
    doorway: Doorway,
    service: Arc<S>,
    mut stopping: watch::Receiver<bool>,
) {
    let house = Arc::new(House {
        doorway,
        service,
        lobby: Arc::default(),
        slots: Arc::new(Semaphore::new(CONNECTIONS)),
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stopping) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match house.lobby.enter(from) {
                    Some(place) => {
                        let house = house.clone();
                        connections.spawn(async move { house.receive(stream, place, from).await });
                    }
                    None => house.turn_away(from, "crowded", "too many shake hands at this moment"),
                },
                Err(error) => {
                    tracing::warn!(%error, "a connection from a peer could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

/// Returns when the node stops, or is gone.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// What the connections share.
struct House<S> {
    doorway: Doorway,
    service: Arc<S>,
    lobby: Arc<Lobby>,
    slots: Arc<Semaphore>,
}

impl<S: Service> House<S> {
    /// Shakes hands with a caller and, if it is let in, answers its calls.
    async fn receive(&self, stream: TcpStream, place: Place, from: IpAddr) {
        let mut changed = self.service.members_changed();
        let shaken = channel::accept(stream, &self.doorway).await;
        drop(place);
        let (channel, caller) = match shaken {
            Ok(shaken) => shaken,
            Err(refused) => return self.turn_away(from, refused.name(), &refused.to_string()),
        };
        let Ok(_slot) = self.slots.try_acquire() else {
            return self.turn_away(from, "full", "there are too many connections");
        };
        metrics::handshake("accepted");
        let caller = Arc::new(caller);
        tokio::select! {
            () = connection(channel, self.service.clone(), caller.clone()) => {}
            stranger = self.until_stranger(&caller, &mut changed) => {
                self.turn_away(from, stranger.name(), &stranger.to_string());
            }
        }
    }

    /// Returns when a caller that was let in would not be let in any more.
    async fn until_stranger(&self, caller: &Caller, changed: &mut watch::Receiver<u64>) -> Stranger {
        loop {
            if let Err(stranger) = self.doorway.trust().judge_again(caller) {
                return stranger;
            }
            if changed.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn turn_away(&self, from: IpAddr, kind: &'static str, problem: &str) {
        metrics::handshake(kind);
        if let Some(not_written) = self.lobby.may_write(kind, Instant::now()) {
            tracing::warn!(%from, kind, problem, not_written, "a caller was not let in, or not any longer");
        }
    }
}

async fn connection<S: Service>(channel: Channel, service: Arc<S>, caller: Arc<Caller>) {
    let call = service_fn(move |request| {
        let (service, caller) = (service.clone(), caller.clone());
        async move { Ok::<_, Infallible>(response(handle(request, service.as_ref(), &caller).await)) }
    });
    let served = Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .serve_connection(channel, call)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection from a peer ended");
    }
}

async fn handle<S: Service>(request: Request<Incoming>, service: &S, caller: &Caller) -> Answer {
    let Some(call) = Call::from_path(request.uri().path()) else {
        let problem = format!("{} is not a call of this release", request.uri().path());
        return Answer::NotDone {
            status: StatusCode::NOT_FOUND,
            problem,
        };
    };
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let (cluster, to) = (header(HEADER_CLUSTER), header(HEADER_TO));
    let joins = matches!(caller, Caller::Joiner(_));
    if joins != (call == Call::Join) {
        return Answer::NotDone {
            status: StatusCode::FORBIDDEN,
            problem: "who has no place in the cluster may ask for one and for nothing else".to_owned(),
        };
    }
    let for_us = cluster == Some(service.cluster()) && to == Some(service.node().to_string().as_str());
    if !for_us && !joins {
        let problem = format!("this is node {} of cluster {}", service.node(), service.cluster());
        return Answer::NotDone {
            status: StatusCode::MISDIRECTED_REQUEST,
            problem,
        };
    }
    if call == Call::Snapshot {
        return service.receive_snapshot(Frames::new(request.into_body())).await;
    }
    match read_request(request, call.request_limit()).await {
        Ok(body) => service.answer(caller, call, body).await,
        Err(error) => Answer::NotDone {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            problem: error.to_string(),
        },
    }
}

async fn read_request(request: Request<Incoming>, limit: usize) -> io::Result<Bytes> {
    let body = Limited::new(request.into_body(), limit).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, body)
        .await
        .map_err(io::Error::from)?;
    Ok(body.map_err(io::Error::other)?.to_bytes())
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let (status, body) = match answer {
        Answer::Done(body) => (StatusCode::OK, body),
        Answer::NotDone { status, problem } => (status, problem.into()),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}
