//! What a change of plan means for a session that still seeks an endpoint: it goes on under the plan that counts now.

use std::rc::Rc;

use crate::core::reason::CloseReason;
use crate::core::selection::Attempt;
use crate::core::slab::Key;
use crate::lane::First;
use crate::relay::record::Record;
use crate::relay::sessions::Sessions;
use crate::relay::tls::Stage;

impl Sessions {
    /// The first attempt of a session that was chosen an endpoint a while ago, and dials it only now.
    pub(super) fn first_attempt(&mut self, key: Key) -> Option<Result<Attempt, CloseReason>> {
        let record = self.records.get_mut(key)?;
        record.renew();
        let dial = record.dial.as_mut()?;
        if dial.lane.takes(dial.attempt) {
            return Some(Ok(dial.attempt));
        }
        let (hash, first) = dial.lane.choose(record.account.client, &self.shared, self.ledger.now);
        Some(first.map(|First { attempt, held }| {
            (dial.hash, dial.attempt, record.held) = (hash, attempt, held);
            attempt
        }))
    }
}

impl Record {
    /// Takes over what has changed since the endpoint was chosen.
    pub(super) fn renew(&mut self) {
        let Some(dial) = &mut self.dial else { return };
        let newest = dial.lane.newest();
        if Rc::ptr_eq(newest, &dial.lane) {
            return;
        }
        let newest = Rc::clone(newest);
        dial.attempt = dial.lane.carried(dial.attempt, &newest);
        dial.lane = newest;
        if let Some(tls) = &mut self.tls
            && let Stage::Handshake(way) | Stage::Dialing(way) = &mut tls.stage
        {
            let newest = Rc::clone(way.newest());
            *way = newest;
        }
    }
}
