//! A hashed timer wheel whose entries are links inside the sessions themselves: arming and disarming touch two
//! neighbours and allocate nothing.
//!
//! An entry is never late by more than one tick plus the caller's own delay, but it may be *early*: a deadline beyond
//! the wheel's horizon is put into its last slot. Whoever takes an entry looks at the real deadline and arms again if
//! it has not come; that is also how a session moves its deadline with each byte without touching the wheel.

use std::cell::Cell;

use crate::core::time::Micros;

/// Microseconds of a tick, as a power of two: 16.4 ms.
const TICK_BITS: u32 = 14;
/// Slots: a horizon of 67 s.
const SLOTS: usize = 4096;
const WORDS: usize = SLOTS / 64;
const NONE: u32 = u32::MAX;

/// A session's place in the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    previous: u32,
    next: u32,
    slot: u32,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            previous: NONE,
            next: NONE,
            slot: NONE,
        }
    }
}

impl Link {
    /// Whether it is in the wheel.
    pub fn is_armed(&self) -> bool {
        self.slot != NONE
    }
}

/// Where the links are. Every armed index has one until it is disarmed or taken.
pub trait Links {
    /// The link of this slot; `None` if it has no tenant.
    fn link(&mut self, index: u32) -> Option<&mut Link>;
}

/// The wheel.
#[derive(Debug)]
pub struct Wheel {
    heads: Box<[u32]>,
    occupied: [u64; WORDS],
    /// The tick whose slot is taken from next.
    cursor: u64,
    /// What a search of `occupied` would find. The wheel is asked in every round of events and changes in few of them.
    next: Cell<Next>,
}

/// The first tick after the cursor whose slot holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It has to be searched for.
    Unknown,
    /// Every other slot is empty.
    Never,
    /// This one.
    At(u64),
}

impl Wheel {
    /// An empty wheel that starts at `now`.
    pub fn new(now: Micros) -> Wheel {
        Wheel {
            heads: vec![NONE; SLOTS].into_boxed_slice(),
            occupied: [0; WORDS],
            cursor: now.0 >> TICK_BITS,
            next: Cell::new(Next::Never),
        }
    }

    /// Arms `index` for `deadline`; it must not be armed.
    pub fn arm(&mut self, links: &mut impl Links, index: u32, deadline: Micros) {
        let tick = (deadline.0 >> TICK_BITS) + 1;
        let tick = tick.clamp(self.cursor + 1, self.cursor + SLOTS as u64 - 1);
        let slot = slot_of(tick);
        let next = self.heads[slot];
        match links.link(index) {
            Some(link) => {
                *link = Link {
                    previous: NONE,
                    next,
                    slot: u32::try_from(slot).unwrap_or(NONE),
                };
            }
            None => return,
        }
        if let Some(link) = links.link(next) {
            link.previous = index;
        }
        self.heads[slot] = index;
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.next.set(match self.next.get() {
            Next::Unknown => Next::Unknown,
            Next::Never => Next::At(tick),
            Next::At(next) => Next::At(next.min(tick)),
        });
    }

    /// Takes `index` out, if it is in.
    pub fn disarm(&mut self, links: &mut impl Links, index: u32) {
        let Some(link) = links.link(index) else { return };
        let Link { previous, next, slot } = std::mem::take(link);
        if slot == NONE {
            return;
        }
        let slot = slot as usize;
        if let Some(link) = links.link(next) {
            link.previous = previous;
        }
        match links.link(previous) {
            Some(link) => link.next = next,
            None => self.heads[slot] = next,
        }
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            if matches!(self.next.get(), Next::At(tick) if slot_of(tick) == slot) {
                self.next.set(Next::Unknown);
            }
        }
    }

    /// Takes one entry that may be due at `now`.
    pub fn take(&mut self, links: &mut impl Links, now: Micros) -> Option<u32> {
        let target = now.0 >> TICK_BITS;
        loop {
            let index = self.heads[slot_of(self.cursor)];
            if index != NONE {
                self.disarm(links, index);
                return Some(index);
            }
            if self.cursor >= target {
                return None;
            }
            self.cursor = self.next_occupied().map_or(target, |tick| tick.min(target));
            if matches!(self.next.get(), Next::At(tick) if tick <= self.cursor) {
                self.next.set(Next::Unknown);
            }
        }
    }

    /// When [`Wheel::take`] may have something.
    pub fn next_deadline(&self) -> Option<Micros> {
        let tick = if self.heads[slot_of(self.cursor)] == NONE {
            self.next_occupied()?
        } else {
            self.cursor
        };
        Some(Micros(tick << TICK_BITS))
    }

    /// The first tick after the cursor whose slot holds something.
    fn next_occupied(&self) -> Option<u64> {
        if self.next.get() == Next::Unknown {
            self.next.set(self.search().map_or(Next::Never, Next::At));
        }
        match self.next.get() {
            Next::At(tick) => Some(tick),
            Next::Never | Next::Unknown => None,
        }
    }

    fn search(&self) -> Option<u64> {
        let start = self.cursor + 1;
        let first = slot_of(start);
        for step in 0..=WORDS {
            let word = (first / 64 + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= u64::MAX << (first % 64);
            } else if step == WORDS {
                bits &= !(u64::MAX << (first % 64));
            }
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                return Some(start + ((slot + SLOTS - first) % SLOTS) as u64);
            }
        }
        None
    }
}

fn slot_of(tick: u64) -> usize {
    usize::try_from(tick % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;

    const TICK: u64 = 1 << TICK_BITS;

    impl Links for Vec<Link> {
        fn link(&mut self, index: u32) -> Option<&mut Link> {
            self.get_mut(index as usize)
        }
    }

    fn due(wheel: &mut Wheel, links: &mut Vec<Link>, now: Micros) -> BTreeSet<u32> {
        std::iter::from_fn(|| wheel.take(links, now)).collect()
    }

    #[test]
    fn entries_come_out_after_their_deadline_and_within_a_tick() {
        let start = Micros(123_456_789);
        let mut wheel = Wheel::new(start);
        let mut links = vec![Link::default(); 300];
        for index in 0..300 {
            wheel.arm(
                &mut links,
                index,
                start.after(Duration::from_millis(u64::from(index) * 7)),
            );
        }
        let mut seen = BTreeSet::new();
        while let Some(at) = wheel.next_deadline() {
            for index in due(&mut wheel, &mut links, at) {
                let deadline = start.after(Duration::from_millis(u64::from(index) * 7));
                assert!(
                    at > deadline && at.0 <= deadline.0 + TICK,
                    "{index} at {at:?} for {deadline:?}"
                );
                assert!(!links[index as usize].is_armed());
                assert!(seen.insert(index));
            }
        }
        assert_eq!(seen.len(), 300);
    }

    #[test]
    fn a_deadline_beyond_the_horizon_comes_out_early_never_late() {
        let mut wheel = Wheel::new(Micros(0));
        let mut links = vec![Link::default(); 1];
        let deadline = Micros(0).after(Duration::from_secs(3600));
        let mut now = Micros(0);
        wheel.arm(&mut links, 0, deadline);
        for _ in 0..1000 {
            now = wheel.next_deadline().expect("armed");
            assert_eq!(wheel.take(&mut links, now), Some(0));
            if now > deadline {
                break;
            }
            wheel.arm(&mut links, 0, deadline);
        }
        assert!(now > deadline && now.0 <= deadline.0 + TICK);
    }

    #[test]
    fn disarming_leaves_the_neighbours() {
        let mut wheel = Wheel::new(Micros(0));
        let mut links = vec![Link::default(); 5];
        let deadline = Micros(10 * TICK);
        for index in 0..5 {
            wheel.arm(&mut links, index, deadline);
        }
        for index in [2, 4, 0] {
            wheel.disarm(&mut links, index);
            wheel.disarm(&mut links, index);
        }
        assert_eq!(due(&mut wheel, &mut links, Micros(10 * TICK)), BTreeSet::new());
        assert_eq!(due(&mut wheel, &mut links, Micros(11 * TICK)), BTreeSet::from([1, 3]));
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn the_next_deadline_follows_every_change() {
        let mut wheel = Wheel::new(Micros(0));
        let mut links = vec![Link::default(); 4];
        let next = |wheel: &Wheel| wheel.next_deadline().map(|deadline| deadline.0 / TICK);
        assert_eq!(next(&wheel), None);
        for (index, tick, expected) in [(0, 30, 31), (1, 10, 11), (2, 20, 11), (3, 10, 11)] {
            wheel.arm(&mut links, index, Micros(tick * TICK));
            assert_eq!(next(&wheel), Some(expected));
        }
        for (index, expected) in [(3, Some(11)), (1, Some(21)), (0, Some(21))] {
            wheel.disarm(&mut links, index);
            assert_eq!(next(&wheel), expected);
        }
        assert_eq!(due(&mut wheel, &mut links, Micros(15 * TICK)), BTreeSet::new());
        assert_eq!(next(&wheel), Some(21));
        wheel.arm(&mut links, 1, Micros(16 * TICK));
        assert_eq!(next(&wheel), Some(17));
        assert_eq!(due(&mut wheel, &mut links, Micros(17 * TICK)), BTreeSet::from([1]));
        assert_eq!(next(&wheel), Some(21));
        assert_eq!(due(&mut wheel, &mut links, Micros(21 * TICK)), BTreeSet::from([2]));
        assert_eq!(next(&wheel), None);
    }

    #[test]
    fn a_long_pause_loses_nothing() {
        let mut wheel = Wheel::new(Micros(0));
        let mut links = vec![Link::default(); 100];
        for index in 0..100 {
            wheel.arm(&mut links, index, Micros(u64::from(index) * 40 * TICK));
        }
        let late = Micros(SLOTS as u64 * TICK * 10);
        assert_eq!(due(&mut wheel, &mut links, late).len(), 100);
        wheel.arm(&mut links, 7, late);
        assert_eq!(
            due(&mut wheel, &mut links, late.after(Duration::from_millis(17))),
            BTreeSet::from([7])
        );
    }
}
