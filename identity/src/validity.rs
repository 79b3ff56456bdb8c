//! From when until when a certificate is good.

use std::time::Duration;

use rustls_pki_types::UnixTime;
use time::OffsetDateTime;

/// How long the authority of a cluster is good for. It is not renewed: a cluster that lives as long gets a new one by hand.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 366 * 24 * 3600);

/// How long before it was issued a certificate is good already: clocks of nodes differ.
pub const BACKDATED: Duration = Duration::from_secs(5 * 60);

/// A span of time, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: UnixTime,
    /// Last moment.
    pub not_after: UnixTime,
}

impl Validity {
    /// From [`BACKDATED`] before `now` until `life` after it.
    pub fn starting(now: UnixTime, life: Duration) -> Validity {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        Validity {
            not_before: at(now.as_secs().saturating_sub(BACKDATED.as_secs())),
            not_after: at(now.as_secs().saturating_add(life.as_secs())),
        }
    }

    /// What certificates can say: they end with the year 9999.
    pub(crate) fn dates(&self) -> [OffsetDateTime; 2] {
        [self.not_before, self.not_after].map(date)
    }
}

fn date(time: UnixTime) -> OffsetDateTime {
    const LAST: i64 = 253_402_300_799;
    let seconds = i64::try_from(time.as_secs()).map_or(LAST, |seconds| seconds.min(LAST));
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_starts_before_it_was_given_and_stays_within_what_can_be_written() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let validity = Validity::starting(at(1_000), Duration::from_secs(60));
        assert_eq!((validity.not_before, validity.not_after), (at(700), at(1_060)));
        let endless = Validity::starting(at(10), Duration::MAX);
        assert_eq!(endless.not_before, at(0));
        assert_eq!(endless.dates()[1].year(), 9999);
    }
}
