//! `/version`, `/healthz`, `/livez` and `/readyz`.

use std::fmt::Write;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::ports::ReadinessCheck;

/// Kubernetes minor version whose API this one follows; clients choose their behaviour by it.
const MINOR: &str = "32";

/// `GET /version`. Clients parse `gitVersion` as a semantic version.
pub(crate) fn version(own: &str) -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "gitVersion": format!("v1.{MINOR}.0+guideway-{}", own.replace('+', ".")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// One line if all is well and nothing more is wanted, otherwise one line a check.
pub(crate) fn report(name: &str, checks: &[ReadinessCheck], verbose: bool) -> Response<Body> {
    let healthy = checks.iter().all(|check| check.result.is_ok());
    let mut text = String::new();
    if verbose || !healthy {
        for check in checks {
            let line = match &check.result {
                Ok(()) => format!("[+]{} ok\n", check.name),
                Err(waits_for) => format!("[-]{} failed: {waits_for}\n", check.name),
            };
            text.push_str(&line);
        }
        let verdict = if healthy { "passed" } else { "failed" };
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "{name} check {verdict}").is_err();
    } else {
        text.push_str("ok");
    }
    let mut response = Response::new(Body::from(text));
    if !healthy {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
