//! The ClusterRoles that every cluster has, and the level from which on it has them.

use std::sync::Arc;

use super::State;
use super::batch::Batch;
use crate::authority::built_in::{BUILT_IN_ROLES, rules_of};
use crate::kind::Kind;
use crate::meta::{ObjectMeta, Uid};
use crate::object::{Object, ObjectKey};
use crate::outcome::Refusal;
use crate::resource::ClusterRole;

/// Marks the ClusterRoles that every cluster has.
const BUILT_IN_LABEL: &str = "guideway.dev/built-in";

impl State {
    /// The cluster level from which on there are roles, bindings and tokens of users, and tokens to join with and keys of
    /// nodes. Below it they are refused: some member could not read them.
    pub const IDENTITIES: u32 = 3;

    /// The cluster level from which on Secrets are sealed. Below it a sealed one is refused: some member would lose what is
    /// sealed.
    pub const SEALED: u32 = 4;

    /// Adds the built-in ClusterRoles, when the level that has them is reached. Their uids follow from the cluster's,
    /// so that every node makes the same ones.
    pub(super) fn add_built_in_roles(&mut self, batch: &mut Batch) {
        let cluster = self.cluster().cloned().unwrap_or_default();
        for name in BUILT_IN_ROLES {
            let mut metadata = ObjectMeta {
                name: name.to_owned(),
                ..ObjectMeta::default()
            };
            metadata.labels.insert(BUILT_IN_LABEL.to_owned(), "true".to_owned());
            let role = ClusterRole {
                metadata,
                rules: rules_of(name),
            };
            let uid = Uid(format!("{}-{name}", cluster.0));
            self.insert_new(batch, Object::ClusterRole(Arc::new(role)), uid);
        }
    }

    pub(super) fn check_level_of(&self, object: &Object) -> Result<(), Refusal> {
        let needed = match object {
            Object::Secret(secret) if secret.sealed.is_some() => State::SEALED,
            _ if decides_access(object.kind()) => State::IDENTITIES,
            _ => return Ok(()),
        };
        self.check_reached(needed)
    }

    /// Refuses what some member does not know.
    pub(super) fn check_identities(&self) -> Result<(), Refusal> {
        self.check_reached(State::IDENTITIES)
    }

    fn check_reached(&self, needed: u32) -> Result<(), Refusal> {
        let level = self.level;
        (level >= needed)
            .then_some(())
            .ok_or(Refusal::LevelTooLow { needed, level })
    }
}

/// Whether objects of this kind say who may do what, or who someone is.
pub(super) fn decides_access(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Role | Kind::ClusterRole | Kind::RoleBinding | Kind::ClusterRoleBinding | Kind::ApiToken
    )
}

pub(super) fn is_built_in_role(name: &str) -> bool {
    BUILT_IN_ROLES.contains(&name)
}

/// What a built-in role allows is the same in every cluster, or its name would mean nothing.
pub(super) fn check_built_in_role(stored: &Object, written: &Object) -> Result<(), Refusal> {
    let key: ObjectKey = stored.key();
    match (stored, written) {
        (Object::ClusterRole(old), Object::ClusterRole(new))
            if is_built_in_role(&key.name) && old.rules != new.rules =>
        {
            Err(Refusal::Forbidden {
                key,
                message: "the rules of this ClusterRole are built in and cannot change; \
                          create another ClusterRole and bind that"
                    .to_owned(),
            })
        }
        _ => Ok(()),
    }
}
