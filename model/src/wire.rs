//! How a [`Proposal`] is written into the Raft log: one version byte, then JSON.
//!
//! A node that meets a version or a command it does not know must stop applying: skipping it would leave its state
//! unlike that of every other node. The error names what was met.

use serde_json::Value;

use crate::command::Proposal;

/// The version that is written.
const VERSION: u8 = 1;

/// A log entry that cannot be applied by this binary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not even a version byte.
    #[error("the proposal is empty: the log entry is damaged")]
    Empty,
    /// Written by a newer binary.
    #[error(
        "the proposal is of wire version {found}, this binary reads {known}: start a binary at least as new as the one \
         that wrote it"
    )]
    UnknownVersion {
        /// Version in the entry.
        found: u8,
        /// Version that can be read.
        known: u8,
    },
    /// The command is not one of those this binary has.
    #[error("this binary has no command {name:?}: start a binary at least as new as the one that proposed it")]
    UnknownCommand {
        /// Name of the command.
        name: String,
    },
    /// The command is known, its contents are not.
    #[error("the proposal {command:?} cannot be read: {problem}")]
    Malformed {
        /// Name of the command; empty if not even that could be read.
        command: String,
        /// What is wrong, with its place in the JSON.
        problem: String,
    },
}

/// Writes a proposal.
pub fn encode_proposal(proposal: &Proposal) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    // Fails only for map keys that JSON cannot write, and commands have none; what is left would be refused when read.
    if let Err(error) = serde_json::to_writer(&mut bytes, proposal) {
        debug_assert!(false, "a proposal that JSON cannot write: {error}");
    }
    bytes
}

/// Reads a proposal.
///
/// # Errors
/// The entry is damaged, or from a binary that knows more than this one.
pub fn decode_proposal(bytes: &[u8]) -> Result<Proposal, WireError> {
    let (version, json) = bytes.split_first().ok_or(WireError::Empty)?;
    if *version != VERSION {
        return Err(WireError::UnknownVersion {
            found: *version,
            known: VERSION,
        });
    }
    serde_json::from_slice(json).map_err(|error| explain(json, &error))
}

/// The names of the commands, as the wire has them.
const COMMANDS: [&str; 20] = [
    "InitCluster",
    "Create",
    "Replace",
    "Delete",
    "JoinNode",
    "CreateJoinToken",
    "RevokeJoinToken",
    "Admit",
    "SetNodeKeys",
    "SetSealingKey",
    "NodeUp",
    "NodeDown",
    "RemoveNode",
    "ReportBinds",
    "Prepared",
    "PassOver",
    "Pins",
    "Expire",
    "ReportDrain",
    "SetResolved",
];

fn explain(json: &[u8], error: &serde_json::Error) -> WireError {
    let command = serde_json::from_slice::<Value>(json)
        .ok()
        .and_then(|proposal| {
            let command = proposal.get("command")?;
            // A command without fields is written as its bare name.
            command
                .as_str()
                .or_else(|| command.as_object()?.keys().next().map(String::as_str))
                .map(str::to_owned)
        })
        .unwrap_or_default();
    if !command.is_empty() && !COMMANDS.contains(&command.as_str()) {
        return WireError::UnknownCommand { name: command };
    }
    WireError::Malformed {
        command,
        problem: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::command::{Command, Part};
    use crate::digest::Digest;
    use crate::fixture::{busy, facts_at, init_cluster_at, key, object, route, service, socket, socket_at};
    use crate::flow::FlowKey;
    use crate::kind::Kind;
    use crate::meta::{Uid, UnixMillis};
    use crate::node::{BindResult, Incarnation, NodeId, Protocol};
    use crate::pin::{PinBatch, PinChange, PinKey, PoolNumber};

    fn changes() -> Vec<PinChange> {
        let v4 = FlowKey::five_tuple(Protocol::Udp, 53, "192.0.2.7:50000".parse().expect("an address"));
        let v6 = FlowKey::client_ip(Protocol::Tcp, 443, "2001:db8::7".parse().expect("an address"), 64);
        let change = |pool: u32, flow: FlowKey, endpoint: Option<&str>| PinChange {
            key: PinKey {
                pool: PoolNumber(pool),
                flow,
            },
            endpoint: endpoint.map(|endpoint| endpoint.parse().expect("an address")),
        };
        vec![
            change(1, v4, Some("10.0.0.1:5353")),
            change(300, v6, Some("[fd00::1]:443")),
            change(300, v4, None),
        ]
    }

    /// One of each command.
    fn commands() -> Vec<Command> {
        let (node, incarnation) = (NodeId(2), Incarnation(u64::MAX));
        let facts = || facts_at(1, "b");
        vec![
            init_cluster_at(1),
            Command::Create {
                object: object(route("r", "g", json!([{"name": "s", "port": 80, "weight": 3}]))),
                uid: Uid("uid".to_owned()),
            },
            Command::Replace {
                object: object(service("s", 80)),
                part: Part::Status,
                expected: Some(7),
                uid: None,
            },
            Command::Delete {
                key: key(Kind::TcpRoute, "default", "r"),
                expected: None,
                uid: Some(Uid("uid".to_owned())),
            },
            Command::JoinNode { node: facts() },
            Command::CreateJoinToken {
                id: "t".to_owned(),
                secret: Digest([1; 32]),
                expires: UnixMillis(1_700_000_000_000),
            },
            Command::RevokeJoinToken { id: "t".to_owned() },
            Command::Admit {
                node: facts(),
                key: Digest([2; 32]),
                token: "t".to_owned(),
                secret: Digest([0xab; 32]),
            },
            Command::SetNodeKeys {
                node,
                keys: vec![Digest([2; 32]), Digest([3; 32])],
            },
            Command::SetSealingKey {
                id: "0123456789abcdef".to_owned(),
            },
            Command::NodeUp {
                node,
                incarnation,
                facts: facts(),
            },
            Command::NodeDown { node, incarnation },
            Command::RemoveNode { node },
            Command::ReportBinds {
                node,
                incarnation,
                binds: vec![
                    (socket(80), Some(BindResult::Bound)),
                    (socket_at("10.0.0.1", 80), Some(busy("10.0.0.1:80"))),
                    (socket(81), None),
                ],
            },
            Command::Prepared {
                node,
                incarnation,
                generation: 7,
            },
            Command::PassOver { node, generation: 7 },
            Command::Pins(PinBatch {
                node,
                incarnation,
                sequence: 3,
                changes: changes(),
            }),
            Command::Expire {
                before: UnixMillis(1_700_000_000_000),
            },
            Command::ReportDrain {
                name: "d".to_owned(),
                uid: Uid("uid".to_owned()),
                remaining: BTreeMap::from([(node, 12)]),
            },
            Command::SetResolved {
                names: BTreeMap::from([("db.test".to_owned(), vec!["10.0.0.1".parse().expect("an address")])]),
            },
        ]
    }

    #[test]
    fn bytes_are_golden() {
        let golden = include_str!("../testdata/wire-v1.txt");
        let mut actual = String::new();
        for command in commands() {
            let bytes = encode_proposal(&Proposal {
                time: UnixMillis(1_700_000_000_123),
                command,
            });
            assert_eq!(bytes[0], 1);
            actual.push_str(std::str::from_utf8(&bytes[1..]).expect("JSON"));
            actual.push('\n');
        }
        assert!(actual == golden, "the encoding has changed; it is now:\n{actual}");
    }

    #[test]
    fn every_command_is_read_as_it_was_written() {
        let commands = commands();
        assert_eq!(commands.len(), COMMANDS.len());
        for (command, name) in commands.into_iter().zip(COMMANDS) {
            let proposal = Proposal {
                time: UnixMillis(5),
                command,
            };
            let bytes = encode_proposal(&proposal);
            assert!(
                String::from_utf8_lossy(&bytes).contains(&format!("{{\"{name}\":")),
                "{name}"
            );
            assert_eq!(decode_proposal(&bytes), Ok(proposal));
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert_eq!(decode_proposal(b""), Err(WireError::Empty));
        assert_eq!(
            decode_proposal(b"\x02{}"),
            Err(WireError::UnknownVersion { found: 2, known: 1 })
        );
        let read = |json: &str| decode_proposal(&[&[1], json.as_bytes()].concat()).expect_err("it was read");
        for json in [
            r#"{"time":1,"command":{"Pin":{"pool":1}}}"#,
            r#"{"time":1,"command":"Pin"}"#,
        ] {
            let name = "Pin".to_owned();
            assert_eq!(read(json), WireError::UnknownCommand { name });
        }
        for (json, name) in [
            (
                r#"{"time":1,"command":{"RemoveNode":{"node":1,"soon":true}}}"#,
                "RemoveNode",
            ),
            (r#"{"time":1,"command":{"RemoveNode":{}}}"#, "RemoveNode"),
            (r#"{"time":1,"by":2,"command":{"RemoveNode":{"node":1}}}"#, "RemoveNode"),
            (r#"{"time":1}"#, ""),
            (r#"{"time":1,"#, ""),
            ("\u{0}", ""),
        ] {
            let WireError::Malformed { command, .. } = read(json) else {
                panic!("{json} is not malformed");
            };
            assert_eq!(command, name);
        }
    }
}
