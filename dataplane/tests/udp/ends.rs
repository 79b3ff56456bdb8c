//! How flows end.

use std::time::Duration;

use guideway_model::plan::UdpSettings;

use crate::bed::datagrams::{Gate, Server, bed, client, mirror};
use crate::bed::{DRIVERS, PATIENCE, config, eventually};

#[test]
fn an_idle_flow_is_closed_and_its_client_gets_another() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let settings = UdpSettings {
            idle_timeout: Some(Duration::from_millis(100)),
            ..UdpSettings::default()
        };
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &settings);
        let client = client();
        let first = mirror(&client, gate.address());
        bed.wait_sessions(0);
        let second = mirror(&client, gate.address());
        assert_eq!(first.endpoint, second.endpoint);
        bed.wait_sessions(0);
    }
}

#[test]
fn the_nodes_idle_timeout_counts_where_the_route_has_none() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let mut config = config(driver);
        config.udp_idle_timeout = Duration::from_millis(100);
        let bed = bed(config, &gate, &[server.share()], &UdpSettings::default());
        mirror(&client(), gate.address());
        bed.wait_sessions(0);
    }
}

#[test]
fn datagrams_of_either_side_keep_a_flow_alive() {
    for driver in DRIVERS {
        let idle = Duration::from_millis(500);
        let server = Server::serve(|socket, bytes, from| {
            // A question, and as many answers as fit into three idle timeouts.
            if bytes == b"talk" {
                socket
                    .set_read_timeout(Some(Duration::from_millis(20)))
                    .expect("timeout");
                let start = std::time::Instant::now();
                while start.elapsed() < Duration::from_millis(1500) {
                    socket.send_to(b"answer", from).expect("answer");
                    // Nothing comes: this waits.
                    assert!(socket.recv_from(&mut [0; 9]).is_err());
                }
                socket.set_read_timeout(None).expect("timeout");
                socket.send_to(b"end", from).expect("answer");
            }
        });
        let settings = UdpSettings {
            idle_timeout: Some(idle),
            ..UdpSettings::default()
        };
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &settings);
        let client = client();
        client.send_to(b"talk", gate.address()).expect("send");
        let mut answer = [0; 9];
        loop {
            let length = client.recv(&mut answer).expect("an answer in time");
            assert_eq!(bed.plane.figures().flows, 1);
            if &answer[..length] == b"end" {
                break;
            }
        }
        bed.wait_sessions(0);
    }
}

#[test]
fn a_flow_ends_with_its_last_expected_reply() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let settings = UdpSettings {
            expected_replies: Some(1),
            ..UdpSettings::default()
        };
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &settings);
        let client = client();
        for _ in 0..5 {
            mirror(&client, gate.address());
            bed.wait_sessions(0);
        }
    }
}

#[test]
fn two_questions_at_once_get_both_of_their_replies() {
    for driver in DRIVERS {
        // Answers when it has both, as a resolver may that is asked for A and AAAA.
        let mut first = None;
        let server = Server::serve(move |socket, bytes, from| match first.take() {
            None => first = Some(bytes.to_vec()),
            Some(first) => {
                socket.send_to(&first, from).expect("answer");
                socket.send_to(bytes, from).expect("answer");
            }
        });
        let settings = UdpSettings {
            expected_replies: Some(1),
            ..UdpSettings::default()
        };
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &settings);
        let client = client();
        for question in [b"A", b"B"] {
            client.send_to(question, gate.address()).expect("send");
        }
        for expected in [b"A", b"B"] {
            let mut answer = [0; 9];
            assert_eq!(client.recv(&mut answer).expect("an answer in time"), 1);
            assert_eq!(&answer[..1], expected);
        }
        bed.wait_sessions(0);
    }
}

#[test]
fn a_one_way_flow_brings_everything_and_idles_out() {
    for driver in DRIVERS {
        let (server, received) = Server::silent();
        let settings = UdpSettings {
            one_way: true,
            idle_timeout: Some(Duration::from_millis(200)),
            ..UdpSettings::default()
        };
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &settings);
        let client = client();
        for number in 0..200u8 {
            client.send_to(&[number], gate.address()).expect("send");
        }
        for number in 0..200u8 {
            assert_eq!(received.recv_timeout(PATIENCE).expect("datagram"), [number]);
        }
        bed.wait_sessions(0);
    }
}

#[test]
fn a_shutdown_lets_flows_be_until_its_deadline_and_opens_none() {
    for driver in DRIVERS {
        let server = Server::reflecting();
        let gate = Gate::reserve();
        let bed = bed(config(driver), &gate, &[server.share()], &UdpSettings::default());
        let clients = [client(), client(), client()];
        for client in &clients {
            mirror(client, gate.address());
        }
        let report = bed.plane.shutdown(Duration::from_millis(300));
        assert_eq!((report.ended, report.closed), (0, 3));
        eventually("the port to be free", || {
            std::net::UdpSocket::bind(gate.address()).map(drop)
        });
    }
}
