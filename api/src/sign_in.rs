//! Finds out who sent a request: by the certificate of the connection, or by a bearer token.

use std::net::IpAddr;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use guideway_identity::{ApiToken, Digest, UserIdentity};
use guideway_model::authority::{Attributes, ResourceAttributes, User, authorize};
use guideway_model::object::ObjectKey;
use guideway_model::{Kind, Object, State};

use crate::attribution::now;
use crate::caller::{Caller, Peer};
use crate::metrics::{self, SignInFault};
use crate::server::Server;
use crate::status::Status;

const IMPERSONATE_USER: &str = "impersonate-user";
const IMPERSONATE_GROUP: &str = "impersonate-group";

/// Why nobody was signed in.
pub(crate) struct Refused {
    /// Class, for the metric.
    pub(crate) fault: SignInFault,
    /// For the audit log; the client is not told which of its parts is wrong.
    pub(crate) why: String,
    /// For the client.
    pub(crate) status: Status,
}

/// Who sends a request with these headers through a connection of this peer.
///
/// A certificate goes before a token, as in Kubernetes: who has proved to hold a key needs nothing more.
pub(crate) fn sign_in(server: &Server, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Caller, Refused> {
    let address = peer.map(|peer| peer.address);
    let applied = server.cluster.watch();
    let state = applied.borrow().state.clone();
    let caller = match peer.and_then(|peer| peer.certificate.as_ref()) {
        Some(certificate) => Caller::new(by_certificate(certificate)?, address),
        None => {
            server.sign_ins.check(address.map(|address| address.ip()))?;
            let signed_in = by_token(&state, headers);
            if signed_in.is_err() {
                server.sign_ins.failed(address.map(|address| address.ip()));
            }
            let (user, token) = signed_in?;
            let mut caller = Caller::new(user, address);
            caller.token = Some(token);
            caller
        }
    };
    impersonate(&state, caller, headers)
}

/// A connection may outlive the certificate that it was made with.
fn by_certificate(certificate: &UserIdentity) -> Result<User, Refused> {
    let seconds = i64::try_from(certificate.not_after.as_secs()).unwrap_or(i64::MAX);
    if now().unix_seconds > seconds {
        return Err(unauthorized(
            SignInFault::Certificate,
            format!(
                "the certificate of {:?} has expired on an open connection",
                certificate.user
            ),
        ));
    }
    Ok(User::authenticated(&certificate.user, certificate.groups.clone()))
}

fn by_token(state: &State, headers: &HeaderMap) -> Result<(User, String), Refused> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Err(unauthorized(
            SignInFault::Nothing,
            "no certificate and no token".to_owned(),
        ));
    };
    let text = value.to_str().unwrap_or_default();
    let bearer = text
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let token = bearer.and_then(|(_, token)| ApiToken::parse(token.trim()).ok());
    let Some(token) = token else {
        return Err(unauthorized(
            SignInFault::Malformed,
            "the Authorization header holds no API token".to_owned(),
        ));
    };
    let key = ObjectKey {
        kind: Kind::ApiToken,
        namespace: String::new(),
        name: token.id().to_owned(),
    };
    let unknown = |why: &str| unauthorized(SignInFault::Unknown, format!("token {}: {why}", token.id()));
    let Some(Object::ApiToken(record)) = state.get(&key) else {
        return Err(unknown("there is none of this id"));
    };
    let stored: Result<Digest, _> = record.spec.secret_hash.parse();
    if !stored.is_ok_and(|stored| stored.matches(&token.digest())) {
        return Err(unknown("the secret is wrong"));
    }
    let end = record.spec.expiration_timestamp;
    if now() >= end {
        return Err(unauthorized(
            SignInFault::Expired,
            format!("token {} of {:?} expired at {end}", token.id(), record.spec.user),
        ));
    }
    let user = User::authenticated(&record.spec.user, record.spec.groups.clone());
    Ok((user, token.id().to_owned()))
}

/// Acts as someone else, for those who may: `kubectl --as`.
fn impersonate(state: &State, caller: Caller, headers: &HeaderMap) -> Result<Caller, Refused> {
    let text = |name: &str| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    };
    let groups = text(IMPERSONATE_GROUP);
    let Some(name) = text(IMPERSONATE_USER)
        .into_iter()
        .next()
        .filter(|name| !name.is_empty())
    else {
        let others = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
        return if others {
            Err(forbidden(Status::bad_request(
                "Impersonate-User must be there when another Impersonate header is",
            )))
        } else {
            Ok(caller)
        };
    };
    for (resource, value) in std::iter::once(("users", &name)).chain(groups.iter().map(|group| ("groups", group))) {
        let on = ResourceAttributes {
            resource,
            name: value,
            ..ResourceAttributes::default()
        };
        if !authorize(state, &caller.user, &Attributes::resource("impersonate", on)).allowed {
            return Err(forbidden(Status::forbidden(format!(
                "{resource} {value:?} is forbidden: user {:?} may not impersonate {resource}",
                caller.user.name
            ))));
        }
    }
    let mut acting = Caller::new(User::authenticated(name, groups), caller.source);
    acting.impersonator = Some(caller.user.name);
    acting.token = caller.token;
    Ok(acting)
}

fn unauthorized(fault: SignInFault, why: String) -> Refused {
    Refused {
        fault,
        why,
        status: Status::unauthorized(),
    }
}

fn forbidden(status: Status) -> Refused {
    Refused {
        fault: SignInFault::Impersonation,
        why: status.message().to_owned(),
        status,
    }
}

/// The address whose failures are counted together: IPv6 clients have a whole /64 to themselves.
pub(crate) fn counted_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Refused {
    /// Too many failures from this address.
    pub(crate) fn limited(status: Status) -> Refused {
        metrics::refused(metrics::Bound::SignIns);
        Refused {
            fault: SignInFault::Limited,
            why: "too many failed sign-ins from this address".to_owned(),
            status,
        }
    }
}
