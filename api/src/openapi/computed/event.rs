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
        "Something that has happened and that no object shows. The last 1024 are kept, by each node for itself.",
        parts([
            ("involvedObject", involved),
            (
                "type",
                one_of("Whether somebody should look at it.", &["Normal", "Warning"]),
            ),
            ("reason", one_of("What has happened.", &["PassedOver"])),
            ("message", text("The same as a sentence.")),
            (
                "source",
                object("Who says so.", [("component", text("Always guideway."))]),
            ),
            ("reportingComponent", text("Who says so, by a longer name.")),
            ("reportingInstance", text("Always empty.")),
            ("count", integer("Always 1.")),
            ("firstTimestamp", time("When it happened.")),
            ("lastTimestamp", time("The same.")),
        ]),
    )
}
