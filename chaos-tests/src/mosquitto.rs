//! A real MQTT broker that asks for a password.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::process::Process;
use crate::{program, unprivileged, wait};

const USER: &str = "guideway";
const PASSWORD: &str = "guideway";

/// A running broker; ends when dropped.
#[derive(Debug)]
pub struct Mosquitto {
    address: SocketAddr,
    /// Dropped before the folder it works in.
    _server: Process,
    _folder: TempDir,
}

impl Mosquitto {
    /// Serves on a port of `address`.
    pub fn start(address: Ipv4Addr, port: u16) -> Mosquitto {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let passwords = folder.path().join("passwords");
        program::must(
            program::command("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&passwords)
                .args([USER, PASSWORD]),
        );
        std::fs::set_permissions(&passwords, PermissionsExt::from_mode(0o600)).expect("its mode can be set");
        let configuration = folder.path().join("mosquitto.conf");
        let text = format!(
            "listener {port} {address}\nallow_anonymous false\npassword_file {}\n",
            passwords.display()
        );
        std::fs::write(&configuration, text).expect("the configuration can be written");
        unprivileged::own(folder.path());
        let mut arguments = unprivileged::arguments();
        arguments.push(program::find("mosquitto").display().to_string());
        arguments.extend(["-c".to_owned(), configuration.display().to_string()]);
        let mut server = Process::start("setpriv", arguments);
        let address = SocketAddr::from((address, port));
        wait::until("Mosquitto answers", || {
            assert!(server.exited().is_none(), "Mosquitto ended:\n{}", server.tail());
            publish(address, "start", "x")
        });
        Mosquitto {
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

/// Logs in by `mosquitto_pub` through `server` and publishes one message that the broker acknowledges.
pub fn publish(server: SocketAddr, topic: &str, message: &str) -> Result<(), String> {
    publish_as(server, PASSWORD, topic, message)
}

/// [`publish`] with a password of one's own.
pub fn publish_as(server: SocketAddr, password: &str, topic: &str, message: &str) -> Result<(), String> {
    let mut client = program::command("mosquitto_pub");
    client
        .args(login(server, password))
        .args(["-q", "1", "-t", topic, "-m", message]);
    program::run(&mut client).map(drop)
}

/// A `mosquitto_sub` that stays subscribed through `server` and prints each message on a line. It comes back by itself
/// when its connection is lost.
pub fn subscribe(server: SocketAddr, topic: &str, keepalive_s: u16) -> Process {
    let mut arguments = login(server, PASSWORD);
    arguments.extend(["-q", "1", "-k", &keepalive_s.to_string(), "-t", topic].map(str::to_owned));
    Process::start(program::find("mosquitto_sub"), arguments)
}

fn login(server: SocketAddr, password: &str) -> Vec<String> {
    let (address, port) = (server.ip().to_string(), server.port().to_string());
    ["-h", &address, "-p", &port, "-u", USER, "-P", password]
        .map(str::to_owned)
        .to_vec()
}
