//! `Accept`: answers are JSON, so a client must take plain JSON.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::status::Status;

/// Refuses clients that take nothing made here. Entries that ask for a form (`as=Table`) are passed over: clients list
/// plain JSON after them.
pub(crate) fn check_accepts_json(headers: &HeaderMap) -> Result<(), Status> {
    let values: Vec<String> = headers
        .get_all(ACCEPT)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let all = values.join(", ");
    if all.trim().is_empty() || all.split(',').any(takes_json) {
        Ok(())
    } else {
        Err(Status::not_acceptable(&all))
    }
}

fn takes_json(entry: &str) -> bool {
    let mut parts = entry.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let fits = matches!(media_type.as_str(), "application/json" | "application/*" | "*/*");
    fits && parts.all(|parameter| !parameter.starts_with("as=") && !is_zero_quality(parameter))
}

fn is_zero_quality(parameter: &str) -> bool {
    parameter
        .strip_prefix("q=")
        .is_some_and(|quality| quality.parse() == Ok(0.0_f32))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn plain_json_must_be_among_the_entries() {
        let table = [
            (None, true),
            (Some(""), true),
            (Some("*/*"), true),
            (Some("application/json"), true),
            (Some("application/json;stream=watch"), true),
            (
                Some(
                    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                ),
                true,
            ),
            (Some("application/vnd.kubernetes.protobuf, application/json"), true),
            (Some("application/json;as=Table;v=v1;g=meta.k8s.io"), false),
            (Some("application/vnd.kubernetes.protobuf"), false),
            (Some("application/json;q=0"), false),
            (Some("text/html"), false),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(check_accepts_json(&headers).is_ok(), expected, "{accept:?}");
        }
    }
}
