//! Schema of `Session`.

use super::{Parts, integer, object, one_of, parts, text};

/// What a session is and does.
pub(super) fn parts_of() -> Parts {
    let listener = object(
        "The listener that accepted it.",
        [
            ("namespace", text("Namespace of the Gateway or ListenerSet.")),
            (
                "gateway",
                text("Name of the Gateway; of a ListenerSet with `ListenerSet:` before it."),
            ),
            ("name", text("Name of the listener.")),
        ],
    );
    let spec = object(
        "Who talks to whom, and through what.",
        [
            ("node", text("Name of the node that carries it.")),
            ("protocol", one_of("TCP: a connection; UDP: a flow.", &["TCP", "UDP"])),
            ("listener", listener),
            (
                "route",
                text("namespace/name of the route; absent while it is not known."),
            ),
            ("client", text("address:port that dialled.")),
            (
                "endpoint",
                text("address:port that serves; absent while that is sought."),
            ),
            ("sni", text("Server name in the ClientHello.")),
            ("alpn", text("First protocol that the ClientHello offers.")),
        ],
    );
    let tcp = || {
        object(
            "What the kernel says of the connection.",
            [
                ("rttUs", integer("Smoothed round-trip time in microseconds.")),
                ("rttDeviationUs", integer("Its mean deviation in microseconds.")),
                (
                    "retransmits",
                    integer("Segments sent again since the connection began."),
                ),
                ("congestionWindow", integer("Congestion window in segments.")),
                (
                    "unacknowledged",
                    integer("Segments sent that are not acknowledged yet."),
                ),
            ],
        )
    };
    let choice = object(
        "Why the session is at its endpoint.",
        [
            (
                "reason",
                one_of(
                    "What decided.",
                    &["table", "leaving", "pin", "affinity", "grace", "redispatch"],
                ),
            ),
            ("message", text("The reason as a sentence.")),
            (
                "generation",
                integer("Active generation by which its endpoint was first chosen; only of a single session."),
            ),
            (
                "row",
                integer("Row of its key in the table of its pool; only of a single session, where tables decided."),
            ),
            ("pin", text("Name of the Pin; only of a single session.")),
            (
                "affinityEntry",
                text("The client's entry in the affinity table of its node, named as its Pin would be."),
            ),
            (
                "drain",
                text("The Drain that keeps sessions away from the endpoint which the row names."),
            ),
        ],
    );
    let rates = object(
        "What passes in a second at this moment; only of a single session, which is looked at twice for it.",
        [
            ("bytesFromClient", integer("Bytes a second from the client.")),
            ("bytesFromEndpoint", integer("Bytes a second from the endpoint.")),
            (
                "packetsFromClient",
                integer("Datagrams a second from the client; UDP only."),
            ),
            (
                "packetsFromEndpoint",
                integer("Datagrams a second from the endpoint; UDP only."),
            ),
            (
                "measuredMilliseconds",
                integer("Time over which it was measured, in milliseconds."),
            ),
        ],
    );
    let status = object(
        "What it does at the moment of reading.",
        [
            (
                "state",
                one_of(
                    "What it is doing.",
                    &["Greeting", "Connecting", "Established", "HalfClosed", "Closed"],
                ),
            ),
            ("bytesFromClient", integer("Bytes taken from the client.")),
            ("bytesFromEndpoint", integer("Bytes taken from the endpoint.")),
            (
                "packetsFromClient",
                integer("Datagrams taken from the client; UDP only."),
            ),
            (
                "packetsFromEndpoint",
                integer("Datagrams taken from the endpoint; UDP only."),
            ),
            (
                "bytesPerSecond",
                integer("Bytes a second both ways, on average since it was accepted."),
            ),
            (
                "closeReason",
                text("Why it was closed; only in the last event of a watch."),
            ),
            ("ageSeconds", integer("Time since it was accepted.")),
            ("idleSeconds", integer("Time since a byte or datagram last passed.")),
            ("choice", choice),
            ("rates", rates),
            (
                "dialledAddress",
                text("The node's address that the client dialled; only of a single session."),
            ),
            (
                "sourceAddress",
                text("The node's address toward the endpoint; only of a single session."),
            ),
            (
                "tcp",
                object(
                    "What the kernel says of both connections; only of a single session.",
                    [("client", tcp()), ("endpoint", tcp())],
                ),
            ),
        ],
    );
    (
        "One live session of the cluster: a TCP connection or a UDP flow. Deleting it closes it.",
        parts([("spec", spec), ("status", status)]),
    )
}
