//! Answers of requests that succeeded.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, WARNING};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

/// Longest text of one `Warning:` header; longer ones are cut.
const WARNING_BYTES: usize = 256;
/// Most `Warning:` headers of one answer; the last says how many more there were.
const WARNINGS: usize = 16;

/// JSON with a status code.
pub(crate) fn json(code: StatusCode, body: &Value) -> Response<Body> {
    let mut response = stream(Body::from(body.to_string()));
    *response.status_mut() = code;
    response
}

/// JSON that is made while it is sent.
pub(crate) fn stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Adds `Warning: 299 - "..."` headers, which kubectl prints.
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    let headers = response.headers_mut();
    let mut add = |text: &str| {
        if let Ok(value) = HeaderValue::from_bytes(format!("299 - \"{}\"", quotable(text)).as_bytes()) {
            headers.append(WARNING, value);
        }
    };
    if warnings.len() <= WARNINGS {
        warnings.iter().for_each(|warning| add(warning));
    } else {
        warnings[..WARNINGS - 1].iter().for_each(|warning| add(warning));
        add(&format!("and {} more warnings", warnings.len() - (WARNINGS - 1)));
    }
}

/// Cut to size, without control characters, and with quotes and backslashes escaped.
fn quotable(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for character in text.chars() {
        if quoted.len() >= WARNING_BYTES {
            quoted.push_str("...");
            break;
        }
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push(' '),
            other => quoted.push(other),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_quoted_and_bounded() {
        let mut response = json(StatusCode::OK, &Value::Null);
        warn(
            &mut response,
            &["unknown field \"spec.x\"\n".to_owned(), "x".repeat(1000)],
        );
        let found: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(found[0], r#"299 - "unknown field \"spec.x\" ""#);
        assert_eq!(found[1].len(), r#"299 - """#.len() + WARNING_BYTES + "...".len());
        let mut response = json(StatusCode::OK, &Value::Null);
        warn(&mut response, &vec!["w".to_owned(); 40]);
        let found: Vec<_> = response.headers().get_all(WARNING).iter().collect();
        assert_eq!(found.len(), WARNINGS);
        assert_eq!(found[WARNINGS - 1], r#"299 - "and 25 more warnings""#);
    }
}
