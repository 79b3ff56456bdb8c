//! Schema of `Event`.

use super::{Parts, integer, object, one_of, parts, text, time};

/// What an event says.
pub(super) fn parts_of() -> Parts {
    let involved = object(
        "What it is about.",
        [
            ("apiVersion", text("Group and version.")),
            ("kind", text("Kind.")),
            ("namespace", text("Namespace; absent where there is none.")),
            ("name", text("Name.")),
            ("uid", text("Identity.")),
        ],
    );
    (
        "Something that has happened or that a user did, and that no object shows. Each node keeps the last 1024 of both.",
        parts([
            ("involvedObject", involved),
            (
                "type",
                one_of("Whether somebody should look at it.", &["Normal", "Warning"]),
            ),
            (
                "reason",
                one_of(
                    "What has happened.",
                    &[
                        "DrainBegan",
                        "DrainChanged",
                        "DrainEnded",
                        "PassedOver",
                        "SessionsClosed",
                    ],
                ),
            ),
            ("message", text("The same as a sentence.")),
            (
                "source",
                object("Who says so.", [("component", text("Always guideway."))]),
            ),
            ("reportingComponent", text("Who says so, by a longer name.")),
            ("reportingInstance", text("Always empty.")),
            ("count", integer("How often the user has done it.")),
            ("firstTimestamp", time("When it first happened.")),
            ("lastTimestamp", time("When it last happened.")),
        ]),
    )
}
