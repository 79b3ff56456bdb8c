//! Whether each side takes the bytes that are queued for it.
//!
//! *Queued* for a side are the bytes that this node has taken from the other side and that the receiver's machine has not
//! acknowledged: those held here, in a buffer or a pipe, and those in the send queue of the socket. A side makes
//! *progress* when its machine acknowledges one. It is *stalled* when bytes have been queued for it for the whole timeout
//! without progress. A receiver that reads slowly, however slowly, is not stalled as long as its window opens now and
//! then.
//!
//! Nothing is noted when bytes move. The queues are looked at four times in the length of the timeout, and a stall
//! counts from the first look that has seen it: a side is never given less time than the timeout, and at most a quarter more
//! (and a tick of the wheel).

use std::time::Duration;

use crate::core::session::Side;
use crate::core::time::Micros;

/// Looks in the length of one timeout.
const LOOKS: u32 = 4;

/// What is queued for a side at the moment of a look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Bytes taken from the other side since the session began.
    pub offered: u64,
    /// Those that are not acknowledged.
    pub waiting: u64,
}

/// What is remembered of a session's queues from look to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallWatch {
    next: Micros,
    /// By the side that receives.
    sides: [Last; 2],
}

/// What the last look at one queue has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Last {
    waiting: bool,
    taken: u64,
    /// The first look that has found the queue as it was.
    since: Micros,
}

impl StallWatch {
    /// A watch over a session in which nothing is queued yet.
    pub fn new(timeout: Duration, now: Micros) -> StallWatch {
        StallWatch {
            next: now.after(timeout / LOOKS),
            sides: [Last::default(); 2],
        }
    }

    /// When to look.
    pub fn next_look(&self) -> Micros {
        self.next
    }

    /// Looks at what is queued for each side, and tells which side is stalled, if one is.
    pub fn look(&mut self, timeout: Duration, queues: [Queue; 2], now: Micros) -> Option<Side> {
        self.next = now.after(timeout / LOOKS).max(Micros(now.0.saturating_add(1)));
        Side::BOTH.into_iter().find(|side| {
            let (last, queue) = (&mut self.sides[side.index()], queues[side.index()]);
            let taken = queue.offered.wrapping_sub(queue.waiting);
            let unmoved = last.waiting && last.taken == taken;
            if !unmoved {
                last.since = now;
            }
            last.taken = taken;
            last.waiting = queue.waiting > 0;
            last.waiting && now.since(last.since) >= timeout
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(400);

    fn milli(millis: u64) -> Micros {
        Micros(millis * 1000)
    }

    /// Looks at one side, nothing being queued for the other.
    fn look(watch: &mut StallWatch, side: Side, offered: u64, waiting: u64, now: u64) -> Option<Side> {
        let mut queues = [Queue::default(); 2];
        queues[side.index()] = Queue { offered, waiting };
        watch.look(TIMEOUT, queues, milli(now))
    }

    #[test]
    fn a_queue_that_does_not_move_for_the_timeout_is_a_stall() {
        for side in Side::BOTH {
            let mut watch = StallWatch::new(TIMEOUT, milli(0));
            assert_eq!(watch.next_look(), milli(100));
            assert_eq!(look(&mut watch, side, 10, 10, 100), None);
            assert_eq!(look(&mut watch, side, 10, 10, 499), None);
            // More bytes behind those that wait are no progress.
            assert_eq!(look(&mut watch, side, 50, 50, 500), Some(side));
        }
    }

    #[test]
    fn one_acknowledged_byte_is_progress_and_so_is_an_empty_queue() {
        let mut watch = StallWatch::new(TIMEOUT, milli(0));
        assert_eq!(look(&mut watch, Side::Client, 10, 10, 100), None);
        assert_eq!(look(&mut watch, Side::Client, 10, 9, 450), None);
        assert_eq!(look(&mut watch, Side::Client, 10, 9, 800), None);
        assert_eq!(look(&mut watch, Side::Client, 10, 0, 849), None);
        assert_eq!(look(&mut watch, Side::Client, 10, 0, 5000), None);
        // A queue that has just filled has its whole time before it.
        assert_eq!(look(&mut watch, Side::Client, 11, 1, 5001), None);
        assert_eq!(look(&mut watch, Side::Client, 11, 1, 5400), None);
        assert_eq!(look(&mut watch, Side::Client, 11, 1, 5401), Some(Side::Client));
    }

    proptest! {
        /// Against the true history of a queue: never early, and late by no more than the distance of two looks.
        #[test]
        fn never_early_and_hardly_late(offers in proptest::collection::vec(0u64..3000, 0..8),
            takes in proptest::collection::vec((0u64..3000, 1u64..20), 0..8)) {
            let mut changes: Vec<(u64, u64, u64)> = offers.iter().map(|at| (*at, 10, 0)).collect();
            changes.extend(takes.iter().map(|(at, amount)| (*at, 0, *amount)));
            changes.sort_unstable();
            let (mut offered, mut taken, mut waiting_since) = (0u64, 0u64, None);
            let mut watch = StallWatch::new(TIMEOUT, milli(0));
            let mut changes = changes.into_iter().peekable();
            for now in 0..6000u64 {
                while let Some((_, offer, take)) = changes.next_if(|(at, ..)| *at == now) {
                    let takes = take.min(offered - taken);
                    offered += offer;
                    taken += takes;
                    if offered == taken {
                        waiting_since = None;
                    } else if takes > 0 || waiting_since.is_none() {
                        waiting_since = Some(now);
                    }
                }
                let stalled = waiting_since.map(|since| now - since);
                if milli(now) >= watch.next_look() {
                    let found = look(&mut watch, Side::Endpoint, offered, offered - taken, now);
                    if found.is_some() {
                        prop_assert!(stalled.is_some_and(|stalled| stalled >= 400), "early: {stalled:?}");
                        return Ok(());
                    }
                }
                prop_assert!(stalled.is_none_or(|stalled| stalled <= 501), "late: {stalled:?}");
            }
        }
    }
}
