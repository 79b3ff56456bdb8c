//! What Secret and ConfigMap have in common: keys, size, and data that must not change any more.

use crate::faults::Faults;

/// Most bytes of all values of a Secret or a ConfigMap together, as in Kubernetes: 1 MiB.
const MOST_BYTES: usize = 1024 * 1024;
/// Longest key.
const KEY_MOST: usize = 253;
/// Message for data that must not change.
const IMMUTABLE: &str = "field is immutable when `immutable` is set";

/// Checks the keys of a map; each can be the name of a file.
pub(super) fn check_keys<'a>(keys: impl Iterator<Item = &'a String>, field: &str, faults: &mut Faults) {
    for key in keys {
        let path = format!("{field}[{key}]");
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
        if key.len() > KEY_MOST {
            faults.too_long(path, key.len(), KEY_MOST, "characters");
        } else if key.is_empty() || !key.chars().all(is_plain) {
            faults.invalid_text(
                path,
                key,
                "key must be letters, digits, '-', '_' and '.', such as tls.crt",
            );
        } else if key == "." || key.starts_with("..") {
            faults.invalid_text(path, key, "key must not be '.' and must not start with '..'");
        }
    }
}

/// Checks the size of all values together.
pub(super) fn check_size(bytes: usize, faults: &mut Faults) {
    if bytes > MOST_BYTES {
        faults.too_long("data", bytes, MOST_BYTES, "bytes");
    }
}

/// Checks a write to an object whose `immutable` was `before` and is to be `now`; each field comes with whether it is
/// the same.
pub(super) fn check_immutable(before: Option<bool>, now: Option<bool>, fields: &[(&str, bool)], faults: &mut Faults) {
    if before != Some(true) {
        return;
    }
    if now != Some(true) {
        faults.forbidden("immutable", IMMUTABLE);
    }
    for (field, _) in fields.iter().filter(|(_, same)| !same) {
        faults.forbidden(*field, IMMUTABLE);
    }
}
