//! How the dashboard signs in: a token is shown once, and a cookie that its scripts cannot read stands for it from then on.
//!
//! `POST /sign-in` with a bearer token gives the cookie, `GET` says who one is and renews it, `DELETE` ends every cookie
//! of the token, on every node.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use guideway_model::command::Part;
use guideway_model::{Command, Object};
use serde_json::{Value, json};

use crate::answer;
use crate::attribution::now;
use crate::audit::{Event, Record};
use crate::caller::{Caller, Peer};
use crate::doorman;
use crate::failure::not_committed;
use crate::metrics;
use crate::server::Server;
use crate::sign_in::cookie::{self, Cookie};
use crate::sign_in::origin::{self, Origin};
use crate::sign_in::{self, Credential, Refused};
use crate::status::Status;
use crate::write::object_of;

/// Where.
pub(crate) const PATH: &str = "/sign-in";

/// On the record of a token: when its cookies were last ended, and by which version of it.
const SIGNED_OUT: &str = "guideway.dev/signed-out";

/// Signs in with the token in `Authorization`.
pub(crate) async fn sign_in(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (head, _body) = request.into_parts();
    let peer = head.extensions.get::<Peer>();
    let signed_in = match Origin::of(&head.uri, &head.headers) {
        Origin::Foreign => Err(Refused::foreign()),
        Origin::Own | Origin::Unsaid => sign_in::by_token(&server, peer, &head.headers),
    };
    let caller = match signed_in {
        Ok(caller) => caller,
        Err(refused) => return doorman::turned_away(&server, &head, refused).await,
    };
    let secure = peer.is_some_and(|peer| peer.tls) || origin::is_by_tls(&head.headers);
    begin(&server, caller, secure)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn begin(server: &Server, caller: Caller, secure: bool) -> Result<Response<Body>, Status> {
    let _permit = server.admit_request()?;
    let slot = server.audit.admit().await?;
    let state = server.cluster.watch().borrow().state.clone();
    let record = caller.token().and_then(|id| sign_in::record(&state, id));
    let token = record.ok_or_else(Status::unauthorized)?;
    let cookie = Cookie::begin(token, now(), &server.limits);
    metrics::signed_in();
    let line = Record::of(Event::SignIn, &caller).on_path("post", PATH);
    slot.write(line.done(StatusCode::OK));
    Ok(with_cookie(server, who(&caller, Some(&cookie)), &cookie, secure))
}

/// Says who one is, and renews the cookie, if that is what says it.
pub(crate) async fn show(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (head, _body) = request.into_parts();
    let peer = head.extensions.get::<Peer>();
    let caller = match sign_in::sign_in(&server, peer, (&head.method, &head.uri, &head.headers)) {
        Ok(caller) => caller,
        Err(refused) => return doorman::turned_away(&server, &head, refused).await,
    };
    match renewed(&server, &caller) {
        Some((cookie, secure)) => with_cookie(&server, who(&caller, Some(&cookie)), &cookie, secure),
        None => private(answer::json(StatusCode::OK, &who(&caller, None))),
    }
}

/// Ends every cookie of the token whose cookie is sent, and has the browser forget it.
pub(crate) async fn sign_out(State(server): State<Arc<Server>>, request: Request) -> Response<Body> {
    let (head, _body) = request.into_parts();
    let peer = head.extensions.get::<Peer>();
    let Some((_, secure)) = cookie::sent(&head.headers, peer.is_some_and(|peer| peer.tls)) else {
        return Status::bad_request("there is no cookie to sign out; a token is ended by `guideway token revoke`")
            .into_response();
    };
    let caller = match sign_in::sign_in(&server, peer, (&head.method, &head.uri, &head.headers)) {
        Ok(caller) => caller,
        Err(refused) => return doorman::turned_away(&server, &head, refused).await,
    };
    let mut response = match end(&server, &caller).await {
        Ok(()) => answer::json(StatusCode::OK, &json!({"status": "signed out"})),
        Err(status) => status.into_response(),
    };
    if let Some(forget) = cookie::forget(secure) {
        response.headers_mut().append(SET_COOKIE, forget);
    }
    private(response)
}

/// Raises the version of the token's record: cookies of an older one open nothing.
async fn end(server: &Server, caller: &Caller) -> Result<(), Status> {
    let Some(Credential::Cookie { cookie, .. }) = &caller.credential else {
        return Err(Status::bad_request(
            "a certificate or a token says who this is, and the cookie beside it was not looked at: leave them out",
        ));
    };
    let _permit = server.admit_request()?;
    let slot = server.audit.admit().await?;
    let state = server.cluster.watch().borrow().state.clone();
    let Some(token) = sign_in::record(&state, &cookie.token) else {
        return Ok(());
    };
    let before = token.metadata.resource_version;
    let mut changed = token.clone();
    let mark = format!("{} {before}", now());
    changed.metadata.annotations.insert(SIGNED_OUT.to_owned(), mark);
    let command = Command::Replace {
        uid: Some(changed.metadata.uid.clone()),
        object: Object::ApiToken(Arc::new(changed)),
        part: Part::Main,
        expected: None,
    };
    let line = Record::of(Event::SignOut, caller).on_path("delete", PATH);
    let committed = server.cluster.propose(command).await;
    let result = match committed {
        Ok(committed) => object_of(committed.outcome).map(|object| (object, committed.index)),
        Err(failure) => Err(not_committed(&failure)),
    };
    match result {
        Ok((object, index)) => {
            let after = object.meta().resource_version;
            slot.write(line.versions(Some(before), Some(after)).at(index).done(StatusCode::OK));
            Ok(())
        }
        Err(status) => {
            slot.write(line.versions(Some(before), None).answered(&status));
            Err(status)
        }
    }
}

/// A newer cookie for who was signed in by one, and whether it is for TLS alone.
fn renewed(server: &Server, caller: &Caller) -> Option<(Cookie, bool)> {
    let Some(Credential::Cookie { cookie, secure }) = &caller.credential else {
        return None;
    };
    let state = server.cluster.watch().borrow().state.clone();
    let token = sign_in::record(&state, &cookie.token)?;
    Some((cookie.renewed(token, now(), &server.limits), *secure))
}

/// The header that brings a newer cookie, when the one that was sent is about to end.
pub(crate) fn renewal(server: &Server, caller: &Caller) -> Option<HeaderValue> {
    match &caller.credential {
        Some(Credential::Cookie { cookie, .. }) if cookie.is_ageing(now(), &server.limits) => {
            let (newer, secure) = renewed(server, caller)?;
            // Near the end of the token or of the day there is no newer one to be had.
            (newer.ends > cookie.ends).then(|| header(server, &newer, secure))?
        }
        _ => None,
    }
}

/// The header that has a browser forget the cookie which was not good enough.
pub(crate) fn forgotten(peer: Option<&Peer>, headers: &HeaderMap) -> Option<HeaderValue> {
    let (_, secure) = cookie::sent(headers, peer.is_some_and(|peer| peer.tls))?;
    cookie::forget(secure)
}

fn who(caller: &Caller, cookie: Option<&Cookie>) -> Value {
    let mut who = json!({ "user": caller.user.name, "groups": caller.user.groups });
    if let Some(cookie) = cookie {
        who["token"] = Value::from(cookie.token.as_str());
        who["ends"] = Value::from(cookie.ends.to_string());
    }
    who
}

fn with_cookie(server: &Server, body: Value, cookie: &Cookie, secure: bool) -> Response<Body> {
    let mut response = answer::json(StatusCode::OK, &body);
    if let Some(set) = header(server, cookie, secure) {
        response.headers_mut().append(SET_COOKIE, set);
    }
    private(response)
}

fn header(server: &Server, cookie: &Cookie, secure: bool) -> Option<HeaderValue> {
    let left = cookie.ends.unix_seconds.saturating_sub(now().unix_seconds).max(0);
    cookie::set(&cookie.signed(&server.cookie_key), left, secure)
}

/// For nobody's cache.
fn private(mut response: Response<Body>) -> Response<Body> {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
