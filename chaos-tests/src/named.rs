//! A real DNS server: BIND, authoritative for one zone.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use tempfile::TempDir;

use crate::process::Process;
use crate::{program, unprivileged, wait};

/// The zone.
pub const ZONE: &str = "example.test";

/// A running server; ends when dropped.
#[derive(Debug)]
pub struct Named {
    address: SocketAddr,
    /// Dropped before the folder it works in.
    _server: Process,
    _folder: TempDir,
}

impl Named {
    /// Serves `example.test` on a free port of 127.0.0.1, by UDP and TCP: named listens on addresses that an interface
    /// has, and on loopback that is this one alone.
    ///
    /// `who.example.test` has a TXT of `label`, `long.example.test` one that needs more than 512 bytes.
    pub fn start(label: &str) -> Named {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let folder = tempfile::Builder::new()
            .prefix("guideway-named-")
            .tempdir()
            .expect("a temporary folder can be made");
        write_files(folder.path(), address, label);
        // A distribution may confine /usr/sbin/named to its own folders, by its path.
        let copy = folder.path().join("named");
        std::fs::copy(program::find("named"), &copy).expect("named can be copied");
        unprivileged::own(folder.path());
        let mut arguments = unprivileged::arguments();
        arguments.push(copy.display().to_string());
        arguments.extend(["-g", "-4", "-n", "1", "-c"].map(str::to_owned));
        arguments.push(folder.path().join("named.conf").display().to_string());
        let mut server = Process::start("setpriv", arguments);
        wait::until("named answers", || {
            assert!(server.exited().is_none(), "named ended:\n{}", server.tail());
            dig(address, &["who.example.test", "TXT", "+time=1", "+tries=1"]).map(drop)
        });
        Named {
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

/// Runs `dig` against a server; what it printed, or what went wrong. An answer other than NOERROR is an error.
pub fn dig(server: SocketAddr, question: &[&str]) -> Result<String, String> {
    let mut command = program::command("dig");
    command
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()]);
    let printed = program::run(command.args(question))?;
    if printed.contains("status: NOERROR") {
        Ok(printed)
    } else {
        Err(printed)
    }
}

/// A port that neither UDP nor TCP has in use.
fn free_port() -> u16 {
    wait::until("a free port of 127.0.0.1", || {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = tcp.local_addr().map_err(|error| error.to_string())?;
        UdpSocket::bind(address).map_err(|error| error.to_string())?;
        Ok(address.port())
    })
}

fn write_files(folder: &Path, address: SocketAddr, label: &str) {
    let path = folder.display();
    let (address, port) = (address.ip(), address.port());
    let configuration = format!(
        "options {{
  directory \"{path}\";
  pid-file none;
  session-keyfile \"{path}/session.key\";
  listen-on port {port} {{ {address}; }};
  listen-on-v6 {{ none; }};
  recursion no;
  dnssec-validation no;
  allow-query {{ any; }};
  allow-transfer {{ none; }};
}};
controls {{ }};
zone \"{ZONE}\" {{ type primary; file \"{path}/zone\"; }};
"
    );
    let long = format!("\"{}\" ", "x".repeat(200)).repeat(8);
    let zone = format!(
        "$TTL 60
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A 192.0.2.1
www IN A 192.0.2.80
who IN TXT \"{label}\"
long IN TXT {long}
"
    );
    std::fs::write(folder.join("named.conf"), configuration).expect("the configuration can be written");
    std::fs::write(folder.join("zone"), zone).expect("the zone can be written");
}
