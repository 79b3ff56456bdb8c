//! Two weights into one: the weight of a backendRef and the weight of an endpoint in it.

use std::collections::BTreeMap;

use crate::target::{Target, Weighted};

/// Makes one list of weighted targets from refs, each a weight and its weighted endpoints.
///
/// Within each ref, its weight is shared among its endpoints by theirs: weight of ref × weight of endpoint / sum of
/// weights of the ref's endpoints. So each ref keeps its share, however many endpoints it has.
///
/// - A target in two refs, or twice in one, comes once with the sum.
/// - A ref with weight whose endpoints are none, or all of weight 0, becomes [`Target::Reject`] of its index: its
///   share is refused, never redistributed. Refs from index 65 535 on share one reject.
/// - Refs and endpoints of weight 0 vanish.
///
/// Quotients are integers in units of 1/2⁴⁰ of a ref's weight (of a larger unit where the sum of the refs' weights is
/// 2²³ or more, so that the sum of all results stays below 2⁶⁴), rounded down but never to 0. Equal quotients give
/// equal results, and a ref's results do not depend on other refs' endpoints. The result is in canonical order.
pub fn flatten(refs: &[(u64, Vec<(Target, u64)>)]) -> Vec<Weighted> {
    let total: u128 = refs.iter().map(|(weight, _)| u128::from(*weight)).sum();
    let scale = Scale::for_total(total);
    let mut weights: BTreeMap<Target, u64> = BTreeMap::new();
    let mut add = |target: Target, weight: u64| {
        let sum = weights.entry(target.canonical()).or_default();
        *sum = sum.saturating_add(weight);
    };
    for (index, (weight, endpoints)) in refs.iter().enumerate() {
        let sum: u128 = endpoints.iter().map(|(_, weight)| u128::from(*weight)).sum();
        if *weight == 0 {
            continue;
        }
        if sum == 0 {
            add(
                Target::Reject(u16::try_from(index).unwrap_or(u16::MAX)),
                scale.share(*weight, 1, 1),
            );
            continue;
        }
        for (target, part) in endpoints.iter().filter(|(_, part)| *part > 0) {
            add(*target, scale.share(*weight, *part, sum));
        }
    }
    weights
        .into_iter()
        .map(|(target, weight)| Weighted { target, weight })
        .collect()
}

/// Powers of two by which quotients are multiplied, and then divided.
#[derive(Clone, Copy, Debug)]
struct Scale {
    up: u32,
    down: u32,
}

impl Scale {
    const UP: u32 = 40;
    /// Results sum to less than 2 to this power, less what never rounding to 0 adds.
    const SUM_BITS: u32 = 63;

    fn for_total(total: u128) -> Scale {
        let bits = u128::BITS - total.leading_zeros();
        Scale {
            up: Scale::SUM_BITS.saturating_sub(bits).min(Scale::UP),
            down: bits.saturating_sub(Scale::SUM_BITS),
        }
    }

    /// weight × part / sum in units of the scale; `sum` is at least `part` and not 0.
    fn share(self, weight: u64, part: u64, sum: u128) -> u64 {
        let product = u128::from(weight) * u128::from(part);
        // In two steps, since product << up may exceed 128 bits; the remainder is below sum, a sum of u64s.
        let whole = (product / sum) << self.up;
        let fraction = ((product % sum) << self.up) / sum;
        let scaled = (whole + fraction) >> self.down;
        u64::try_from(scaled).unwrap_or(u64::MAX).max(1)
    }
}
