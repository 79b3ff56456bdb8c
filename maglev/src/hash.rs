//! The keyed hash.

use std::fmt;

use siphasher::sip::SipHasher24;

/// The cluster's secret hash key: SipHash-2-4, 128 bits.
///
/// Secret, because a client that knows it can aim all its flows at one endpoint; `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed(pub [u8; 16]);

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed(secret)")
    }
}

/// Keyed hash of a flow key: SipHash-2-4 with 64 bits of output (Aumasson and Bernstein, 2012).
pub fn hash(seed: Seed, key: &[u8]) -> u64 {
    SipHasher24::new_with_key(&seed.0).hash(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_papers_appendix_a() {
        let seed = Seed(std::array::from_fn(|i| u8::try_from(i).unwrap()));
        let message: Vec<u8> = (0..15).collect();
        assert_eq!(hash(seed, &message), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn the_seed_stays_out_of_logs() {
        assert_eq!(format!("{:?}", Seed([7; 16])), "Seed(secret)");
    }
}
