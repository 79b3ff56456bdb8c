//! Those who shake hands at this moment: how many, how many from one address, and what is written of those turned away.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Handshakes at once; who comes when there are so many is turned away.
const AT_ONCE: u32 = 64;
/// Of one address.
const OF_ONE_ADDRESS: u32 = 16;
/// Lines of one kind are written at most so often; how many were not is in the next one.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// The lobby.
#[derive(Debug, Default)]
pub(super) struct Lobby {
    waiting: Mutex<BTreeMap<IpAddr, u32>>,
    written: Mutex<BTreeMap<&'static str, Line>>,
}

#[derive(Debug)]
struct Line {
    last: Instant,
    not_written: u64,
}

/// A place in it, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    lobby: Arc<Lobby>,
    address: IpAddr,
}

impl Lobby {
    /// A place for a caller from this address, if there is one.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u32 = waiting.values().sum();
        let own = waiting.entry(address).or_default();
        if all >= AT_ONCE || *own >= OF_ONE_ADDRESS {
            return None;
        }
        *own += 1;
        Some(Place {
            lobby: self.clone(),
            address,
        })
    }

    /// Whether to write a line of this kind now, and how many before it were not written.
    pub(super) fn may_write(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get_mut(kind) {
            Some(line) if now.saturating_duration_since(line.last) < LINE_INTERVAL => {
                line.not_written += 1;
                None
            }
            line => {
                let before = line.map_or(0, |line| line.not_written);
                written.insert(
                    kind,
                    Line {
                        last: now,
                        not_written: 0,
                    },
                );
                Some(before)
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.lobby.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = waiting.get_mut(&self.address) {
            *own -= 1;
            if *own == 0 {
                waiting.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_every_place_and_a_place_is_given_back() {
        let lobby = Arc::new(Lobby::default());
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let mut places: Vec<Place> = (0..OF_ONE_ADDRESS).filter_map(|_| lobby.enter(address(1))).collect();
        assert_eq!(places.len(), 16);
        assert!(lobby.enter(address(1)).is_none(), "the address has its share");
        assert!(lobby.enter(address(2)).is_some(), "others have theirs");
        places.extend(
            (2..6)
                .flat_map(|last| (0..OF_ONE_ADDRESS).map(move |_| last))
                .filter_map(|last| lobby.enter(address(last))),
        );
        assert_eq!(places.len(), 64);
        assert!(lobby.enter(address(9)).is_none(), "it is full");
        places.clear();
        assert!(lobby.enter(address(9)).is_some());
        assert_eq!(
            lobby.waiting.lock().expect("not poisoned").len(),
            0,
            "nothing is kept of those that left"
        );
    }

    #[test]
    fn lines_of_one_kind_are_counted_when_they_are_not_written() {
        let lobby = Lobby::default();
        let start = Instant::now();
        assert_eq!(lobby.may_write("a", start), Some(0));
        assert_eq!(lobby.may_write("a", start), None);
        assert_eq!(lobby.may_write("b", start), Some(0));
        assert_eq!(lobby.may_write("a", start + LINE_INTERVAL), Some(1));
    }
}
