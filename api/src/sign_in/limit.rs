//! How many sign-ins may fail from one address: guessing is slow, however many connections do it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Refused, counted_address};
use crate::status::Status;

/// Addresses that failures are remembered of; beyond it the one that failed longest ago is forgotten.
const ADDRESSES: usize = 4096;

/// Failed sign-ins by address.
pub(crate) struct SignInLimit {
    /// Failures at once, after which the address waits.
    burst: u32,
    /// Time after which one failure is forgotten.
    forget: Duration,
    failures: Mutex<BTreeMap<IpAddr, Failures>>,
}

/// Failures that are not forgotten yet.
struct Failures {
    count: u32,
    last: Instant,
}

impl SignInLimit {
    /// `burst` failures at once, and one more each `forget`.
    pub(crate) fn new(burst: u32, forget: Duration) -> SignInLimit {
        SignInLimit {
            burst,
            forget,
            failures: Mutex::new(BTreeMap::new()),
        }
    }

    /// Whether the address may try again, 429 if not. Certificates are not asked about: they cannot be guessed.
    pub(crate) fn check(&self, address: Option<IpAddr>) -> Result<(), Refused> {
        let Some(address) = address.map(counted_address) else {
            return Ok(());
        };
        let mut table = self.lock();
        let Some(failures) = table.get_mut(&address) else {
            return Ok(());
        };
        failures.forget(self.forget);
        match failures.count {
            0 => {
                table.remove(&address);
                Ok(())
            }
            count if count < self.burst => Ok(()),
            _ => Err(Refused::limited(
                Status::too_many_requests(format!(
                    "too many sign-ins from {address} have failed; one more may be tried every {} seconds",
                    self.forget.as_secs().max(1)
                ))
                .retry_after(self.forget),
            )),
        }
    }

    /// A sign-in from the address has failed.
    pub(crate) fn failed(&self, address: Option<IpAddr>) {
        let Some(address) = address.map(counted_address) else {
            return;
        };
        let mut table = self.lock();
        if !table.contains_key(&address) && table.len() >= ADDRESSES {
            let oldest = table.iter().min_by_key(|(_, failures)| failures.last);
            if let Some(oldest) = oldest.map(|(address, _)| *address) {
                table.remove(&oldest);
            }
        }
        let now = Instant::now();
        let failures = table.entry(address).or_insert(Failures { count: 0, last: now });
        failures.count = failures.count.saturating_add(1).min(self.burst);
        failures.last = now;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Failures>> {
        // Nothing under the lock panics halfway through a change.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failures {
    fn forget(&mut self, each: Duration) {
        let passed = self.last.elapsed().as_nanos() / each.as_nanos().max(1);
        if passed > 0 {
            self.count = self.count.saturating_sub(u32::try_from(passed).unwrap_or(u32::MAX));
            self.last = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn an_address_waits_after_its_burst_and_others_do_not() {
        let limit = SignInLimit::new(3, Duration::from_secs(3600));
        for _ in 0..3 {
            assert!(limit.check(address("192.0.2.1")).is_ok());
            limit.failed(address("192.0.2.1"));
        }
        assert!(limit.check(address("192.0.2.1")).is_err());
        assert!(limit.check(address("::ffff:192.0.2.1")).is_err());
        assert!(limit.check(address("192.0.2.2")).is_ok());
    }

    #[test]
    fn a_network_of_one_client_counts_as_one() {
        let limit = SignInLimit::new(1, Duration::from_secs(3600));
        limit.failed(address("2001:db8::1"));
        assert!(limit.check(address("2001:db8::ffff:1")).is_err());
        assert!(limit.check(address("2001:db8:0:1::1")).is_ok());
    }

    #[test]
    fn failures_are_forgotten() {
        let limit = SignInLimit::new(1, Duration::from_nanos(1));
        limit.failed(address("192.0.2.1"));
        assert!(limit.check(address("192.0.2.1")).is_ok());
    }

    #[test]
    fn the_table_is_bounded() {
        let limit = SignInLimit::new(1, Duration::from_secs(3600));
        for number in 0..u32::try_from(ADDRESSES).expect("fits") + 10 {
            limit.failed(Some(IpAddr::from(number.to_be_bytes())));
        }
        assert_eq!(limit.lock().len(), ADDRESSES);
        assert!(limit.check(address("0.0.0.0")).is_ok(), "the first was forgotten");
    }
}
