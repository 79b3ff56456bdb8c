//! Slots for sessions, in chunks that never move: growth copies nothing, and the memory in use follows the number of
//! sessions.

/// Slots in one chunk.
const CHUNK: usize = 64;
/// End of the free list.
const NONE: u32 = u32::MAX;

/// A slot, and which of its successive tenants is meant. A key of an earlier tenant finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The slot.
    pub index: u32,
    /// Its tenant; wraps after 2^32 tenants of one slot.
    pub generation: u32,
}

/// Values in chunks of slots. Chunks are kept when they empty, for the next rush.
#[derive(Debug)]
pub struct Slab<T> {
    chunks: Vec<Box<[Slot<T>]>>,
    free: u32,
    occupied: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    next_free: u32,
    value: Option<T>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab {
            chunks: Vec::new(),
            free: NONE,
            occupied: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Puts `value` into a free slot.
    pub fn insert(&mut self, value: T) -> Key {
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let slot = self.slot_mut(index);
        let next = slot.next_free;
        slot.value = Some(value);
        let generation = slot.generation;
        self.free = next;
        self.occupied += 1;
        Key { index, generation }
    }

    /// The value, to look at, unless its tenancy has ended.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self
            .chunks
            .get(key.index as usize / CHUNK)?
            .get(key.index as usize % CHUNK)?;
        slot.value.as_ref().filter(|_| slot.generation == key.generation)
    }

    /// The value, unless its tenancy has ended.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self
            .chunks
            .get_mut(key.index as usize / CHUNK)?
            .get_mut(key.index as usize % CHUNK)?;
        if slot.generation == key.generation {
            slot.value.as_mut()
        } else {
            None
        }
    }

    /// The present tenant of a slot.
    pub fn tenant_mut(&mut self, index: u32) -> Option<&mut T> {
        self.chunks
            .get_mut(index as usize / CHUNK)?
            .get_mut(index as usize % CHUNK)?
            .value
            .as_mut()
    }

    /// The present tenant of a slot, to look at.
    pub fn tenant(&self, index: u32) -> Option<&T> {
        self.chunks
            .get(index as usize / CHUNK)?
            .get(index as usize % CHUNK)?
            .value
            .as_ref()
    }

    /// The key of the present tenant of a slot.
    pub fn key(&self, index: u32) -> Option<Key> {
        let slot = self.chunks.get(index as usize / CHUNK)?.get(index as usize % CHUNK)?;
        slot.value.as_ref().map(|_| Key {
            index,
            generation: slot.generation,
        })
    }

    /// Takes the value out and ends its tenancy.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let free = self.free;
        let slot = self
            .chunks
            .get_mut(key.index as usize / CHUNK)?
            .get_mut(key.index as usize % CHUNK)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        slot.next_free = free;
        self.free = key.index;
        self.occupied -= 1;
        Some(value)
    }

    /// Values held.
    pub fn len(&self) -> usize {
        self.occupied
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.occupied == 0
    }

    /// Slots there are, free ones included; each index below it may be asked for with [`Slab::key`].
    pub fn slots(&self) -> u32 {
        u32::try_from(self.chunks.len() * CHUNK).unwrap_or(NONE)
    }

    fn grow(&mut self) {
        let first = self.slots();
        let chunk: Box<[Slot<T>]> = (0..CHUNK)
            .map(|offset| {
                let next = first + u32::try_from(offset).unwrap_or(NONE) + 1;
                Slot {
                    generation: 0,
                    next_free: if offset + 1 == CHUNK { NONE } else { next },
                    value: None,
                }
            })
            .collect();
        self.chunks.push(chunk);
        self.free = first;
    }

    fn slot_mut(&mut self, index: u32) -> &mut Slot<T> {
        &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_outlives_its_tenant_and_then_finds_nothing() {
        let mut slab = Slab::default();
        let first = slab.insert("first");
        assert_eq!(slab.remove(first), Some("first"));
        let second = slab.insert("second");
        assert_eq!(second.index, first.index);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut "second"));
        assert_eq!(
            (slab.get(second), slab.tenant(second.index)),
            (Some(&"second"), Some(&"second"))
        );
        assert_eq!(slab.key(second.index), Some(second));
        assert_eq!(slab.key(first.index + 1), None);
    }

    #[test]
    fn values_do_not_move_when_it_grows_and_freed_slots_are_used_first() {
        let mut slab = Slab::default();
        let keys: Vec<Key> = (0..CHUNK * 3).map(|value| slab.insert(value)).collect();
        let place = std::ptr::from_ref(slab.tenant_mut(keys[5].index).expect("tenant"));
        for value in 0..CHUNK * 5 {
            slab.insert(value);
        }
        assert_eq!(
            place,
            std::ptr::from_ref(slab.tenant_mut(keys[5].index).expect("tenant"))
        );
        let slots = slab.slots();
        for key in &keys {
            assert!(slab.remove(*key).is_some());
        }
        for value in 0..keys.len() {
            slab.insert(value);
        }
        assert_eq!(slab.slots(), slots);
        assert_eq!(slab.len(), CHUNK * 8);
    }
}
