//! A TLS server with a certificate of its own: `openssl s_server`.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use crate::certificate::Certificate;
use crate::process::Process;
use crate::{program, wait};

/// A running server that answers each request with a page; ends when dropped.
#[derive(Debug)]
pub struct TlsServer {
    address: SocketAddr,
    _server: Process,
}

impl TlsServer {
    /// Serves on a port of `address`.
    pub fn start(address: Ipv4Addr, port: u16, certificate: &Certificate) -> TlsServer {
        let address = SocketAddr::from((address, port));
        let arguments = [
            "s_server".to_owned(),
            "-quiet".to_owned(),
            "-www".to_owned(),
            "-accept".to_owned(),
            address.to_string(),
            "-cert".to_owned(),
            certificate.certificate.display().to_string(),
            "-key".to_owned(),
            certificate.key.display().to_string(),
        ];
        let mut server = Process::start(program::find("openssl"), arguments);
        wait::until("openssl s_server accepts", || {
            assert!(server.exited().is_none(), "s_server ended:\n{}", server.tail());
            TcpStream::connect(address).map(drop).map_err(|error| error.to_string())
        });
        TlsServer {
            address,
            _server: server,
        }
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Connects with `openssl s_client` and these arguments; the subject of the certificate that answers, or what went wrong.
pub fn subject(server: SocketAddr, arguments: &[&str]) -> Result<String, String> {
    let mut client = program::command("openssl");
    client
        .args(["s_client", "-connect", &server.to_string()])
        .args(arguments);
    let said = program::run(&mut client)?;
    said.lines()
        .find_map(|line| line.trim().strip_prefix("subject="))
        .map(|subject| subject.replace(' ', ""))
        .ok_or(said)
}
