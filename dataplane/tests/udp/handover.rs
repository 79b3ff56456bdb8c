//! Datagrams that reach another thread than the one that has their flow.

use std::net::UdpSocket;

use guideway_model::plan::UdpSettings;
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::bed::datagrams::{Gate, Server, bed, client, mirror};
use crate::bed::recorder::kept;
use crate::bed::{DRIVERS, PATIENCE, config, eventually};

/// A further socket in the group moves the borders between the shares of the others: what the kernel gave to the first
/// thread it now gives in part to the second, and in part to that socket.
#[test]
fn a_flow_stays_with_its_thread_when_the_kernel_steers_it_elsewhere() {
    const CLIENTS: usize = 300;
    for driver in DRIVERS {
        kept();
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &UdpSettings::default());
        let clients: Vec<UdpSocket> = (0..CLIENTS).map(|_| client()).collect();
        let before: Vec<_> = clients.iter().map(|client| mirror(client, gate.address())).collect();
        let intruder = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).expect("socket");
        sockopt::set_socket_reuseport(&intruder, true).expect("SO_REUSEPORT");
        rustix::net::bind(&intruder, &gate.address()).expect("bind");
        let intruder = UdpSocket::from(intruder);
        intruder.set_nonblocking(true).expect("non-blocking");
        let mut taken = 0;
        for (client, before) in clients.iter().zip(&before) {
            client.send_to(b"?", gate.address()).expect("send");
            // The kernel has put the datagram into a socket before the send returns.
            if intruder.recv(&mut [0; 9]).is_ok() {
                taken += 1;
                continue;
            }
            let mut answer = [0; 100];
            let length = client.recv(&mut answer).expect("an answer in time");
            let expected = format!("{} {}", before.endpoint, before.source);
            assert_eq!(String::from_utf8_lossy(&answer[..length]), expected);
        }
        assert!(
            taken > 0 && taken < CLIENTS,
            "{taken} of {CLIENTS} were steered to the third socket"
        );
        assert_eq!(bed.plane.figures().flows, CLIENTS as u64);
        eventually("datagrams to be handed over", || {
            let values = kept().values(&format!("listener=port-{},", gate.port()));
            let handed = values
                .iter()
                .find(|(name, _)| name.starts_with("datagrams_handed_over"));
            handed.map(drop).ok_or(format!("{values:?}"))
        });
        drop(intruder);
        for (client, before) in clients.iter().zip(&before) {
            client.set_read_timeout(Some(PATIENCE)).expect("timeout");
            assert_eq!(&mirror(client, gate.address()), before);
        }
    }
}
