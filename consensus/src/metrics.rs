//! Metrics of consensus: every name, unit and label is in this file.

use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const TERM: &str = "guideway_consensus_term";
const IS_LEADER: &str = "guideway_consensus_is_leader";
const LEADER_CHANGES: &str = "guideway_consensus_leader_changes_total";
const APPLIED_INDEX: &str = "guideway_consensus_applied_index";
const COMMIT_INDEX: &str = "guideway_consensus_commit_index";
const LOG_BYTES: &str = "guideway_consensus_log_bytes";
const FREE_BYTES: &str = "guideway_consensus_free_bytes";
const STORE_HEALTHY: &str = "guideway_consensus_store_healthy";
const STORE_FAILURES: &str = "guideway_consensus_store_failures_total";
const FSYNC_SECONDS: &str = "guideway_consensus_fsync_seconds";
const COMMIT_SECONDS: &str = "guideway_consensus_commit_seconds";
const PROPOSALS: &str = "guideway_consensus_proposals_total";
const READS: &str = "guideway_consensus_linearizable_reads_total";
const SNAPSHOT_SECONDS: &str = "guideway_consensus_snapshot_seconds";
const SNAPSHOT_BYTES: &str = "guideway_consensus_snapshot_bytes";
const SNAPSHOTS_RECEIVED: &str = "guideway_consensus_snapshots_received_total";
const PEER_ERRORS: &str = "guideway_consensus_peer_rpc_errors_total";
const PEER_CONNECTIONS: &str = "guideway_consensus_peer_connections_total";
const HANDSHAKES: &str = "guideway_consensus_handshakes_total";
const CERTIFICATE_EXPIRES: &str = "guideway_consensus_certificate_expires_seconds";
const CERTIFICATES: &str = "guideway_consensus_certificates_total";

/// Says what each metric means; called once, when a node starts.
pub fn describe() {
    describe_gauge!(TERM, "Raft term of this node");
    describe_gauge!(IS_LEADER, "1 while this node leads, else 0");
    describe_counter!(LEADER_CHANGES, Unit::Count, "Changes of the leader that this node saw");
    describe_gauge!(APPLIED_INDEX, "Log index of the last entry applied here");
    describe_gauge!(COMMIT_INDEX, "Log index of the last entry known committed here");
    describe_gauge!(LOG_BYTES, Unit::Bytes, "Log entries kept, purged ones left out");
    describe_gauge!(FREE_BYTES, Unit::Bytes, "Free space beside the data folder");
    describe_gauge!(STORE_HEALTHY, "1 while the store works, else 0");
    describe_counter!(
        STORE_FAILURES,
        Unit::Count,
        "Times the store failed and Raft stopped on this node"
    );
    describe_histogram!(FSYNC_SECONDS, Unit::Seconds, "One sync of the log");
    describe_histogram!(
        COMMIT_SECONDS,
        Unit::Seconds,
        "From a proposal on this node, as leader, to its application"
    );
    describe_counter!(PROPOSALS, Unit::Count, "Proposals made on this node, by outcome");
    describe_counter!(READS, Unit::Count, "Linearizable reads on this node, by outcome");
    describe_histogram!(SNAPSHOT_SECONDS, Unit::Seconds, "Making one snapshot");
    describe_gauge!(
        SNAPSHOT_BYTES,
        Unit::Bytes,
        "Size of the last snapshot made or received"
    );
    describe_counter!(SNAPSHOTS_RECEIVED, Unit::Count, "Snapshots received from a leader");
    describe_counter!(
        PEER_ERRORS,
        Unit::Count,
        "Calls to other members that failed, by call and kind"
    );
    describe_counter!(
        PEER_CONNECTIONS,
        Unit::Count,
        "Connections made to other members, by outcome"
    );
    describe_counter!(
        HANDSHAKES,
        Unit::Count,
        "Callers of the transport between nodes, by outcome: `accepted`, or why they were not let in or had to go"
    );
    describe_gauge!(
        CERTIFICATE_EXPIRES,
        Unit::Seconds,
        "When this node's certificate ends, in seconds since 1970"
    );
    describe_counter!(
        CERTIFICATES,
        Unit::Count,
        "Certificates that this node has signed for itself since it started, by outcome"
    );
}

/// What Raft is at this moment.
pub(crate) fn raft(term: u64, leads: bool, applied: u64, commit: u64) {
    gauge!(TERM).set(as_gauge(term));
    gauge!(IS_LEADER).set(f64::from(u8::from(leads)));
    gauge!(APPLIED_INDEX).set(as_gauge(applied));
    gauge!(COMMIT_INDEX).set(as_gauge(commit));
}

/// Another node leads now.
pub(crate) fn leader_changed() {
    counter!(LEADER_CHANGES).increment(1);
}

/// What the store is at this moment.
pub(crate) fn store(healthy: bool, log_bytes: u64, free_bytes: u64) {
    gauge!(STORE_HEALTHY).set(f64::from(u8::from(healthy)));
    gauge!(LOG_BYTES).set(as_gauge(log_bytes));
    gauge!(FREE_BYTES).set(as_gauge(free_bytes));
}

/// The store failed.
pub(crate) fn store_failed() {
    counter!(STORE_FAILURES).increment(1);
}

/// The log was synced.
pub(crate) fn fsync(took: Duration) {
    histogram!(FSYNC_SECONDS).record(took.as_secs_f64());
}

/// This node, as leader, had a proposal applied.
pub(crate) fn committed(took: Duration) {
    histogram!(COMMIT_SECONDS).record(took.as_secs_f64());
}

/// A proposal on this node ended: `committed`, or the name of the error.
pub(crate) fn proposal(outcome: &'static str) {
    counter!(PROPOSALS, "outcome" => outcome).increment(1);
}

/// A linearizable read on this node ended: `served`, or the name of the error.
pub(crate) fn read(outcome: &'static str) {
    counter!(READS, "outcome" => outcome).increment(1);
}

/// A snapshot was made here.
pub(crate) fn snapshot_built(took: Duration, bytes: u64) {
    histogram!(SNAPSHOT_SECONDS).record(took.as_secs_f64());
    gauge!(SNAPSHOT_BYTES).set(as_gauge(bytes));
}

/// A snapshot was received from a leader.
pub(crate) fn snapshot_received(bytes: u64) {
    counter!(SNAPSHOTS_RECEIVED).increment(1);
    gauge!(SNAPSHOT_BYTES).set(as_gauge(bytes));
}

/// A call to another member failed; `call` is the name of the call, `kind` of the failure.
pub(crate) fn peer_error(call: &'static str, kind: &'static str) {
    counter!(PEER_ERRORS, "call" => call, "kind" => kind).increment(1);
}

/// A connection to another member was `made`, or `failed`.
pub(crate) fn peer_connection(outcome: &'static str) {
    counter!(PEER_CONNECTIONS, "outcome" => outcome).increment(1);
}

/// A caller was `accepted`, or why it was not, or not any longer.
pub(crate) fn handshake(outcome: &'static str) {
    counter!(HANDSHAKES, "outcome" => outcome).increment(1);
}

/// This node's certificate ends at this second since 1970.
pub(crate) fn certificate(expires: u64) {
    gauge!(CERTIFICATE_EXPIRES).set(as_gauge(expires));
}

/// This node signed a certificate for itself (`renewed`, `rotated`), or could not (`failed`).
pub(crate) fn certificate_signed(outcome: &'static str) {
    counter!(CERTIFICATES, "outcome" => outcome).increment(1);
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; indexes and sizes are far below 2^53"
)]
fn as_gauge(value: u64) -> f64 {
    value as f64
}
