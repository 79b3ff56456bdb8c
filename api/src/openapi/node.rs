//! Schema of `Node`, which no stored type describes.

use serde_json::{Value, json};

/// Name of the component.
pub(super) const COMPONENT: &str = "dev.guideway.v1alpha1.Node";

/// `Node` and its status.
pub(super) fn schemas() -> Value {
    json!({
        COMPONENT: {
            "description": "One Guideway process of the cluster, as it is at the moment of reading.",
            "type": "object",
            "properties": {
                "apiVersion": { "description": "Group and version of the object's schema.", "type": "string" },
                "kind": { "description": "Kind of the object.", "type": "string" },
                "metadata": {
                    "description": "Name, identity and when the node joined.",
                    "allOf": [{ "$ref": "#/components/schemas/dev.guideway.v1alpha1.ObjectMeta" }],
                },
                "status": {
                    "description": "What the node is and does.",
                    "allOf": [{ "$ref": "#/components/schemas/dev.guideway.v1alpha1.NodeStatus" }],
                },
            },
            "x-kubernetes-group-version-kind": [{ "group": "guideway.dev", "version": "v1alpha1", "kind": "Node" }],
        },
        "dev.guideway.v1alpha1.NodeStatus": {
            "description": "What a node is and does.",
            "type": "object",
            "properties": {
                "id": integer("Number of the member; never used twice."),
                "role": {
                    "description": "What the node is in the Raft group, as the asked node sees it.",
                    "type": "string",
                    "enum": ["leader", "follower", "learner"],
                },
                "live": { "description": "Whether the cluster agrees that the node is alive.", "type": "boolean" },
                "version": text("Version of the binary."),
                "peerAddress": text("host:port of the transport between nodes."),
                "apiURL": text("URL of the node's API."),
                "metricsURL": text("URL of the node's metrics."),
                "dataAddress": text("Address of listeners whose Gateway names none; absent means all addresses."),
                "addresses": {
                    "description": "Addresses on which the node serves listeners by default.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": { "type": text("Data."), "address": text("The address.") },
                    },
                },
                "appliedIndex": integer("Log index that the node has applied; absent if it gave no answer in time."),
                "sessions": integer("Live sessions on the node; absent if it gave no answer in time."),
                "planGeneration": integer("Generation of the plan that the node runs; absent if it gave no answer."),
                "conditions": {
                    "description": "Ready: whether the node is live and answers.",
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "type": text("Ready."),
                            "status": text("True, False or Unknown."),
                            "reason": text("One word for programs."),
                            "message": text("A sentence for people."),
                            "lastTransitionTime": {
                                "description": "When the node's liveness last changed.",
                                "type": "string",
                                "format": "date-time",
                            },
                        },
                    },
                },
            },
        },
    })
}

fn text(description: &str) -> Value {
    json!({ "description": description, "type": "string" })
}

fn integer(description: &str) -> Value {
    json!({ "description": description, "type": "integer", "format": "int64" })
}
