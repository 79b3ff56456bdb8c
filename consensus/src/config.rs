//! What a node is started with.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use guideway_model::node::{Incarnation, NodeFacts, NodeFigures};

use crate::credentials::Names;

/// What [`crate::Consensus::start`] needs.
#[derive(Clone)]
pub struct Config {
    /// Folder of the store; made by [`crate::init`] or [`crate::join`].
    pub data_dir: PathBuf,
    /// Where the transport between nodes listens; port 0 takes any free one.
    pub peer_listen: SocketAddr,
    /// What this node says of itself; replicated with every start.
    pub facts: NodeFacts,
    /// What its certificate names beside its own name and loopback.
    pub names: Names,
    /// This start of the process.
    pub incarnation: Incarnation,
    /// Answers another member that asks for this node's own figures; must return at once.
    pub figures: Arc<dyn Fn() -> NodeFigures + Send + Sync>,
    /// Answers what another member asks by [`crate::Consensus::ask`]; the bytes mean nothing to consensus. An answer that
    /// is not wanted any more is dropped before it is done.
    pub answers: Arc<dyn Fn(Bytes) -> BoxFuture<'static, Bytes> + Send + Sync>,
    /// Times and sizes.
    pub tuning: Tuning,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("peer_listen", &self.peer_listen)
            .field("facts", &self.facts)
            .field("names", &self.names)
            .field("incarnation", &self.incarnation)
            .field("tuning", &self.tuning)
            .finish_non_exhaustive()
    }
}

/// Times and sizes of consensus; the defaults suit a LAN and a disk that syncs in tens of milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How often the leader shows itself to followers that it has nothing to send.
    pub heartbeat_interval: Duration,
    /// Shortest silence of the leader after which a voter stands for election.
    pub election_timeout_min: Duration,
    /// Longest such silence; each voter draws its own between the two.
    ///
    /// Lower values shorten the write pause after the loss of a leader, and let a stall of the scheduler or of the
    /// network pass for one: the shortest is several heartbeats long, so that one that is late changes nothing, and
    /// the longest leaves room for the vote itself within one second.
    ///
    /// Half of the longest is the leader's lease: for so long after it last heard from a majority it takes proposals,
    /// and no voter votes against it. What the shortest has beyond the lease is the time a vote may take, the voter's
    /// sync included; it must be longer than a heartbeat.
    pub election_timeout_max: Duration,
    /// Silence of a member's transport after which the leader proposes that it is down.
    pub liveness_timeout: Duration,
    /// How long [`crate::Consensus::propose`] and [`crate::Consensus::linearizable`] look for a leader and wait for
    /// its answer.
    pub request_deadline: Duration,
    /// Bytes of log after which a snapshot is made.
    pub snapshot_log_bytes: u64,
    /// Entries that are kept behind a snapshot for followers that are a little late; those further behind get the
    /// snapshot.
    pub entries_kept: u64,
    /// Proposals are refused while any voter has less free space than this, in bytes, beside its data.
    pub free_space_mark: u64,
    /// Size in bytes of the ballast file: space that is given up when the disk is full, so that what was accepted can
    /// still be written.
    pub ballast_bytes: u64,
    /// How long a certificate that this node signs for itself or for a joining node is good for; it is renewed when two
    /// thirds of it are over.
    pub certificate_life: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            heartbeat_interval: Duration::from_millis(100),
            election_timeout_min: Duration::from_millis(625),
            election_timeout_max: Duration::from_millis(850),
            liveness_timeout: Duration::from_secs(1),
            request_deadline: Duration::from_secs(5),
            snapshot_log_bytes: 64 << 20,
            entries_kept: 1_000,
            free_space_mark: 64 << 20,
            ballast_bytes: 16 << 20,
            certificate_life: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

impl Tuning {
    /// openraft's configuration; the error names the field and the rule.
    pub(crate) fn raft(&self) -> Result<openraft::Config, String> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        // openraft waits for the leader's lease to end, which is its longest timeout, and then for one it draws.
        let lease = millis(self.election_timeout_max) / 2;
        let shortest = millis(self.election_timeout_min).saturating_sub(lease);
        let heartbeat = millis(self.heartbeat_interval);
        if heartbeat == 0 || shortest <= heartbeat || shortest >= lease {
            return Err(format!(
                "election_timeout_min {:?} must be more than half of election_timeout_max {:?} by more than \
                 heartbeat_interval {:?}, and less than all of it",
                self.election_timeout_min, self.election_timeout_max, self.heartbeat_interval
            ));
        }
        let config = openraft::Config {
            cluster_name: "guideway".to_owned(),
            heartbeat_interval: heartbeat,
            election_timeout_min: shortest,
            election_timeout_max: lease,
            max_payload_entries: 1024,
            max_append_entries: Some(1024),
            replication_lag_threshold: u64::MAX,
            // Snapshots are triggered by the bytes of log that were applied.
            snapshot_policy: openraft::SnapshotPolicy::Never,
            max_in_snapshot_log_to_keep: self.entries_kept,
            purge_batch_size: 1,
            api_channel_size: Some(4096),
            // Entries go to followers while they go to this node's disk.
            broadcast_submitted_on_append: Some(true),
            enable_pre_vote: Some(true),
            enable_leader_restore: Some(false),
            ..openraft::Config::default()
        };
        config.validate().map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_a_lease_longer_than_the_timeout_is_not() {
        let raft = Tuning::default().raft().expect("the defaults are valid");
        assert_eq!((raft.election_timeout_min, raft.election_timeout_max), (200, 425));
        let too_close = Tuning {
            election_timeout_min: Duration::from_millis(500),
            ..Tuning::default()
        };
        let error = too_close.raft().expect_err("75 ms are less than a heartbeat");
        assert!(error.contains("election_timeout_min"), "{error}");
    }
}
