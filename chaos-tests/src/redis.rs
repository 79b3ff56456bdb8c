//! A real Redis that asks for a password.

use std::net::{Ipv4Addr, SocketAddr};

use tempfile::TempDir;

use crate::process::Process;
use crate::{program, unprivileged, wait};

const PASSWORD: &str = "guideway";

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Redis {
    address: SocketAddr,
    /// Dropped before the folder it works in.
    _server: Process,
    _folder: TempDir,
}

impl Redis {
    /// Serves on a port of `address`.
    pub fn start(address: Ipv4Addr, port: u16) -> Redis {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        unprivileged::own(folder.path());
        let mut arguments = unprivileged::arguments();
        arguments.push(program::find("redis-server").display().to_string());
        let options = [
            ("--bind", address.to_string()),
            ("--port", port.to_string()),
            ("--dir", folder.path().display().to_string()),
            ("--requirepass", PASSWORD.to_owned()),
            ("--save", String::new()),
        ];
        arguments.extend(options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let mut server = Process::start("setpriv", arguments);
        let address = SocketAddr::from((address, port));
        wait::until("Redis answers", || {
            assert!(server.exited().is_none(), "Redis ended:\n{}", server.tail());
            ask(address, &["ping"]).map(drop)
        });
        Redis {
            address,
            _server: server,
            _folder: folder,
        }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Logs in by `redis-cli` through `server` and runs one command; its answer, or what went wrong.
pub fn ask(server: SocketAddr, command: &[&str]) -> Result<String, String> {
    ask_with(server, PASSWORD, command)
}

/// [`ask`] with a password of one's own.
pub fn ask_with(server: SocketAddr, password: &str, command: &[&str]) -> Result<String, String> {
    let mut client = program::command("redis-cli");
    client.args(["-h", &server.ip().to_string(), "-p", &server.port().to_string()]);
    client.args(["--no-auth-warning", "-e", "-a", password]);
    program::run(client.args(command)).map(|answer| answer.trim().to_owned())
}
