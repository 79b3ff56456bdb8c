//! Tells the cluster which listeners this node has bound and which it could not.
//!
//! One task lives here. It is level-triggered: it compares what the data plane holds with what is
//! recorded under this node and proposes the difference, until there is none. So a lost report, a
//! restart or a snapshot needs no case of its own. It ends when the stop signal fires.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use guideway_consensus::Consensus;
use guideway_dataplane::DataPlane;
use guideway_model::node::{BindResult, NodeRecord, SocketKey};
use guideway_model::state::Applied;
use guideway_model::{Command, Incarnation, Outcome};
use tokio::sync::watch;

use crate::metrics::NodeMetrics;

/// First wait after a report that was not committed; doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);

/// Longest wait between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// How long a committed report may take to be applied here before the comparison is made anew.
const APPLY_WAIT: Duration = Duration::from_secs(2);

/// What the task works with.
pub(crate) struct BindReporter {
    pub(crate) consensus: Consensus,
    pub(crate) incarnation: Incarnation,
    pub(crate) data_plane: Arc<DataPlane>,
    pub(crate) changed: watch::Receiver<u64>,
    pub(crate) metrics: NodeMetrics,
}

impl BindReporter {
    /// Reports until `stop`.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = self.report() => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn report(&mut self) {
        let mut applied = self.consensus.watch();
        let mut backoff = MIN_BACKOFF;
        loop {
            self.changed.mark_unchanged();
            let difference = {
                let applied = applied.borrow_and_update();
                self.difference(&applied)
            };
            if difference.is_empty() {
                backoff = MIN_BACKOFF;
                tokio::select! {
                    changed = self.changed.changed() => if changed.is_err() { return },
                    changed = applied.changed() => if changed.is_err() { return },
                }
                continue;
            }
            match self.propose(difference).await {
                Some(index) => {
                    backoff = MIN_BACKOFF;
                    let seen = applied.wait_for(|applied| applied.index >= index);
                    if tokio::time::timeout(APPLY_WAIT, seen).await.is_err() {
                        tracing::warn!(index, "a committed bind report is not applied on this node yet");
                    }
                }
                None => {
                    tokio::time::sleep(backoff).await;
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }

    /// Empty as long as the cluster does not know this start of the node: a report would be refused.
    fn difference(&self, applied: &Applied) -> Vec<(SocketKey, Option<BindResult>)> {
        let own = self.consensus.node_id();
        let record = applied
            .state
            .nodes()
            .find(|(id, _)| *id == own)
            .map(|(_, record)| record);
        match record {
            Some(record) if record.incarnation == Some(self.incarnation) => {
                difference(record, &self.data_plane.binds())
            }
            _ => Vec::new(),
        }
    }

    /// Log index of the report, or `None` if it must be tried again.
    async fn propose(&self, binds: Vec<(SocketKey, Option<BindResult>)>) -> Option<u64> {
        log_failures(&binds);
        let command = Command::ReportBinds {
            node: self.consensus.node_id(),
            incarnation: self.incarnation,
            binds,
        };
        match self.consensus.propose(command).await {
            Ok(committed) => match committed.outcome {
                Outcome::Refused(refusal) => {
                    self.metrics.bind_reports_failed.increment(1);
                    tracing::warn!(?refusal, "the cluster refused a bind report; it is tried again");
                    None
                }
                _ => {
                    self.metrics.bind_reports_committed.increment(1);
                    Some(committed.index)
                }
            },
            Err(error) => {
                self.metrics.bind_reports_failed.increment(1);
                tracing::debug!(%error, "a bind report was not committed; it is tried again");
                None
            }
        }
    }
}

fn log_failures(binds: &[(SocketKey, Option<BindResult>)]) {
    for (socket, result) in binds {
        if let Some(BindResult::Failed(failure)) = result {
            tracing::warn!(
                port = socket.port,
                address = failure.address,
                errno = failure.errno,
                "a listener cannot be bound: {}; it is retried",
                failure.message
            );
        }
    }
}

/// What must be reported so that `record` equals `actual`, in the order of the sockets.
fn difference(record: &NodeRecord, actual: &BTreeMap<SocketKey, BindResult>) -> Vec<(SocketKey, Option<BindResult>)> {
    let changed = actual
        .iter()
        .filter(|(socket, result)| record.binds.get(*socket) != Some(*result))
        .map(|(socket, result)| (*socket, Some(result.clone())));
    let gone = record
        .binds
        .keys()
        .filter(|socket| !actual.contains_key(socket))
        .map(|socket| (*socket, None));
    let mut all: Vec<_> = changed.chain(gone).collect();
    all.sort_by_key(|(socket, _)| *socket);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use guideway_model::meta::UnixMillis;
    use guideway_model::node::{BindAddress, BindFailure, NodeFacts, Protocol};

    fn socket(port: u16) -> SocketKey {
        SocketKey {
            protocol: Protocol::Tcp,
            address: BindAddress::NodeDefault,
            port,
        }
    }

    fn failed(errno: i32) -> BindResult {
        BindResult::Failed(BindFailure {
            address: "127.0.0.1:80".to_owned(),
            errno,
            message: "EADDRINUSE: address already in use".to_owned(),
        })
    }

    fn record(binds: &[(SocketKey, BindResult)]) -> NodeRecord {
        NodeRecord {
            keys: Vec::new(),
            facts: NodeFacts {
                name: "node-1".to_owned(),
                peer_address: String::new(),
                api_url: String::new(),
                metrics_url: String::new(),
                data_address: None,
                version: String::new(),
                level: 1,
            },
            incarnation: Some(Incarnation(1)),
            live: true,
            joined: UnixMillis(0),
            since: UnixMillis(0),
            binds: binds.iter().cloned().collect(),
        }
    }

    #[test]
    fn only_what_differs_is_reported() {
        let recorded = record(&[
            (socket(1), BindResult::Bound),
            (socket(2), failed(98)),
            (socket(3), BindResult::Bound),
        ]);
        let actual = BTreeMap::from([
            (socket(2), BindResult::Bound),
            (socket(3), BindResult::Bound),
            (socket(4), failed(13)),
        ]);
        let expected = [
            (socket(1), None),
            (socket(2), Some(BindResult::Bound)),
            (socket(4), Some(failed(13))),
        ];
        assert_eq!(difference(&recorded, &actual), expected);
    }

    #[test]
    fn equal_sets_report_nothing() {
        let recorded = record(&[(socket(1), failed(98))]);
        let actual = BTreeMap::from([(socket(1), failed(98))]);
        assert_eq!(difference(&recorded, &actual), []);
    }
}
