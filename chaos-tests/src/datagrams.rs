//! UDP: endpoints inside the test, and clients.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long an endpoint sleeps between two looks whether it should end.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// A UDP server that remembers what it received, and sends it back unless it is mute.
///
/// One thread serves; it ends when the endpoint is dropped.
#[derive(Debug)]
pub struct DatagramEndpoint {
    address: SocketAddr,
    received: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
}

impl DatagramEndpoint {
    /// Serves on a free port of `address`.
    pub fn start(address: impl Into<IpAddr>, mute: bool) -> DatagramEndpoint {
        let socket = UdpSocket::bind((address.into(), 0)).expect("the block's addresses have free ports");
        socket.set_read_timeout(Some(LOOK_INTERVAL)).expect("it is not zero");
        let endpoint = DatagramEndpoint {
            address: socket.local_addr().expect("a bound socket has an address"),
            received: Arc::default(),
            stop: Arc::default(),
        };
        let (received, stop) = (Arc::clone(&endpoint.received), Arc::clone(&endpoint.stop));
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                if !mute {
                    // A client that has gone is its own affair.
                    socket.send_to(&buffer[..length], from).ok();
                }
                received
                    .lock()
                    .expect("no holder panics")
                    .insert(buffer[..length].to_vec());
            }
        });
        endpoint
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The distinct datagrams received so far.
    pub fn received(&self) -> BTreeSet<Vec<u8>> {
        self.received.lock().expect("no holder panics").clone()
    }
}

impl Drop for DatagramEndpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A socket on any port of `from` that speaks with `listener` alone.
pub fn client(listener: SocketAddr, from: impl Into<IpAddr>) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((from.into(), 0))?;
    socket.connect(listener)?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    Ok(socket)
}

/// Sends `question` and waits a second for an answer that `is_answer` takes; asks again a few times, as clients of UDP do.
pub fn ask(socket: &UdpSocket, question: &[u8], is_answer: impl Fn(&[u8]) -> bool) -> Result<(), String> {
    let mut buffer = vec![0; 65_536];
    let mut last = "no answer".to_owned();
    for _ in 0..5 {
        if let Err(error) = socket.send(question) {
            last = error.to_string();
            continue;
        }
        match socket.recv(&mut buffer) {
            Ok(length) if is_answer(&buffer[..length]) => return Ok(()),
            Ok(length) => last = format!("another answer, of {length} bytes"),
            Err(error) => last = error.to_string(),
        }
    }
    Err(last)
}
