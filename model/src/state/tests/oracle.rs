//! Properties of any sequence of commands.
//!
//! The oracle for what `apply` keeps in step incrementally is to compute it from the objects, from scratch.

use proptest::prelude::*;

use super::invariants::{check_phases, check_step};
use super::universe::{Step, moving_steps, steps};
use crate::Plan;
use crate::kind::Kind;
use crate::meta::{Condition, ConditionStatus, UnixMillis};
use crate::object::Object;
use crate::outcome::Outcome;
use crate::plan::tests::compile_small;
use crate::resource::{Gateway, ListenerStatus};
use crate::state::index::{Name, parent_of_set};
use crate::state::{State, halves};

/// When the first command is proposed, in milliseconds.
const START: u64 = 1_000_000_000;

fn records(state: &State) -> Vec<Vec<u8>> {
    state.snapshot_records().collect()
}

fn restored(state: &State) -> State {
    let records = records(state);
    State::from_snapshot_records(records.iter().map(Vec::as_slice)).expect("what was written can be read")
}

/// Index and status are those that follow from the objects. `settled` is when a command was last not refused: one that is
/// refused moves time, and nothing that follows from time.
pub(super) fn check_derived(state: &State, settled: UnixMillis) {
    let mut scratch = state.clone();
    scratch.time = settled;
    scratch.rebuild_index();
    assert_eq!(
        scratch.index, state.index,
        "the index differs from the one built from scratch"
    );
    for object in state.objects.values() {
        assert_eq!(
            scratch.stated(object),
            None,
            "its status is not what follows from the state: {object:?}"
        );
        check_status_from_nothing(&scratch, object);
    }
    for (_, node) in state.nodes() {
        assert!(
            node.binds
                .keys()
                .all(|socket| state.index.claims.first(socket).is_some())
        );
    }
    check_phases(state);
    let hostnames: Vec<&str> = state.hostnames().collect();
    assert!(state.resolved.keys().all(|name| hostnames.contains(&name.as_str())));
}

/// Deriving the status of an object that has none gives the same conditions of ours, times aside.
fn check_status_from_nothing(state: &State, object: &Object) {
    let bare = halves::with_fresh_status(object.clone());
    let derived = state.stated(&bare).unwrap_or(bare);
    if let (Some(derived), Some(object)) = (derived.as_route(), object.as_route()) {
        for (derived, stored) in derived.status.parents.iter().zip(&object.status.parents) {
            assert_eq!(derived.parent_ref, stored.parent_ref);
            assert_eq!(derived.conditions.len(), stored.conditions.len());
            check_conditions(&derived.conditions, &stored.conditions);
        }
    }
    if let (Some(derived), Some(object)) = (derived.as_policy(), object.as_policy()) {
        for (derived, stored) in derived.status.ancestors.iter().zip(&object.status.ancestors) {
            assert_eq!(derived.ancestor_ref, stored.ancestor_ref);
            assert_eq!(derived.conditions.len(), stored.conditions.len());
            check_conditions(&derived.conditions, &stored.conditions);
        }
    }
    let ours = state.index.ours.contains(&object.key());
    match (&derived, object) {
        (Object::Gateway(derived), Object::Gateway(object)) if ours => {
            check_conditions(&derived.status.conditions, &object.status.conditions);
            assert_eq!(derived.status.addresses, object.status.addresses);
            check_listeners(&derived.status.listeners, &object.status.listeners);
            check_sets(state, object);
        }
        (Object::ListenerSet(derived), Object::ListenerSet(object)) if ours => {
            check_conditions(&derived.status.conditions, &object.status.conditions);
            check_listeners(&derived.status.listeners, &object.status.listeners);
        }
        (Object::Service(derived), Object::Service(object)) => {
            check_conditions(&derived.status.conditions, &object.status.conditions);
        }
        (Object::Backend(derived), Object::Backend(object)) => {
            check_conditions(&derived.status.conditions, &object.status.conditions);
        }
        // What was reported cannot be derived again; whether the target is there can.
        (Object::Drain(derived), Object::Drain(object)) => {
            check_conditions(&derived.status.conditions[..1], &object.status.conditions);
        }
        _ => {}
    }
}

fn check_listeners(derived: &[ListenerStatus], stored: &[ListenerStatus]) {
    assert_eq!(derived.len(), stored.len());
    for (derived, stored) in derived.iter().zip(stored) {
        check_conditions(&derived.conditions, &stored.conditions);
        assert_eq!(
            (&derived.name, derived.attached_routes, &derived.supported_kinds),
            (&stored.name, stored.attached_routes, &stored.supported_kinds)
        );
    }
}

/// A Gateway counts the ListenerSets that say `Accepted` and name it.
fn check_sets(state: &State, gateway: &Gateway) {
    let sets = state.list(Kind::ListenerSet, None, None);
    let accepted = sets.filter(|object| match object {
        Object::ListenerSet(set) => {
            let named = parent_of_set(set) == Some(Name::of(&gateway.metadata));
            let accepted = set
                .status
                .conditions
                .iter()
                .find(|condition| condition.condition_type == "Accepted");
            named && accepted.is_some_and(|accepted| accepted.status == ConditionStatus::True)
        }
        _ => false,
    });
    let count = i32::try_from(accepted.count()).expect("few");
    assert_eq!(gateway.status.attached_listener_sets, count);
}

/// Each derived condition is stored, but for when it last flipped.
fn check_conditions(derived: &[Condition], stored: &[Condition]) {
    for condition in derived {
        let same = stored
            .iter()
            .find(|stored| stored.condition_type == condition.condition_type);
        let timeless = same.map(|stored| Condition {
            last_transition_time: condition.last_transition_time,
            ..stored.clone()
        });
        assert_eq!(timeless.as_ref(), Some(condition));
    }
}

/// A refused command leaves everything but time as it was.
fn check_unchanged(before: &State, after: &State) {
    let mut timeless = after.clone();
    timeless.time = before.time;
    assert_eq!(records(&timeless), records(before));
    assert_eq!(after.index, before.index);
}

/// Each change has the next revision, and they tell how the objects came to be what they are.
fn check_changes(before: &State, after: &State) {
    let changes: Vec<_> = after
        .changes_since(before.revision)
        .expect("few enough to be kept")
        .collect();
    let revisions: Vec<u64> = changes.iter().map(|change| change.revision).collect();
    let expected: Vec<u64> = (before.revision + 1..=after.revision).collect();
    assert_eq!(revisions, expected, "revisions have a gap, or were given twice");
    for change in changes {
        let key = change.object.key();
        assert_eq!(before.objects.get(&key), change.before.as_ref());
        let now = after.objects.get(&key);
        assert_eq!(
            now,
            (change.kind != crate::state::ChangeKind::Deleted).then_some(&change.object)
        );
        assert_eq!(change.object.meta().resource_version, change.revision);
    }
}

/// `previous` leaves no trace in a plan, whatever cluster it is from.
fn check_plan(state: &State, plan: &Plan, stranger: Option<&Plan>) {
    assert_eq!(plan, &compile_small(state, None));
    assert_eq!(plan, &compile_small(state, stranger));
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![steps(20, 100), moving_steps(20, 100)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_in_step_is_what_follows_from_the_objects(steps in any_steps()) {
        let mut state = State::default();
        let mut time = START;
        let mut settled = state.time;
        for step in steps {
            let before = state.clone();
            let proposal = step.propose(&state, &mut time);
            let command = proposal.command.clone();
            let outcome = state.apply(proposal);
            check_step(&before, &command, &outcome, &state);
            if matches!(outcome, Outcome::Refused(_)) {
                check_unchanged(&before, &state);
            } else {
                settled = state.time;
            }
            check_changes(&before, &state);
            check_derived(&state, settled);
        }
    }

    #[test]
    fn nodes_agree_through_snapshots_and_on_plans(steps in any_steps(), restart in 0_usize..80) {
        let (mut one, mut other) = (State::default(), State::default());
        let mut time = START;
        for (number, step) in steps.into_iter().enumerate() {
            if number == restart {
                other = restored(&other);
            }
            let proposal = step.propose(&one, &mut time);
            let bytes = crate::wire::encode_proposal(&proposal);
            let outcome = one.apply(proposal);
            let read = crate::wire::decode_proposal(&bytes).expect("what was written can be read");
            prop_assert_eq!(outcome, other.apply(read));
            prop_assert_eq!(records(&one), records(&other));
        }
        prop_assert_eq!(compile_small(&one, None), compile_small(&other, None));
    }

    #[test]
    fn plans_do_not_depend_on_the_plan_before(steps in any_steps(), strange in moving_steps(20, 40)) {
        let mut time = START;
        let mut stranger = State::default();
        for step in strange {
            let proposal = step.propose(&stranger, &mut time);
            stranger.apply(proposal);
        }
        let stranger = compile_small(&stranger, None);
        let mut state = State::default();
        let mut plan: Option<Plan> = None;
        for (number, step) in steps.into_iter().enumerate() {
            let proposal = step.propose(&state, &mut time);
            state.apply(proposal);
            let next = compile_small(&state, plan.as_ref());
            if let Some(plan) = &plan {
                prop_assert!(next.generation >= plan.generation);
            }
            if number % 4 == 0 {
                check_plan(&state, &next, Some(&stranger));
            }
            plan = Some(next);
        }
    }
}
