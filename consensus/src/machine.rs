//! The state machine: [`State`] in memory, rebuilt from the snapshot and the log at every start.
//!
//! What is applied is published on a watch. The watch belongs to the node, not to Raft: when the store fails and Raft is
//! started again, the state that was last published stays, and is followed only by later ones.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use futures_util::{Stream, StreamExt};
use guideway_model::state::Applied;
use guideway_model::wire;
use guideway_model::{Outcome, State};
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder};
use tokio::sync::{Notify, watch};

use crate::metrics;
use crate::raft_types::{Entry, EntryPayload, LogId, Payload, SnapshotMeta, StoredMembership, Types};
use crate::store::{Snapshots, StoredSnapshot};

type Snapshot = openraft::type_config::alias::SnapshotOf<Types, StoredSnapshot>;

/// Entries that are applied before the state is published and those who wait are answered.
const APPLY_SLICE: usize = 256;

/// The state machine of one node.
pub(crate) struct Machine {
    state: Arc<State>,
    applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: Arc<Snapshots>,
    published: Arc<watch::Sender<Applied>>,
    pressure: Arc<SnapshotPressure>,
    bytes_since_snapshot: u64,
}

/// Says when enough log has been applied to make a snapshot.
#[derive(Debug)]
pub(crate) struct SnapshotPressure {
    limit: u64,
    due: Notify,
}

/// What a snapshot is made of: the state at one index, shared with the one that goes on.
pub(crate) struct SnapshotBuilder {
    state: Arc<State>,
    meta: SnapshotMeta,
    snapshots: Arc<Snapshots>,
}

impl SnapshotPressure {
    /// A snapshot is due after `limit` bytes of log.
    pub(crate) fn new(limit: u64) -> Arc<SnapshotPressure> {
        Arc::new(SnapshotPressure {
            limit,
            due: Notify::new(),
        })
    }

    /// Waits until a snapshot is due.
    pub(crate) async fn due(&self) {
        self.due.notified().await;
    }
}

impl Machine {
    /// An empty machine; Raft fills it from `snapshots` and the log.
    pub(crate) fn new(
        snapshots: Arc<Snapshots>,
        published: Arc<watch::Sender<Applied>>,
        pressure: Arc<SnapshotPressure>,
    ) -> Machine {
        Machine {
            state: Arc::default(),
            applied: None,
            membership: StoredMembership::default(),
            snapshots,
            published,
            pressure,
            bytes_since_snapshot: 0,
        }
    }

    fn apply_entry(&mut self, entry: Entry) -> io::Result<Outcome> {
        let outcome = match entry.payload {
            EntryPayload::Blank => Outcome::Done,
            EntryPayload::Normal(Payload(bytes)) => {
                let proposal = wire::decode_proposal(&bytes).map_err(|error| {
                    let problem = format!("log entry {} cannot be applied: {error}", entry.log_id.index);
                    io::Error::new(io::ErrorKind::Unsupported, problem)
                })?;
                self.bytes_since_snapshot += bytes.len() as u64;
                Arc::make_mut(&mut self.state).apply(proposal)
            }
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                Outcome::Done
            }
        };
        self.applied = Some(entry.log_id);
        Ok(outcome)
    }

    /// Publishes the state, then answers those who wait for it.
    fn publish(&mut self, answers: &mut Vec<(ApplyResponder<Types>, Outcome)>) {
        let index = self.applied.map_or(0, |applied| applied.index);
        self.published.send_if_modified(|published| {
            let newer = published.index < index;
            if newer {
                *published = Applied {
                    index,
                    state: self.state.clone(),
                };
            }
            newer
        });
        for (responder, outcome) in answers.drain(..) {
            responder.send(outcome);
        }
        if self.bytes_since_snapshot >= self.pressure.limit {
            self.bytes_since_snapshot = 0;
            self.pressure.due.notify_one();
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = StoredSnapshot;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut answers = Vec::new();
        let mut since_publish = 0;
        while let Some(entry) = entries.next().await {
            let (entry, responder) = entry?;
            let outcome = self.apply_entry(entry)?;
            answers.extend(responder.map(|responder| (responder, outcome)));
            since_publish += 1;
            if since_publish == APPLY_SLICE {
                since_publish = 0;
                self.publish(&mut answers);
            }
        }
        self.publish(&mut answers);
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            state: self.state.clone(),
            meta: SnapshotMeta {
                last_log_id: self.applied,
                last_membership: self.membership.clone(),
            },
            snapshots: self.snapshots.clone(),
        }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: StoredSnapshot) -> Result<(), io::Error> {
        let snapshots = self.snapshots.clone();
        let covers = meta.clone();
        let install = move || {
            let state = snapshot.read_state()?;
            snapshots.publish(&covers, &snapshot)?;
            Ok::<_, io::Error>(state)
        };
        let state = tokio::task::spawn_blocking(install).await.map_err(io::Error::other)??;
        self.state = Arc::new(state);
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.bytes_since_snapshot = 0;
        self.publish(&mut Vec::new());
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self
            .snapshots
            .current()
            .map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

impl RaftSnapshotBuilder<Types> for SnapshotBuilder {
    type SnapshotData = StoredSnapshot;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let began = Instant::now();
        let (state, meta, snapshots) = (self.state.clone(), self.meta.clone(), self.snapshots.clone());
        let build = move || {
            let mut writer = snapshots.begin()?;
            for record in state.snapshot_records() {
                writer.push_record(&record)?;
            }
            let snapshot = writer.finish()?;
            snapshots.publish(&meta, &snapshot)?;
            metrics::snapshot_built(began.elapsed(), snapshot.bytes());
            Ok::<_, io::Error>(Snapshot { meta, snapshot })
        };
        tokio::task::spawn_blocking(build).await.map_err(io::Error::other)?
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::stream;

    use super::*;
    use crate::raft_types::LeaderId;
    use crate::store::Store;

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unknown_command_stops_the_machine_and_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path(), true).expect("a new store");
        let (published, watched) = watch::channel(Applied::default());
        let mut machine = Machine::new(
            store.snapshots.clone(),
            published.into(),
            SnapshotPressure::new(u64::MAX),
        );
        let newer = Bytes::from_static(b"\x01{\"time\":1,\"command\":{\"MoveTheMoon\":{}}}");
        let entry = |index, payload| Entry {
            log_id: LogId {
                leader_id: LeaderId { term: 1, node_id: 1 },
                index,
            },
            payload,
        };
        let entries = [
            entry(7, EntryPayload::Blank),
            entry(8, EntryPayload::Normal(Payload(newer))),
        ];
        let entries = entries.into_iter().map(|entry| Ok((entry, None)));
        let error = machine
            .apply(stream::iter(entries))
            .await
            .expect_err("no such command")
            .to_string();
        assert!(
            error.contains("log entry 8") && error.contains("MoveTheMoon"),
            "{error}"
        );
        let (applied, _) = machine.applied_state().await.expect("known");
        assert_eq!(applied.map(|applied| applied.index), Some(7));
        assert_eq!(
            watched.borrow().index,
            0,
            "a state that may be halfway is not published"
        );
    }
}
