//! What every request passes before a route sees it: nobody gets in unknown, but to ask whether the node is well.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::Next;
use axum::response::IntoResponse;

use crate::audit::{Event, Record};
use crate::caller::{Caller, Peer};
use crate::metrics;
use crate::permission;
use crate::server::Server;
use crate::sign_in::{self, Refused};

/// Paths that anyone may get. The files of the dashboard hold no secret, and it must be loaded to sign in with it.
const ANONYMOUS: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
const DASHBOARD: &str = "/ui/";

/// Lets a request through with its [`Caller`], or answers it.
pub(crate) async fn admit(State(server): State<Arc<Server>>, mut request: Request, next: Next) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let verb = request.method().as_str().to_ascii_lowercase();
    if ANONYMOUS.contains(&path.trim_end_matches('/')) || path.starts_with(DASHBOARD) {
        return next.run(request).await;
    }
    let peer = request.extensions().get::<Peer>().cloned();
    let caller = match sign_in::sign_in(&server, peer.as_ref(), request.headers()) {
        Ok(caller) => Arc::new(caller),
        Err(refused) => return turned_away(&server, peer.as_ref(), (&verb, &path), refused).await,
    };
    // Requests on resources are judged where their path is read.
    if !is_on_resource(&path)
        && let Err(status) = permission::check_path(&server, &caller, &verb, &path)
    {
        let record = Record::of(Event::Refused, &caller).on_path(&verb, &path);
        server.audit.note(record.answered(&status)).await;
        return status.into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

async fn turned_away(
    server: &Server,
    peer: Option<&Peer>,
    (verb, path): (&str, &str),
    refused: Refused,
) -> Response<Body> {
    metrics::sign_in_failed(refused.fault);
    // What is over the limit is only counted, or the limit would be one for others and not for the audit log.
    if refused.fault != metrics::SignInFault::Limited {
        let caller = Caller::anonymous(peer.map(|peer| peer.address));
        let record = Record::of(Event::SignInFailed, &caller)
            .on_path(verb, path)
            .answered(&refused.status)
            .because(refused.why);
        server.audit.note(record).await;
    }
    refused.status.into_response()
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
