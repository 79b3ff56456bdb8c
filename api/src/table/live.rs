//! The columns of what is live: events, sessions, pins, drains and reviews.

use serde_json::Value;

use super::Column;
use super::age::human;
use super::cells::{age, few, items, plain, socket, text, until};
use super::kinds::{AGE, NAME, column, wide};

/// Columns of `Event`, as Kubernetes has them.
pub(super) static EVENT: &[Column] = &[
    column("Last Seen", "When it happened.", age),
    column("Type", "Whether somebody should look at it.", |object| {
        text(object, "/type")
    }),
    column("Reason", "What has happened.", |object| text(object, "/reason")),
    column("Object", "What it is about.", |object| {
        let about = &object["involvedObject"];
        Value::from(format!(
            "{}/{}",
            plain(&about["kind"]).to_lowercase(),
            plain(&about["name"])
        ))
    }),
    column("Message", "The same as a sentence.", |object| text(object, "/message")),
];

/// Columns of `Session`.
pub(super) static SESSION: &[Column] = &[
    NAME,
    column("Node", "Node that carries the session.", |object| {
        text(object, "/spec/node")
    }),
    column("Proto", "TCP or UDP.", |object| text(object, "/spec/protocol")),
    column("Client", "Who dialled.", |object| text(object, "/spec/client")),
    column("Listener", "Gateway and listener that accepted it.", |object| {
        let listener = &object["spec"]["listener"];
        Value::from(format!("{}/{}", plain(&listener["gateway"]), plain(&listener["name"])))
    }),
    column("Route", "Route that carries it.", |object| text(object, "/spec/route")),
    column("Endpoint", "Where it goes.", |object| text(object, "/spec/endpoint")),
    column(
        "State",
        "What it is doing, or why it was closed.",
        |object| match object.pointer("/status/closeReason") {
            Some(reason) => Value::from(format!("Closed: {}", plain(reason))),
            None => text(object, "/status/state"),
        },
    ),
    column("Age", "Time since it was accepted.", |object| {
        seconds(object, "/status/ageSeconds")
    }),
    column("In", "Bytes taken from the client.", |object| {
        bytes(object, "/status/bytesFromClient")
    }),
    column("Out", "Bytes taken from the endpoint.", |object| {
        bytes(object, "/status/bytesFromEndpoint")
    }),
    wide("SNI", "Server name that the client asked for.", |object| {
        text(object, "/spec/sni")
    }),
    wide("ALPN", "Protocol that the client offered first.", |object| {
        text(object, "/spec/alpn")
    }),
    wide("Why", "What chose the endpoint.", |object| {
        text(object, "/status/choice/reason")
    }),
    wide("Idle", "Time since something last passed.", |object| {
        seconds(object, "/status/idleSeconds")
    }),
];

/// Columns of `Pin`.
pub(super) static PIN: &[Column] = &[
    NAME,
    column("Route", "Route whose sessions are pinned.", |object| {
        text(object, "/spec/route")
    }),
    column("Proto", "TCP or UDP.", |object| text(object, "/spec/protocol")),
    column("Port", "Port of the listener.", |object| text(object, "/spec/port")),
    column("Client", "Whose sessions are pinned.", |object| {
        text(object, "/spec/client")
    }),
    column("Endpoint", "Where they go.", |object| text(object, "/spec/endpoint")),
    column(
        "Holders",
        "Nodes that need the pin; in brackets those that are gone.",
        |object| {
            let holders = items(object, "/spec/holders").map(|holder| match holder["live"].as_bool() {
                Some(true) => plain(&holder["node"]),
                _ => format!("({})", plain(&holder["node"])),
            });
            Value::from(holders.collect::<Vec<_>>().join(","))
        },
    ),
];

/// Columns of `RouteReview`.
pub(super) static ROUTE_REVIEW: &[Column] = &[
    NAME,
    column("Client", "Who was asked for.", |object| text(object, "/spec/client")),
    column("Route", "Route that would carry it.", |object| {
        text(object, "/status/route")
    }),
    column("Endpoint", "Where it would go.", |object| {
        text(object, "/status/endpoint")
    }),
    column("Reason", "What would choose the endpoint.", |object| {
        text(object, "/status/reason")
    }),
];

/// Columns of `Drain`.
pub(super) static DRAIN: &[Column] = &[
    NAME,
    column("Target", "What is emptied.", |object| {
        let target = &object["spec"]["target"];
        let (endpoint, backend) = (&target["endpoint"], &target["backend"]);
        Value::from(if endpoint.is_object() {
            socket(&endpoint["ip"], &endpoint["port"])
        } else if backend.is_object() {
            format!("Backend/{}/{}", plain(&backend["namespace"]), plain(&backend["name"]))
        } else {
            format!("Node/{}", plain(&target["node"]["name"]))
        })
    }),
    column("Phase", "How far it is.", |object| text(object, "/status/phase")),
    column("Remaining", "Sessions that are left.", |object| {
        let left = items(object, "/status/remaining").filter_map(|node| node["sessions"].as_u64());
        Value::from(match object.pointer("/status/reportedAt") {
            Some(_) => left.fold(0, u64::saturating_add).to_string(),
            None => "<unknown>".to_owned(),
        })
    }),
    column("Deadline", "Time that is left to the deadline.", |object| {
        until(object, "/status/deadlineAt", "passed", "<none>")
    }),
    AGE,
    wide("At-Deadline", "What becomes of the sessions that are left.", |object| {
        text(object, "/spec/atDeadline")
    }),
    wide("Ends-In", "Estimated time until no session is left.", |object| {
        until(object, "/status/estimatedEnd", "passed", "<unknown>")
    }),
    wide("Nodes", "Sessions that are left, node by node.", |object| {
        let nodes = items(object, "/status/remaining");
        few(nodes.map(|node| format!("{}:{}", plain(&node["node"]), plain(&node["sessions"]))))
    }),
];

/// A number of seconds as a length of time.
fn seconds(object: &Value, pointer: &str) -> Value {
    let seconds = object.pointer(pointer).and_then(Value::as_u64);
    Value::from(seconds.map_or("<unknown>".to_owned(), human))
}

/// A number of bytes in at most four digits and a unit.
fn bytes(object: &Value, pointer: &str) -> Value {
    let bytes = object.pointer(pointer).and_then(Value::as_u64);
    Value::from(bytes.map_or("<unknown>".to_owned(), size))
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut unit = 0;
    let mut whole = bytes;
    // Of each step only the last remainder shows.
    let mut rest = 0;
    while whole >= 1024 && unit < UNITS.len() {
        (whole, rest) = (whole / 1024, whole % 1024);
        unit += 1;
    }
    let name = UNITS[unit - 1];
    if whole < 10 {
        format!("{whole}.{}{name}", rest * 10 / 1024)
    } else {
        format!("{whole}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1.0Ki"),
            (1536, "1.5Ki"),
            (10 * 1024, "10Ki"),
            (1024 * 1024 - 1, "1023Ki"),
            (5 << 30, "5.0Gi"),
            (u64::MAX, "15Ei"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }
}
