//! Sessions as they open and close, on all nodes.
//!
//! Nothing is spawned: a watch lives in its response body and is driven by the connection. Every
//! [`session_watch_interval`](crate::Limits::session_watch_interval) it asks each node what has happened since the mark
//! that it has of that node, and the marks together are the `resourceVersion`. A watch that cannot go on without a gap
//! ends with 410: a node told too much for its ring, or gave no answer for too long, or is no longer live.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use guideway_model::session::{Mark, Marks, SessionEvent, SessionEvents, SessionId};
use guideway_model::{NodeId, State};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::encode;
use super::query::Wanted;
use crate::answer;
use crate::metrics::WatchCount;
use crate::permission::Right;
use crate::ports::{Cluster, FoundSessions};
use crate::query::{Freshness, Parameters, WatchStart};
use crate::resource::Verb;
use crate::serve::ShutdownSignal;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::watch::event::Encoder;
use crate::words::node_name;

/// Sessions in one chunk of the start.
const CHUNK: usize = 1000;

/// Answers a watch of sessions.
pub(crate) async fn watch(
    server: &Server,
    target: &Target,
    parameters: &Parameters,
    shutdown: Option<ShutdownSignal>,
) -> Result<Response<Body>, Status> {
    let permits = [server.admit_watch()?, server.admit_session_watch()?];
    let wanted = Wanted::read(parameters, target, CHUNK)?.named(target.name.as_deref());
    if let Some(field) = wanted.filter().changing_field() {
        return Err(Status::bad_request(format!(
            "a watch cannot select by {field}, which changes while a session lives and is not told: leave it out, or \
             list again"
        )));
    }
    let bookmarks = parameters.bookmarks()?;
    let (marks, phase) = start(parameters, bookmarks, &wanted)?;
    let now = Instant::now();
    let limits = &server.limits;
    let asked = parameters.watch_timeout()?;
    let watcher = Watcher {
        cluster: Arc::clone(&server.cluster),
        encoder: Encoder::new(target),
        target: target.clone(),
        wanted,
        marks,
        phase,
        quiet_since: BTreeMap::new(),
        next_round: now,
        next_bookmark: bookmarks.then(|| now + limits.bookmark_interval),
        ends: now + asked.map_or(limits.watch_duration, |asked| asked.min(limits.watch_duration)),
        pace: Pace {
            round: limits.session_watch_interval,
            bookmark: limits.bookmark_interval,
            silence: limits.session_watch_silence,
        },
        right: Right::new(server, target, Verb::Watch, parameters),
        shutdown,
        _permits: permits,
        _count: WatchCount::start(target.resource.plural),
    };
    let body = stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next_chunk().await?;
        Some((Ok::<Bytes, Infallible>(chunk), watcher))
    });
    Ok(answer::stream(Body::from_stream(body)))
}

/// The marks and the phase that a watch begins with.
fn start(parameters: &Parameters, bookmarks: bool, wanted: &Wanted) -> Result<(Marks, Phase), Status> {
    let version = parameters.get("resourceVersion");
    let (marks, freshness) = match version {
        None => (Marks::default(), Freshness::Linearizable),
        Some("0") => (Marks::default(), Freshness::Local),
        Some(text) => {
            let marks = text.parse().map_err(|fault| {
                Status::expired(format!("resourceVersion={text}: {fault}; list sessions again"), None)
            })?;
            (marks, Freshness::NotOlderThan(0))
        }
    };
    Ok(match parameters.watch_start(freshness, bookmarks)? {
        WatchStart::Objects { mark_end, .. } => {
            let wanted = Box::new(wanted.clone().marked());
            (Marks::default(), Phase::Sessions { wanted, mark_end })
        }
        WatchStart::ChangesAfter(_) => (marks, Phase::Events),
    })
}

struct Watcher {
    cluster: Arc<dyn Cluster>,
    encoder: Encoder,
    target: Target,
    wanted: Wanted,
    /// How far each node has been seen.
    marks: Marks,
    phase: Phase,
    /// Nodes that give no answer, with when that began.
    quiet_since: BTreeMap<NodeId, Instant>,
    next_round: Instant,
    /// `None` if none are wanted.
    next_bookmark: Option<Instant>,
    ends: Instant,
    pace: Pace,
    right: Right,
    shutdown: Option<ShutdownSignal>,
    _permits: [OwnedSemaphorePermit; 2],
    _count: WatchCount,
}

/// Times of a watch.
struct Pace {
    /// Between two rounds of questions.
    round: Duration,
    /// Between two bookmarks.
    bookmark: Duration,
    /// For which a node may give no answer.
    silence: Duration,
}

enum Phase {
    /// The sessions that are there are being sent: those of all nodes, or of one that was not known before.
    Sessions { wanted: Box<Wanted>, mark_end: bool },
    /// What opens and closes is followed.
    Events,
    /// The last event has been sent.
    Over,
}

impl Watcher {
    /// The next lines; `None` ends the stream.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            let lines = match &self.phase {
                Phase::Over => return None,
                Phase::Sessions { .. } => match self.judge().await {
                    Ok(()) => self.sessions().await,
                    Err(last) => last,
                },
                Phase::Events => {
                    if !self.wait().await {
                        return None;
                    }
                    match self.judge().await {
                        Ok(()) => self.round().await,
                        Err(last) => last,
                    }
                }
            };
            if !lines.is_empty() {
                return Some(lines.into());
            }
        }
    }

    /// The last event, if the caller has lost the right.
    async fn judge(&mut self) -> Result<(), Vec<u8>> {
        let state = Arc::clone(&self.cluster.watch().borrow().state);
        let Err(status) = self.right.judge(&state).await else {
            return Ok(());
        };
        self.phase = Phase::Over;
        let mut last = Vec::new();
        self.encoder.error(&status, &mut last);
        Err(last)
    }

    /// Waits for the next round; false if the watch is to end.
    async fn wait(&mut self) -> bool {
        let stopped = async {
            match &mut self.shutdown {
                Some(signal) => signal.raised().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped => false,
            () = sleep_until(self.ends) => false,
            () = sleep_until(self.next_round) => true,
        }
    }

    /// `ADDED` for the next sessions of the start.
    async fn sessions(&mut self) -> Vec<u8> {
        let Phase::Sessions { wanted, mark_end } = &mut self.phase else {
            return Vec::new();
        };
        let state = Arc::clone(&self.cluster.watch().borrow().state);
        let FoundSessions { page, silent } = wanted.page(&*self.cluster, &state).await;
        let (more, mark_end) = (wanted.advance(&page), *mark_end);
        let mut lines = Vec::new();
        self.marks.add(page.marks.clone());
        self.hear(page.marks.iter().map(|(node, _)| node), &silent);
        for found in page.sessions {
            let object = encode::row(&state, &self.target, found.id, &found.row);
            self.line("ADDED", object, &mut lines);
        }
        if !more {
            self.phase = Phase::Events;
            if mark_end {
                lines.extend(self.encoder.bookmark(&self.marks, true));
            }
        }
        lines
    }

    /// Asks every node once.
    async fn round(&mut self) -> Vec<u8> {
        let state = Arc::clone(&self.cluster.watch().borrow().state);
        self.next_round = Instant::now() + self.pace.round;
        let filter = self.wanted.filter().clone();
        let found = self.cluster.session_events(filter, self.marks.clone()).await;
        let mut lines = Vec::new();
        self.hear(found.told.iter().map(|(node, _)| *node), &found.silent);
        for (node, events) in found.told {
            match events {
                SessionEvents::Told { events, next, more } => {
                    self.told(&state, node, events, &mut lines);
                    self.seen(node, next);
                    if more {
                        self.next_round = Instant::now();
                    }
                }
                SessionEvents::Lost => {
                    let why = "has told more than it keeps, or was started again";
                    return self.expire(lines, &state, node, why);
                }
            }
        }
        if let Some(node) = found.gone.first() {
            return self.expire(lines, &state, *node, "is no longer live");
        }
        if let Some(node) = self.quiet_too_long() {
            return self.expire(lines, &state, node, "gives no answer");
        }
        let now = Instant::now();
        if self.next_bookmark.is_some_and(|due| due <= now) {
            self.next_bookmark = Some(now + self.pace.bookmark);
            lines.extend(self.encoder.bookmark(&self.marks, false));
        }
        if let Some(node) = found.unknown.first() {
            let wanted = Box::new(self.wanted.clone().on_node(*node));
            self.phase = Phase::Sessions {
                wanted,
                mark_end: false,
            };
        }
        lines
    }

    fn told(&mut self, state: &State, node: NodeId, events: Vec<SessionEvent>, lines: &mut Vec<u8>) {
        let Some(Mark { incarnation, .. }) = self.marks.get(node) else {
            return;
        };
        for SessionEvent { number, row, closed } in events {
            let local = row.id;
            let id = SessionId {
                node,
                incarnation,
                local,
            };
            if !self.wanted.is_meant(id) {
                continue;
            }
            self.seen(node, number + 1);
            let mut object = encode::row(state, &self.target, id, &row);
            let event = match closed {
                Some(reason) => {
                    object["status"]["state"] = Value::from("Closed");
                    object["status"]["closeReason"] = Value::from(reason);
                    "DELETED"
                }
                None => "ADDED",
            };
            self.line(event, object, lines);
        }
    }

    fn line(&mut self, event: &str, mut object: Value, lines: &mut Vec<u8>) {
        object["metadata"]["resourceVersion"] = Value::from(self.marks.to_string());
        self.encoder.line(event, object, lines);
    }

    fn seen(&mut self, node: NodeId, next: u64) {
        if let Some(mark) = self.marks.get(node) {
            self.marks.set(node, Mark { next, ..mark });
        }
    }

    /// Notes who answered and who did not.
    fn hear(&mut self, heard: impl Iterator<Item = NodeId>, silent: &[NodeId]) {
        for node in heard {
            self.quiet_since.remove(&node);
        }
        for node in silent {
            self.quiet_since.entry(*node).or_insert_with(Instant::now);
        }
    }

    fn quiet_too_long(&self) -> Option<NodeId> {
        let quiet = self.quiet_since.iter();
        let mut long = quiet.filter(|(_, since)| since.elapsed() > self.pace.silence);
        long.next().map(|(node, _)| *node)
    }

    /// Ends the watch: the client lists again, and then knows what is there.
    fn expire(&mut self, mut lines: Vec<u8>, state: &State, node: NodeId, why: &str) -> Vec<u8> {
        self.phase = Phase::Over;
        let message = format!(
            "node {} {why}, so what its sessions do is not known from here on; list sessions again",
            node_name(state, node)
        );
        self.encoder.error(&Status::expired(message, None), &mut lines);
        lines
    }
}
