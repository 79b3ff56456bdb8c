//! Which holds go when there are too many: those with the lowest serials.
//!
//! An index by age would cost each hold as much again, in all the time in which there is room. So the oldest are sought
//! only when there is none, many at once: a serial is given once and rises, so those found stay the oldest until all of
//! them are gone. Whenever they are sought, the same are shed: a node that was restored from a snapshot agrees.

use super::{Holder, PinKey, Pins};

/// The part of all holds that is found by one search.
const SOUGHT_SHARE: usize = 16;

impl Pins {
    /// Sheds the oldest holds beyond `most`.
    pub(super) fn shed_beyond(&mut self, most: usize) {
        while self.holds > most {
            if self.next_to_shed.is_empty() {
                self.next_to_shed = self.oldest(most / SOUGHT_SHARE + 1).into();
            }
            let Some((serial, key, holder)) = self.next_to_shed.pop_front() else {
                return;
            };
            if self.serial_of(&key, holder) == Some(serial) {
                self.release(&key, holder);
                self.shed = self.shed.saturating_add(1);
            }
        }
    }

    fn serial_of(&self, key: &PinKey, holder: Holder) -> Option<u64> {
        let held = self.shelves.get(&(key.pool, holder))?.get(&key.flow)?;
        Some(held.serial)
    }

    /// The `count` oldest holds, or all if there are fewer; the oldest first.
    fn oldest(&self, count: usize) -> Vec<(u64, PinKey, Holder)> {
        let shelves = || self.shelves.values();
        let mut serials: Vec<u64> = shelves()
            .flat_map(|shelf| shelf.values())
            .map(|held| held.serial)
            .collect();
        let last = count.min(serials.len());
        let Some(place) = last.checked_sub(1) else {
            return Vec::new();
        };
        let (_, limit, _) = serials.select_nth_unstable(place);
        let limit = *limit;
        let mut found = Vec::with_capacity(last);
        for ((pool, holder), shelf) in &self.shelves {
            let old = shelf.iter().filter(|(_, held)| held.serial <= limit);
            found.extend(old.map(|(flow, held)| {
                let key = PinKey {
                    pool: *pool,
                    flow: *flow,
                };
                (held.serial, key, *holder)
            }));
        }
        found.sort_unstable_by_key(|(serial, ..)| *serial);
        found
    }
}
