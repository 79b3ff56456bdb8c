//! More listeners than a Gateway takes: `TooManyListeners` of the Gateway API.

use serde_json::{Value, json};

use crate::fixture::{World, condition, gateway, listener_set, route, socket, summary, tcp};
use crate::kind::Kind;
use crate::node::BindResult;
use crate::plan::compile;
use crate::state::State;

/// Listeners of one ListenerSet, as many as the schema lets it have.
const FULL: u16 = 64;

fn set(number: u16) -> Value {
    let listeners = (0..FULL).map(|place| tcp(&format!("l{place}"), port(number, place)));
    listener_set(&format!("x{number}"), "g", listeners.collect::<Vec<_>>().into())
}

fn port(set: u16, place: u16) -> u16 {
    100 + set * FULL + place
}

/// Gateway `g` with two listeners of its own, and so many full ListenerSets that the last has two listeners too many.
fn full() -> (World, u16) {
    let mut world = World::new();
    let mut json = gateway("g", json!([tcp("own", 1), tcp("other", 2)]));
    json["spec"]["allowedListeners"] = json!({"namespaces": {"from": "Same"}});
    world.create(json);
    let sets = u16::try_from(State::MERGED_LISTENERS / usize::from(FULL)).expect("few");
    for number in 0..sets {
        world.create(set(number));
    }
    (world, sets - 1)
}

fn listener(world: &World, set: u16, listener: u16) -> Vec<String> {
    summary(
        &world
            .set_listener(&format!("x{set}"), &format!("l{listener}"))
            .conditions,
    )
}

fn conditions(world: &World, set: u16) -> Vec<String> {
    summary(&world.set(&format!("x{set}")).status.conditions)
}

const BEYOND: [&str; 4] = [
    "Accepted=False/TooManyListeners",
    "Programmed=False/Invalid",
    "ResolvedRefs=True/ResolvedRefs",
    "Conflicted=False/NoConflicts",
];

#[test]
fn what_comes_after_the_bound_is_not_accepted() {
    let (mut world, last) = full();
    assert_eq!(listener(&world, last, FULL - 3)[0], "Accepted=True/Accepted");
    assert_eq!(listener(&world, last, FULL - 2), BEYOND);
    assert_eq!(listener(&world, last, FULL - 1), BEYOND);
    assert_eq!(world.state.listeners_beyond(), 2);
    assert_eq!(conditions(&world, last)[0], "Accepted=True/ListenersNotValid");
    let status = world.set_listener(&format!("x{last}"), &format!("l{}", FULL - 1));
    let accepted = condition(&status.conditions, "Accepted");
    assert!(
        accepted.message.contains("Gateway default/g takes 1024 listeners"),
        "{}",
        accepted.message
    );
    // What nodes have bound does not depend on it.
    for place in 0..FULL - 2 {
        world.report(1, socket(port(last, place)), Some(BindResult::Bound));
    }
    assert_eq!(conditions(&world, last)[1], "Programmed=True/Programmed");

    world.create(set(last + 1));
    assert_eq!(listener(&world, last + 1, 0), BEYOND);
    assert_eq!(
        conditions(&world, last + 1),
        ["Accepted=False/ListenersNotValid", "Programmed=False/ListenersNotValid"]
    );
    assert_eq!(world.gateway("g").status.attached_listener_sets, i32::from(last) + 1);
    assert_eq!(
        summary(&world.gateway("g").status.conditions)[0],
        "Accepted=True/Accepted"
    );
    assert_eq!(compile(&world.state, None).listeners.len(), State::MERGED_LISTENERS);
}

#[test]
fn traffic_reaches_it_when_an_older_set_goes() {
    let (mut world, last) = full();
    let mut json = route("r", &format!("x{last}"), json!([{"name": "s", "port": 1}]));
    json["spec"]["parentRefs"][0]["kind"] = json!("ListenerSet");
    json["spec"]["parentRefs"][0]["sectionName"] = json!(format!("l{}", FULL - 1));
    world.create(json);
    let served = |world: &World| {
        let plan = compile(&world.state, None);
        let mut here = plan.listeners.iter();
        let here = here.find(|listener| listener.socket == socket(port(last, FULL - 1)));
        here.map(|listener| listener.service.routes().len())
    };
    // Attached it is, as to any listener that is not accepted.
    let attached = |world: &World| {
        world
            .set_listener(&format!("x{last}"), &format!("l{}", FULL - 1))
            .attached_routes
    };
    assert_eq!((served(&world), attached(&world)), (None, 1));
    world.delete(Kind::ListenerSet, "default", "x0");
    assert_eq!((served(&world), attached(&world)), (Some(1), 1));
    assert_eq!(listener(&world, last, FULL - 1)[0], "Accepted=True/Accepted");
    assert_eq!(world.state.listeners_beyond(), 0);
    // The same set, made anew, is the youngest.
    world.create(set(0));
    assert_eq!(served(&world), Some(1));
    assert_eq!(listener(&world, 0, FULL - 2), BEYOND);
    // A Gateway that lets none in has no more than its own.
    world.replace(gateway("g", json!([tcp("own", 1)])));
    assert_eq!(compile(&world.state, None).listeners.len(), 1);
    assert_eq!(world.state.listeners_beyond(), 0);
    assert_eq!(conditions(&world, 0)[0], "Accepted=False/NotAllowed");
    assert_eq!(listener(&world, 0, FULL - 1)[0], "Accepted=True/Accepted");
}
