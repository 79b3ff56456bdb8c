//! Child processes that end with the test, and whose output can be waited for.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Lines of output that are kept; older ones are dropped.
const LINES_KEPT: usize = 20_000;

/// A running child. Dropping it sends SIGTERM, then SIGKILL.
///
/// Each of its two output streams is drained by a thread that ends when the stream does.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Mutex<VecDeque<String>>>,
}

impl Process {
    /// Starts `program`; the kernel sends it SIGTERM if the test's thread dies.
    pub fn start<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = A>) -> Process {
        let name = program.as_ref().to_string_lossy().into_owned();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program).args(arguments);
        Process::spawn(name, command)
    }

    /// Starts a line of shell.
    pub fn start_shell(line: &str) -> Process {
        Process::start("sh", ["-c", &format!("exec {line}")])
    }

    fn spawn(name: String, mut command: Command) -> Process {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let output = Arc::new(Mutex::new(VecDeque::new()));
        drain(child.stdout.take(), &output);
        drain(child.stderr.take(), &output);
        Process { name, child, output }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far, both streams.
    pub fn output(&self) -> Vec<String> {
        self.output.lock().expect("no holder panics").iter().cloned().collect()
    }

    /// The last lines it printed, for messages.
    pub fn tail(&self) -> String {
        let lines = self.output();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait::until(&what, || self.exited().ok_or_else(|| self.tail()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.pid(), signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exited().is_some() {
            return;
        }
        self.signal(Signal::TERM);
        let deadline = std::time::Instant::now() + Duration::from_secs(15);
        while self.exited().is_none() {
            if std::time::Instant::now() > deadline {
                self.signal(Signal::KILL);
                self.child.wait().ok();
                return;
            }
            wait::pause();
        }
    }
}

/// Sends a signal to any process; one that is gone already is no error.
pub fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id is positive");
    kill_process(pid, signal).ok();
}

/// Whether a process runs: it is there and no zombie.
pub fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z') && !rest.starts_with('X'))
    })
}

/// Whether a process has not been reaped yet.
///
/// A zombie is not gone: its first thread has ended, others may still hold sockets. It can be reaped only after all.
pub fn is_present(pid: u32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap_or(true)
}

fn drain(stream: Option<impl Read + Send + 'static>, output: &Arc<Mutex<VecDeque<String>>>) {
    let Some(stream) = stream else { return };
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let mut lines = output.lock().expect("no holder panics");
            if lines.len() == LINES_KEPT {
                lines.pop_front();
            }
            lines.push_back(String::from_utf8_lossy(&line).into_owned());
        }
    });
}
