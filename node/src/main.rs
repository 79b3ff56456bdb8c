//! The `guideway` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    guideway_node::cli::main()
}
