//! What is known and counted of each session, whatever carries it.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use guideway_model::node::Protocol;
use guideway_model::plan::Why;
use guideway_model::session::TablePlace;
use rustix::io::Errno;

use crate::access_log::Batch;
use crate::access_log::line::{Closing, Line};
use crate::clock::Clock;
use crate::core::expiry::Moments;
use crate::core::hello::Hello;
use crate::core::reason::CloseReason;
use crate::core::selection::{Attempt, ConnectFailure};
use crate::core::session::Side;
use crate::core::time::Micros;
use crate::metrics::tally::{EndpointTally, ListenerTally, Tallies};
use crate::shared::Shared;
use crate::sockets;
use crate::tls::outcome::Outcome;

/// Counters and log lines are handed on this often.
const FLUSH_INTERVAL: Duration = Duration::from_millis(250);

/// What is known of one session.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) listener: Rc<ListenerTally>,
    pub(crate) endpoint: Option<Rc<EndpointTally>>,
    pub(crate) client: SocketAddr,
    pub(crate) opened: Micros,
    /// When the present attempt began.
    pub(crate) dialed: Micros,
    /// When the first byte was sent to the endpoint; says nothing before one was.
    pub(crate) asked: Micros,
    /// When a byte last moved.
    pub(crate) touched: Micros,
    /// Taken from the client, from the endpoint.
    pub(crate) bytes: [u64; 2],
    pub(crate) tries: u8,
    /// Why the session goes to its endpoint.
    pub(crate) why: Option<Why>,
    /// Where its key lay when its endpoint was first chosen; says nothing before.
    pub(crate) place: TablePlace,
    pub(crate) connect_errno: Option<NonZeroU16>,
}

impl Account {
    /// When things happened, for the session's timer.
    pub(crate) fn moments(&self) -> Moments {
        let [from_client, from_endpoint] = self.bytes;
        Moments {
            opened: self.opened,
            dialed: self.dialed,
            asked: (from_client > 0).then_some(self.asked),
            answered: from_endpoint > 0,
            touched: self.touched,
        }
    }
}

/// The two sockets of a session, for the addresses in its log lines, and what its client asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets<'a> {
    pub(crate) client: &'a OwnedFd,
    pub(crate) endpoint: Option<&'a OwnedFd>,
    /// What the client asked for, on a TLS port.
    pub(crate) hello: Option<&'a Arc<Hello>>,
}

/// Counts the sessions of one relay thread and writes their lines.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The thread's time: when its present round began.
    pub(crate) now: Micros,
    /// Generation of the plan that the thread has.
    pub(crate) generation: u32,
    tallies: Tallies,
    log: Option<Batch>,
    open_lines: bool,
    flushed: Micros,
}

impl Ledger {
    pub(crate) fn new(shared: &Arc<Shared>) -> Ledger {
        Ledger {
            now: shared.clock.now(),
            generation: 0,
            tallies: Tallies::default(),
            log: shared
                .log
                .as_ref()
                .map(|log| log.batch(shared.metrics.lines_dropped.clone())),
            open_lines: shared.config.access_log.open_lines,
            flushed: Micros(0),
        }
    }

    /// A connection was accepted.
    pub(crate) fn open(&mut self, listener: &Rc<ListenerTally>, client: SocketAddr) -> Account {
        self.tallies.accepted(listener);
        self.account(listener, client)
    }

    /// A connection was taken of which it is not known yet which listener accepts it.
    pub(crate) fn await_listener(&mut self, port: &Rc<ListenerTally>, client: SocketAddr) -> Account {
        self.tallies.awaited(port);
        self.account(port, client)
    }

    /// The listener of such a connection is known.
    pub(crate) fn routed(&mut self, account: &mut Account, listener: &Rc<ListenerTally>) {
        self.tallies.routed(&account.listener, listener);
        account.listener = Rc::clone(listener);
    }

    /// Such a connection ends before it was.
    pub(crate) fn unrouted(&mut self, account: &Account) {
        self.tallies.unrouted(&account.listener);
    }

    /// A TLS handshake is over that began at `since`.
    pub(crate) fn handshaken(&mut self, account: &Account, side: Side, outcome: Outcome, since: Micros) {
        let took = self.now.since(since);
        self.tallies.handshaken(&account.listener, side, outcome, took);
    }

    fn account(&self, listener: &Rc<ListenerTally>, client: SocketAddr) -> Account {
        Account {
            listener: Rc::clone(listener),
            endpoint: None,
            client,
            opened: self.now,
            dialed: self.now,
            asked: self.now,
            touched: self.now,
            bytes: [0; 2],
            tries: 0,
            why: None,
            place: TablePlace { row: 0, generation: 0 },
            connect_errno: None,
        }
    }

    /// An endpoint is being dialed.
    pub(crate) fn dialing(&mut self, account: &mut Account, endpoint: Rc<EndpointTally>, attempt: Attempt) {
        if attempt.number > account.tries.max(1) {
            self.tallies.redispatched(&account.listener);
        }
        self.tallies.attempted(&endpoint);
        account.tries = attempt.number;
        account.why = Some(attempt.why);
        account.dialed = self.now;
        account.endpoint = Some(endpoint);
    }

    /// A local port toward the endpoint is in use from here on.
    pub(crate) fn port_taken(&mut self, account: &Account) {
        if let Some(endpoint) = &account.endpoint {
            self.tallies.port_taken(endpoint);
        }
    }

    /// The local port is free again.
    pub(crate) fn port_freed(&mut self, account: &Account) {
        if let Some(endpoint) = &account.endpoint {
            self.tallies.port_freed(endpoint);
        }
    }

    /// The endpoint did not accept; `errno` is what the kernel said, if it was the kernel.
    pub(crate) fn dial_failed(&mut self, account: &mut Account, failure: ConnectFailure, errno: Option<Errno>) {
        account.connect_errno = errno
            .and_then(|errno| u16::try_from(errno.raw_os_error()).ok())
            .and_then(NonZeroU16::new);
        if let Some(endpoint) = &account.endpoint {
            self.tallies.connect_failed(endpoint, failure);
        }
    }

    /// The endpoint accepted.
    pub(crate) fn connected(&mut self, account: &mut Account, sockets: Sockets<'_>) {
        account.touched = self.now;
        account.asked = self.now;
        self.tallies
            .connected(&account.listener, self.now.since(account.opened));
        if self.open_lines {
            self.write(account, sockets, None);
        }
    }

    /// Bytes were taken from a side.
    pub(crate) fn relayed(&mut self, account: &mut Account, from: Side, bytes: usize) {
        let bytes = bytes as u64;
        if from == Side::Client && account.bytes[from.index()] == 0 {
            account.asked = self.now;
        }
        account.bytes[from.index()] += bytes;
        account.touched = self.now;
        self.tallies.relayed(&account.listener, from, bytes);
    }

    /// The idle timeout ends a session whose client sends keepalive probes.
    pub(crate) fn idle_but_alive(&mut self, account: &Account) {
        self.tallies.idle_but_alive(&account.listener);
    }

    /// The session is over; its sockets are about to be closed.
    pub(crate) fn close(&mut self, account: &Account, reason: CloseReason, sockets: Sockets<'_>) {
        let lasted = self.now.since(account.opened);
        self.tallies.closed(&account.listener, reason, lasted);
        if self.log.is_some() {
            let [to_endpoint, to_client] = account.bytes;
            self.write(
                account,
                sockets,
                Some(Closing {
                    to_endpoint,
                    to_client,
                    datagrams: None,
                    lasted,
                    reason,
                }),
            );
        }
    }

    /// When [`Ledger::flush`] is due; `None` while there is nothing to hand on.
    pub(crate) fn flush_deadline(&self) -> Option<Micros> {
        let waiting = self.tallies.is_dirty() || self.log.as_ref().is_some_and(|log| !log.is_empty());
        waiting.then(|| self.flushed.after(FLUSH_INTERVAL))
    }

    /// Hands counters and lines on.
    pub(crate) fn flush(&mut self) {
        self.flushed = self.now;
        self.tallies.flush();
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    fn write(&mut self, account: &Account, sockets: Sockets<'_>, closing: Option<Closing>) {
        let Some(log) = &mut self.log else { return };
        log.push(Line {
            time: Clock::time_of_day(),
            protocol: Protocol::Tcp,
            names: Arc::clone(&account.listener.names),
            client: account.client,
            local: sockets::local_address(sockets.client),
            source: sockets.endpoint.map(sockets::local_address),
            endpoint: account.endpoint.as_ref().map(|endpoint| endpoint.address),
            tries: account.tries,
            connect_errno: account.connect_errno.map(NonZeroU16::get),
            hello: sockets.hello.cloned(),
            closing,
        });
    }
}
