//! Schema of `Pin`.

use super::{Parts, boolean, integer, list, object, one_of, parts, text};

/// What a pin says.
pub(super) fn parts_of() -> Parts {
    let holder = object(
        "One holder.",
        [
            ("node", text("Name of the node.")),
            ("incarnation", text("The start of the node that asked for the pin.")),
            ("endpoint", text("address:port at which this holder has the session.")),
            (
                "live",
                boolean("Whether this start of the node is alive; a pin without a live holder ends after a while."),
            ),
        ],
    );
    let spec = object(
        "What is pinned, and where it goes.",
        [
            ("route", text("namespace/name of the route.")),
            ("routeKind", text("Kind of the route.")),
            ("rule", integer("Index of the route's rule, from 0.")),
            ("protocol", one_of("Protocol of the listener.", &["TCP", "UDP"])),
            ("port", integer("Port of the listener.")),
            (
                "client",
                text(
                    "address:port of the client; under client-IP affinity what the prefix mask leaves of its address.",
                ),
            ),
            ("endpoint", text("address:port that new sessions of this key go to.")),
            ("message", text("The pin as a sentence.")),
            (
                "holders",
                list("Nodes that need the pin; it ends with the last.", holder),
            ),
        ],
    );
    (
        "A replicated exception to a table: these sessions go to this endpoint, whatever the table says. Nodes hold pins \
         for sessions that a change of the endpoints would otherwise move.",
        parts([("spec", spec)]),
    )
}
