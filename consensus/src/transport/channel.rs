//! What a connection between nodes is made of: TCP, TLS with a certificate at both ends, then one byte from the server
//! that says that it took the client's. In TLS 1.3 a client is done before the server has judged it; without the byte, a
//! call that was never taken would look like one whose answer was lost.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::{AlertDescription, Error};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

use super::tls::{Dialer, Doorway};
use crate::trust::{Caller, Stranger};

/// How long the other end may take for the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Says that the client was let in.
const WELCOME: u8 = b'+';

/// A connection.
pub(super) type Channel = TokioIo<TlsStream<TcpStream>>;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// TCP, or the connection ended.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Who answers is not whom we want.
    #[error("who answers there is not taken for a member: {0}")]
    Stranger(Error),
    /// The other end does not let this node in.
    #[error("it does not let this node in: {meaning} (alert {0:?})", meaning = meaning(*_0))]
    ShutOut(AlertDescription),
}

/// What a member means by its alert.
fn meaning(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRevoked => "this node was removed from the cluster, or the token has been used",
        AlertDescription::CertificateExpired => "the certificate or the token has expired, or clocks differ",
        AlertDescription::AccessDenied => "it knows neither this node nor its token",
        _ => "it speaks another way",
    }
}

/// Connects to `host:port`; returns the chain that it showed, the leaf first.
pub(super) async fn connect(address: &str, dialer: &Dialer) -> Result<(Channel, Caller), DialError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let connector = TlsConnector::from(dialer.config.clone());
    let mut stream = connector.connect(dialer.name.clone(), stream).await.map_err(of_tls)?;
    let welcome = stream.read_u8().await.map_err(of_tls)?;
    if welcome != WELCOME {
        let problem = format!("it said {welcome:#04x} where it should say that this node is let in");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem).into());
    }
    let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = leaf.map(|leaf| guideway_identity::parse_peer(leaf));
    match peer {
        Some(Ok(peer)) => Ok((TokioIo::new(stream.into()), Caller::Member(peer))),
        // The verifier has read it before.
        Some(Err(_)) | None => Err(DialError::Stranger(Error::NoCertificatesPresented)),
    }
}

fn of_tls(error: io::Error) -> DialError {
    let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
    match tls {
        Some(Error::AlertReceived(alert)) => DialError::ShutOut(*alert),
        Some(own @ (Error::InvalidCertificate(_) | Error::General(_))) => DialError::Stranger(own.clone()),
        _ => DialError::Io(error),
    }
}

/// Why a caller was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It is not one of us.
    #[error(transparent)]
    Stranger(Stranger),
    /// It speaks no TLS, or not as nodes do.
    #[error("it does not shake hands as a node does: {0}")]
    Handshake(io::Error),
    /// It took too long.
    #[error("it did not shake hands within {HANDSHAKE_TIMEOUT:?}")]
    TimedOut,
}

impl Refused {
    /// Name in metrics.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Refused::Stranger(stranger) => stranger.name(),
            Refused::Handshake(_) => "no_handshake",
            Refused::TimedOut => "timed_out",
        }
    }
}

/// Shakes hands with a caller.
pub(super) async fn accept(stream: TcpStream, doorway: &Doorway) -> Result<(Channel, Caller), Refused> {
    let shake = async {
        stream.set_nodelay(true).map_err(Refused::Handshake)?;
        let (config, verdict) = doorway.config();
        let accepted = TlsAcceptor::from(config).accept(stream).await;
        let (mut stream, caller) = match (accepted, verdict.get()) {
            (_, Some(Err(stranger))) => return Err(Refused::Stranger(stranger.clone())),
            (Ok(stream), Some(Ok(caller))) => (stream, caller.clone()),
            (Ok(_), None) => return Err(Refused::Handshake(io::ErrorKind::InvalidData.into())),
            (Err(error), _) => return Err(Refused::Handshake(error)),
        };
        stream.write_u8(WELCOME).await.map_err(Refused::Handshake)?;
        stream.flush().await.map_err(Refused::Handshake)?;
        Ok((TokioIo::new(stream.into()), caller))
    };
    let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, shake).await;
    shaken.unwrap_or(Err(Refused::TimedOut))
}

/// Where peers connect to.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Listener> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Listener { listener, address })
    }

    /// Where it listens; the port is the one that was taken.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes the next connection.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, from) = self.listener.accept().await?;
        Ok((stream, from.ip().to_canonical()))
    }
}
