//! Whether a caller may do what a request asks for; the answer of one who may not.

mod right;

use guideway_model::authority::{self, Attributes, GrantRefusal, ResourceAttributes, authorize};
use guideway_model::{Kind, Object, State};

use crate::caller::Caller;
use crate::query::Parameters;
use crate::resource::{Resource, Source, Verb};
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

pub(crate) use right::Right;

/// Checks a request on a resource, before anything is looked up: a refusal says nothing of what is there.
pub(crate) fn check(server: &Server, target: &Target, verb: Verb, parameters: &Parameters) -> Result<(), Status> {
    check_verb(server, target, verb.as_str(), asked_name(target, verb, parameters))
}

/// The name of the one object that is asked for; empty for a collection.
fn asked_name<'a>(target: &'a Target, verb: Verb, parameters: &'a Parameters) -> &'a str {
    match &target.name {
        Some(name) => name,
        None if verb == Verb::Create => "",
        None => named_by_selector(parameters),
    }
}

/// Checks one verb on the target's resource, in its namespace.
pub(crate) fn check_verb(server: &Server, target: &Target, verb: &str, name: &str) -> Result<(), Status> {
    let state = server.cluster.watch().borrow().state.clone();
    check_in(&state, target, verb, name)
}

/// [`check_verb`] by the roles and bindings of this state.
fn check_in(state: &State, target: &Target, verb: &str, name: &str) -> Result<(), Status> {
    let namespace = match target.resource.source {
        // A namespace is a place to those who may look into it.
        Source::Stored(Kind::Namespace) => name,
        Source::Stored(_) | Source::Computed(_) => target.namespace.as_deref().unwrap_or_default(),
    };
    let on = ResourceAttributes {
        group: target.resource.group,
        resource: target.resource.plural,
        subresource: if target.status { "status" } else { "" },
        namespace,
        name,
    };
    let attributes = Attributes::resource(verb, on);
    if authorize(state, &target.caller.user, &attributes).allowed {
        return Ok(());
    }
    Err(refusal(&target.resource, name, &target.caller, &attributes))
}

/// Checks a method on a path that is no resource.
pub(crate) fn check_path(server: &Server, caller: &Caller, verb: &str, path: &str) -> Result<(), Status> {
    let state = server.cluster.watch().borrow().state.clone();
    let attributes = Attributes::path(verb, path);
    if authorize(&state, &caller.user, &attributes).allowed {
        return Ok(());
    }
    Err(Status::forbidden(format!(
        "forbidden: user {:?} may not {attributes}",
        caller.user.name
    )))
}

/// Checks that nobody gives what they do not hold: the rules of a role, the role of a binding, the user of a token.
pub(crate) fn check_grant(state: &State, target: &Target, object: &Object) -> Result<(), Status> {
    let user = &target.caller.user;
    let refused = |refusal: GrantRefusal| {
        let resource = &target.resource;
        Status::forbidden(format!(
            "{} {:?} is forbidden: {refusal}",
            resource.qualified(),
            object.meta().name
        ))
        .about(resource.group, resource.plural, &object.meta().name)
    };
    authority::check_rules(state, user, object).map_err(refused)?;
    authority::check_binding(state, user, object).map_err(refused)?;
    let Object::ApiToken(token) = object else { return Ok(()) };
    let others = std::iter::once(("users", &token.spec.user))
        .filter(|(_, name)| **name != user.name)
        .chain(token.spec.groups.iter().map(|group| ("groups", group)))
        .filter(|(resource, name)| *resource == "users" || !user.is_in(name));
    for (resource, name) in others {
        let on = ResourceAttributes {
            resource,
            name,
            ..ResourceAttributes::default()
        };
        if !authorize(state, user, &Attributes::resource("impersonate", on)).allowed {
            return Err(Status::forbidden(format!(
                "{} {:?} is forbidden: user {:?} would make a token for {resource} {name:?}, and may not impersonate {resource}",
                target.resource.qualified(),
                object.meta().name,
                user.name
            ))
            .about(target.resource.group, target.resource.plural, &object.meta().name));
        }
    }
    Ok(())
}

/// Checks that the caller could write `object` of another kind, which a request about something else brings along.
pub(crate) fn check_brought(server: &Server, target: &Target, kind: Kind, object: &Object) -> Result<(), Status> {
    let meta = object.meta();
    let brought = Target {
        resource: Resource::stored(kind),
        namespace: Some(meta.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        name: Some(meta.name.clone()),
        status: false,
        ..target.clone()
    };
    check_verb(server, &brought, Verb::Update.as_str(), &meta.name)
}

/// `metadata.name=x` in a field selector: whoever may read one object may list and watch it alone.
fn named_by_selector(parameters: &Parameters) -> &str {
    let selector = parameters.get("fieldSelector").unwrap_or_default();
    let name = selector.strip_prefix("metadata.name=").unwrap_or_default();
    let name = name.strip_prefix('=').unwrap_or(name);
    if name.contains([',', '=', '!']) { "" } else { name }
}

fn refusal(resource: &Resource, name: &str, caller: &Caller, attributes: &Attributes<'_>) -> Status {
    let shown = if name.is_empty() {
        String::new()
    } else {
        format!(" {name:?}")
    };
    Status::forbidden(format!(
        "{}{shown} is forbidden: user {:?} may not {attributes}",
        resource.qualified(),
        caller.user.name
    ))
    .about(resource.group, resource.plural, name)
}
