//! Nodes that were started again by hand: they end with the demo, too, before its folder is removed.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::guardian::Guardian;

/// SIGTERM to every node that was told to end with this process, then waits for their end.
///
/// A node that is left at the deadline ends by itself once this process is gone.
pub(super) async fn stop(deadline: Duration) {
    let found = find().unwrap_or_default();
    let gone = found.into_iter().map(|pid| async move {
        if let Ok(watch) = Guardian::watch(pid)
            && kill_process(pid, Signal::TERM).is_ok()
        {
            watch.gone().await;
        }
    });
    // At the deadline the demo goes on: see above.
    tokio::time::timeout(deadline, futures_util::future::join_all(gone))
        .await
        .ok();
}

/// Processes that are not children of this one and have `--stop-with` with its number.
fn find() -> io::Result<Vec<Pid>> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
            .and_then(Pid::from_raw)
        else {
            continue;
        };
        // A process that ends while it is looked at is one less to find.
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = command.split(|byte| *byte == 0).collect();
        let told = words
            .windows(2)
            .any(|pair| pair[0] == b"--stop-with" && pair[1] == own.as_bytes());
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let child = status
            .lines()
            .any(|line| line.strip_prefix("PPid:").is_some_and(|parent| parent.trim() == own));
        if told && !child {
            found.push(pid);
        }
    }
    Ok(found)
}
