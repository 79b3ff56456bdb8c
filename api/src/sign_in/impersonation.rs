//! Acting as someone else: `kubectl --as` and `--as-group`.

use axum::http::HeaderMap;
use guideway_model::State;
use guideway_model::authority::{AUTHENTICATED, Attributes, ResourceAttributes, User, authorize};

use super::Refused;
use crate::status::Status;

const IMPERSONATE_USER: &str = "impersonate-user";
const IMPERSONATE_GROUP: &str = "impersonate-group";

/// As whom `user` wants to act, if these headers say so and they may.
pub(super) fn wanted(state: &State, user: &User, headers: &HeaderMap) -> Result<Option<User>, Refused> {
    let text = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    let groups = text(IMPERSONATE_GROUP);
    let name = text(IMPERSONATE_USER).into_iter().next().unwrap_or_default();
    if name.is_empty() {
        let others = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
        return if others {
            Err(Refused::forbidden(Status::bad_request(
                "Impersonate-User must be there when another Impersonate header is",
            )))
        } else {
            Ok(None)
        };
    }
    let other = User::authenticated(name, groups);
    check(state, user, &other)?;
    Ok(Some(other))
}

/// Whether `user` may act as `other`.
pub(super) fn check(state: &State, user: &User, other: &User) -> Result<(), Refused> {
    // That everyone who has signed in is in this group is nobody's to give.
    let groups = other.groups.iter().filter(|group| *group != AUTHENTICATED);
    let all = std::iter::once(("users", &other.name)).chain(groups.map(|group| ("groups", group)));
    for (resource, value) in all {
        let on = ResourceAttributes {
            resource,
            name: value,
            ..ResourceAttributes::default()
        };
        if !authorize(state, user, &Attributes::resource("impersonate", on)).allowed {
            return Err(Refused::forbidden(Status::forbidden(format!(
                "{resource} {value:?} is forbidden: user {:?} may not impersonate {resource}",
                user.name
            ))));
        }
    }
    Ok(())
}
