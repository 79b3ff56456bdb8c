//! Watches: a stream of JSON lines, one event each.
//!
//! Nothing is spawned: a watch lives in its response body and is driven by the connection. It ends when its time is
//! over, when its caller loses the right, when the node shuts down, when it has fallen behind the ring of changes (410), or with the connection. A client
//! that stops reading holds one place among the watches until the connection's stall timeout closes it.

pub(crate) mod event;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use guideway_model::object::ObjectKey;
use guideway_model::state::Applied;
use guideway_model::{Kind, State};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::answer;
use crate::metrics::WatchCount;
use crate::permission::Right;
use crate::query::{Freshness, WatchParameters, WatchStart};
use crate::selector::Selector;
use crate::serve::ShutdownSignal;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

use event::Encoder;

/// Changes or objects looked at between two chunks of the answer.
const CHUNK: usize = 256;

/// Answers a watch of a stored kind.
pub(crate) async fn watch(
    server: &Server,
    target: &Target,
    kind: Kind,
    (parameters, right): (WatchParameters, Right),
    shutdown: Option<ShutdownSignal>,
) -> Result<Response<Body>, Status> {
    let permit = server.admit_watch()?;
    let receiver = server.cluster.watch();
    let (phase, position) = match parameters.start {
        WatchStart::Objects { freshness, mark_end } => {
            let state = server.state(freshness).await?;
            let position = state.revision();
            let initial = Initial {
                state,
                after: None,
                mark_end,
            };
            (Phase::Objects(initial), position)
        }
        WatchStart::ChangesAfter(freshness) => {
            let state = server.state(freshness).await?;
            let position = match freshness {
                Freshness::NotOlderThan(version) | Freshness::Exact(version) => version,
                Freshness::Linearizable | Freshness::Local => state.revision(),
            };
            // A watch that cannot even start says so as an answer, not as an event.
            if let Err(expired) = state.changes_since(position).map(drop) {
                return Err(event::expired(expired));
            }
            (Phase::Changes, position)
        }
    };
    let now = Instant::now();
    let longest = server.limits.watch_duration;
    let watcher = Watcher {
        encoder: Encoder::of_stored(target, Arc::clone(&server.cluster)),
        kind,
        namespace: target.namespace.clone(),
        selector: match &target.name {
            Some(name) => parameters.selector.and_name(name),
            None => parameters.selector,
        },
        receiver,
        phase,
        position,
        ends: now + parameters.timeout.map_or(longest, |asked| asked.min(longest)),
        bookmarks: parameters.bookmarks.then(|| Bookmarks {
            next: now + server.limits.bookmark_interval,
            interval: server.limits.bookmark_interval,
        }),
        right,
        shutdown,
        _permit: permit,
        _count: WatchCount::start(target.resource.plural),
    };
    let body = stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next_chunk().await?;
        Some((Ok::<Bytes, Infallible>(chunk), watcher))
    });
    Ok(answer::stream(Body::from_stream(body)))
}

struct Watcher {
    encoder: Encoder,
    kind: Kind,
    namespace: Option<String>,
    selector: Selector,
    receiver: watch::Receiver<Applied>,
    phase: Phase,
    /// Every change up to this version has been looked at.
    position: u64,
    ends: Instant,
    bookmarks: Option<Bookmarks>,
    right: Right,
    shutdown: Option<ShutdownSignal>,
    _permit: OwnedSemaphorePermit,
    _count: WatchCount,
}

enum Phase {
    /// The objects that were there at the start are being sent.
    Objects(Initial),
    /// Changes are followed.
    Changes,
    /// The last event has been sent.
    Over,
}

struct Initial {
    state: Arc<State>,
    after: Option<ObjectKey>,
    mark_end: bool,
}

struct Bookmarks {
    next: Instant,
    interval: std::time::Duration,
}

/// Why a wait was over.
enum Wake {
    Applied,
    Bookmark,
    End,
}

impl Watcher {
    /// The next lines; `None` ends the stream.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            if matches!(self.phase, Phase::Over) {
                return None;
            }
            // What is told and who may hear it are taken from one state.
            let state = Arc::clone(&self.receiver.borrow_and_update().state);
            if let Err(status) = self.right.judge(&state).await {
                return Some(self.end_with(&status).into());
            }
            let lines = match &self.phase {
                Phase::Over => return None,
                Phase::Objects(_) => self.objects(),
                Phase::Changes => match self.due() {
                    Some(Wake::End) => return None,
                    Some(Wake::Bookmark) => self.bookmark(false),
                    Some(Wake::Applied) | None => self.changes(&state),
                },
            };
            if !lines.is_empty() {
                return Some(lines.into());
            }
            if !matches!(self.phase, Phase::Changes) || self.is_behind() {
                // Nothing in this chunk was selected: let others work, then look at the next.
                tokio::task::yield_now().await;
                continue;
            }
            if let Wake::End = self.wait().await {
                return None;
            }
        }
    }

    /// Synthetic `ADDED` events for the next objects of the start.
    fn objects(&mut self) -> Vec<u8> {
        let Phase::Objects(initial) = &mut self.phase else {
            return Vec::new();
        };
        let state = Arc::clone(&initial.state);
        let mut lines = Vec::new();
        let mut seen = 0;
        for object in state
            .list(self.kind, self.namespace.as_deref(), initial.after.as_ref())
            .take(CHUNK)
        {
            seen += 1;
            if self.selector.matches(object.meta()) {
                self.encoder.added(object, &mut lines);
            }
            initial.after = Some(object.key());
        }
        if seen < CHUNK {
            let mark_end = initial.mark_end;
            self.phase = Phase::Changes;
            if mark_end {
                lines.extend(self.bookmark(true));
            }
        }
        lines
    }

    /// Events for the next changes that are applied already.
    fn changes(&mut self, state: &State) -> Vec<u8> {
        let mut lines = Vec::new();
        if state.revision() <= self.position {
            return lines;
        }
        let changes = match state.changes_since(self.position) {
            Ok(changes) => changes,
            Err(expired) => return self.end_with(&event::expired(expired)),
        };
        let mut seen = 0;
        for change in changes.take(CHUNK) {
            seen += 1;
            self.position = change.revision;
            let in_scope = change.object.kind() == self.kind
                && self
                    .namespace
                    .as_deref()
                    .is_none_or(|wanted| wanted == change.object.meta().namespace);
            if in_scope {
                self.encoder.change(change, &self.selector, &mut lines);
            }
        }
        if seen < CHUNK {
            self.position = state.revision();
        }
        lines
    }

    /// The last event.
    fn end_with(&mut self, status: &Status) -> Vec<u8> {
        self.phase = Phase::Over;
        let mut lines = Vec::new();
        self.encoder.error(status, &mut lines);
        lines
    }

    fn is_behind(&self) -> bool {
        self.receiver.borrow().state.revision() > self.position
    }

    fn bookmark(&mut self, initial_end: bool) -> Vec<u8> {
        if let Some(bookmarks) = &mut self.bookmarks {
            bookmarks.next = Instant::now() + bookmarks.interval;
        }
        self.encoder.bookmark(self.position, initial_end)
    }

    /// What time has come for. Looked at before every chunk, so that a busy watch ends and is bookmarked too.
    fn due(&self) -> Option<Wake> {
        let now = Instant::now();
        if now >= self.ends || self.shutdown.as_ref().is_some_and(ShutdownSignal::is_raised) {
            Some(Wake::End)
        } else if self.bookmarks.as_ref().is_some_and(|bookmarks| now >= bookmarks.next) {
            Some(Wake::Bookmark)
        } else {
            None
        }
    }

    async fn wait(&mut self) -> Wake {
        let bookmark = self.bookmarks.as_ref().map_or(self.ends, |bookmarks| bookmarks.next);
        let next = self.right.ends().map_or(bookmark, |ends| ends.min(bookmark));
        let stopped = async {
            match &mut self.shutdown {
                Some(signal) => signal.raised().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = stopped => Wake::End,
            () = sleep_until(self.ends.min(next)) => self.due().unwrap_or(Wake::Bookmark),
            changed = self.receiver.changed() => match changed {
                Ok(()) => Wake::Applied,
                Err(_closed) => Wake::End,
            },
        }
    }
}
