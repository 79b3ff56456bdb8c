//! rbac.authorization.k8s.io/v1 RoleBinding and ClusterRoleBinding: who may do what a role says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{IMMUTABLE, Rules};
use crate::faults::Faults;
use crate::meta::ObjectMeta;
use crate::meta::rules::NameRule;

/// The group of roles and bindings, and of the users and groups that bindings name.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// rbac.authorization.k8s.io/v1 RoleBinding: subjects may do in its namespace what a role says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleBinding {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Who.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub subjects: Vec<Subject>,
    /// A Role of the same namespace, or a ClusterRole; immutable.
    pub role_ref: RoleRef,
}

/// rbac.authorization.k8s.io/v1 ClusterRoleBinding: subjects may do in the whole cluster what a ClusterRole says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRoleBinding {
    /// Name, labels, versions.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// Who.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub subjects: Vec<Subject>,
    /// A ClusterRole; immutable.
    pub role_ref: RoleRef,
}

/// Someone whom a binding names. They need not be known here: a user is a name in a certificate or a token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// What the name is of.
    pub kind: SubjectKind,
    /// API group of `kind`; filled in.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub api_group: String,
    /// Name of the user, the group or the service account.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of a service account.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
}

/// What a subject's name is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SubjectKind {
    /// One user.
    #[default]
    User,
    /// Everyone in a group.
    Group,
    /// The user `system:serviceaccount:NAMESPACE:NAME`, as Kubernetes calls its service accounts.
    ServiceAccount,
}

/// The role that a binding gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleRef {
    /// API group of `kind`; filled in.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub api_group: String,
    /// Whose name it is.
    pub kind: RoleKind,
    /// Name of the role. It need not be there yet.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Which kind of role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RoleKind {
    /// Of the binding's namespace.
    Role,
    /// Of the cluster.
    #[default]
    ClusterRole,
}

impl Rules for RoleBinding {
    const NAMES: NameRule = NameRule::PathSegment;

    fn fill_defaults(&mut self) {
        fill_groups(&mut self.subjects, &mut self.role_ref);
    }

    fn check(&self, _version: &str, faults: &mut Faults) {
        check_groups(&self.subjects, &self.role_ref, faults);
        for (index, subject) in self.subjects.iter().enumerate() {
            // Kubernetes takes the binding's namespace to be meant nowhere, so it must be said.
            check_place(subject, index, faults);
        }
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        check_same_role(&old.role_ref, &self.role_ref, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        (&self.subjects, &self.role_ref) == (&other.subjects, &other.role_ref)
    }
}

impl Rules for ClusterRoleBinding {
    const NAMES: NameRule = NameRule::PathSegment;

    fn fill_defaults(&mut self) {
        fill_groups(&mut self.subjects, &mut self.role_ref);
    }

    fn check(&self, _version: &str, faults: &mut Faults) {
        check_groups(&self.subjects, &self.role_ref, faults);
        if self.role_ref.kind != RoleKind::ClusterRole {
            faults.not_supported("roleRef.kind", "Role", &["ClusterRole"]);
        }
        for (index, subject) in self.subjects.iter().enumerate() {
            check_place(subject, index, faults);
        }
    }

    fn check_update(&self, old: &Self, faults: &mut Faults) {
        check_same_role(&old.role_ref, &self.role_ref, faults);
    }

    fn wants_same(&self, other: &Self) -> bool {
        (&self.subjects, &self.role_ref) == (&other.subjects, &other.role_ref)
    }
}

impl SubjectKind {
    fn api_group(self) -> &'static str {
        match self {
            SubjectKind::User | SubjectKind::Group => RBAC_GROUP,
            SubjectKind::ServiceAccount => "",
        }
    }
}

fn fill_groups(subjects: &mut [Subject], role: &mut RoleRef) {
    for subject in subjects {
        if subject.api_group.is_empty() {
            subject.kind.api_group().clone_into(&mut subject.api_group);
        }
    }
    if role.api_group.is_empty() {
        RBAC_GROUP.clone_into(&mut role.api_group);
    }
}

fn check_groups(subjects: &[Subject], role: &RoleRef, faults: &mut Faults) {
    for (index, subject) in subjects.iter().enumerate() {
        let expected = subject.kind.api_group();
        if subject.api_group != expected {
            faults.not_supported(format!("subjects[{index}].apiGroup"), &subject.api_group, &[expected]);
        }
    }
    if role.api_group != RBAC_GROUP {
        faults.not_supported("roleRef.apiGroup", &role.api_group, &[RBAC_GROUP]);
    }
}

fn check_place(subject: &Subject, index: usize, faults: &mut Faults) {
    let path = format!("subjects[{index}].namespace");
    match (subject.kind, subject.namespace.is_empty()) {
        (SubjectKind::ServiceAccount, true) => faults.required(path, "must be set for a ServiceAccount"),
        (SubjectKind::User | SubjectKind::Group, false) => {
            faults.forbidden(path, "only a ServiceAccount is of a namespace");
        }
        (SubjectKind::ServiceAccount, false) | (SubjectKind::User | SubjectKind::Group, true) => {}
    }
}

fn check_same_role(old: &RoleRef, new: &RoleRef, faults: &mut Faults) {
    if old != new {
        faults.broken_rule(
            "roleRef",
            IMMUTABLE,
            format_args!(
                "it is {:?} {:?} and cannot become {:?} {:?}; delete the binding and create another",
                old.kind, old.name, new.kind, new.name
            ),
        );
    }
}
