//! Schemas of the reviews of access.

use serde_json::Value;

use super::{Parts, boolean, list, object, parts, text};
use crate::resource::AccessReview;

/// What a review asks, and its answer.
pub(super) fn parts_of(review: AccessReview) -> Parts {
    let decision = || {
        object(
            "The answer.",
            [
                ("allowed", boolean("Whether it may be done.")),
                ("reason", text("What allows it.")),
            ],
        )
    };
    let (description, spec, status) = match review {
        AccessReview::SelfSubjectAccess => (
            "Whether the caller may do something.",
            object("What is asked.", asked()),
            decision(),
        ),
        AccessReview::SubjectAccess => ("Whether someone may do something.", about_someone(), decision()),
        AccessReview::LocalSubjectAccess => (
            "Whether someone may do something in one namespace.",
            about_someone(),
            decision(),
        ),
        AccessReview::SelfSubjectRules => (
            "All that the caller may do in a namespace.",
            object("Where.", [("namespace", text("Name of the namespace."))]),
            object(
                "The rules that the caller holds.",
                [
                    (
                        "resourceRules",
                        list("Rules on resources.", object("One rule.", rule())),
                    ),
                    (
                        "nonResourceRules",
                        list("Rules on paths.", object("One rule.", path_rule())),
                    ),
                    ("incomplete", boolean("Whether rules are missing; never so here.")),
                ],
            ),
        ),
        AccessReview::SelfSubject => {
            let user = object(
                "Who the caller is.",
                [
                    ("username", text("Name.")),
                    ("groups", list("Groups.", text("Name of a group."))),
                ],
            );
            let status = object("The answer.", [("userInfo", user)]);
            return ("Who the caller is.", parts([("status", status)]));
        }
    };
    (description, parts([("spec", spec), ("status", status)]))
}

fn asked() -> [(&'static str, Value); 2] {
    let on_resource = object(
        "Something on objects.",
        [
            ("verb", text("Verb such as get; * is every one.")),
            ("group", text("API group.")),
            ("version", text("Version; of no matter.")),
            ("resource", text("Plural name.")),
            ("subresource", text("Sub-resource such as status.")),
            (
                "namespace",
                text("Namespace; empty for all of them, and for what is in none."),
            ),
            ("name", text("Name; empty for all.")),
        ],
    );
    let on_path = object(
        "Something on a path.",
        [
            ("verb", text("HTTP method in lower case.")),
            ("path", text("Path such as /metrics.")),
        ],
    );
    [("resourceAttributes", on_resource), ("nonResourceAttributes", on_path)]
}

fn about_someone() -> Value {
    let [on_resource, on_path] = asked();
    let groups = list("Groups of the user.", text("Name of a group."));
    object(
        "What is asked, and about whom.",
        [
            on_resource,
            on_path,
            ("user", text("Name of the user.")),
            ("groups", groups),
        ],
    )
}

fn rule() -> [(&'static str, Value); 4] {
    [
        ("verbs", list("Verbs.", text("A verb."))),
        ("apiGroups", list("API groups.", text("An API group."))),
        ("resources", list("Resources.", text("A resource."))),
        ("resourceNames", list("Names; none means all.", text("A name."))),
    ]
}

fn path_rule() -> [(&'static str, Value); 2] {
    [
        ("verbs", list("Methods.", text("A method."))),
        ("nonResourceURLs", list("Paths.", text("A path."))),
    ]
}
