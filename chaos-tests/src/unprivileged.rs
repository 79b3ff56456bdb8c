//! Servers that refuse to run as root run as `nobody` when the test is root.

use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use crate::program;

/// Arguments of `setpriv` that make its program end with the test, and give up root if the test has it.
pub fn arguments() -> Vec<String> {
    let mut arguments: Vec<&str> = vec!["--pdeathsig", "INT"];
    if geteuid().is_root() {
        arguments.extend(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]);
    }
    arguments.push("--");
    arguments.into_iter().map(str::to_owned).collect()
}

/// Gives a folder and what is in it to whom [`arguments`] makes the program run as.
pub fn own(folder: &Path) {
    if geteuid().is_root() {
        program::must(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(folder));
    }
}
