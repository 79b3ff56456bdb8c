//! Finds out who sent a request: by the certificate of the connection, a bearer token, or the cookie of the dashboard.

pub(crate) mod cookie;
mod credential;
mod impersonation;
mod limit;
pub(crate) mod origin;

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, Uri};
use guideway_model::State;

use crate::attribution::now;
use crate::caller::{Caller, Peer};
use crate::metrics::{self, SignInFault};
use crate::server::Server;
use crate::status::Status;

use cookie::Cookie;
pub(crate) use credential::{Credential, record};
pub(crate) use limit::SignInLimit;
use origin::{Origin, PAGE};

/// Why nobody was signed in.
#[derive(Debug)]
pub(crate) struct Refused {
    /// Class, for the metric.
    pub(crate) fault: SignInFault,
    /// For the audit log; the client is not told which of its parts is wrong.
    pub(crate) why: String,
    /// For the client.
    pub(crate) status: Status,
}

/// Who sends a request with this head through a connection of this peer.
///
/// A certificate goes before a token, as in Kubernetes: who has proved to hold a key needs nothing more. A token goes
/// before a cookie: it is shown on purpose.
pub(crate) fn sign_in(
    server: &Server,
    peer: Option<&Peer>,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Result<Caller, Refused> {
    let state = server.cluster.watch().borrow().state.clone();
    let credential = match peer.and_then(|peer| peer.certificate.clone()) {
        Some(certificate) => Credential::Certificate(certificate),
        None => by_token_or_cookie(server, peer, &state, headers)?,
    };
    check_origin(&credential, method, Origin::of(uri, headers), headers)?;
    let user = credential.user(&state, now())?;
    let other = impersonation::wanted(&state, &user, headers)?;
    Ok(Caller::signed_in(user, other, credential, peer))
}

/// Who shows a token, whatever else there is: only that starts a cookie.
pub(crate) fn by_token(server: &Server, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Caller, Refused> {
    let state = server.cluster.watch().borrow().state.clone();
    let credential = limited(server, peer, || match credential::bearer(&state, headers) {
        Some(shown) => confirmed(&state, shown?),
        None => Err(nothing()),
    })?;
    let user = credential.user(&state, now())?;
    Ok(Caller::signed_in(user, None, credential, peer))
}

/// Whether a caller would still be signed in, now and in this state: for what goes on after its request was judged.
pub(crate) fn confirm(state: &State, caller: &Caller) -> Result<(), Refused> {
    let Some(credential) = &caller.credential else {
        return Err(nothing());
    };
    let user = credential.user(state, now())?;
    match caller.impersonator {
        Some(_) => impersonation::check(state, &user, &caller.user),
        None => Ok(()),
    }
}

fn by_token_or_cookie(
    server: &Server,
    peer: Option<&Peer>,
    state: &State,
    headers: &HeaderMap,
) -> Result<Credential, Refused> {
    if let Some(shown) = credential::bearer(state, headers) {
        return limited(server, peer, || confirmed(state, shown?));
    }
    let sent = cookie::sent(headers, peer.is_some_and(|peer| peer.tls));
    let Some((value, secure)) = sent else {
        return limited(server, peer, || Err(nothing()));
    };
    match Cookie::verify(&server.cookie_key, value) {
        // Like a certificate it cannot be guessed, so failures of others at the same address do not count.
        Some(cookie) => Ok(Credential::Cookie { cookie, secure }),
        None => limited(server, peer, || {
            Err(Refused::unauthorized(
                SignInFault::Unknown,
                "no member of this cluster has signed the cookie".to_owned(),
            ))
        }),
    }
}

fn confirmed(state: &State, credential: Credential) -> Result<Credential, Refused> {
    credential.user(state, now())?;
    Ok(credential)
}

/// Counts a failure for the address, and does not even try when there were too many.
fn limited<T>(
    server: &Server,
    peer: Option<&Peer>,
    sign_in: impl FnOnce() -> Result<T, Refused>,
) -> Result<T, Refused> {
    let address = peer.map(|peer| peer.address.ip());
    server.sign_ins.check(address)?;
    let result = sign_in();
    if result.is_err() {
        server.sign_ins.failed(address);
    }
    result
}

/// What a browser adds by itself opens nothing to other pages than ours, and a cookie alone changes nothing.
fn check_origin(credential: &Credential, method: &Method, origin: Origin, headers: &HeaderMap) -> Result<(), Refused> {
    if !credential.is_ambient() {
        return Ok(());
    }
    if origin == Origin::Foreign {
        return Err(Refused::foreign());
    }
    let by_cookie = matches!(credential, Credential::Cookie { .. });
    if !by_cookie || method.is_safe() || (origin == Origin::Own && origin::is_from_page(headers)) {
        return Ok(());
    }
    Err(Refused::cross_site(format!(
        "a cookie alone changes nothing: send the header {PAGE}, from a page of this node; a program signs in with a token"
    )))
}

fn nothing() -> Refused {
    Refused::unauthorized(
        SignInFault::Nothing,
        "no certificate, no token and no cookie".to_owned(),
    )
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
    /// Nobody is known.
    pub(crate) fn unauthorized(fault: SignInFault, why: String) -> Refused {
        Refused {
            fault,
            why,
            status: Status::unauthorized(),
        }
    }

    /// Someone may not act as someone else.
    pub(crate) fn forbidden(status: Status) -> Refused {
        Refused {
            fault: SignInFault::Impersonation,
            why: status.message().to_owned(),
            status,
        }
    }

    /// A page of someone else's has a browser ask.
    pub(crate) fn foreign() -> Refused {
        Refused::cross_site("a page of another origin asks; only pages of this node may".to_owned())
    }

    /// A browser's own credentials do not open this.
    fn cross_site(why: String) -> Refused {
        Refused {
            fault: SignInFault::CrossSite,
            status: Status::forbidden(format!("forbidden: {why}")),
            why,
        }
    }

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
