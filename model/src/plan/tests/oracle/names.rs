//! Host names, label by label.

/// Labels from the right; a wildcard's end with `*`; none at all for every name.
pub(super) fn labels(pattern: Option<&String>) -> Vec<String> {
    let pattern = pattern.map_or("*", String::as_str);
    pattern.rsplit('.').map(str::to_owned).collect()
}

/// Whether all that `narrow` means is meant by `wide`.
pub(super) fn covers(wide: &[String], narrow: &[String]) -> bool {
    match wide.split_last() {
        Some((last, above)) if last == "*" => narrow.len() > above.len() && narrow.starts_with(above),
        _ => wide == narrow,
    }
}

/// The higher, the more specific: exact names first, then by labels.
pub(super) fn specificity(pattern: &[String]) -> (bool, usize) {
    (pattern.last().is_none_or(|last| last != "*"), pattern.len())
}

/// The most specific of `patterns` that mean `asked`, the earlier of two alike.
pub(super) fn best<'a, T>(items: impl Iterator<Item = (&'a Vec<String>, T)>, asked: Option<&str>) -> Option<T> {
    let asked = asked.map(|name| labels(Some(&name.to_lowercase())));
    let meant = items.filter(|(pattern, _)| match &asked {
        Some(asked) => covers(pattern, asked),
        None => pattern.len() == 1 && pattern[0] == "*",
    });
    let mut found: Vec<_> = meant.collect();
    found.sort_by_key(|(pattern, _)| std::cmp::Reverse(specificity(pattern)));
    found.into_iter().next().map(|(_, item)| item)
}
