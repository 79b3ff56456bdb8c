//! TCP sessions as those see them who look.

use std::net::SocketAddr;
use std::sync::Arc;

use guideway_model::node::Protocol;
use guideway_model::session::{LocalSessionId, SessionDetail, SessionRow, SessionState};

use crate::core::reason::CloseReason;
use crate::core::session::{Half, Side, State};
use crate::core::slab::Key;
use crate::relay::sessions::Sessions;
use crate::sockets;
use crate::sockets::insight;
use crate::watch::SessionEvent;

impl Sessions {
    /// What lists show of a session.
    pub(super) fn row(&self, key: Key) -> Option<SessionRow> {
        let record = self.records.get(key)?;
        let account = &record.account;
        let hello = record.tls.as_ref().and_then(|tls| tls.hello.as_ref());
        Some(SessionRow {
            id: local_id(Protocol::Tcp, self.seat, key),
            listener: Arc::clone(&account.listener.names.listener),
            route: Arc::clone(&account.listener.names.route),
            client: account.client,
            endpoint: account.endpoint.as_ref().map(|endpoint| endpoint.address),
            why: account.why,
            sni: hello.and_then(|hello| hello.name.clone()),
            alpn: hello.and_then(|hello| first(hello.protocols.as_ref()?)),
            state: state(record.machine.state()),
            age: self.ledger.now.since(account.opened),
            idle: self.ledger.now.since(account.touched),
            bytes: account.bytes,
            packets: [0; 2],
        })
    }

    /// Tells those who watch that an endpoint accepted.
    pub(super) fn tell_opened(&self, key: Key) {
        if self.shared.watch.is_on()
            && let Some(row) = self.row(key)
        {
            self.shared.watch.tell(SessionEvent::Opened(row));
        }
    }

    /// Tells those who watch that a session is about to be closed.
    pub(super) fn tell_closed(&self, key: Key, reason: CloseReason) {
        if self.shared.watch.is_on()
            && let Some(row) = self.row(key)
        {
            self.shared.watch.tell(SessionEvent::Closed(row, reason));
        }
    }

    /// Where the session at a place goes.
    pub(super) fn endpoint(&self, index: u32) -> Option<SocketAddr> {
        let record = self.records.tenant(index)?;
        record.account.endpoint.as_ref().map(|endpoint| endpoint.address)
    }

    /// All about a session.
    pub(super) fn detail(&self, key: Key) -> Option<SessionDetail> {
        let row = self.row(key)?;
        let record = self.records.get(key)?;
        let endpoint = record.endpoint.as_ref().map(|port| &port.socket);
        let mut tcp = [None; 2];
        tcp[Side::Client.index()] = insight::facts(&record.client.socket);
        // There is no connection yet while it is dialed.
        if matches!(record.machine.state(), State::Relaying { .. }) {
            tcp[Side::Endpoint.index()] = endpoint.and_then(insight::facts);
        }
        Some(SessionDetail {
            row,
            local: Some(sockets::local_address(&record.client.socket)),
            source: endpoint.map(sockets::local_address),
            tcp,
            place: record.account.why.map(|_| record.account.place),
            rates: None,
        })
    }
}

/// What a session is called within this start of the node.
pub(super) fn local_id(protocol: Protocol, seat: usize, key: Key) -> LocalSessionId {
    LocalSessionId {
        protocol,
        seat: u16::try_from(seat).unwrap_or(u16::MAX),
        index: key.index,
        generation: key.generation,
    }
}

fn state(state: State) -> SessionState {
    match state {
        State::Greeting => SessionState::Greeting,
        State::Dialing => SessionState::Connecting,
        State::Relaying { halves, .. } if halves.contains(&Half::Ended) => SessionState::HalfClosed,
        State::Relaying { .. } => SessionState::Established,
        State::Closed => SessionState::HalfClosed,
    }
}

/// The first of the offered protocols.
fn first(protocols: &Arc<str>) -> Option<Arc<str>> {
    match protocols.split_once(',') {
        Some((first, _)) => Some(first.into()),
        None => Some(Arc::clone(protocols)),
    }
}
