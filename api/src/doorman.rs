//! What every request passes before a route sees it: nobody gets in unknown, but to sign in and to ask whether the node is
//! well.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::audit::{Event, Record};
use crate::caller::{Caller, Peer};
use crate::dashboard;
use crate::metrics;
use crate::permission;
use crate::server::Server;
use crate::sign_in::{self, Refused};

/// Paths that anyone may get. The files of the dashboard hold no secret, and it must be loaded to sign in with it.
const ANONYMOUS: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
const DASHBOARD: &str = "/ui/";

/// Lets a request through with its [`Caller`], or answers it.
pub(crate) async fn admit(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response<Body> {
    let path = request.uri().path();
    // Signing in is for those who are not; its own handlers find out who asks.
    if ANONYMOUS.contains(&path.trim_end_matches('/')) || path.starts_with(DASHBOARD) || path == dashboard::PATH {
        return next.run(request).await;
    }
    let (mut head, body) = request.into_parts();
    let peer = head.extensions.get::<Peer>();
    let caller = match sign_in::sign_in(&server, peer, (&head.method, &head.uri, &head.headers)) {
        Ok(caller) => Arc::new(caller),
        Err(refused) => return turned_away(&server, &head, refused).await,
    };
    let path = head.uri.path();
    // Requests on resources are judged where their path is read.
    if !is_on_resource(path) {
        let verb = head.method.as_str().to_ascii_lowercase();
        if let Err(status) = permission::check_path(&server, &caller, &verb, path) {
            let record = Record::of(Event::Refused, &caller).on_path(&verb, path);
            server.audit.note(record.answered(&status)).await;
            return status.into_response();
        }
    }
    head.extensions.insert(Arc::clone(&caller));
    let mut response = next.run(Request::from_parts(head, body)).await;
    if let Some(newer) = dashboard::renewal(&server, &caller) {
        response.headers_mut().append(SET_COOKIE, newer);
    }
    response
}

/// The answer for whom nobody could be signed in for; it is counted and written down.
pub(crate) async fn turned_away(server: &Server, head: &Parts, refused: Refused) -> Response<Body> {
    let peer = head.extensions.get::<Peer>();
    metrics::sign_in_failed(refused.fault);
    // What is over the limit is only counted, or the limit would be one for others and not for the audit log.
    if refused.fault != metrics::SignInFault::Limited {
        let caller = Caller::anonymous(peer.map(|peer| peer.address));
        let record = Record::of(Event::SignInFailed, &caller)
            .on_path(&head.method.as_str().to_ascii_lowercase(), head.uri.path())
            .answered(&refused.status)
            .because(refused.why);
        server.audit.note(record).await;
    }
    let is_unknown = refused.status.code() == StatusCode::UNAUTHORIZED;
    let mut response = refused.status.into_response();
    if is_unknown && let Some(forget) = dashboard::forgotten(peer, &head.headers) {
        response.headers_mut().append(SET_COOKIE, forget);
    }
    response
}

/// Whether the routes of resources answer this path: something below a version.
fn is_on_resource(path: &str) -> bool {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest.iter().any(|segment| !segment.is_empty()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_on_resource;

    #[test]
    fn resources_are_below_a_version() {
        for (path, expected) in [
            ("/api/v1/services", true),
            ("/api/v1/", false),
            ("/api/v1", false),
            ("/apis/guideway.dev/v1alpha1", false),
            ("/apis/guideway.dev/v1alpha1/nodes", true),
            ("/apis/guideway.dev", false),
            ("/metrics", false),
            ("/openapi/v3/apis/guideway.dev/v1alpha1", false),
            ("/", false),
        ] {
            assert_eq!(is_on_resource(path), expected, "{path}");
        }
    }
}
