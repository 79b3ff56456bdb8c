//! Serving the router on a listener, with bounds on connections, heads and time.
//!
//! Who lives here: one task for each connection, owned by a `JoinSet` in [`serve`]. At shutdown each finishes the
//! request it is at; those that still run after the grace are aborted, which is safe because a connection owns nothing
//! but its requests, and a request that is dropped leaves the cluster to finish or refuse what was proposed.

mod stall;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use guideway_identity::UserIdentity;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use crate::audit::{AuditLog, Event, Record};
use crate::caller::{Caller, Peer};
use crate::limits::Limits;
use crate::metrics::{self, ConnectionCount, SignInFault};
use crate::tls::{ServerTls, is_about_certificate};
use stall::StallGuard;

/// Pause after a failed accept, which is mostly a want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);
/// Header fields in one request; beyond it 431.
const MAX_HEADERS: usize = 100;
/// Streams of one HTTP/2 connection; beyond it new ones are refused.
const MAX_STREAMS: u32 = 256;
/// How often an HTTP/2 client is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Tells requests that the server stops; watches end on it.
#[derive(Clone, Debug)]
pub(crate) struct ShutdownSignal(watch::Receiver<bool>);

impl ShutdownSignal {
    /// Completes when the server stops.
    pub(crate) async fn raised(&mut self) {
        // A closed channel means that the server is gone, which is the same.
        let _closed = self.0.wait_for(|raised| *raised).await.is_err();
    }

    /// Whether the server stops.
    pub(crate) fn is_raised(&self) -> bool {
        *self.0.borrow()
    }
}

/// How connections are made.
#[derive(Clone, Debug)]
pub enum Transport {
    /// By TLS; clients may have certificates.
    Tls(ServerTls),
    /// As they are: whoever can listen on the way reads along, so only for loopback.
    Plain,
}

/// What every connection of one server shares.
#[derive(Clone)]
struct Shared {
    router: Router,
    limits: Limits,
    signal: ShutdownSignal,
    transport: Transport,
    audit: AuditLog,
    handshakes: Arc<Semaphore>,
}

/// Serves until `shutdown` completes, then ends watches and lets other requests finish for [`Limits::shutdown_grace`].
///
/// `audit` is that of the router: handshakes that fail for the client's certificate are written to it.
pub async fn serve(
    listener: TcpListener,
    (router, transport, audit): (Router, Transport, AuditLog),
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = pin!(shutdown);
    let (raise, raised) = watch::channel(false);
    let signal = ShutdownSignal(raised);
    let router = router.layer(Extension(signal.clone()));
    let places = Arc::new(Semaphore::new(limits.connections));
    let shared = Shared {
        router,
        handshakes: Arc::new(Semaphore::new(limits.handshakes)),
        limits: limits.clone(),
        signal,
        transport,
        audit,
    };
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // The semaphore is never closed, so this waits for a place and cannot fail.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = accept => next,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let work = connection(stream, address, shared.clone());
                connections.spawn(async move {
                    let _place = place;
                    work.await;
                });
            }
            Err(error) => {
                warn!(%error, "accepting an API connection failed");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    raise.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.shutdown_grace, finished).await.is_err() {
        debug!(
            open = connections.len(),
            "closing API connections that are still at work"
        );
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, address: SocketAddr, shared: Shared) {
    let _count = ConnectionCount::start();
    // Answers are small and wanted at once; a failure only delays them.
    let _delayed = stream.set_nodelay(true).is_err();
    let tls = matches!(shared.transport, Transport::Tls(_));
    let peer = |certificate| Peer {
        address,
        tls,
        certificate,
    };
    match shared.transport.clone() {
        Transport::Plain => requests(stream, peer(None), shared).await,
        Transport::Tls(tls) => {
            if let Some((stream, certificate)) = handshake(&tls, stream, address, &shared).await {
                requests(stream, peer(certificate), shared).await;
            }
        }
    }
}

/// Shakes hands in time, in turn with others: a handshake is work for a core.
async fn handshake(
    tls: &ServerTls,
    stream: TcpStream,
    address: SocketAddr,
    shared: &Shared,
) -> Option<(TlsStream<TcpStream>, Option<UserIdentity>)> {
    let shaken = async {
        // The semaphore is never closed.
        let _turn = shared.handshakes.acquire().await;
        tls.accept(stream).await
    };
    let error = match tokio::time::timeout(shared.limits.handshake_timeout, shaken).await {
        Ok(Ok(shaken)) => return Some(shaken),
        Ok(Err(error)) => error,
        Err(_elapsed) => {
            metrics::handshake_failed("timeout");
            return None;
        }
    };
    debug!(%address, %error, "a TLS handshake failed");
    if !is_about_certificate(&error) {
        metrics::handshake_failed("other");
        return None;
    }
    metrics::handshake_failed("certificate");
    metrics::sign_in_failed(SignInFault::Certificate);
    let caller = Caller::anonymous(Some(address));
    let record = Record::of(Event::SignInFailed, &caller).because(error.to_string());
    shared.audit.note(record).await;
    None
}

async fn requests<S>(stream: S, peer: Peer, shared: Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Shared {
        router,
        limits,
        mut signal,
        ..
    } = shared;
    let router = router.layer(Extension(peer));
    let io = TokioIo::new(StallGuard::new(stream, limits.head_timeout, limits.write_stall_timeout));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(MAX_HEADERS)
        .max_buf_size(limits.head_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(PING_INTERVAL);
    let mut served = pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = signal.raised() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        debug!(error, "an API connection failed");
    }
}
