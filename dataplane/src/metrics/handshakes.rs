//! Handshakes of one listener, counted by side and outcome.

use std::cell::Cell;
use std::time::Duration;

use metrics::Label;

use crate::core::session::Side;
use crate::metrics as list;
use crate::metrics::tally::Samples;
use crate::tls::outcome::Outcome;

const OUTCOMES: usize = Outcome::ALL.len();

/// Handshakes since the last flush, with the client and with the endpoint.
#[derive(Debug, Default)]
pub(crate) struct Handshakes([Counts; 2]);

#[derive(Debug, Default)]
struct Counts {
    outcomes: [Cell<u64>; OUTCOMES],
    durations: Samples,
}

impl Handshakes {
    /// A handshake is over; how long it took counts if it is `Ok`.
    pub(crate) fn count(&self, side: Side, outcome: Outcome, took: Duration) {
        let counts = &self.0[side.index()];
        let cell = &counts.outcomes[outcome as usize];
        cell.set(cell.get() + 1);
        if outcome == Outcome::Ok {
            counts.durations.push(took);
        }
    }

    /// Whether they should be handed on before the flush that is due.
    pub(crate) fn is_full(&self) -> bool {
        self.0.iter().any(|counts| counts.durations.is_full())
    }

    /// Hands them to the recorder. A handshake is dear beside the look-up of its handles.
    pub(crate) fn flush(&self, labels: impl Fn() -> Vec<Label>) {
        for (side, counts) in ["client", "endpoint"].into_iter().zip(&self.0) {
            let labels = || {
                let mut labels = labels();
                labels.push(Label::from_static_parts("side", side));
                labels
            };
            for (outcome, cell) in Outcome::ALL.into_iter().zip(&counts.outcomes) {
                let count = cell.take();
                if count != 0 {
                    let mut labels = labels();
                    labels.push(Label::from_static_parts("outcome", outcome.word()));
                    metrics::counter!(list::TLS_HANDSHAKES.name, labels).increment(count);
                }
            }
            if !counts.durations.is_empty() {
                let handle = metrics::histogram!(list::TLS_HANDSHAKE_DURATION.name, labels());
                counts.durations.flush(&handle);
            }
        }
    }
}
