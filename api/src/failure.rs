//! Turns what the cluster says into the `Status` that clients understand.

use guideway_model::object::ObjectKey;
use guideway_model::outcome::Refusal;

use crate::ports::{ProposeFailure, ReadFailure};
use crate::resource::Resource;
use crate::status::Status;

/// The answer for a command that changed nothing.
pub(crate) fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NotFound(key) => Status::not_found(&Resource::stored(key.kind), &key.name),
        Refusal::AlreadyExists(key) => Status::already_exists(&Resource::stored(key.kind), &key.name),
        Refusal::Conflict { key, expected, actual } => conflict(&key, expected, actual),
        Refusal::Invalid { key, causes } => Status::invalid(&Resource::stored(key.kind), &key.name, causes),
        Refusal::Forbidden { key, message } => {
            let resource = Resource::stored(key.kind);
            Status::forbidden(format!(
                "{} {:?} is forbidden: {message}",
                resource.qualified(),
                key.name
            ))
            .about(resource.group, resource.plural, &key.name)
        }
        Refusal::TooMany { what, limit } => Status::forbidden(format!(
            "the cluster holds {limit} {what}, which is the limit; delete some before adding more"
        )),
        Refusal::LevelTooLow { needed, level } => Status::unavailable(format!(
            "the cluster is at level {level} and this needs level {needed}, which some node does not know; run the same \
             version on every node, and try again"
        )),
        refusal @ (Refusal::StaleIncarnation(_)
        | Refusal::UnknownNode(_)
        | Refusal::AlreadyInitialised
        | Refusal::NodeNameTaken(_)
        | Refusal::JoinToken { .. }) => {
            Status::internal(format!("the cluster refused an object's change with {refusal:?}"))
        }
    }
}

/// The answer for a write that is not known to be committed.
pub(crate) fn not_committed(failure: &ProposeFailure) -> Status {
    let text = failure.to_string();
    match failure {
        ProposeFailure::NoQuorum { .. } | ProposeFailure::Stopped { .. } => Status::unavailable(text),
        ProposeFailure::Timeout {
            may_have_happened: true,
        } => Status::timeout(format!(
            "{text}; it may have happened or may still happen: read the object before trying again"
        )),
        ProposeFailure::Timeout {
            may_have_happened: false,
        } => Status::timeout(format!("{text}; nothing was written, so it is safe to try again")),
        ProposeFailure::DiskFull { .. } => Status::disk_full(format!(
            "{text}; free space on that node, writes are then taken again without a restart"
        )),
        ProposeFailure::TooLarge { .. } => Status::object_too_large(text),
        ProposeFailure::Overloaded { .. } => Status::too_many_requests(text),
    }
}

/// The answer for a linearizable read that could not be given.
pub(crate) fn not_read(failure: &ReadFailure) -> Status {
    let text = format!("{failure}; resourceVersion=0 reads what this node has");
    match failure {
        ReadFailure::NoQuorum { .. } | ReadFailure::Stopped { .. } => Status::unavailable(text),
        ReadFailure::Timeout => Status::timeout(text),
    }
}

fn conflict(key: &ObjectKey, expected: Option<u64>, actual: u64) -> Status {
    let why = match expected {
        Some(expected) if expected != actual => format!(
            "the object has been modified; please apply your changes to the latest version and try again \
             (resourceVersion was {expected}, it is {actual})"
        ),
        _ => "Precondition failed: the object is another one of the same name (its uid differs)".to_owned(),
    };
    Status::conflict(&Resource::stored(key.kind), &key.name, &why)
}
