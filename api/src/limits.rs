//! Bounds of what one API server takes, each with what happens beyond it.

use std::time::Duration;

/// Bounds of one API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request body; beyond it 413.
    pub body_bytes: usize,
    /// Bytes of a request's head; beyond it 431 and the connection is closed.
    pub head_bytes: usize,
    /// Open connections; beyond it new ones wait in the listen queue.
    pub connections: usize,
    /// Requests at work at once, watches not counted; beyond it 429 with `Retry-After`.
    pub requests: usize,
    /// Open watches; beyond it 429 with `Retry-After`.
    pub watches: usize,
    /// Open watches of sessions, which ask every node again and again; beyond it 429 with `Retry-After`.
    pub session_watches: usize,
    /// Time between two such rounds of questions.
    pub session_watch_interval: Duration,
    /// Time that a node may give no answer to them; then the watch ends with 410.
    pub session_watch_silence: Duration,
    /// Time for one request that is not a watch; beyond it 504.
    pub request_timeout: Duration,
    /// Time to receive a request's head; beyond it the connection is closed.
    pub head_timeout: Duration,
    /// Time in which a client must take some of the bytes sent to it; beyond it the connection is closed.
    pub write_stall_timeout: Duration,
    /// Objects in one list answer; more come with `continue`.
    pub list_page: usize,
    /// Longest life of a watch; it then ends cleanly and the client asks again.
    pub watch_duration: Duration,
    /// Time between two bookmarks of a watch that asked for them.
    pub bookmark_interval: Duration,
    /// Time to wait for a `resourceVersion` that is not applied yet; beyond it 504.
    pub version_wait: Duration,
    /// TLS handshakes at once; further ones wait within their time.
    pub handshakes: usize,
    /// Time for a TLS handshake; beyond it the connection is closed.
    pub handshake_timeout: Duration,
    /// Sign-ins that may fail at once from one address; beyond it 429 until some are forgotten.
    pub failed_sign_ins: u32,
    /// Time after which one failed sign-in is forgotten.
    pub failed_sign_in_memory: Duration,
    /// Life of a dashboard's cookie; while it is in use a newer one follows it.
    pub cookie_life: Duration,
    /// Time after which the token must be shown again, however much its cookies are in use.
    pub cookie_longest: Duration,
    /// Time that open connections get to finish at shutdown; then they are closed.
    pub shutdown_grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            body_bytes: 3 * 1024 * 1024,
            head_bytes: 64 * 1024,
            connections: 4096,
            requests: 512,
            watches: 2048,
            session_watches: 64,
            session_watch_interval: Duration::from_millis(250),
            session_watch_silence: Duration::from_secs(10),
            request_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(10),
            write_stall_timeout: Duration::from_secs(60),
            list_page: 10_000,
            watch_duration: Duration::from_secs(45 * 60),
            bookmark_interval: Duration::from_secs(50),
            version_wait: Duration::from_secs(3),
            handshakes: 64,
            handshake_timeout: Duration::from_secs(10),
            failed_sign_ins: 20,
            failed_sign_in_memory: Duration::from_secs(3),
            cookie_life: Duration::from_secs(15 * 60),
            cookie_longest: Duration::from_secs(12 * 3600),
            shutdown_grace: Duration::from_secs(3),
        }
    }
}
