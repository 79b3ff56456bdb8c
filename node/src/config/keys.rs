//! Every key of the configuration file: its default, its rule and its meaning. The reader, the
//! faults and `check-config --explain` all come from this list.

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// Dotted name; what is before the dot is its table.
    pub(crate) name: &'static str,
    /// TOML text of the default; `None` where a file must say.
    pub(crate) default: Option<&'static str>,
    /// Completes "must be ...".
    pub(crate) rule: &'static str,
    /// What it does.
    pub(crate) meaning: &'static str,
}

const FLOWS: &str = "a whole number from 1 to 16777216";

const LOOPBACK: &str = "an ADDRESS:PORT on loopback (127.0.0.0/8 or [::1]), since it has neither TLS nor login";

pub(crate) const NAME: Key = Key {
    name: "name",
    default: None,
    rule: "a name of 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends",
    meaning: "Name of this node, unique in the cluster.",
};

pub(crate) const DATA_DIR: Key = Key {
    name: "data_dir",
    default: Some("\"/var/lib/guideway\""),
    rule: "an absolute path",
    meaning: "Folder of the replicated store; made by `guideway init` or `guideway join`.",
};

pub(crate) const PEER_LISTEN: Key = Key {
    name: "peer.listen",
    default: Some("\"127.0.0.1:7444\""),
    rule: "an ADDRESS:PORT at which the other nodes reach this one: not 0.0.0.0 or [::]",
    meaning: "Where the other nodes reach this one. Only members are let in, by TLS 1.3 with a certificate at both ends.",
};

pub(crate) const PEER_CERTIFICATE_LIFE: Key = Key {
    name: "peer.certificate_life",
    default: Some("\"90d\""),
    rule: "a duration such as \"90d\", from 2s to 825d",
    meaning: "How long a certificate that this node signs for itself, or for a node that joins through it, is good for. It is renewed when two thirds of it are over.",
};

pub(crate) const API_LISTEN: Key = Key {
    name: "api.listen",
    default: Some("\"127.0.0.1:7443\""),
    rule: "an ADDRESS:PORT",
    meaning: "Where the REST API is served, for kubectl and everything else, with TLS.",
};

pub(crate) const API_PLAIN_HTTP: Key = Key {
    name: "api.plain_http",
    default: Some("false"),
    rule: "true or false, and true only where api.listen is on loopback",
    meaning: "Whether the API is served without TLS, for a proxy on this machine that ends TLS itself. Whoever asks still needs a token.",
};

pub(crate) const AUDIT_TO: Key = Key {
    name: "audit.to",
    default: Some("\"data_dir\""),
    rule: "\"off\", \"data_dir\" for audit.log in data_dir, or the absolute path of a file",
    meaning: "Where one JSON line is written for each write, close, drain, failed sign-in and refusal at the API.",
};

pub(crate) const AUDIT_MAX_BYTES: Key = Key {
    name: "audit.max_bytes",
    default: Some("\"64MiB\""),
    rule: "a size such as \"64MiB\", from 1MiB to 16GiB",
    meaning: "Size at which the audit log is put aside as audit.log.1 and a new one is begun.",
};

pub(crate) const AUDIT_KEPT_FILES: Key = Key {
    name: "audit.kept_files",
    default: Some("8"),
    rule: "a whole number from 0 to 1000",
    meaning: "Audit logs put aside that are kept; older ones are deleted.",
};

pub(crate) const AUDIT_QUEUE: Key = Key {
    name: "audit.queue",
    default: Some("1024"),
    rule: "a whole number from 1 to 1000000",
    meaning: "Lines that wait to be written to the audit log at most. While it is full a write waits, and after audit.patience it is refused.",
};

pub(crate) const AUDIT_PATIENCE: Key = Key {
    name: "audit.patience",
    default: Some("\"5s\""),
    rule: "a duration such as \"500ms\" or \"5s\", from 1ms to 1m",
    meaning: "How long a write waits for the audit log before it is refused.",
};

pub(crate) const METRICS_LISTEN: Key = Key {
    name: "metrics.listen",
    default: Some("\"127.0.0.1:7445\""),
    rule: LOOPBACK,
    meaning: "Where Prometheus reads /metrics.",
};

pub(crate) const DATA_ADDRESS: Key = Key {
    name: "data.address",
    default: Some("\"all\""),
    rule: "an IP address, or \"all\"",
    meaning: "Address on which listeners of a Gateway without spec.addresses are bound.",
};

pub(crate) const DATA_THREADS: Key = Key {
    name: "data.threads",
    default: Some("\"auto\""),
    rule: "a whole number from 1 to 1024, or \"auto\"",
    meaning: "Relay threads; \"auto\" is one for each core that the process may use.",
};

pub(crate) const DATA_SOURCE_ADDRESSES: Key = Key {
    name: "data.source_addresses",
    default: Some("[]"),
    rule: "a list of at most 64 IP addresses, none of them twice",
    meaning: "Addresses that connections to endpoints come from; each adds its own 64k local ports. Empty lets the kernel choose.",
};

pub(crate) const DATA_CONNECT_TIMEOUT: Key = Key {
    name: "data.connect_timeout",
    default: Some("\"5s\""),
    rule: "a duration such as \"500ms\" or \"5s\", from 1ms to 10m",
    meaning: "How long one attempt to reach an endpoint may take before the next endpoint is tried.",
};

pub(crate) const DATA_IDLE_TIMEOUT: Key = Key {
    name: "data.idle_timeout",
    default: Some("\"1h\""),
    rule: "a duration such as \"30s\" or \"1h\", from 1s to 7d",
    meaning: "How long a session may be silent in both directions before it is closed.",
};

pub(crate) const DATA_HANDSHAKE_TIMEOUT: Key = Key {
    name: "data.handshake_timeout",
    default: Some("\"5s\""),
    rule: "a duration such as \"500ms\" or \"5s\", from 1ms to 10m",
    meaning: "How long a client of a TLS listener may take for its ClientHello, and where TLS ends here for the whole handshake, unless a policy says otherwise.",
};

pub(crate) const DATA_UDP_IDLE_TIMEOUT: Key = Key {
    name: "data.udp_idle_timeout",
    default: Some("\"60s\""),
    rule: "a duration such as \"30s\" or \"1h\", from 1s to 7d",
    meaning: "How long a UDP flow may be silent in both directions before it is closed, unless a policy says otherwise.",
};

pub(crate) const DATA_UDP_MAX_FLOWS: Key = Key {
    name: "data.udp_max_flows",
    default: Some("1048576"),
    rule: FLOWS,
    meaning: "UDP flows at most on one listener; beyond them datagrams of new flows are dropped, unless a policy says otherwise.",
};

pub(crate) const DATA_UDP_MAX_FLOWS_PER_CLIENT: Key = Key {
    name: "data.udp_max_flows_per_client",
    default: Some("16384"),
    rule: FLOWS,
    meaning: "UDP flows at most of one client address on one listener, unless a policy says otherwise.",
};

pub(crate) const DATA_DRIVER: Key = Key {
    name: "data.driver",
    default: Some("\"auto\""),
    rule: "\"auto\", \"io_uring\" or \"epoll\"",
    meaning: "What carries datagrams, and the messages of TCP and TLS sessions that exchange many: an io_uring of each relay thread, or system calls around epoll. \"auto\" takes io_uring where the kernel has it (Linux 6.1 or newer) and nothing forbids it; `guideway status` says which one runs and why. Sessions that are new, end, or are bulk transfers are carried by system calls either way.",
};

pub(crate) const DATA_PINS: Key = Key {
    name: "data.pins",
    default: Some("true"),
    rule: "true or false",
    meaning: "Whether this node has the sessions pinned that a change of endpoints would move. Without pins such sessions reach another endpoint when their node is lost; \"false\" is there to measure what pins are worth.",
};

pub(crate) const DATA_GRACE: Key = Key {
    name: "data.grace",
    default: Some("true"),
    rule: "true or false",
    meaning: "Whether sessions that come over from a lost node are chosen for up to a minute as that node would have chosen them. \"false\" is there to measure what the grace is worth.",
};

pub(crate) const ACCESS_LOG_TO: Key = Key {
    name: "access_log.to",
    default: Some("\"stdout\""),
    rule: "\"off\", \"stdout\" or the absolute path of a file",
    meaning: "Where one JSON line for each session that ended is written.",
};

pub(crate) const ACCESS_LOG_OPEN_LINES: Key = Key {
    name: "access_log.open_lines",
    default: Some("false"),
    rule: "true or false",
    meaning: "Whether a line is written also when a session starts.",
};

pub(crate) const LOG_LEVEL: Key = Key {
    name: "log.level",
    default: Some("\"info\""),
    rule: "a level (error, warn, info, debug, trace, off) or a list such as \"info,openraft=debug\"",
    meaning: "Which lines the process writes about itself, to standard error. Libraries are quiet unless they are named.",
};

pub(crate) const LOG_FORMAT: Key = Key {
    name: "log.format",
    default: Some("\"text\""),
    rule: "\"text\" or \"json\"",
    meaning: "How those lines look.",
};

pub(crate) const START_WAIT: Key = Key {
    name: "start.wait",
    default: Some("\"10s\""),
    rule: "a duration such as \"10s\", from 0s to 10m",
    meaning: "How long a start waits for a leader before it serves the last configuration known committed.",
};

pub(crate) const SHUTDOWN_DEADLINE: Key = Key {
    name: "shutdown.deadline",
    default: Some("\"10s\""),
    rule: "a duration such as \"10s\", from 0s to 1h",
    meaning: "How long sessions may go on after SIGTERM before they are closed.",
};

pub(crate) const SNAPSHOT_LOG_BYTES: Key = Key {
    name: "store.snapshot_log_bytes",
    default: Some("\"64MiB\""),
    rule: "a size such as \"64MiB\", from 1MiB to 16GiB",
    meaning: "Size of the replicated log at which a snapshot is written and the log is cut.",
};

pub(crate) const FREE_SPACE_MARK: Key = Key {
    name: "store.free_space_mark",
    default: Some("\"64MiB\""),
    rule: "a size such as \"64MiB\", from 0B to 1TiB",
    meaning: "Writes are refused while data_dir's file system has less free space than this; traffic goes on.",
};

/// All keys, in the order they are shown; those without a table first.
pub(crate) const ALL: &[&Key] = &[
    &NAME,
    &DATA_DIR,
    &PEER_LISTEN,
    &PEER_CERTIFICATE_LIFE,
    &API_LISTEN,
    &API_PLAIN_HTTP,
    &METRICS_LISTEN,
    &DATA_ADDRESS,
    &DATA_THREADS,
    &DATA_SOURCE_ADDRESSES,
    &DATA_CONNECT_TIMEOUT,
    &DATA_IDLE_TIMEOUT,
    &DATA_HANDSHAKE_TIMEOUT,
    &DATA_UDP_IDLE_TIMEOUT,
    &DATA_UDP_MAX_FLOWS,
    &DATA_UDP_MAX_FLOWS_PER_CLIENT,
    &DATA_DRIVER,
    &DATA_PINS,
    &DATA_GRACE,
    &ACCESS_LOG_TO,
    &ACCESS_LOG_OPEN_LINES,
    &AUDIT_TO,
    &AUDIT_MAX_BYTES,
    &AUDIT_KEPT_FILES,
    &AUDIT_QUEUE,
    &AUDIT_PATIENCE,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &START_WAIT,
    &SHUTDOWN_DEADLINE,
    &SNAPSHOT_LOG_BYTES,
    &FREE_SPACE_MARK,
];

impl Key {
    /// Table and name within it.
    pub(crate) fn split(&self) -> (Option<&'static str>, &'static str) {
        match self.name.split_once('.') {
            Some((table, leaf)) => (Some(table), leaf),
            None => (None, self.name),
        }
    }
}

/// The key that `name` was probably meant to be.
pub(crate) fn nearest(name: &str) -> Option<&'static Key> {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    ALL.iter()
        .copied()
        .map(|key| {
            let whole = edits(name, key.name);
            (whole.min(edits(leaf, key.split().1)), whole, key)
        })
        .filter(|(distance, _, _)| *distance <= 2 && distance * 2 <= leaf.len())
        .min_by_key(|(distance, whole, _)| (*distance, *whole))
        .map(|(_, _, key)| key)
}

/// Levenshtein distance in bytes.
fn edits(left: &str, right: &str) -> usize {
    let right = right.as_bytes();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for column in 0..right.len() {
            let replaced = diagonal + usize::from(right[column] != byte);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_finds_its_neighbour() {
        for (typed, meant) in [
            ("api.lisen", "api.listen"),
            ("idle_timeout", "data.idle_timeout"),
            ("access_log.open_line", "access_log.open_lines"),
            ("nmae", "name"),
        ] {
            assert_eq!(nearest(typed).map(|key| key.name), Some(meant), "{typed}");
        }
        assert_eq!(nearest("weather"), None);
        assert_eq!(nearest("foo"), None, "`to` is as near to anything short");
    }
}
