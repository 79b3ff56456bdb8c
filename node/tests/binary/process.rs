//! Children that end with the test, with their output in files.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::wait::DEADLINE;

/// The binary under test.
pub(crate) const GUIDEWAY: &str = env!("CARGO_BIN_EXE_guideway");

/// A running child; killed when dropped.
pub(crate) struct Process {
    child: Child,
    pid: u32,
    output: PathBuf,
    _folder: TempDir,
}

impl Process {
    /// Starts `guideway` with these arguments.
    pub(crate) fn guideway<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Process {
        let mut command = Command::new(GUIDEWAY);
        command.args(arguments);
        Process::start(command)
    }

    /// Starts any command; both its streams go to one file.
    pub(crate) fn start(mut command: Command) -> Process {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let output = folder.path().join("output");
        let file = std::fs::File::create(&output).expect("a file can be made there");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a descriptor can be had"))
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .expect("the command starts");
        Process {
            pid: child.id().expect("it has just started"),
            child,
            output,
            _folder: folder,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Everything it has written.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).expect("the file is there")).into_owned()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> ExitStatus {
        let waited = timeout(DEADLINE, self.child.wait()).await;
        let status = waited.unwrap_or_else(|_| panic!("it did not end; output:\n{}", self.output()));
        status.expect("a child can be waited for")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self::signal(self.pid, signal);
    }
}

/// Signals a process that must be there.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process number");
    kill_process(pid, signal).expect("the process is there");
}

/// Whether there is such a process and it is not only waiting to be reaped.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")
        .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Runs `guideway` to its end.
pub(crate) async fn guideway<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = Command::new(GUIDEWAY);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(DEADLINE, command.output()).await;
    output.expect("the command ends").expect("the command starts")
}

/// Runs `guideway` and expects an exit code; gives standard output and standard error.
pub(crate) async fn expect<A: AsRef<OsStr>>(code: i32, arguments: impl IntoIterator<Item = A>) -> (String, String) {
    let output = guideway(arguments).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "stdout:\n{out}\nstderr:\n{err}");
    (out, err)
}

/// Has the node with the configuration `joining` join through the one with the configuration `member`, which runs, and
/// expects an exit code; gives standard output and standard error.
pub(crate) async fn join(code: i32, joining: &str, member: &str) -> (String, String) {
    let (token, _) = expect(0, ["invite", "--config", member]).await;
    let token = token.lines().find(|line| !line.starts_with('#')).expect("a token");
    expect(code, ["join", "--config", joining, "--token", token]).await
}

/// A path as an argument.
pub(crate) fn argument(path: &Path) -> String {
    path.to_str().expect("test paths are text").to_owned()
}
