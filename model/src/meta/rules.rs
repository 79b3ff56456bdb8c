//! Rules of `metadata` (Kubernetes ObjectMeta).

use super::ObjectMeta;
use crate::faults::{Faults, ShownText};
use crate::format::{self, is_label_value, is_qualified_name};
use crate::kind::KindInfo;

/// Longest name of an object.
const NAME_MOST: usize = 253;
/// Longest DNS label: namespaces and Services, whose names stand in DNS names.
const LABEL_MOST: usize = 63;
/// Most bytes of all annotation keys and values together.
const ANNOTATIONS_MOST_BYTES: usize = 256 * 1024;

/// What the names of a kind are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// One DNS label.
    Label,
    /// DNS labels joined by dots.
    Subdomain,
    /// Whatever can stand in a path, such as `system:node`: roles and bindings.
    PathSegment,
}

impl NameRule {
    fn check(self, name: &str, path: &str, faults: &mut Faults) {
        let (most, pattern) = match self {
            NameRule::Label => (LABEL_MOST, format::DNS_LABEL),
            NameRule::Subdomain => (NAME_MOST, format::DNS_SUBDOMAIN),
            NameRule::PathSegment => (NAME_MOST, format::PATH_SEGMENT),
        };
        if name.len() > most {
            faults.too_long(path, name.len(), most, "characters");
        }
        format::check(pattern, name, path, faults);
    }
}

/// Checks `metadata`. An empty `namespace` is left to the API, which knows it from the path.
pub(crate) fn check(meta: &ObjectMeta, info: &KindInfo, names: NameRule, faults: &mut Faults) {
    check_name(meta, names, faults);
    if !info.namespaced && !meta.namespace.is_empty() {
        faults.forbidden(
            "metadata.namespace",
            format_args!(
                "{}: must not be set, {} is cluster-scoped",
                ShownText(&meta.namespace),
                info.name
            ),
        );
    } else if !meta.namespace.is_empty() {
        NameRule::Label.check(&meta.namespace, "metadata.namespace", faults);
    }
    for (key, value) in &meta.labels {
        check_label(key, value, "metadata.labels", faults);
    }
    for key in meta.annotations.keys() {
        // Kubernetes allows upper case in the prefix of an annotation's key.
        check_key(&key.to_lowercase(), key, "metadata.annotations", faults);
    }
    let bytes: usize = meta
        .annotations
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if bytes > ANNOTATIONS_MOST_BYTES {
        faults.too_long("metadata.annotations", bytes, ANNOTATIONS_MOST_BYTES, "bytes");
    }
    check_owners(meta, faults);
    for (index, finalizer) in meta.finalizers.iter().enumerate() {
        check_key(finalizer, finalizer, &format!("metadata.finalizers[{index}]"), faults);
    }
}

fn check_name(meta: &ObjectMeta, names: NameRule, faults: &mut Faults) {
    if !meta.name.is_empty() {
        names.check(&meta.name, "metadata.name", faults);
    } else if meta.generate_name.is_empty() {
        faults.required("metadata.name", "name or generateName must be set");
    }
    if !meta.generate_name.is_empty() {
        // The prefix may end as a name may not, since a suffix follows it.
        let mut probe = meta.generate_name.clone();
        if probe.ends_with(['-', '.']) {
            probe.push('a');
        }
        names.check(&probe, "metadata.generateName", faults);
    }
}

fn check_owners(meta: &ObjectMeta, faults: &mut Faults) {
    let mut controllers = 0;
    for (index, owner) in meta.owner_references.iter().enumerate() {
        for (field, value) in [
            ("apiVersion", &owner.api_version),
            ("kind", &owner.kind),
            ("name", &owner.name),
            ("uid", &owner.uid.0),
        ] {
            if value.is_empty() {
                faults.required(
                    format!("metadata.ownerReferences[{index}].{field}"),
                    "must not be empty",
                );
            }
        }
        controllers += usize::from(owner.controller == Some(true));
    }
    if controllers > 1 {
        faults.add(
            "metadata.ownerReferences",
            crate::outcome::CauseReason::FieldValueInvalid,
            format_args!("{controllers} references have controller true: must be at most one"),
        );
    }
}

/// Checks one label; `path` is that of the map.
pub(crate) fn check_label(key: &str, value: &str, path: &str, faults: &mut Faults) {
    check_label_key(key, path, faults);
    if !is_label_value(value) {
        faults.invalid_text(
            path,
            value,
            format_args!(
                "value of label {} must be at most 63 letters, digits, '-', '_' and '.', and must start and end with \
                 a letter or digit",
                ShownText(key)
            ),
        );
    }
}

/// Checks the key of a label.
pub(crate) fn check_label_key(key: &str, path: &str, faults: &mut Faults) {
    check_key(key, key, path, faults);
}

/// Checks text that must be a qualified name, such as `example.com/name`.
pub(crate) fn check_qualified_name(text: &str, path: &str, faults: &mut Faults) {
    check_key(text, text, path, faults);
}

fn check_key(probe: &str, shown: &str, path: &str, faults: &mut Faults) {
    if !is_qualified_name(probe) {
        faults.invalid_text(
            path,
            shown,
            "must be a name of at most 63 letters, digits, '-', '_' and '.' that starts and ends with a letter or \
             digit, perhaps after a DNS name and '/', such as example.com/name",
        );
    }
}
