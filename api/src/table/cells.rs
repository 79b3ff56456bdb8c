//! What is in single cells.

use guideway_model::meta::Timestamp;
use serde_json::Value;

use super::age::human;
use crate::attribution::now;

/// Parts of a cell that are written out; the others are counted.
const PARTS: usize = 3;
/// What kubectl users know for "there is none".
const NONE: &str = "<none>";

/// `metadata.name`
pub(super) fn name(object: &Value) -> Value {
    object["metadata"]["name"].clone()
}

/// Time since `metadata.creationTimestamp`.
pub(super) fn age(object: &Value) -> Value {
    let created: Option<Timestamp> = serde_json::from_value(object["metadata"]["creationTimestamp"].clone()).ok();
    let seconds = created.map(|created| now().unix_seconds.saturating_sub(created.unix_seconds));
    Value::from(seconds.map_or("<unknown>".to_owned(), |seconds| {
        human(u64::try_from(seconds).unwrap_or(0))
    }))
}

/// Time until the moment at a pointer, `behind` when it has passed; `absent` if there is none.
pub(super) fn until(object: &Value, pointer: &str, behind: &str, absent: &str) -> Value {
    let moment = object.pointer(pointer).cloned().unwrap_or_default();
    let moment: Option<Timestamp> = serde_json::from_value(moment).ok();
    let left = moment.map(|moment| u64::try_from(moment.unix_seconds.saturating_sub(now().unix_seconds)));
    Value::from(match left {
        None => absent.to_owned(),
        Some(Ok(0) | Err(_)) => behind.to_owned(),
        Some(Ok(seconds)) => human(seconds),
    })
}

/// `host:port`, with brackets where they are needed.
pub(super) fn socket(host: &Value, port: &Value) -> String {
    let host = plain(host);
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("{host}:{}", plain(port))
}

/// Text at a pointer; empty if absent.
pub(super) fn text(object: &Value, pointer: &str) -> Value {
    match object.pointer(pointer) {
        Some(Value::String(found)) => Value::from(found.as_str()),
        Some(other) if !other.is_null() => Value::from(other.to_string()),
        _ => Value::from(""),
    }
}

/// Items of an array at a pointer; none if it is absent.
pub(super) fn items<'a>(object: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    object.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// `status` of a condition in the array at a pointer; empty if it is not there.
pub(super) fn condition(object: &Value, pointer: &str, name: &str) -> Value {
    Value::from(status_of(object, pointer, name).unwrap_or_default())
}

fn status_of<'a>(object: &'a Value, pointer: &str, name: &str) -> Option<&'a str> {
    let found = items(object, pointer).find(|condition| condition["type"] == name)?;
    found["status"].as_str()
}

/// What a condition is over several entries (parents, ancestors): True if it is in all, False if it is in any.
pub(super) fn agreed(object: &Value, pointer: &str, name: &str) -> Value {
    let found: Vec<&str> = items(object, pointer)
        .map(|entry| status_of(entry, "/conditions", name).unwrap_or("Unknown"))
        .collect();
    Value::from(if found.is_empty() {
        ""
    } else if found.iter().all(|status| *status == "True") {
        "True"
    } else if found.contains(&"False") {
        "False"
    } else {
        "Unknown"
    })
}

/// Parts joined by commas, those beyond a few counted; `<none>` if there is none.
pub(super) fn few(parts: impl Iterator<Item = String>) -> Value {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() {
        return Value::from(NONE);
    }
    let shown = parts[..parts.len().min(PARTS)].join(",");
    Value::from(match parts.len().saturating_sub(PARTS) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    })
}

/// All parts joined by commas; `<none>` if there is none.
pub(super) fn all(parts: impl Iterator<Item = String>) -> Value {
    let parts: Vec<String> = parts.collect();
    Value::from(if parts.is_empty() {
        NONE.to_owned()
    } else {
        parts.join(",")
    })
}

/// A number or a text without quotes; empty if absent.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `5432/TCP`, a port with its protocol.
pub(super) fn port(port: &Value) -> String {
    let number = plain(&port["port"]);
    match port["protocol"].as_str() {
        Some(protocol) => format!("{number}/{protocol}"),
        None => number,
    }
}

/// `Kind/name` of a reference, or `name` alone if it is of the usual kind; with section or port.
pub(super) fn reference(reference: &Value, usual: &str) -> String {
    let mut shown = match reference["kind"].as_str() {
        Some(kind) if kind != usual => format!("{kind}/"),
        _ => String::new(),
    };
    if let Some(namespace) = reference["namespace"].as_str() {
        shown.push_str(&format!("{namespace}/"));
    }
    shown.push_str(&plain(&reference["name"]));
    for field in ["sectionName", "port"] {
        if let Some(part) = reference.get(field) {
            shown.push_str(&format!(":{}", plain(part)));
        }
    }
    shown
}
