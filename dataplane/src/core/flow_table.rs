//! Where a flow is, by the hash of what it is: open addressing with linear probing.
//!
//! A slot holds the lower half of the hash and the index of the flow, so a search touches one cache line of the table
//! and, almost always, only the flow that it finds. Removal moves later entries back instead of leaving marks, so a
//! table that has seen many flows is as quick as a new one.

/// Slots at first.
const FIRST: usize = 64;
const EMPTY: u32 = u32::MAX;

/// Indexes of flows by hash.
#[derive(Debug)]
pub struct FlowTable {
    slots: Box<[Slot]>,
    used: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    hash: u32,
    /// `EMPTY` if there is none.
    index: u32,
}

const VACANT: Slot = Slot { hash: 0, index: EMPTY };

impl Default for FlowTable {
    fn default() -> Self {
        FlowTable {
            slots: vec![VACANT; FIRST].into_boxed_slice(),
            used: 0,
        }
    }
}

impl FlowTable {
    /// The index that was put in under `hash` and that `is` recognises.
    pub fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        let hash = short(hash);
        let mut place = self.home(hash);
        loop {
            let slot = self.slots[place];
            if slot.index == EMPTY {
                return None;
            }
            if slot.hash == hash && is(slot.index) {
                return Some(slot.index);
            }
            place = self.after(place);
        }
    }

    /// Puts an index in; it must not be in.
    pub fn insert(&mut self, hash: u64, index: u32) {
        // At most seven slots in eight are used: searches stay short, and there always is an empty one to end them.
        if (self.used + 1) * 8 > self.slots.len() * 7 {
            self.resize(self.slots.len() * 2);
        }
        self.put(Slot {
            hash: short(hash),
            index,
        });
        self.used += 1;
    }

    /// Takes an index out, if it is in under `hash`.
    pub fn remove(&mut self, hash: u64, index: u32) {
        let wanted = Slot {
            hash: short(hash),
            index,
        };
        let mut place = self.home(wanted.hash);
        while self.slots[place] != wanted {
            if self.slots[place].index == EMPTY {
                return;
            }
            place = self.after(place);
        }
        self.close_gap(place);
        self.used -= 1;
        if self.slots.len() > FIRST && self.used * 8 < self.slots.len() {
            self.resize(self.slots.len() / 2);
        }
    }

    /// Indexes held.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Moves back what follows a slot that became empty, as far as it may stand nearer to its home.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.slots.len() - 1;
        let mut place = self.after(gap);
        while self.slots[place].index != EMPTY {
            let from_home = place.wrapping_sub(self.home(self.slots[place].hash)) & mask;
            let from_gap = place.wrapping_sub(gap) & mask;
            if from_home >= from_gap {
                self.slots[gap] = self.slots[place];
                gap = place;
            }
            place = self.after(place);
        }
        self.slots[gap] = VACANT;
    }

    fn put(&mut self, slot: Slot) {
        let mut place = self.home(slot.hash);
        while self.slots[place].index != EMPTY {
            place = self.after(place);
        }
        self.slots[place] = slot;
    }

    fn resize(&mut self, count: usize) {
        let old = std::mem::replace(&mut self.slots, vec![VACANT; count].into_boxed_slice());
        for slot in old.into_iter().filter(|slot| slot.index != EMPTY) {
            self.put(slot);
        }
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize & (self.slots.len() - 1)
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.slots.len() - 1)
    }
}

/// The half of the hash that is kept.
fn short(hash: u64) -> u32 {
    u32::try_from(hash & u64::from(u32::MAX)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Few hashes and many steps, so that runs collide, wrap around and are taken apart in every order.
    #[test]
    fn it_agrees_with_a_map_over_many_steps() {
        for (hashes, indexes) in [(7, 40), (100, 400), (100_000, 4000)] {
            let mut table = FlowTable::default();
            let mut oracle: BTreeMap<u32, u64> = BTreeMap::new();
            let mut state = 88_172_645_463_325_252u64;
            for _ in 0..40_000 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let index = u32::try_from(state % indexes).expect("small");
                // Homes at the end of the table wrap around.
                let hash = ((state >> 32) % hashes).wrapping_sub(3);
                match oracle.remove(&index) {
                    Some(hash) => {
                        assert_eq!(table.find(hash, |found| found == index), Some(index));
                        table.remove(hash, index);
                        assert_eq!(table.find(hash, |found| found == index), None);
                    }
                    None => {
                        table.remove(hash, index);
                        table.insert(hash, index);
                        oracle.insert(index, hash);
                    }
                }
                assert_eq!(table.len(), oracle.len());
            }
            for (index, hash) in &oracle {
                assert_eq!(table.find(*hash, |found| found == *index), Some(*index));
            }
            for (index, hash) in oracle {
                table.remove(hash, index);
            }
            assert!(table.is_empty() && table.slots.iter().all(|slot| *slot == VACANT));
            assert_eq!(table.slots.len(), FIRST);
        }
    }
}
