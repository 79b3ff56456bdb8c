//! Who may refer to what in another namespace (ReferenceGrant).

use crate::kind::Kind;
use crate::object::{Object, ObjectKey};
use crate::state::State;
use crate::state::index::Name;

/// Whether the object `from` may refer to the object `name` of `kind`, given with its group. Within one namespace it
/// always may. Looks at grants only, never at whether the object is there: the answer must not tell.
pub(crate) fn permits(state: &State, from: &ObjectKey, kind: (&str, &str), name: &Name) -> bool {
    if from.namespace == name.namespace {
        return true;
    }
    let info = from.kind.info();
    let mut grants = state.list(Kind::ReferenceGrant, Some(&name.namespace), None);
    grants.any(|object| match object {
        Object::ReferenceGrant(grant) => grant.allows((info.group, info.name), &from.namespace, kind, &name.name),
        _ => false,
    })
}

/// What to do about a reference that is not permitted.
pub(crate) fn not_permitted(from: &ObjectKey, name: &Name) -> String {
    format!(
        "it is in another namespace, and no ReferenceGrant in {:?} permits the reference from {} of namespace {:?}",
        name.namespace,
        from.kind.info().name,
        from.namespace
    )
}
