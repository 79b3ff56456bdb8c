//! Host names of listeners and routes, as the index orders them.

use crate::plan::HostPattern;

/// A host name, a wildcard or any name, written from the right: `com.example.www`, `com.example.*`, `*`.
///
/// So all that a wildcard covers stands together in order, right where its own text without the `*` would.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostKey(String);

impl HostKey {
    /// Every name, and none.
    pub(crate) fn any() -> HostKey {
        HostKey("*".to_owned())
    }

    /// The key of `hostname` as it stands in a listener or route; absent and empty mean every name.
    pub(crate) fn of(hostname: Option<&str>) -> HostKey {
        let hostname = hostname.unwrap_or_default().to_ascii_lowercase();
        if hostname.is_empty() {
            return HostKey::any();
        }
        let labels: Vec<&str> = hostname.rsplit('.').collect();
        HostKey(labels.join("."))
    }

    /// The names that both mean: the more specific of the two, if one covers the other. `*.example.com` means names
    /// with one or more labels before the suffix, and not `example.com`.
    pub(crate) fn intersect(&self, other: &HostKey) -> Option<HostKey> {
        if self.covers(other) {
            Some(other.clone())
        } else if other.covers(self) {
            Some(self.clone())
        } else {
            None
        }
    }

    /// Whether every name that `other` means is meant by this one.
    pub(crate) fn covers(&self, other: &HostKey) -> bool {
        self == other || self.prefix().is_some_and(|prefix| other.0.starts_with(prefix))
    }

    /// What every key that this one covers begins with; `None` for an exact name, which covers itself alone.
    pub(crate) fn prefix(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// The wildcards that cover this key, itself left out, the widest first.
    pub(crate) fn wider(&self) -> impl Iterator<Item = HostKey> {
        let text = &self.0;
        let dots = text
            .match_indices('.')
            .map(move |(dot, _)| HostKey(format!("{}.*", &text[..dot])));
        std::iter::once(HostKey::any())
            .chain(dots)
            .filter(move |wider| wider != self)
    }

    /// The wildcard in place of the first label as people write it; of a wildcard, itself. `None` for every name.
    pub(crate) fn beside(&self) -> Option<HostKey> {
        let parent = self.0.rsplit_once('.').map(|(parent, _)| parent)?;
        Some(HostKey(format!("{parent}.*")))
    }

    /// The least key, for a search, that begins with `prefix`.
    pub(crate) fn starting_with(prefix: &str) -> HostKey {
        HostKey(prefix.to_owned())
    }

    /// Whether the text begins with `prefix`.
    pub(crate) fn has_prefix(&self, prefix: &str) -> bool {
        self.0.starts_with(prefix)
    }

    /// As plans have it.
    pub(crate) fn pattern(&self) -> HostPattern {
        let forward = |text: &str| text.rsplit('.').collect::<Vec<_>>().join(".");
        match self.prefix() {
            None => HostPattern::Exact(forward(&self.0)),
            Some("") => HostPattern::Any,
            Some(prefix) => HostPattern::Wildcard(forward(prefix.trim_end_matches('.'))),
        }
    }
}

/// As people write it.
impl std::fmt::Display for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pattern() {
            HostPattern::Any => f.write_str("every name"),
            HostPattern::Exact(name) => f.write_str(&name),
            HostPattern::Wildcard(suffix) => write!(f, "*.{suffix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> HostKey {
        HostKey::of(Some(text))
    }

    /// The table of the Gateway API's page on host names.
    #[test]
    fn intersections_are_the_more_specific() {
        for (one, other, both) in [
            ("a.example.com", "a.example.com", Some("a.example.com")),
            ("a.example.com", "b.example.com", None),
            ("*.example.com", "a.example.com", Some("a.example.com")),
            ("*.example.com", "a.b.example.com", Some("a.b.example.com")),
            ("*.example.com", "example.com", None),
            ("*.example.com", "xexample.com", None),
            ("*.com", "*.example.com", Some("*.example.com")),
            ("*.example.com", "*.example.org", None),
            ("", "a.example.com", Some("a.example.com")),
            ("", "*.example.com", Some("*.example.com")),
            ("", "", Some("")),
            ("A.Example.com", "a.example.com", Some("a.example.com")),
        ] {
            let both = both.map(key);
            assert_eq!(key(one).intersect(&key(other)), both, "{one} {other}");
            assert_eq!(key(other).intersect(&key(one)), both, "{other} {one}");
        }
    }

    #[test]
    fn wider_wildcards_come_from_the_top() {
        let wider = |text: &str| key(text).wider().map(|wider| wider.to_string()).collect::<Vec<_>>();
        assert_eq!(wider("a.example.com"), ["every name", "*.com", "*.example.com"]);
        assert_eq!(wider("*.example.com"), ["every name", "*.com"]);
        assert_eq!(wider("com"), ["every name"]);
        assert_eq!(wider(""), [""; 0]);
    }

    #[test]
    fn patterns_are_written_forward() {
        assert_eq!(
            key("a.example.com").pattern(),
            HostPattern::Exact("a.example.com".to_owned())
        );
        assert_eq!(
            key("*.example.com").pattern(),
            HostPattern::Wildcard("example.com".to_owned())
        );
        assert_eq!(key("").pattern(), HostPattern::Any);
    }
}
