//! Endpoints with a behaviour.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use super::{PATIENCE, plans, with_deadline};

/// Listens until it is dropped; each connection gets a thread of its own.
pub(crate) struct Endpoint {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Endpoint {
    pub(crate) fn serve(behaviour: impl Fn(TcpStream) + Send + Sync + 'static) -> Endpoint {
        Endpoint::serve_on(IpAddr::V4(Ipv4Addr::LOCALHOST), behaviour)
    }

    pub(crate) fn serve_on(ip: IpAddr, behaviour: impl Fn(TcpStream) + Send + Sync + 'static) -> Endpoint {
        let listener = TcpListener::bind((ip, 0)).expect("bind");
        let address = listener.local_addr().expect("address");
        let stopping = Arc::new(AtomicBool::new(false));
        let behaviour = Arc::new(behaviour);
        let acceptor = std::thread::spawn({
            let stopping = Arc::clone(&stopping);
            move || {
                while let Ok((stream, _)) = listener.accept() {
                    if stopping.load(Ordering::Acquire) {
                        return;
                    }
                    let behaviour = Arc::clone(&behaviour);
                    std::thread::spawn(move || behaviour(with_deadline(stream)));
                }
            }
        });
        Endpoint {
            address,
            stopping,
            acceptor: Some(acceptor),
        }
    }

    /// Sends back what it receives, and passes the end on.
    pub(crate) fn echo() -> Endpoint {
        Endpoint::serve(echo)
    }

    /// Sends this word first, then waits for the end.
    pub(crate) fn named(word: &'static str) -> Endpoint {
        Endpoint::serve(move |mut stream| {
            stream.write_all(word.as_bytes()).ok();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).ok();
        })
    }

    /// Hands each connection to the test.
    pub(crate) fn handing_over() -> (Endpoint, Connections) {
        let (sender, receiver) = sync_channel(64);
        let endpoint = Endpoint::serve(move |stream| {
            sender.send(stream).ok();
        });
        (endpoint, Connections(receiver))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn share(&self) -> plans::Share {
        plans::endpoint(self.address)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("acceptor");
        }
    }
}

/// Connections of an endpoint that hands them over.
pub(crate) struct Connections(Receiver<TcpStream>);

impl Connections {
    pub(crate) fn next(&self) -> TcpStream {
        self.0.recv_timeout(PATIENCE).expect("a connection at the endpoint")
    }
}

pub(crate) fn echo(mut stream: TcpStream) {
    let mut chunk = vec![0; 64 << 10];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                if stream.write_all(&chunk[..count]).is_err() {
                    return;
                }
            }
            Err(_) => return,
        }
    }
    stream.shutdown(Shutdown::Write).ok();
}

/// An endpoint whose accept queue is full: it neither accepts nor refuses.
pub(crate) struct Blackhole {
    address: SocketAddr,
    _listener: TcpListener,
    _queued: Vec<rustix::fd::OwnedFd>,
}

impl Blackhole {
    pub(crate) fn open() -> Blackhole {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let address = listener.local_addr().expect("address");
        rustix::net::listen(&listener, 0).expect("listen");
        let mut queued = Vec::new();
        // A connection beyond the queue stays in SYN-SENT; once there are a few of those, all later ones do.
        for _ in 0..4 {
            let socket = rustix::net::socket_with(
                rustix::net::AddressFamily::INET,
                rustix::net::SocketType::STREAM,
                rustix::net::SocketFlags::NONBLOCK,
                None,
            )
            .expect("socket");
            match rustix::net::connect(&socket, &address) {
                Ok(()) | Err(rustix::io::Errno::INPROGRESS) => queued.push(socket),
                Err(errno) => panic!("connect: {errno}"),
            }
        }
        Blackhole {
            address,
            _listener: listener,
            _queued: queued,
        }
    }

    pub(crate) fn share(&self) -> plans::Share {
        plans::endpoint(self.address)
    }
}
