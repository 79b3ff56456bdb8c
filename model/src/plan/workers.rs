//! Work that is spread over threads.

use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `job` of each item, in the order of the items. At most `threads` threads work at it, none of which outlives the call;
/// the result does not depend on how many.
pub(super) fn spread<T: Sync, R: Send>(threads: NonZeroUsize, items: &[T], job: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = threads.get().min(items.len());
    if threads <= 1 {
        return items.iter().map(job).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { return done };
            done.push((place, job(item)));
        }
    };
    let mut done = std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for helper in helpers {
            match helper.join() {
                Ok(theirs) => done.extend(theirs),
                Err(panic) => resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_order_whatever_the_threads() {
        let items: Vec<u32> = (0..1000).collect();
        let doubled: Vec<u32> = items.iter().map(|item| item * 2).collect();
        for threads in [1, 2, 7, 2000] {
            let threads = NonZeroUsize::new(threads).expect("not zero");
            assert_eq!(spread(threads, &items, |item| item * 2), doubled);
        }
        let nothing: Vec<u32> = spread(NonZeroUsize::MIN, &[], |item: &u32| *item);
        assert!(nothing.is_empty());
    }
}
