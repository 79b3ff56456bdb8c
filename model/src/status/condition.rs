//! Conditions: their types, and how derived ones are merged with those that are there.

use std::fmt::Display;

use crate::meta::{Condition, ConditionStatus, Timestamp};

/// Whether the object is well-formed and taken up.
pub const ACCEPTED: &str = "Accepted";
/// Whether it is in force on every live node.
pub const PROGRAMMED: &str = "Programmed";
/// Whether no session is left of what a Drain empties.
pub const DRAINED: &str = "Drained";
/// Whether everything it refers to is there and may be used.
pub const RESOLVED_REFS: &str = "ResolvedRefs";
/// Whether a listener clashes with another one.
pub const CONFLICTED: &str = "Conflicted";
/// Whether another TLS listener of the port serves some of the same host names, or shows a certificate for some of the
/// same names; never False.
pub const OVERLAPPING_TLS_CONFIG: &str = "OverlappingTLSConfig";
/// Whether a part of a route is not implemented; never False.
pub const PARTIALLY_INVALID: &str = "PartiallyInvalid";
/// Whether the version of the Gateway API is one that is served.
pub const SUPPORTED_VERSION: &str = "SupportedVersion";
/// Whether an older route carries the traffic of a listener in place of this one; never False.
///
/// The Gateway API accepts every route of a TCP or UDP listener, and every TLSRoute of a host name, and lets only the
/// oldest carry traffic; without this type the others would look as if they did.
pub const SUPERSEDED: &str = "guideway.dev/Superseded";

/// Whether a Service has a selector and no EndpointSlice, so that it leads nowhere; never False.
///
/// No one selects pods here: a Service is served from the EndpointSlices that carry its name, whoever writes them.
pub const NO_ENDPOINT_SLICES: &str = "guideway.dev/NoEndpointSlices";

/// Most conditions in one list; what others have written beyond it is dropped.
const CONDITIONS: usize = 8;
/// Most bytes of a message (the schema's bound); the rest is cut off.
const MESSAGE_BYTES: usize = 32_768;
/// Most items that a message names one by one.
const NAMED: usize = 8;

/// A condition that was derived, before it is known when it last flipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) condition_type: &'static str,
    pub(crate) status: ConditionStatus,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Derived {
    /// The condition holds.
    pub(crate) fn holds(condition_type: &'static str, reason: &'static str, message: impl Into<String>) -> Derived {
        Derived {
            condition_type,
            status: ConditionStatus::True,
            reason,
            message: message.into(),
        }
    }

    /// The condition does not hold.
    pub(crate) fn fails(condition_type: &'static str, reason: &'static str, message: impl Into<String>) -> Derived {
        Derived {
            status: ConditionStatus::False,
            ..Derived::holds(condition_type, reason, message)
        }
    }

    /// It is not known whether the condition holds.
    pub(crate) fn unknown(condition_type: &'static str, reason: &'static str, message: impl Into<String>) -> Derived {
        Derived {
            status: ConditionStatus::Unknown,
            ..Derived::holds(condition_type, reason, message)
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        self.status == ConditionStatus::True
    }
}

/// What a merge needs to know of the object and the moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// `metadata.generation` of the object.
    pub(crate) generation: i64,
    /// The state's time.
    pub(crate) now: Timestamp,
}

/// The derived conditions, then those of `previous` whose type is not in `own`. A derived condition keeps its time
/// unless its status flips.
pub(crate) fn merge(previous: &[Condition], own: &[&str], derived: Vec<Derived>, moment: Moment) -> Vec<Condition> {
    let mut merged: Vec<Condition> = derived
        .into_iter()
        .map(|derived| {
            let before = previous
                .iter()
                .find(|before| before.condition_type == derived.condition_type);
            let unflipped = before.filter(|before| before.status == derived.status);
            Condition {
                condition_type: derived.condition_type.to_owned(),
                status: derived.status,
                observed_generation: moment.generation,
                last_transition_time: unflipped.map_or(moment.now, |before| before.last_transition_time),
                reason: derived.reason.to_owned(),
                message: bounded(derived.message),
            }
        })
        .collect();
    let foreign = previous
        .iter()
        .filter(|before| !own.contains(&before.condition_type.as_str()));
    merged.extend(foreign.cloned());
    merged.truncate(CONDITIONS);
    merged
}

fn bounded(mut message: String) -> String {
    let mut end = message.len().min(MESSAGE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.truncate(end);
    message
}

/// `written` with the conditions of the types in `own` as they are in `stored`: a writer does not set our conditions.
pub(crate) fn keep_own(stored: &[Condition], own: &[&str], written: &mut Vec<Condition>) {
    let is_own = |condition: &Condition| own.contains(&condition.condition_type.as_str());
    written.retain(|condition| !is_own(condition));
    written.splice(0..0, stored.iter().filter(|condition| is_own(condition)).cloned());
}

/// What the Gateway API's schema puts into a new object, for whichever controller takes it up.
pub(crate) fn waiting(condition_types: &[&str]) -> Vec<Condition> {
    condition_types
        .iter()
        .map(|condition_type| Condition {
            condition_type: (*condition_type).to_owned(),
            status: ConditionStatus::Unknown,
            observed_generation: 0,
            last_transition_time: Timestamp::default(),
            reason: "Pending".to_owned(),
            message: "Waiting for controller".to_owned(),
        })
        .collect()
}

/// The items, parted by `between`, at most a few of them by name.
pub(crate) fn enumerate<T: Display>(items: &[T], between: &str) -> String {
    let mut text = String::new();
    for (position, item) in items.iter().take(NAMED).enumerate() {
        if position > 0 {
            text.push_str(between);
        }
        text.push_str(&item.to_string());
    }
    if let Some(more) = items.len().checked_sub(NAMED).filter(|more| *more > 0) {
        text.push_str(&format!("{between}and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64, generation: i64) -> Moment {
        Moment {
            generation,
            now: Timestamp { unix_seconds: seconds },
        }
    }

    #[test]
    fn time_changes_only_with_status() {
        let own = [ACCEPTED];
        let first = merge(&[], &own, vec![Derived::holds(ACCEPTED, "Accepted", "a")], at(10, 1));
        let second = merge(&first, &own, vec![Derived::holds(ACCEPTED, "Other", "b")], at(20, 2));
        assert_eq!(second[0].last_transition_time.unix_seconds, 10);
        assert_eq!(second[0].observed_generation, 2);
        assert_eq!(second[0].message, "b");
        let third = merge(&second, &own, vec![Derived::fails(ACCEPTED, "Invalid", "c")], at(30, 2));
        assert_eq!(third[0].last_transition_time.unix_seconds, 30);
    }

    #[test]
    fn keeps_what_others_wrote_and_drops_own_that_no_longer_holds() {
        let mut previous = waiting(&["example.com/Theirs", SUPERSEDED, ACCEPTED]);
        previous[0].reason = "Kept".to_owned();
        let own = [ACCEPTED, SUPERSEDED];
        let merged = merge(
            &previous,
            &own,
            vec![Derived::holds(ACCEPTED, "Accepted", "")],
            at(1, 1),
        );
        let types: Vec<_> = merged
            .iter()
            .map(|condition| condition.condition_type.as_str())
            .collect();
        assert_eq!(types, [ACCEPTED, "example.com/Theirs"]);
        assert_eq!(merged[1].reason, "Kept");
    }

    #[test]
    fn a_writer_does_not_set_ours() {
        let stored = merge(&[], &[], vec![Derived::holds(ACCEPTED, "Accepted", "")], at(5, 1));
        let mut written = waiting(&["example.com/Theirs", ACCEPTED]);
        keep_own(&stored, &[ACCEPTED], &mut written);
        assert_eq!(written[0], stored[0]);
        assert_eq!(written[1].condition_type, "example.com/Theirs");
        assert_eq!(written.len(), 2);
    }

    #[test]
    fn lists_are_bounded() {
        let items: Vec<u32> = (1..=10).collect();
        assert_eq!(enumerate(&items, ", "), "1, 2, 3, 4, 5, 6, 7, 8, and 2 more");
        assert_eq!(enumerate(&items[..8], ", "), "1, 2, 3, 4, 5, 6, 7, 8");
        assert_eq!(enumerate(&items[..0], ", "), "");
        let previous = waiting(&["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8"]);
        let merged = merge(
            &previous,
            &[ACCEPTED],
            vec![Derived::holds(ACCEPTED, "Accepted", "")],
            at(1, 1),
        );
        assert_eq!(merged.len(), 8);
        assert_eq!(merged[0].condition_type, ACCEPTED);
    }
}
