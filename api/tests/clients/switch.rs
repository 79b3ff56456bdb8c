//! One address that stands for whichever node it is switched to, as a client sees it behind a VIP.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes connections on to the present node; a switch cuts those that are open.
pub(crate) struct Switch {
    pub(crate) address: SocketAddr,
    node: watch::Sender<SocketAddr>,
    task: JoinHandle<()>,
}

impl Switch {
    pub(crate) async fn start(node: SocketAddr) -> Switch {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("address");
        let node = watch::Sender::new(node);
        let present = node.clone();
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.expect("accepted");
                let mut moved = present.subscribe();
                tokio::spawn(async move {
                    let node = *moved.borrow_and_update();
                    let Ok(mut node) = TcpStream::connect(node).await else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut node) => {}
                        _ = moved.changed() => {}
                    }
                });
            }
        });
        Switch { address, node, task }
    }

    /// Cuts every connection; new ones go to `node`.
    pub(crate) fn to(&self, node: SocketAddr) {
        self.node.send_replace(node);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
