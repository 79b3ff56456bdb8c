//! The node processes of a demo.
//!
//! Each is a child that writes to a log file and is in a process group of its own, so that Ctrl-C in a
//! terminal reaches only the demo. Children that are dropped are killed.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::select_all;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::DemoError;
use super::folder::failed;
use super::layout::DemoNode;

/// Bytes of a log's end that are looked at for its last lines.
const TAIL_BYTES: usize = 8 * 1024;

/// Lines of a log that an error repeats.
const TAIL_LINES: usize = 15;

/// The children, in the order of the layout.
pub(super) struct Children {
    children: Vec<Child>,
    pids: Vec<u32>,
}

impl Children {
    pub(super) fn new() -> Children {
        Children {
            children: Vec::new(),
            pids: Vec::new(),
        }
    }

    /// Starts the next node.
    ///
    /// Must be called on the main thread: the kernel takes the death of the thread that starts a child for the death
    /// of its parent.
    pub(super) fn start(&mut self, node: &DemoNode) -> Result<(), DemoError> {
        let program = std::env::current_exe().map_err(|source| failed(Path::new("guideway"), source))?;
        let log_file = node.log_file();
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_file)
            .map_err(|source| failed(&log_file, source))?;
        let errors = log.try_clone().map_err(|source| failed(&log_file, source))?;
        let child = Command::new(&program)
            .args(run_arguments(node))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| failed(&program, source))?;
        self.pids.push(child.id().unwrap_or_default());
        self.children.push(child);
        Ok(())
    }

    /// Process id of each, also after its end.
    pub(super) fn pids(&self) -> &[u32] {
        &self.pids
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.children.iter().filter(|child| child.id().is_some()).count()
    }

    /// The next child that ends: its place and how it ended. Never returns if none runs.
    pub(super) async fn next_exit(&mut self) -> (usize, ExitStatus) {
        loop {
            let running = self
                .children
                .iter_mut()
                .enumerate()
                .filter(|(_, child)| child.id().is_some());
            let waits: Vec<_> = running
                .map(|(index, child)| async move { (index, child.wait().await) }.boxed())
                .collect();
            if waits.is_empty() {
                return std::future::pending().await;
            }
            let ((index, status), _, _) = select_all(waits).await;
            if let Ok(status) = status {
                return (index, status);
            }
        }
    }

    /// SIGTERM to all, SIGKILL to those that are left at the deadline.
    pub(super) async fn stop(mut self, deadline: Duration) {
        for child in &self.children {
            if let Some(pid) = child
                .id()
                .and_then(|pid| i32::try_from(pid).ok())
                .and_then(Pid::from_raw)
            {
                // It may have ended in this moment; it is waited for below in any case.
                kill_process(pid, Signal::TERM).ok();
            }
        }
        let all = async {
            for child in &mut self.children {
                child.wait().await.ok();
            }
        };
        if timeout(deadline, all).await.is_err() {
            for child in &mut self.children {
                child.kill().await.ok();
            }
        }
    }
}

/// What the demo's own binary is told to be this node.
pub(super) fn run_arguments(node: &DemoNode) -> [String; 5] {
    [
        "run".to_owned(),
        "--config".to_owned(),
        node.config_file().display().to_string(),
        "--stop-with".to_owned(),
        std::process::id().to_string(),
    ]
}

/// The last lines of a node's log.
pub(super) fn tail(node: &DemoNode) -> String {
    let bytes = std::fs::read(node.log_file()).unwrap_or_default();
    let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL_BYTES)..]).into_owned();
    let lines: Vec<&str> = end.lines().collect();
    let mut text = String::new();
    for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
        text.extend(["  ", line, "\n"]);
    }
    text.trim_end().to_owned()
}
