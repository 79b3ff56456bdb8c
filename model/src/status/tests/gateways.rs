//! Gateways and listeners that are wrong by themselves.

use serde_json::{Value, json};

use crate::fixture::{World, class, condition, gateway, object, route, socket, status_write, summary, tcp};
use crate::kind::Kind;
use crate::node::BindResult;
use crate::object::Object;

fn status_of(spec: impl FnOnce(&mut Value)) -> World {
    let mut world = World::new();
    let mut json = gateway("g", json!([tcp("pg", 5432)]));
    spec(&mut json["spec"]);
    world.create(json);
    world
}

#[test]
fn a_good_gateway_is_accepted_and_programmed_once_bound() {
    let mut world = status_of(|_| {});
    let status = world.gateway("g").status.clone();
    assert_eq!(
        summary(&status.conditions),
        ["Accepted=True/Accepted", "Programmed=False/Pending"]
    );
    assert!(status.addresses.is_empty());
    let listener = world.listener("g", "pg");
    assert_eq!(
        summary(&listener.conditions),
        [
            "Accepted=True/Accepted",
            "Programmed=False/Pending",
            "ResolvedRefs=True/ResolvedRefs",
            "Conflicted=False/NoConflicts"
        ]
    );
    let kinds: Vec<_> = listener.supported_kinds.iter().map(|kind| kind.kind.as_str()).collect();
    assert_eq!(kinds, ["TCPRoute"]);

    world.report(1, socket(5432), Some(BindResult::Bound));
    let status = world.gateway("g").status.clone();
    assert_eq!(
        summary(&status.conditions),
        ["Accepted=True/Accepted", "Programmed=True/Programmed"]
    );
    assert_eq!(status.addresses[0].value, "192.0.2.1");
    assert_eq!(status.addresses[0].address_type, "IPAddress");
}

#[test]
fn protocols_that_are_not_served() {
    for protocol in ["HTTP", "HTTPS", "example.com/Own"] {
        let world = status_of(|spec| spec["listeners"] = json!([{"name": "x", "port": 80, "protocol": protocol}]));
        let listener = world.listener("g", "x");
        let accepted = condition(&listener.conditions, "Accepted");
        assert_eq!(accepted.reason, "UnsupportedProtocol", "{protocol}");
        assert!(accepted.message.contains(protocol) && accepted.message.contains("TCP, UDP and TLS are"));
        assert!(listener.supported_kinds.is_empty());
        assert_eq!(
            summary(&world.gateway("g").status.conditions),
            ["Accepted=False/ListenersNotValid", "Programmed=False/Invalid"]
        );
    }
}

#[test]
fn a_gateway_with_one_good_listener_is_accepted_with_the_reason() {
    let mut world =
        status_of(|spec| spec["listeners"] = json!([tcp("good", 1), {"name": "bad", "port": 2, "protocol": "HTTP"}]));
    world.report(1, socket(1), Some(BindResult::Bound));
    assert_eq!(
        summary(&world.gateway("g").status.conditions),
        ["Accepted=True/ListenersNotValid", "Programmed=True/Programmed"]
    );
    assert_eq!(
        summary(&world.listener("g", "bad").conditions)[..2],
        ["Accepted=False/UnsupportedProtocol", "Programmed=False/Invalid"]
    );
}

#[test]
fn route_kinds_that_the_protocol_does_not_carry() {
    let kinds = |kinds: Value| json!([{"name": "pg", "port": 1, "protocol": "TCP", "allowedRoutes": {"kinds": kinds}}]);
    let world = status_of(|spec| spec["listeners"] = kinds(json!([{"kind": "TLSRoute"}, {"kind": "TCPRoute"}])));
    let listener = world.listener("g", "pg");
    assert_eq!(summary(&listener.conditions)[2], "ResolvedRefs=False/InvalidRouteKinds");
    assert_eq!(listener.supported_kinds.len(), 1);
    assert_eq!(summary(&listener.conditions)[1], "Programmed=False/Pending");

    let world = status_of(|spec| spec["listeners"] = kinds(json!([{"group": "example.com", "kind": "TCPRoute"}])));
    let listener = world.listener("g", "pg");
    assert_eq!(summary(&listener.conditions)[2], "ResolvedRefs=False/InvalidRouteKinds");
    assert!(listener.supported_kinds.is_empty());
    assert_eq!(summary(&listener.conditions)[1], "Programmed=False/Invalid");
}

#[test]
fn addresses() {
    let addresses = |addresses: Value| status_of(|spec| spec["addresses"] = addresses);
    let world = addresses(json!([{"type": "Hostname", "value": "lb.example.com"}, {"value": "10.0.0.1"}]));
    let conditions = world.gateway("g").status.conditions.clone();
    assert_eq!(
        summary(&conditions),
        ["Accepted=False/UnsupportedAddress", "Programmed=False/Invalid"]
    );
    assert!(
        condition(&conditions, "Accepted")
            .message
            .contains("spec.addresses[0] Hostname")
    );
    assert_eq!(
        summary(&world.listener("g", "pg").conditions)[1],
        "Programmed=False/Invalid"
    );
    assert!(
        world.state.index().claims.iter().next().is_none(),
        "it must not open a socket"
    );

    // No one can listen on these, on whatever machine.
    for value in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"] {
        let world = addresses(json!([{"value": value}, {"value": "10.0.0.1"}]));
        let conditions = world.gateway("g").status.conditions.clone();
        let expected = ["Accepted=True/Accepted", "Programmed=False/AddressNotUsable"];
        assert_eq!(summary(&conditions), expected, "{value}");
        assert!(condition(&conditions, "Programmed").message.contains(value));
        assert_eq!(world.state.index().claims.iter().count(), 1);
    }

    // An address without a value is that of the nodes.
    let mut world = addresses(json!([{"type": "IPAddress"}]));
    assert_eq!(
        summary(&world.gateway("g").status.conditions),
        ["Accepted=True/Accepted", "Programmed=False/Pending"]
    );
    world.report(1, socket(5432), Some(BindResult::Bound));
    assert_eq!(
        summary(&world.gateway("g").status.conditions)[1],
        "Programmed=True/Programmed"
    );
    assert_eq!(world.gateway("g").status.addresses[0].value, "192.0.2.1");
}

#[test]
fn parameters() {
    let reference = json!({"group": "example.com", "kind": "Params", "name": "p"});
    let world = status_of(|spec| spec["infrastructure"] = json!({"parametersRef": reference}));
    assert_eq!(
        summary(&world.gateway("g").status.conditions)[0],
        "Accepted=False/InvalidParameters"
    );

    let mut world = World::new();
    let mut of_class = class("params", "guideway.dev/gateway-controller");
    of_class["spec"]["parametersRef"] = reference;
    world.create(of_class);
    let mut json = gateway("g", json!([tcp("pg", 5432)]));
    json["spec"]["gatewayClassName"] = json!("params");
    world.create(json);
    assert_eq!(
        summary(&world.gateway("g").status.conditions)[0],
        "Accepted=False/InvalidParameters"
    );
}

#[test]
fn gateways_of_others_are_left_alone() {
    let mut world = World::new();
    let mut json = gateway("g", json!([tcp("pg", 5432)]));
    json["spec"]["gatewayClassName"] = json!("other");
    world.create(json);
    world.create(route("r", "g", json!([{"name": "s", "port": 1}])));
    let waiting = ["Accepted=Unknown/Pending", "Programmed=Unknown/Pending"];
    assert_eq!(summary(&world.gateway("g").status.conditions), waiting);
    assert!(world.route("r").parents.is_empty());

    // Its controller writes what it likes.
    let mut theirs = world.gateway("g").as_ref().clone();
    theirs.status.conditions[0].reason = "Theirs".to_owned();
    world.apply(status_write(Object::Gateway(theirs.into())));
    assert_eq!(world.gateway("g").status.conditions[0].reason, "Theirs");

    // A class of another controller changes nothing, one of ours takes the Gateway up, and lets it go.
    world.create(class("other", "example.com/controller"));
    assert_eq!(world.gateway("g").status.conditions[0].reason, "Theirs");
    world.delete(Kind::GatewayClass, "", "other");
    world.create(class("other", "guideway.dev/gateway-controller"));
    assert_eq!(
        summary(&world.gateway("g").status.conditions)[0],
        "Accepted=True/Accepted"
    );
    assert_eq!(world.parent("r").controller_name, "guideway.dev/gateway-controller");
    world.delete(Kind::GatewayClass, "", "other");
    assert_eq!(summary(&world.gateway("g").status.conditions), waiting);
    assert!(world.gateway("g").status.listeners.is_empty());
    assert!(world.route("r").parents.is_empty());
}

#[test]
fn every_condition_observes_the_generation_and_keeps_its_time() {
    let mut world = status_of(|_| {});
    let before = world.gateway("g");
    let mut json = gateway("g", json!([tcp("pg", 5432), tcp("other", 5433)]));
    json["metadata"]["labels"] = json!({"team": "db"});
    world.replace(json);
    let after = world.gateway("g");
    assert_eq!(after.metadata.generation, before.metadata.generation + 1);
    let listeners = after.status.listeners.iter().flat_map(|listener| &listener.conditions);
    for condition in after.status.conditions.iter().chain(listeners) {
        assert_eq!(condition.observed_generation, after.metadata.generation);
    }
    for position in 0..2 {
        assert_eq!(
            after.status.conditions[position].last_transition_time,
            before.status.conditions[position].last_transition_time
        );
    }
    let new = &after.status.listeners[1].conditions[0];
    assert_eq!(new.last_transition_time.unix_seconds, world.seconds());
}

#[test]
fn a_status_write_keeps_foreign_conditions_and_changes_none_of_ours() {
    let mut world = status_of(|_| {});
    let before = world.gateway("g");
    let mut written = before.as_ref().clone();
    written.metadata.labels.insert("not".to_owned(), "written".to_owned());
    written.spec.listeners.clear();
    for conditions in [
        &mut written.status.conditions,
        &mut written.status.listeners[0].conditions,
    ] {
        conditions[0].reason = "Forged".to_owned();
        conditions[0].last_transition_time.unix_seconds = 1;
        let mut foreign = conditions[0].clone();
        foreign.condition_type = "example.com/Checked".to_owned();
        conditions.push(foreign);
    }
    written.status.listeners[0].attached_routes = 7;
    world.apply(status_write(Object::Gateway(written.into())));
    let after = world.gateway("g");
    assert_eq!(after.spec, before.spec);
    assert_eq!(after.metadata.labels, before.metadata.labels);
    assert_eq!(after.metadata.generation, before.metadata.generation);
    assert_eq!(after.status.conditions[..2], before.status.conditions[..]);
    assert_eq!(after.status.conditions[2].condition_type, "example.com/Checked");
    let listener = &after.status.listeners[0];
    assert_eq!(listener.conditions[..4], before.status.listeners[0].conditions[..]);
    assert_eq!(listener.conditions[4].condition_type, "example.com/Checked");
    assert_eq!(listener.attached_routes, 0);

    // An empty write is no different.
    world.apply(status_write(object(gateway("g", json!([tcp("pg", 5432)])))));
    assert_eq!(world.gateway("g").status, before.status);
}
