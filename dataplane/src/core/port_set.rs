//! The local ports toward one endpoint from one source address.

use std::ops::RangeInclusive;

/// Which ports of a range are leased: one bit each.
#[derive(Clone, Debug)]
pub struct PortSet {
    first: u16,
    count: u32,
    leased: u32,
    bits: Box<[u64]>,
}

impl PortSet {
    /// All of the range free. An empty range has no port to lease.
    pub fn new(range: &RangeInclusive<u16>) -> PortSet {
        let count = u32::try_from(range.len()).unwrap_or(0);
        PortSet {
            first: *range.start(),
            count,
            leased: 0,
            bits: vec![0; (count as usize).div_ceil(64)].into_boxed_slice(),
        }
    }

    /// Leases the first free port at or after the one that `start` points at, around the range once; `barred` ports are
    /// passed over.
    pub fn lease(&mut self, start: u64, barred: impl Fn(u16) -> bool) -> Option<u16> {
        let start = start.checked_rem(u64::from(self.count))?;
        let mut step = 0;
        while step < u64::from(self.count) {
            let place = (start + step) % u64::from(self.count);
            // A word without a free port is passed over whole.
            if place % 64 == 0 && self.bits[word(place)] == u64::MAX {
                step += 64;
                continue;
            }
            let port = self.port(place);
            if self.bits[word(place)] & bit(place) == 0 && !barred(port) {
                self.bits[word(place)] |= bit(place);
                self.leased += 1;
                return Some(port);
            }
            step += 1;
        }
        None
    }

    /// Gives a port back.
    pub fn release(&mut self, port: u16) {
        if self.holds(port) {
            let place = u64::from(port - self.first);
            self.bits[word(place)] &= !bit(place);
            self.leased -= 1;
        }
    }

    /// Whether the port is leased.
    pub fn holds(&self, port: u16) -> bool {
        let Some(place) = port.checked_sub(self.first) else {
            return false;
        };
        u32::from(place) < self.count && self.bits[word(u64::from(place))] & bit(u64::from(place)) != 0
    }

    /// Whether no port is leased.
    pub fn is_empty(&self) -> bool {
        self.leased == 0
    }

    fn port(&self, place: u64) -> u16 {
        self.first + u16::try_from(place).unwrap_or(0)
    }
}

fn word(place: u64) -> usize {
    usize::try_from(place / 64).unwrap_or(usize::MAX)
}

fn bit(place: u64) -> u64 {
    1 << (place % 64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_port_is_leased_once_and_comes_back() {
        for (range, start) in [
            (65_000..=65_535, 7),
            (1..=1, 9),
            (1000..=1200, u64::MAX),
            (32_768..=60_999, 28_000),
        ] {
            let mut set = PortSet::new(&range);
            let leased: BTreeSet<u16> = std::iter::from_fn(|| set.lease(start, |_| false)).collect();
            assert_eq!(leased, range.clone().collect());
            assert!(range.clone().all(|port| set.holds(port)));
            let last = *range.end();
            set.release(last);
            set.release(last);
            assert_eq!(set.lease(0, |_| false), Some(last));
            for port in range {
                set.release(port);
            }
            assert!(set.is_empty());
        }
    }

    #[test]
    fn barred_ports_are_never_leased() {
        let mut set = PortSet::new(&(100..=299));
        let leased: Vec<u16> = std::iter::from_fn(|| set.lease(5, |port| port % 2 == 0)).collect();
        assert_eq!(leased.len(), 100);
        assert!(leased.iter().all(|port| port % 2 == 1));
    }

    #[test]
    fn a_range_without_ports_leases_none() {
        #[expect(clippy::reversed_empty_ranges, reason = "an empty range is what is asked about")]
        let mut set = PortSet::new(&(2..=1));
        assert_eq!(set.lease(0, |_| false), None);
        assert!(!set.holds(1) && !set.holds(2));
    }
}
