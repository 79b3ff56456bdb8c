//! Schema of `RouteReview`.

use serde_json::{Value, json};

use super::{Parts, integer, list, object, one_of, parts, text};

/// What a review asks and answers.
pub(super) fn parts_of() -> Parts {
    let manifest: Value = json!({
        "description": "A manifest of any stored kind: the answer is as if it had been applied.",
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    });
    let spec = object(
        "Who would dial what.",
        [
            (
                "gateway",
                text("Name of the Gateway in the review's namespace; of a ListenerSet with `ListenerSet:` before it."),
            ),
            ("listener", text("Name of the listener; or set port and protocol.")),
            ("port", integer("Port of the listener.")),
            ("protocol", one_of("Protocol of the listener.", &["TCP", "TLS", "UDP"])),
            ("client", text("address:port of the client.")),
            (
                "sni",
                text("Server name in its ClientHello, for listeners of protocol TLS."),
            ),
            (
                "without",
                list(
                    "Endpoints that are taken for gone, as address:port.",
                    text("One endpoint."),
                ),
            ),
            ("withObject", manifest),
        ],
    );
    let listener = object(
        "The listener that takes the session.",
        [
            ("namespace", text("Namespace of the Gateway or ListenerSet.")),
            (
                "gateway",
                text("Name of the Gateway; of a ListenerSet with `ListenerSet:` before it."),
            ),
            ("name", text("Name of the listener.")),
        ],
    );
    let status = object(
        "The answer.",
        [
            (
                "endpoint",
                text("address:port that the client would reach; absent if it is refused."),
            ),
            (
                "reason",
                one_of(
                    "What decides.",
                    &["table", "leaving", "pin", "affinity", "grace", "redispatch"],
                ),
            ),
            ("listener", listener),
            ("route", text("namespace/name of the route that would carry it.")),
            ("row", integer("Row of the active table; absent if no table was asked.")),
            ("generation", integer("Generation of the active table.")),
            ("resourceVersion", text("The version of the state that was looked at.")),
            ("steps", list("The chain of reasons.", text("One step, as a sentence."))),
        ],
    );
    (
        "Asks which endpoint one client would reach, and why. It is created, answered and not kept.",
        parts([("spec", spec), ("status", status)]),
    )
}
