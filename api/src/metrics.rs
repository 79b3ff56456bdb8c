//! Metrics of the API: names, units and labels.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const REQUESTS: &str = "guideway_api_requests_total";
const DURATION: &str = "guideway_api_request_duration_seconds";
const WATCHES_REVOKED: &str = "guideway_api_watches_revoked_total";
const WATCHES: &str = "guideway_api_watches_active";
const REFUSED: &str = "guideway_api_requests_refused_total";
const REHEARSALS: &str = "guideway_api_rehearsals_waiting";
const SIGN_INS: &str = "guideway_api_sign_ins_total";
const SIGN_INS_FAILED: &str = "guideway_api_sign_ins_failed_total";
const HANDSHAKES_FAILED: &str = "guideway_api_handshakes_failed_total";
const AUDIT_LINES: &str = "guideway_api_audit_lines_total";
const AUDIT_LOST: &str = "guideway_api_audit_lines_lost_total";
const CONNECTIONS: &str = "guideway_api_connections_active";

/// A bound that a request ran into.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// Requests at work.
    Requests,
    /// Open watches.
    Watches,
    /// Open watches of sessions.
    SessionWatches,
    /// Bytes of a body.
    Body,
    /// Time of a request.
    Time,
    /// Managers of one object, or bytes of its managed fields.
    Managers,
    /// Failed sign-ins from one address.
    SignIns,
    /// Lines that wait for the audit log.
    Audit,
}

/// Why nobody could be signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignInFault {
    /// Neither a certificate nor a token.
    Nothing,
    /// An Authorization header that holds no token of ours.
    Malformed,
    /// No such token, or the wrong secret.
    Unknown,
    /// A token whose time is over.
    Expired,
    /// A certificate that is not of this cluster, or whose time is over.
    Certificate,
    /// Someone who may not act as someone else.
    Impersonation,
    /// What a browser adds by itself was used by another page, or used alone for a change.
    CrossSite,
    /// Too many failures from the address.
    Limited,
}

/// Why a line of the audit log is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AuditLoss {
    /// It waited for the queue too long.
    Queue,
    /// The file took it not.
    Write,
}

/// Registers what the metrics mean.
pub fn describe() {
    describe_counter!(
        REQUESTS,
        Unit::Count,
        "API requests answered, by verb, resource and HTTP code"
    );
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "Time from a request's head to the head of its answer, watches left out, by verb and resource"
    );
    describe_counter!(
        WATCHES_REVOKED,
        Unit::Count,
        "Watches that were ended because their caller lost the right, or their sign-in ended"
    );
    describe_gauge!(WATCHES, Unit::Count, "Open watches, by resource");
    describe_counter!(
        REFUSED,
        Unit::Count,
        "Requests refused by a limit (requests, watches, session_watches, body, time, managers, sign-ins, audit)"
    );
    describe_gauge!(
        REHEARSALS,
        Unit::Count,
        "Dry runs that wait for the one that is being tried"
    );
    describe_counter!(SIGN_INS, Unit::Count, "Sign-ins of dashboards, by which a cookie began");
    describe_counter!(
        SIGN_INS_FAILED,
        Unit::Count,
        "Requests that nobody could be signed in for, by reason (nothing, malformed, unknown, expired, certificate, \
         impersonation, cross-site, limited)"
    );
    describe_counter!(
        HANDSHAKES_FAILED,
        Unit::Count,
        "TLS handshakes with clients of the API that failed, by reason (timeout, certificate, other)"
    );
    describe_counter!(AUDIT_LINES, Unit::Count, "Lines written to the audit log");
    describe_counter!(
        AUDIT_LOST,
        Unit::Count,
        "Lines of the audit log that are lost, by reason (queue: a refusal waited too long; write: the file took it not)"
    );
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections to the API");
}

/// A request was answered. A watch's duration says nothing, so it is not recorded.
pub(crate) fn answered(verb: &'static str, resource: &'static str, code: u16, took: Duration) {
    counter!(REQUESTS, "verb" => verb, "resource" => resource, "code" => code.to_string()).increment(1);
    if verb != "watch" {
        histogram!(DURATION, "verb" => verb, "resource" => resource).record(took.as_secs_f64());
    }
}

/// A limit refused a request.
pub(crate) fn refused(bound: Bound) {
    let limit = match bound {
        Bound::Requests => "requests",
        Bound::Watches => "watches",
        Bound::SessionWatches => "session_watches",
        Bound::Body => "body",
        Bound::Time => "time",
        Bound::Managers => "managers",
        Bound::SignIns => "sign-ins",
        Bound::Audit => "audit",
    };
    counter!(REFUSED, "limit" => limit).increment(1);
}

/// A dashboard signed in.
pub(crate) fn signed_in() {
    counter!(SIGN_INS).increment(1);
}

/// Nobody could be signed in.
pub(crate) fn sign_in_failed(fault: SignInFault) {
    let reason = match fault {
        SignInFault::Nothing => "nothing",
        SignInFault::Malformed => "malformed",
        SignInFault::Unknown => "unknown",
        SignInFault::Expired => "expired",
        SignInFault::Certificate => "certificate",
        SignInFault::Impersonation => "impersonation",
        SignInFault::CrossSite => "cross-site",
        SignInFault::Limited => "limited",
    };
    counter!(SIGN_INS_FAILED, "reason" => reason).increment(1);
}

/// A TLS handshake failed.
pub(crate) fn handshake_failed(reason: &'static str) {
    counter!(HANDSHAKES_FAILED, "reason" => reason).increment(1);
}

/// A line was written to the audit log.
pub(crate) fn audit_written() {
    counter!(AUDIT_LINES).increment(1);
}

/// A line of the audit log is lost.
pub(crate) fn audit_lost(loss: AuditLoss) {
    let reason = match loss {
        AuditLoss::Queue => "queue",
        AuditLoss::Write => "write",
    };
    counter!(AUDIT_LOST, "reason" => reason).increment(1);
}

/// A watch was ended for want of the right.
pub(crate) fn watch_revoked() {
    counter!(WATCHES_REVOKED).increment(1);
}

/// Counts a watch from now until it is dropped.
pub(crate) struct WatchCount(metrics::Gauge);

impl WatchCount {
    /// One more.
    pub(crate) fn start(resource: &'static str) -> WatchCount {
        let active = gauge!(WATCHES, "resource" => resource);
        active.increment(1);
        WatchCount(active)
    }
}

impl Drop for WatchCount {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Counts a change that waits to be tried, until it is dropped.
pub(crate) struct RehearsalWait(metrics::Gauge);

impl RehearsalWait {
    /// One more.
    pub(crate) fn start() -> RehearsalWait {
        let waiting = gauge!(REHEARSALS);
        waiting.increment(1);
        RehearsalWait(waiting)
    }
}

impl Drop for RehearsalWait {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Counts a connection from now until it is dropped.
pub(crate) struct ConnectionCount(metrics::Gauge);

impl ConnectionCount {
    /// One more.
    pub(crate) fn start() -> ConnectionCount {
        let active = gauge!(CONNECTIONS);
        active.increment(1);
        ConnectionCount(active)
    }
}

impl Drop for ConnectionCount {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
