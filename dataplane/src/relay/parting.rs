//! The last words of a session whose TLS ends here: a side that finds no close_notify before the FIN must take the stream
//! for cut off, so a full socket is waited for even when the session is otherwise over.

use crate::core::reason::CloseReason;
use crate::core::session::Side;
use crate::core::slab::Key;
use crate::relay::record::{Ready, Record};
use crate::relay::sealed::{self, Flushed, flush};
use crate::relay::sessions::Sessions;
use crate::sockets;

impl Sessions {
    /// A side has room again for what TLS has to say to it; `false` if that was the session's last word.
    pub(super) fn send_last_words(&mut self, key: Key, side: Side) -> bool {
        let Some(record) = self.records.get_mut(key) else {
            return false;
        };
        let Some((stream, port)) = record.sealed(side) else {
            return true;
        };
        if flush(stream, port) == Flushed::Some {
            return true;
        }
        if let Some(due) = record.fin_due(side)
            && std::mem::take(due)
            && let Some(port) = record.port(side)
        {
            sockets::end_stream(&port.socket);
        }
        match record.leaving() {
            Some(reason) => {
                self.close(key, reason, false);
                false
            }
            None => true,
        }
    }

    /// Whether a session that ends in order still has to say so to a side.
    pub(super) fn lingers(&mut self, key: Key, reason: CloseReason) -> bool {
        let Some(record) = self.records.get_mut(key) else {
            return false;
        };
        if record.is_spliceable() {
            return false;
        }
        let ended = Side::BOTH.map(|side| end(record, side));
        if ended == [true, true] {
            return false;
        }
        if let Some(tls) = &mut record.tls {
            tls.leaving = Some(reason);
        }
        true
    }
}

/// Says to a side that nothing follows; `false` if that has to wait.
fn end(record: &mut Record, side: Side) -> bool {
    if record.is_sealed(side) {
        let lost = record.port(side).is_none_or(|port| port.ready.any(Ready::BROKEN));
        return lost || sealed::end(record, side);
    }
    if let Some(port) = record.port(side) {
        sockets::end_stream(&port.socket);
    }
    true
}
