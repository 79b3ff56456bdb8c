//! Programs that run to their end.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Finds a program by its path, on PATH, or where Debian keeps those of the administrator.
pub fn find(name: &str) -> PathBuf {
    if name.contains('/') {
        return PathBuf::from(name);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| panic!("{name} is needed: `make test` as root installs it"))
}

/// `timeout 60 name`, so that a program that hangs fails the test.
pub fn command(name: &str) -> Command {
    let mut command = Command::new("timeout");
    command.arg("60").arg(find(name)).stdin(Stdio::null());
    command
}

/// Runs a command; what it wrote to standard output, or all that it said when it failed.
pub fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    outcome(command, &output)
}

/// [`run`] with `input` on standard input.
pub fn run_with(command: &mut Command, input: &str) -> Result<String, String> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read to the end has its reasons; its exit status tells.
        stdin.write_all(input.as_bytes()).ok();
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    outcome(command, &output)
}

/// [`run`]; panics if it fails.
pub fn must(command: &mut Command) -> String {
    run(command).unwrap_or_else(|failure| panic!("{failure}"))
}

fn outcome(command: &Command, output: &Output) -> Result<String, String> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {stdout}{stderr}", output.status))
}
