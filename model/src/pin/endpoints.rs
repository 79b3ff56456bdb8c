//! The endpoints that pins name, each kept once: a hold has its number.

use std::net::SocketAddr;
use std::ops::Bound;

use imbl::{OrdMap, OrdSet};

use super::PoolNumber;

/// Stands for an endpoint of a pool while some hold names it. Differs from node to node; nothing shows it.
pub(super) type Number = u32;

/// The endpoints in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Endpoints {
    numbers: OrdMap<(PoolNumber, SocketAddr), Number>,
    used: OrdMap<Number, Used>,
    /// Numbers that have been given up, below the greatest that was given.
    free: OrdSet<Number>,
}

/// One endpoint of one pool.
#[derive(Clone, Copy, Debug)]
struct Used {
    pool: PoolNumber,
    address: SocketAddr,
    holds: usize,
}

impl Endpoints {
    pub(super) fn address(&self, number: Number) -> Option<SocketAddr> {
        self.used.get(&number).map(|used| used.address)
    }

    /// The number of an endpoint that some hold names.
    pub(super) fn number(&self, pool: PoolNumber, address: SocketAddr) -> Option<Number> {
        self.numbers.get(&(pool, address)).copied()
    }

    /// The endpoints of a pool that holds name.
    pub(super) fn of_pool(&self, pool: PoolNumber) -> impl Iterator<Item = SocketAddr> {
        self.entries_of(pool).map(|(address, _)| address)
    }

    /// Counts one more hold to an endpoint.
    pub(super) fn take(&mut self, pool: PoolNumber, address: SocketAddr) -> Number {
        if let Some(number) = self.number(pool, address) {
            if let Some(used) = self.used.get_mut(&number) {
                used.holds += 1;
            }
            return number;
        }
        let number = match self.free.get_min().copied() {
            Some(number) => {
                self.free.remove(&number);
                number
            }
            // Numbers have no gap but the free ones, and there are never as many holds as numbers.
            None => self
                .used
                .get_max()
                .map_or(0, |(greatest, _)| greatest.saturating_add(1)),
        };
        self.numbers.insert((pool, address), number);
        let holds = 1;
        self.used.insert(number, Used { pool, address, holds });
        number
    }

    /// Counts `holds` fewer to an endpoint, and forgets it with the last.
    pub(super) fn give_back(&mut self, number: Number, holds: usize) {
        let Some(used) = self.used.get_mut(&number) else {
            return;
        };
        used.holds = used.holds.saturating_sub(holds);
        if used.holds == 0 {
            let key = (used.pool, used.address);
            self.forget(key, number);
        }
    }

    /// Forgets every endpoint of a pool.
    pub(super) fn forget_pool(&mut self, pool: PoolNumber) {
        let entries: Vec<(SocketAddr, Number)> = self.entries_of(pool).collect();
        for (address, number) in entries {
            self.forget((pool, address), number);
        }
    }

    fn forget(&mut self, key: (PoolNumber, SocketAddr), number: Number) {
        self.numbers.remove(&key);
        self.used.remove(&number);
        self.free.insert(number);
        // Those at the end are no gap.
        let end = self
            .used
            .get_max()
            .map_or(0, |(greatest, _)| greatest.saturating_add(1));
        while let Some(last) = self.free.get_max().copied().filter(|last| *last >= end) {
            self.free.remove(&last);
        }
    }

    fn entries_of(&self, pool: PoolNumber) -> impl Iterator<Item = (SocketAddr, Number)> {
        let least = SocketAddr::from(([0, 0, 0, 0], 0));
        let start = Bound::Included((pool, least));
        self.numbers
            .range((start, Bound::Unbounded))
            .take_while(move |((other, _), _)| *other == pool)
            .map(|((_, address), number)| (*address, *number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_used_again() {
        let mut endpoints = Endpoints::default();
        let pool = PoolNumber(7);
        let at = |port| SocketAddr::from(([10, 0, 0, 1], port));
        assert_eq!([1, 2, 3, 2].map(|port| endpoints.take(pool, at(port))), [0, 1, 2, 1]);
        assert_eq!(endpoints.take(PoolNumber(8), at(1)), 3, "pools are apart");
        endpoints.give_back(1, 1);
        assert_eq!(endpoints.address(1), Some(at(2)));
        endpoints.give_back(1, 1);
        assert_eq!(endpoints.address(1), None);
        assert_eq!(endpoints.take(pool, at(9)), 1);
        endpoints.forget_pool(pool);
        assert_eq!(endpoints.of_pool(pool).count(), 0);
        assert_eq!(endpoints.number(PoolNumber(8), at(1)), Some(3));
        assert_eq!([4, 5, 6, 7].map(|port| endpoints.take(pool, at(port))), [0, 1, 2, 4]);
        endpoints.forget_pool(pool);
        endpoints.forget_pool(PoolNumber(8));
        assert!(endpoints.free.is_empty(), "nothing is left of what is gone");
    }
}
