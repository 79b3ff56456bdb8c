//! `Accept`: answers are JSON, in one of three forms.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

use crate::status::Status;
use crate::view::Form;

/// The first form in `Accept` that is made here; 406 if none is. Clients list what they like best first.
pub(crate) fn form(headers: &HeaderMap) -> Result<Form, Status> {
    let values: Vec<String> = headers
        .get_all(ACCEPT)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    let all = values.join(", ");
    if all.trim().is_empty() {
        return Ok(Form::Object);
    }
    all.split(',')
        .find_map(served)
        .ok_or_else(|| Status::not_acceptable(&all))
}

/// The form that one entry asks for, if it is made here.
fn served(entry: &str) -> Option<Form> {
    let mut parts = entry.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let parameters: Vec<&str> = parts.collect();
    let fits = matches!(media_type.as_str(), "application/json" | "application/*" | "*/*");
    if !fits || parameters.iter().any(|parameter| is_zero_quality(parameter)) {
        return None;
    }
    let value = |name: &str| {
        let values = parameters.iter();
        values
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    match (value("as"), value("g"), value("v")) {
        (None, _, _) => Some(Form::Object),
        (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Form::Table("v1")),
        (Some("Table"), Some("meta.k8s.io"), Some("v1beta1")) => Some(Form::Table("v1beta1")),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => {
            Some(Form::Metadata)
        }
        _ => None,
    }
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
    fn the_first_form_that_is_made_here() {
        const TABLES: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,\
            application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        const METADATA: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
            application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        let table = [
            (None, Some(Form::Object)),
            (Some(""), Some(Form::Object)),
            (Some("*/*"), Some(Form::Object)),
            (Some("application/json;stream=watch"), Some(Form::Object)),
            (Some(TABLES), Some(Form::Table("v1"))),
            (
                Some("application/json;as=Table;v=v1beta1;g=meta.k8s.io"),
                Some(Form::Table("v1beta1")),
            ),
            (
                Some("application/json;as=Table;v=v2;g=meta.k8s.io, */*"),
                Some(Form::Object),
            ),
            (Some(METADATA), Some(Form::Metadata)),
            (
                Some("application/vnd.kubernetes.protobuf, application/json"),
                Some(Form::Object),
            ),
            (Some("application/json;as=Table;v=v1"), None),
            (Some("application/vnd.kubernetes.protobuf"), None),
            (Some("application/json;q=0"), None),
            (Some("text/html"), None),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(form(&headers).ok(), expected, "{accept:?}");
        }
    }
}
