//! What applying a command gave. A refusal is data: every node computes the same one.

use serde::{Deserialize, Serialize};

use crate::node::NodeId;
use crate::object::{Object, ObjectKey};

/// One fault in an object: where, what kind of fault, and what to do. The shape of a Kubernetes `StatusCause`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Path such as `spec.listeners[0].port`.
    pub field: String,
    /// Class of the fault.
    pub reason: CauseReason,
    /// The value that was found and the rule it breaks.
    pub message: String,
}

/// Class of a fault, in Kubernetes' words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CauseReason {
    /// A needed field is absent.
    FieldValueRequired,
    /// A value breaks a rule.
    FieldValueInvalid,
    /// A value is not one of those allowed.
    FieldValueNotSupported,
    /// A value that must be unique is there twice.
    FieldValueDuplicate,
    /// A field that may not be set, or may not change.
    FieldValueForbidden,
    /// Too many entries.
    FieldValueTooMany,
    /// Too long.
    FieldValueTooLong,
    /// The JSON type is wrong.
    FieldValueTypeInvalid,
    /// The type has no such field (strict decoding).
    UnexpectedField,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Nothing to report: node records, bind reports and the like.
    Done,
    /// The object as it now is; for a delete, as it last was.
    Object(Box<Object>),
    /// The identity that was given to a joining node.
    NodeId(NodeId),
    /// Nothing changed.
    Refused(Refusal),
}

/// Why a token opens nothing, as the end of a sentence about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TokenFault {
    /// There is none of this id, or it has another secret.
    #[error("is not one of this cluster")]
    Unknown,
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// Another node joined with it, or this one has started since.
    #[error("has been used")]
    Used,
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    /// No object has this key.
    NotFound(ObjectKey),
    /// An object with this key is there already.
    AlreadyExists(ObjectKey),
    /// The object has changed since the version the writer saw, or is another one of the same name.
    Conflict {
        /// The object.
        key: ObjectKey,
        /// `resourceVersion` the writer expected.
        expected: Option<u64>,
        /// `resourceVersion` it has.
        actual: u64,
    },
    /// The change breaks rules that need the stored object, such as an immutable field.
    Invalid {
        /// The object.
        key: ObjectKey,
        /// Every rule that is broken.
        causes: Vec<Cause>,
    },
    /// The object may not be changed so, with the reason.
    Forbidden {
        /// The object.
        key: ObjectKey,
        /// Why not, and what to do.
        message: String,
    },
    /// A bound of the state would be passed.
    TooMany {
        /// What there is too much of.
        what: String,
        /// The bound.
        limit: u64,
    },
    /// A node's command came from an incarnation that is no longer the current one.
    StaleIncarnation(NodeId),
    /// No member has this number: it never joined, or it was removed.
    UnknownNode(NodeId),
    /// `InitCluster` on a cluster that has been initialised.
    AlreadyInitialised,
    /// A node of this name is a member already; names are how operators tell nodes apart.
    NodeNameTaken(String),
    /// A token with which a node would join opens nothing.
    JoinToken {
        /// Which.
        id: String,
        /// Why not.
        fault: TokenFault,
    },
    /// The command may not be used yet: some member would not know it.
    LevelTooLow {
        /// The cluster level that has it.
        needed: u32,
        /// The one in force.
        level: u32,
    },
}
