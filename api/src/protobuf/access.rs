//! Field numbers of roles, bindings and the reviews of access.

use super::tables::{Kind, Message, OBJECT_META, many, one};

static POLICY_RULE: Message = Message(&[
    many(1, "verbs", Kind::Text),
    many(2, "apiGroups", Kind::Text),
    many(3, "resources", Kind::Text),
    many(4, "resourceNames", Kind::Text),
    many(5, "nonResourceURLs", Kind::Text),
]);

/// `Role` and `ClusterRole`.
pub(super) static ROLE: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    many(2, "rules", Kind::Message(&POLICY_RULE)),
]);

static SUBJECT: Message = Message(&[
    one(1, "kind", Kind::Text),
    one(2, "apiGroup", Kind::Text),
    one(3, "name", Kind::Text),
    one(4, "namespace", Kind::Text),
]);

static ROLE_REF: Message = Message(&[
    one(1, "apiGroup", Kind::Text),
    one(2, "kind", Kind::Text),
    one(3, "name", Kind::Text),
]);

/// `RoleBinding` and `ClusterRoleBinding`.
pub(super) static BINDING: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    many(2, "subjects", Kind::Message(&SUBJECT)),
    one(3, "roleRef", Kind::Message(&ROLE_REF)),
]);

static RESOURCE_ATTRIBUTES: Message = Message(&[
    one(1, "namespace", Kind::Text),
    one(2, "verb", Kind::Text),
    one(3, "group", Kind::Text),
    one(4, "version", Kind::Text),
    one(5, "resource", Kind::Text),
    one(6, "subresource", Kind::Text),
    one(7, "name", Kind::Text),
]);

static NON_RESOURCE_ATTRIBUTES: Message = Message(&[one(1, "path", Kind::Text), one(2, "verb", Kind::Text)]);

static SELF_SUBJECT_ACCESS_SPEC: Message = Message(&[
    one(1, "resourceAttributes", Kind::Message(&RESOURCE_ATTRIBUTES)),
    one(2, "nonResourceAttributes", Kind::Message(&NON_RESOURCE_ATTRIBUTES)),
]);

pub(super) static SELF_SUBJECT_ACCESS_REVIEW: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "spec", Kind::Message(&SELF_SUBJECT_ACCESS_SPEC)),
]);

static SUBJECT_ACCESS_SPEC: Message = Message(&[
    one(1, "resourceAttributes", Kind::Message(&RESOURCE_ATTRIBUTES)),
    one(2, "nonResourceAttributes", Kind::Message(&NON_RESOURCE_ATTRIBUTES)),
    one(3, "user", Kind::Text),
    many(4, "groups", Kind::Text),
]);

/// `SubjectAccessReview` and `LocalSubjectAccessReview`.
pub(super) static SUBJECT_ACCESS_REVIEW: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "spec", Kind::Message(&SUBJECT_ACCESS_SPEC)),
]);

static SELF_SUBJECT_RULES_SPEC: Message = Message(&[one(1, "namespace", Kind::Text)]);

pub(super) static SELF_SUBJECT_RULES_REVIEW: Message = Message(&[
    one(1, "metadata", Kind::Message(&OBJECT_META)),
    one(2, "spec", Kind::Message(&SELF_SUBJECT_RULES_SPEC)),
]);

pub(super) static SELF_SUBJECT_REVIEW: Message = Message(&[one(1, "metadata", Kind::Message(&OBJECT_META))]);
