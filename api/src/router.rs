//! Entry point: which path is answered by which module.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{any, get};
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::stream;
use guideway_identity::CookieKey;
use serde_json::Value;

use crate::audit::AuditLog;
use crate::caller::Caller;
use crate::failure::not_read;
use crate::limits::Limits;
use crate::ports::{Cluster, ReadinessCheck};
use crate::query::Parameters;
use crate::server::Server;
use crate::status::Status;
use crate::{answer, dashboard, discovery, doorman, health, metrics, openapi, request};

/// What the composition root decides about the API.
#[derive(Clone)]
pub struct Options {
    /// Version of the binary, such as `0.1.0`.
    pub version: String,
    /// Bounds.
    pub limits: Limits,
    /// Where writes, closes, drains, failed sign-ins and refusals are written down.
    pub audit: AuditLog,
    /// What the dashboard's cookies are signed with: the same on every node.
    pub cookie_key: CookieKey,
    /// Text of `/metrics`, in the exposition format of Prometheus.
    pub metrics: MetricsText,
}

/// Gives the metrics of the process as text; `None` serves no `/metrics`.
pub type MetricsText = Option<Arc<dyn Fn() -> String + Send + Sync>>;

type Shared = State<Arc<Server>>;

/// The API over `cluster`.
pub fn router(cluster: Arc<dyn Cluster>, options: Options) -> Router {
    metrics::describe();
    let server = Arc::new(Server::new(cluster, options));
    Router::new()
        .route("/api", get(core_versions))
        .route("/api/{version}", get(core_resources))
        .route("/api/{version}/{*rest}", any(core_request))
        .route("/apis", get(groups))
        .route("/apis/{group}", get(group))
        .route("/apis/{group}/{version}", get(group_resources))
        .route("/apis/{group}/{version}/{*rest}", any(group_request))
        .route("/openapi/v3", get(openapi_index))
        .route("/openapi/v3/{*path}", get(openapi_document))
        .route("/version", get(version))
        .route("/healthz", get(alive))
        .route("/livez", get(alive))
        .route("/readyz", get(ready))
        .route(
            dashboard::PATH,
            get(dashboard::show)
                .post(dashboard::sign_in)
                .delete(dashboard::sign_out),
        )
        .route("/metrics", get(metrics_text))
        .route("/backup", get(backup))
        .fallback(no_such_path)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&server), doorman::admit))
        .with_state(server)
}

async fn core_versions(headers: HeaderMap) -> Response<Body> {
    discovered(&headers, true, discovery::core_versions)
}

async fn groups(headers: HeaderMap) -> Response<Body> {
    discovered(&headers, false, discovery::group_list)
}

/// Discovery in the aggregated form if the client takes it.
fn discovered(headers: &HeaderMap, core: bool, plain: fn() -> Value) -> Response<Body> {
    let mut response = if discovery::wants_aggregated(headers) {
        let mut response = answer::json(StatusCode::OK, &discovery::aggregated(core));
        let content_type = HeaderValue::from_static(discovery::AGGREGATED);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
    } else {
        answer::json(StatusCode::OK, &plain())
    };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

async fn core_resources(Path(version): Path<String>) -> Response<Body> {
    answered(discovery::resource_list("", &version))
}

async fn group(Path(group): Path<String>) -> Response<Body> {
    answered(discovery::group(&group))
}

async fn group_resources(Path((group, version)): Path<(String, String)>) -> Response<Body> {
    answered(discovery::resource_list(&group, &version))
}

fn answered(result: Result<Value, Status>) -> Response<Body> {
    match result {
        Ok(body) => answer::json(StatusCode::OK, &body),
        Err(status) => status.into_response(),
    }
}

async fn core_request(
    State(server): Shared,
    Path((version, rest)): Path<(String, String)>,
    request: Request,
) -> Response<Body> {
    request::serve(server, "", &version, &rest, request).await
}

async fn group_request(
    State(server): Shared,
    Path((group, version, rest)): Path<(String, String, String)>,
    request: Request,
) -> Response<Body> {
    request::serve(server, &group, &version, &rest, request).await
}

async fn openapi_index() -> Response<Body> {
    answer::json(StatusCode::OK, &openapi::index())
}

async fn openapi_document(Path(path): Path<String>, headers: HeaderMap) -> Response<Body> {
    openapi::document(&path, &headers).unwrap_or_else(IntoResponse::into_response)
}

async fn version(State(server): Shared) -> Response<Body> {
    answer::json(StatusCode::OK, &health::version(&server.version))
}

async fn metrics_text(State(server): Shared, uri: Uri) -> Response<Body> {
    let Some(text) = &server.metrics else {
        return no_such_path(uri).await.into_response();
    };
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text()).into_response()
}

/// The replicated state as a file. The roles give it to `cluster-admin` alone: it holds the key of the flow hash, and the
/// digests of tokens.
async fn backup(State(server): Shared, Extension(caller): Extension<Arc<Caller>>) -> Result<Response<Body>, Status> {
    let permit = server.admit_request()?;
    let applied = server.cluster.linearizable().await;
    let applied = applied.map_err(|failure| not_read(&failure))?;
    tracing::info!(user = caller.user.name, index = applied.index, "a backup is taken");
    let pieces = server.cluster.backup(applied).map(move |piece| {
        let _held = &permit;
        Ok::<Bytes, Infallible>(Bytes::from(piece))
    });
    let mut response = answer::stream(Body::from_stream(stream::iter(pieces)));
    let binary = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, binary);
    Ok(response)
}

async fn alive(uri: Uri) -> Response<Body> {
    // That this runs is what is asked.
    let ping = ReadinessCheck {
        name: "ping",
        result: Ok(()),
    };
    let name = uri.path().trim_matches('/');
    health::report(name, &[ping], is_verbose(&uri))
}

async fn ready(State(server): Shared, uri: Uri) -> Response<Body> {
    health::report("readyz", &server.cluster.readiness(), is_verbose(&uri))
}

fn is_verbose(uri: &Uri) -> bool {
    Parameters::of(uri).is_ok_and(|parameters| parameters.has("verbose"))
}

async fn no_such_path(uri: Uri) -> Status {
    Status::no_such_path(format!(
        "the server could not find the requested resource: nothing is served at {}",
        uri.path()
    ))
}

async fn method_not_allowed(method: Method, uri: Uri) -> Status {
    let allowed: &[&str] = match uri.path() {
        dashboard::PATH => &["GET", "POST", "DELETE"],
        _ => &["GET"],
    };
    Status::method_not_allowed(method.as_str(), uri.path(), allowed)
}
