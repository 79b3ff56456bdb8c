//! What tests of UDP flows stand on: ports, listeners, clients and endpoints.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use guideway_model::node::{BindAddress, Protocol, SocketKey};
use guideway_model::plan::{BackendSettings, ClientSettings, Entry, Listener, ListenerService, UdpSettings, Upstream};

use super::{Bed, Config, PATIENCE, plans};

/// A UDP port that no other test gets: another address of the machine holds it.
pub(crate) struct Gate {
    port: u16,
    _holder: UdpSocket,
}

impl Gate {
    pub(crate) fn reserve() -> Gate {
        let holder = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("holder");
        Gate {
            port: holder.local_addr().expect("address").port(),
            _holder: holder,
        }
    }

    /// Not the holder's address: whoever takes any port of all addresses passes this one over.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 2], self.port))
    }

    pub(crate) fn key(&self) -> SocketKey {
        exactly(self.address())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// A port that was free a moment ago, for listeners on every address; the data plane tries again until it has it.
pub(crate) fn free_port(address: IpAddr) -> u16 {
    let socket = UdpSocket::bind((address, 0)).expect("bind");
    socket.local_addr().expect("address").port()
}

pub(crate) fn exactly(address: SocketAddr) -> SocketKey {
    SocketKey {
        protocol: Protocol::Udp,
        address: BindAddress::Exactly(address.ip()),
        port: address.port(),
    }
}

/// A listener with settings toward clients and toward endpoints.
pub(crate) fn listener(
    socket: SocketKey,
    shares: Option<&[plans::Share]>,
    client: &ClientSettings,
    udp: &UdpSettings,
) -> Listener {
    let mut listener = plans::listener(socket, shares);
    let ListenerService::Opaque(service) = &mut listener.service else {
        panic!("an opaque listener")
    };
    service.settings = Arc::new(client.clone());
    if let Some(route) = &mut service.route {
        let upstream = Arc::new(Upstream {
            settings: BackendSettings {
                udp: udp.clone(),
                ..BackendSettings::default()
            },
            tls: None,
        });
        for entry in &mut Arc::make_mut(&mut route.pool).entries {
            if let Entry::Endpoint { upstream: own, .. } = entry {
                *own = Arc::clone(&upstream);
            }
        }
    }
    listener
}

/// A data plane with one UDP listener.
pub(crate) fn bed(config: Config, gate: &Gate, shares: &[plans::Share], udp: &UdpSettings) -> Bed {
    let bed = Bed::start(config);
    let listener = listener(gate.key(), Some(shares), &ClientSettings::default(), udp);
    bed.activate(plans::plan(1, &[listener]));
    bed.wait_bound();
    bed
}

/// A client with a deadline on every receive.
pub(crate) fn client() -> UdpSocket {
    client_on(Ipv4Addr::LOCALHOST.into())
}

pub(crate) fn client_on(address: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((address, 0)).expect("bind");
    socket.set_read_timeout(Some(PATIENCE)).expect("timeout");
    socket
}

/// Sends a datagram and gives the answer; it must come from where the datagram was sent.
pub(crate) fn ask(client: &UdpSocket, to: SocketAddr, question: &[u8]) -> Vec<u8> {
    client.send_to(question, to).expect("send");
    let mut answer = vec![0; 70_000];
    let (length, from) = client.recv_from(&mut answer).expect("an answer in time");
    assert_eq!(from, to, "the answer comes from another address");
    answer.truncate(length);
    answer
}

/// Whether a datagram is answered within a moment. For those that must not be, so that what comes later is seen as well.
pub(crate) fn answers(client: &UdpSocket, to: SocketAddr) -> bool {
    client
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("timeout");
    client.send_to(b"?", to).expect("send");
    let answered = client.recv_from(&mut [0; 2000]).is_ok();
    client.set_read_timeout(Some(PATIENCE)).expect("timeout");
    answered
}

/// Receives until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn serve(behaviour: impl FnMut(&UdpSocket, &[u8], SocketAddr) + Send + 'static) -> Server {
        Server::serve_on(Ipv4Addr::LOCALHOST.into(), behaviour)
    }

    pub(crate) fn serve_on(
        ip: IpAddr,
        mut behaviour: impl FnMut(&UdpSocket, &[u8], SocketAddr) + Send + 'static,
    ) -> Server {
        let socket = UdpSocket::bind((ip, 0)).expect("bind");
        let address = socket.local_addr().expect("address");
        let stopping = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stopping = Arc::clone(&stopping);
            move || {
                let mut bytes = vec![0; 70_000];
                loop {
                    let received = socket.recv_from(&mut bytes);
                    if stopping.load(Ordering::Acquire) {
                        return;
                    }
                    // An answer to a flow that is gone comes back as an error of a later receive.
                    if let Ok((length, from)) = received {
                        behaviour(&socket, &bytes[..length], from);
                    }
                }
            }
        });
        Server {
            address,
            stopping,
            thread: Some(thread),
        }
    }

    /// Sends back what it receives.
    pub(crate) fn echo() -> Server {
        Server::serve(echo)
    }

    /// Answers with its own address and that of the sender: which endpoint, and which flow.
    pub(crate) fn reflecting() -> Server {
        Server::serve(|socket, _, from| {
            let own = socket.local_addr().expect("address");
            socket.send_to(format!("{own} {from}").as_bytes(), from).ok();
        })
    }

    /// Hands what it receives to the test and answers nothing.
    pub(crate) fn silent() -> (Server, Receiver<Vec<u8>>) {
        let (sender, receiver) = sync_channel(4096);
        let server = Server::serve(move |_, bytes, _| {
            sender.send(bytes.to_vec()).ok();
        });
        (server, receiver)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn share(&self) -> plans::Share {
        plans::endpoint(self.address)
    }
}

pub(crate) fn echo(socket: &UdpSocket, bytes: &[u8], from: SocketAddr) {
    socket.send_to(bytes, from).ok();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        let waker = UdpSocket::bind((self.address.ip(), 0)).expect("waker");
        waker.send_to(&[], self.address).expect("wake");
        if let Some(thread) = self.thread.take() {
            thread.join().expect("server");
        }
    }
}

/// An address at which nothing receives: what is sent there is refused.
pub(crate) struct Nobody(UdpSocket);

impl Nobody {
    pub(crate) fn at() -> Nobody {
        // Connected to itself, so that it takes nothing from anyone else, and no one else gets the port.
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        socket.connect(socket.local_addr().expect("address")).expect("connect");
        Nobody(socket)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("address")
    }
}

/// What a reflecting server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mirror {
    pub(crate) endpoint: SocketAddr,
    pub(crate) source: SocketAddr,
}

pub(crate) fn mirror(client: &UdpSocket, to: SocketAddr) -> Mirror {
    let answer = String::from_utf8(ask(client, to, b"who am I")).expect("text");
    let (endpoint, source) = answer.split_once(' ').expect("two addresses");
    Mirror {
        endpoint: endpoint.parse().expect("endpoint"),
        source: source.parse().expect("source"),
    }
}
