//! Ending with another process: the nodes of a demo must not outlive it, however it ends.
//!
//! Each watch has a thread that sleeps in poll(2) until its process ends, or this one does.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};
use tokio::sync::watch;

/// Watches one process.
pub(crate) struct Guardian {
    gone: watch::Receiver<bool>,
}

/// Why a process cannot be watched.
#[derive(Debug, thiserror::Error)]
#[error(
    "process {pid}, with which this node should end, cannot be watched: {source}; if it has ended, leave --stop-with out"
)]
pub(crate) struct GuardianError {
    pid: i32,
    source: io::Error,
}

impl Guardian {
    /// Watches `pid`. If it is the parent, the kernel also kills this process in the moment the parent is gone, even
    /// when this one hangs.
    pub(crate) fn of(pid: i32) -> Result<Guardian, GuardianError> {
        let arm = || -> io::Result<Guardian> {
            let wanted = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidInput)?;
            if getppid() == Some(wanted) {
                set_parent_process_death_signal(Some(Signal::KILL))?;
            }
            // Opened after the signal is armed, so a parent that ended in between is found missing here.
            Guardian::watch(wanted)
        };
        arm().map_err(|source| GuardianError { pid, source })
    }

    /// Watches `pid` and nothing more.
    pub(crate) fn watch(pid: Pid) -> io::Result<Guardian> {
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        let (ended, gone) = watch::channel(false);
        std::thread::Builder::new().name("guardian".to_owned()).spawn(move || {
            wait_for_end(&descriptor);
            ended.send_replace(true);
        })?;
        Ok(Guardian { gone })
    }

    /// Returns when the process has ended.
    pub(crate) async fn gone(&self) {
        // A sender that is gone without a word would mean that nobody watches: the process counts as ended.
        self.gone.clone().wait_for(|gone| *gone).await.ok();
    }
}

/// A process descriptor becomes readable when its process has ended (pidfd_open(2)).
fn wait_for_end(descriptor: &OwnedFd) {
    loop {
        let mut wanted = [PollFd::new(descriptor, PollFlags::IN)];
        match poll(&mut wanted, None) {
            Err(Errno::INTR) => {}
            Err(error) => {
                tracing::warn!(%error, "a process cannot be watched any more and counts as ended");
                return;
            }
            Ok(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[tokio::test]
    async fn notices_the_end_of_a_process() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat starts");
        let guardian = Guardian::of(i32::try_from(child.id()).expect("a pid")).expect("it runs");
        let mut gone = std::pin::pin!(guardian.gone());
        assert!(futures_util::poll!(gone.as_mut()).is_pending());
        child.kill().expect("it runs");
        tokio::time::timeout(Duration::from_secs(20), gone)
            .await
            .expect("its end is noticed");
        child.wait().expect("it ended");
    }

    #[tokio::test]
    async fn a_process_that_is_not_there_is_an_error() {
        let mut child = Command::new("true").spawn().expect("true starts");
        let pid = i32::try_from(child.id()).expect("a pid");
        child.wait().expect("it ends");
        let error = Guardian::of(pid).err().expect("it has ended");
        assert!(error.to_string().contains("--stop-with"), "{error}");
    }
}
