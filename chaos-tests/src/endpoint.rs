//! Endpoints: TCP servers inside the test that say who they are and then echo.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A server that greets each connection with its label and a line feed, then echoes until end of stream.
///
/// One thread accepts and one thread serves each connection; both end when their sockets do. Dropping it stops the
/// accepting thread, and leaves connections to their clients.
#[derive(Debug)]
pub struct Endpoint {
    label: String,
    address: SocketAddr,
    accepted: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

const BUFFER_BYTES: usize = 256 * 1024;

impl Endpoint {
    /// Serves on a free port of `address`.
    pub fn start(label: &str, address: impl Into<IpAddr>) -> Endpoint {
        let listener = TcpListener::bind((address.into(), 0)).expect("the block's addresses have free ports");
        let endpoint = Endpoint {
            label: label.to_owned(),
            address: listener.local_addr().expect("a bound socket has an address"),
            accepted: Arc::default(),
            stop: Arc::default(),
        };
        let greeting = format!("{label}\n");
        let (accepted, stop) = (Arc::clone(&endpoint.accepted), Arc::clone(&endpoint.stop));
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                accepted.fetch_add(1, Ordering::Relaxed);
                let greeting = greeting.clone();
                std::thread::spawn(move || serve(stream, &greeting));
            }
        });
        endpoint
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it greets with.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accepting thread; if even this fails the process is ending anyway.
        TcpStream::connect(self.address).ok();
    }
}

/// A connection that breaks is its client's affair.
fn serve(mut stream: TcpStream, greeting: &str) {
    stream.set_nodelay(true).ok();
    if stream.write_all(greeting.as_bytes()).is_err() {
        return;
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 || stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}
