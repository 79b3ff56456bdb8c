//! Three small TCP servers to connect to, each with a name.
//!
//! A client that says nothing is greeted; each line comes back behind the endpoint's name; an HTTP
//! request gets an HTTP answer, so that `nc`, `curl` and a browser all show which endpoint it is.
//! One task accepts for each endpoint and one serves each connection; all end with the process or when
//! [`Endpoints`] is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::DemoError;
use super::folder::failed;

/// Names of the endpoints; also what they greet with.
const NAMES: [&str; 3] = ["red", "green", "blue"];

/// Connections of one endpoint at once; further ones wait in the listen queue.
const MOST_CONNECTIONS: usize = 4096;

/// Longest line that is sent back; a longer one ends the connection.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// How long a client may say nothing before it is greeted.
const GREETING_AFTER: Duration = Duration::from_millis(150);

/// The running endpoints.
pub(super) struct Endpoints {
    /// Name and address of each.
    pub(super) all: Vec<(&'static str, SocketAddr)>,
    _servers: JoinSet<()>,
}

impl Endpoints {
    /// Serves each endpoint on a free port of `address`.
    pub(super) async fn start(address: Ipv4Addr) -> Result<Endpoints, DemoError> {
        let mut all = Vec::new();
        let mut servers = JoinSet::new();
        for name in NAMES {
            let bound = TcpListener::bind((address, 0)).await;
            let listener = bound.map_err(|source| failed(format!("{address}:0").as_ref(), source))?;
            let local = listener.local_addr();
            all.push((
                name,
                local.map_err(|source| failed(format!("{address}:0").as_ref(), source))?,
            ));
            servers.spawn(accept(name, listener));
        }
        Ok(Endpoints { all, _servers: servers })
    }
}

async fn accept(name: &'static str, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(async move {
                    // A connection that breaks is its client's affair.
                    serve(name, stream).await.ok();
                    drop(place);
                });
            }
            // Descriptors may be short; the next connection waits a moment for one.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn serve(name: &str, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.split();
    let mut reader = BufReader::new(read);
    if timeout(GREETING_AFTER, reader.fill_buf()).await.is_err() {
        let greeting = format!("hello from {name}; what you type comes back\n");
        write.write_all(greeting.as_bytes()).await?;
    }
    loop {
        let mut line = Vec::new();
        let mut limited = tokio::io::AsyncReadExt::take(&mut reader, MAX_LINE_BYTES);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if line.starts_with(b"GET ") || line.starts_with(b"HEAD ") {
            let body = format!("hello from {name}\n");
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            // The rest of the request is read, since closing with unread bytes would reset the answer away.
            while line.as_slice() != b"\r\n" && line.as_slice() != b"\n" && !line.is_empty() {
                line.clear();
                reader.read_until(b'\n', &mut line).await?;
            }
            write.write_all(answer.as_bytes()).await?;
            return write.shutdown().await;
        }
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        write.write_all(&[name.as_bytes(), b": ", &line].concat()).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn ask(request: &[u8]) -> String {
        let endpoints = Endpoints::start(Ipv4Addr::LOCALHOST).await.expect("free ports");
        let (name, address) = endpoints.all[1];
        assert_eq!(name, "green");
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        stream.write_all(request).await.expect("it reads");
        stream.shutdown().await.expect("it is open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("it answers");
        answer
    }

    #[tokio::test]
    async fn lines_come_back_with_the_name() {
        assert_eq!(ask(b"one\ntwo\nhalf").await, "green: one\ngreen: two\n");
    }

    #[tokio::test]
    async fn http_gets_http() {
        let answer = ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nhello from green\n"), "{answer}");
    }

    #[tokio::test]
    async fn silence_is_greeted() {
        let endpoints = Endpoints::start(Ipv4Addr::LOCALHOST).await.expect("free ports");
        let mut stream = TcpStream::connect(endpoints.all[0].1).await.expect("it listens");
        let mut start = [0; 14];
        let read = timeout(Duration::from_secs(20), stream.read_exact(&mut start)).await;
        read.expect("greeted in time").expect("it is open");
        assert_eq!(&start, b"hello from red");
    }
}
