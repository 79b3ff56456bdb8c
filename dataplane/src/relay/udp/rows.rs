//! UDP flows as those see them who look.

use std::net::SocketAddr;
use std::sync::Arc;

use guideway_model::node::Protocol;
use guideway_model::session::{SessionDetail, SessionRow, SessionState};

use super::Flows;
use crate::core::reason::CloseReason;
use crate::core::slab::Key;
use crate::relay::rows::local_id;
use crate::sockets;
use crate::watch::SessionEvent;

impl Flows {
    /// Places there are.
    pub(in crate::relay) fn slots(&self) -> u32 {
        self.records.slots()
    }

    /// The flow at a place.
    pub(in crate::relay) fn key(&self, index: u32) -> Option<Key> {
        self.records.key(index)
    }

    /// Whether a flow lives.
    pub(in crate::relay) fn has(&self, key: Key) -> bool {
        self.records.get(key).is_some()
    }

    /// What lists show of a flow.
    pub(in crate::relay) fn row(&self, key: Key) -> Option<SessionRow> {
        let record = self.records.get(key)?;
        let names = &record.lane.lane.tally.names;
        Some(SessionRow {
            id: local_id(Protocol::Udp, self.seat, key),
            listener: Arc::clone(&names.listener),
            route: Arc::clone(&names.route),
            client: record.id.client(),
            endpoint: Some(record.endpoint.address),
            why: Some(record.attempt.why),
            sni: None,
            alpn: None,
            state: SessionState::Established,
            age: self.ledger.now.since(record.opened),
            idle: self.ledger.now.since(record.flow.touched()),
            bytes: record.bytes,
            packets: record.flow.datagrams(),
        })
    }

    /// Tells those who watch that a flow has begun.
    pub(super) fn tell_opened(&self, key: Key) {
        if self.shared.watch.is_on()
            && let Some(row) = self.row(key)
        {
            self.shared.watch.tell(SessionEvent::Opened(row));
        }
    }

    /// Tells those who watch that a flow is about to be closed.
    pub(super) fn tell_closed(&self, key: Key, reason: CloseReason) {
        if self.shared.watch.is_on()
            && let Some(row) = self.row(key)
        {
            self.shared.watch.tell(SessionEvent::Closed(row, reason));
        }
    }

    /// Where the flow at a place goes.
    pub(in crate::relay) fn endpoint(&self, index: u32) -> Option<SocketAddr> {
        self.records.tenant(index).map(|record| record.endpoint.address)
    }

    /// All about a flow.
    pub(in crate::relay) fn detail(&self, key: Key) -> Option<SessionDetail> {
        let row = self.row(key)?;
        let record = self.records.get(key)?;
        Some(SessionDetail {
            row,
            local: Some(record.id.dialled()),
            source: Some(sockets::local_address(&record.socket)),
            tcp: [None; 2],
            place: Some(record.place),
            rates: None,
        })
    }
}
