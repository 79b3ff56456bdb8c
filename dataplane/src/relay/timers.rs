//! Timers of the sessions of one thread: what is looked at when one fires, and when it fires next.

use crate::core::expiry::{Expiry, Phase};
use crate::core::reason::CloseReason;
use crate::core::session::{Event, Side};
use crate::core::slab::Key;
use crate::core::stall::{Queue, StallWatch};
use crate::core::time::Micros;
use crate::relay::record::{Heard, Record};
use crate::relay::sessions::Sessions;
use crate::sockets::insight;

impl Sessions {
    /// When [`Sessions::expire`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Micros> {
        self.wheel.next_deadline()
    }

    /// Looks at every session whose timer may have run out.
    pub(super) fn expire(&mut self) {
        while let Some(index) = self.wheel.take(&mut self.records, self.ledger.now) {
            if let Some(key) = self.records.key(index) {
                self.look(key);
            }
        }
    }

    /// The timer of a session whose client says where it wants to go.
    pub(super) fn time_greeting(&mut self, key: Key) {
        self.time(key, Phase::Greeting);
    }

    /// The timer of a session that dials: it fires when the attempt, or the session, has taken too long.
    pub(super) fn time_dial(&mut self, key: Key) {
        self.time(key, Phase::Dialing);
    }

    /// The timer of a session whose endpoint has accepted.
    pub(super) fn time_relay(&mut self, key: Key) {
        let now = self.ledger.now;
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let timeouts = &record.terms.timeouts;
        let armed = record.account.dialed.after(timeouts.connect);
        record.stall = timeouts
            .write_stall
            .map(|patience| Box::new(StallWatch::new(patience, now)));
        let deadline = record.look_at(Phase::Relaying, now);
        // The wheel may be early but never late, and it is armed for the end of the dialing.
        if deadline < armed {
            self.wheel.disarm(&mut self.records, key.index);
            self.wheel.arm(&mut self.records, key.index, deadline);
        }
    }

    fn time(&mut self, key: Key, phase: Phase) {
        let now = self.ledger.now;
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        let deadline = record.look_at(phase, now);
        self.wheel.disarm(&mut self.records, key.index);
        self.wheel.arm(&mut self.records, key.index, deadline);
    }

    fn look(&mut self, key: Key) {
        let now = self.ledger.now;
        let Some(record) = self.records.get_mut(key) else {
            return;
        };
        if record.is_stalled(now) {
            return self.tell(key, Event::Killed(CloseReason::WriteStall));
        }
        let expiry = record
            .machine
            .expiry(&record.terms.timeouts, &record.account.moments(), now);
        match expiry {
            Expiry::Later(deadline) => {
                record.listen(now);
                let deadline = record
                    .stall
                    .as_ref()
                    .map_or(deadline, |watch| watch.next_look().min(deadline));
                self.wheel.arm(&mut self.records, key.index, deadline);
            }
            Expiry::Greeting => self.greeting_expired(key),
            Expiry::Idle => {
                if record.hears_keepalive() {
                    self.ledger.idle_but_alive(&record.account);
                    let listener = &record.account.listener.names.listener;
                    self.shared.idle_warnings.warn(listener, record.terms.timeouts.idle);
                }
                self.tell(key, Event::Idle);
            }
            Expiry::FirstByte => self.tell(key, Event::Killed(CloseReason::FirstByteTimeout)),
            Expiry::Duration => self.tell(key, Event::Killed(CloseReason::MaxDuration)),
            Expiry::Connect => {
                if let Some(event) = self.dial_timed_out(key) {
                    self.tell(key, event);
                }
            }
        }
    }
}

impl Record {
    /// When to look at the session for the first time in this phase.
    fn look_at(&self, phase: Phase, now: Micros) -> Micros {
        let deadline = match self.terms.timeouts.expiry(phase, &self.account.moments(), now) {
            Expiry::Later(deadline) => deadline,
            Expiry::Greeting | Expiry::Connect | Expiry::FirstByte | Expiry::Idle | Expiry::Duration => now,
        };
        let stall = self.stall.as_ref().map(|watch| watch.next_look());
        stall.map_or(deadline, |look| look.min(deadline))
    }

    /// Whether a side has not taken what is queued for it for too long.
    fn is_stalled(&mut self, now: Micros) -> bool {
        let Some(patience) = self.terms.timeouts.write_stall else {
            return false;
        };
        if self.stall.as_ref().is_none_or(|watch| now < watch.next_look()) {
            return false;
        }
        let queues = [self.queue(Side::Client), self.queue(Side::Endpoint)];
        let stalled = self.stall.as_mut().and_then(|watch| watch.look(patience, queues, now));
        stalled.is_some()
    }

    /// What is queued for a side, here and in its socket.
    fn queue(&self, side: Side) -> Queue {
        let from = side.other().index();
        let port = match side {
            Side::Client => Some(&self.client),
            Side::Endpoint => self.endpoint.as_ref(),
        };
        Queue {
            offered: self.account.bytes[from],
            waiting: self.flights[from].waiting() + port.map_or(0, |port| insight::unacknowledged(&port.socket)),
        }
    }

    /// Half way to the idle timeout, notes how many segments the client has sent: if they have become more by then,
    /// though no byte has moved, the client sends keepalive probes.
    fn listen(&mut self, now: Micros) {
        let moments = self.account.moments();
        let silence = silence(moments.touched);
        let due = self.endpoint.is_some()
            && self
                .terms
                .timeouts
                .listens_from(&moments)
                .is_some_and(|from| now >= from);
        if due && self.heard.is_none_or(|heard| heard.silence != silence) {
            self.heard = insight::segments_received(&self.client.socket).map(|segments| Heard { silence, segments });
        }
    }

    /// Whether the client has sent segments without data in this silence.
    fn hears_keepalive(&self) -> bool {
        let silence = silence(self.account.touched);
        self.heard
            .filter(|heard| heard.silence == silence)
            .is_some_and(|heard| {
                insight::segments_received(&self.client.socket).is_some_and(|now| now != heard.segments)
            })
    }
}

/// A name for the silence since `touched`; the low bits differ for each within 71 minutes.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a name of few bits is enough to tell silences apart"
)]
fn silence(touched: Micros) -> u32 {
    touched.0 as u32
}
