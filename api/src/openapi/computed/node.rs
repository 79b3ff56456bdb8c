//! Schema of `Node`.

use super::{Parts, boolean, integer, list, object, one_of, parts, text, time};

/// What a node is and does.
pub(super) fn parts_of() -> Parts {
    let address = object(
        "One address.",
        [("type", text("Data.")), ("address", text("The address."))],
    );
    let condition = object(
        "One condition.",
        [
            ("type", text("Ready.")),
            ("status", text("True, False or Unknown.")),
            ("reason", text("One word for programs.")),
            ("message", text("A sentence for people.")),
            ("lastTransitionTime", time("When the node's liveness last changed.")),
        ],
    );
    let driver = object(
        "What carries the node's sessions; absent if it gave no answer.",
        [
            (
                "name",
                one_of(
                    "What carries datagrams and the messages of sessions.",
                    &["io_uring", "epoll"],
                ),
            ),
            ("reason", text("Why that one.")),
        ],
    );
    let status = object(
        "What the node is and does.",
        [
            ("id", integer("Number of the member; never used twice.")),
            (
                "role",
                one_of(
                    "What the node is in the Raft group, as the asked node sees it.",
                    &["leader", "follower", "learner"],
                ),
            ),
            ("live", boolean("Whether the cluster agrees that the node is alive.")),
            ("version", text("Version of the binary.")),
            ("peerAddress", text("host:port of the transport between nodes.")),
            ("apiURL", text("URL of the node's API.")),
            ("metricsURL", text("URL of the node's metrics.")),
            (
                "dataAddress",
                text("Address of listeners whose Gateway names none; absent means all addresses."),
            ),
            (
                "addresses",
                list("Addresses on which the node serves listeners by default.", address),
            ),
            (
                "appliedIndex",
                integer("Log index that the node has applied; absent if it gave no answer in time."),
            ),
            (
                "sessions",
                integer("Live sessions on the node; absent if it gave no answer in time."),
            ),
            (
                "planGeneration",
                integer("Generation of the tables that the node runs; absent if it gave no answer."),
            ),
            (
                "activeGeneration",
                integer("Generation of the tables that are active as far as the node has applied the log."),
            ),
            (
                "preparedGeneration",
                integer("Generation of the tables that are prepared; absent if none are."),
            ),
            (
                "sourceAddresses",
                list(
                    "Addresses from which the node connects to endpoints; absent if it gave no answer.",
                    text("An address."),
                ),
            ),
            ("driver", driver),
            (
                "conditions",
                list("Ready: whether the node is live and answers.", condition),
            ),
        ],
    );
    (
        "One Guideway process of the cluster, as it is at the moment of reading.",
        parts([("status", status)]),
    )
}
