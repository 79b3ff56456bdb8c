//! What a connection between nodes is made of: plain TCP. Encryption and authentication of peers belong here and
//! nowhere else.

use std::io;
use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// A connection.
pub(super) type Channel = TokioIo<TcpStream>;

/// Connects to `host:port`.
pub(super) async fn connect(address: &str) -> io::Result<Channel> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
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
    pub(super) async fn accept(&self) -> io::Result<Channel> {
        let (stream, _) = self.listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok(TokioIo::new(stream))
    }
}
