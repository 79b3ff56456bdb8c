//! Text formats of the API, by the patterns that the published schemas carry.

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::faults::Faults;

/// RFC 1123 label.
pub(crate) const DNS_LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// RFC 1123 subdomain: labels joined by dots.
pub(crate) const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// One segment of a path, as roles are named.
pub(crate) const PATH_SEGMENT: &str = r"^[^/%\s.][^/%\s]*$";
/// SHA-256 in lower-case hexadecimal digits.
pub(crate) const SHA256: &str = r"^[0-9a-f]{64}$";
/// RFC 1123 subdomain, or empty for the core group.
pub(crate) const GROUP: &str = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Kind of an object.
pub(crate) const KIND: &str = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$";
/// Host name, perhaps with a wildcard as its first label.
pub(crate) const HOSTNAME: &str = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// `domain/path`, as controllers are named.
pub(crate) const DOMAIN_PATH: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$";
/// Type of a Gateway's address.
pub(crate) const ADDRESS_TYPE: &str = r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$";
/// Protocol of a listener.
pub(crate) const LISTENER_PROTOCOL: &str = r"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/[A-Za-z0-9]+$";
/// Value of a label.
pub(crate) const LABEL_VALUE: &str = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// Type of a condition.
pub(crate) const CONDITION_TYPE: &str =
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
/// Reason of a condition.
pub(crate) const CONDITION_REASON: &str = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$";
/// Span of time (GEP-2257).
pub(crate) const DURATION: &str = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$";
/// URI with its scheme (RFC 3986).
pub(crate) const URI: &str = r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?";
/// A set of certificate authorities that has a name.
pub(crate) const WELL_KNOWN_AUTHORITIES: &str = r"^(System|([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]))$";

/// A pattern, compiled, with the rule in words.
struct Format {
    pattern: &'static str,
    regex: Regex,
    rule: &'static str,
}

/// Every pattern above with its rule; a schema with another pattern cannot be compiled.
static FORMATS: LazyLock<Vec<Format>> = LazyLock::new(|| {
    const SUBDOMAIN_RULE: &str = "must be lower-case letters, digits, '-' and '.', each part between dots starting and \
         ending with a letter or digit (RFC 1123), such as www.example.com";
    [
        (
            DNS_LABEL,
            "must be lower-case letters, digits and '-', starting and ending with a letter or digit (RFC 1123)",
        ),
        (DNS_SUBDOMAIN, SUBDOMAIN_RULE),
        (
            PATH_SEGMENT,
            "must be one segment of a path: no '/', no '%', no white space, and no '.' at its beginning",
        ),
        (SHA256, "must be a SHA-256 in 64 lower-case hexadecimal digits"),
        (GROUP, "must be an API group such as gateway.networking.k8s.io, or empty for the core group"),
        (KIND, "must be a kind such as Service: letters, digits and '-', starting with a letter"),
        (
            HOSTNAME,
            "must be a lower-case DNS name (RFC 1123), perhaps with '*' as its whole first label, such as *.example.com",
        ),
        (DOMAIN_PATH, "must be a domain and a path, such as example.com/controller"),
        (
            ADDRESS_TYPE,
            "must be IPAddress, Hostname, NamedAddress, or a domain and a path such as example.com/type",
        ),
        (
            LISTENER_PROTOCOL,
            "must be TCP, UDP, TLS, HTTP, HTTPS, or a domain and a name such as example.com/proto",
        ),
        (
            LABEL_VALUE,
            "must be letters, digits, '-', '_' and '.', starting and ending with a letter or digit",
        ),
        (
            CONDITION_TYPE,
            "must be a condition type such as Accepted, perhaps after a DNS name and '/'",
        ),
        (CONDITION_REASON, "must be one word such as InvalidKind"),
        (
            DURATION,
            "must be up to four numbers of up to five digits with h, m, s or ms, such as 1h30m or 500ms (GEP-2257)",
        ),
        (URI, "must be a URI with scheme and authority, such as spiffe://example.com/service"),
        (
            WELL_KNOWN_AUTHORITIES,
            "must be System, or a domain and a name such as example.com/authorities",
        ),
    ]
    .into_iter()
    .filter_map(|(pattern, rule)| {
        Some(Format {
            pattern,
            regex: Regex::new(pattern).ok()?,
            rule,
        })
    })
    .collect()
});

/// Reports `text` if it does not match `pattern`, which must be one of this module's.
pub(crate) fn check(pattern: &str, text: &str, path: &str, faults: &mut Faults) {
    if let Some(format) = FORMATS.iter().find(|format| format.pattern == pattern)
        && !format.regex.is_match(text)
    {
        faults.invalid_text(path, text, format.rule);
    }
}

/// Whether `text` matches `pattern`, which must be one of this module's.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    FORMATS
        .iter()
        .any(|format| format.pattern == pattern && format.regex.is_match(text))
}

/// The constant with this text, if `pattern` is one of this module's.
pub(crate) fn known(pattern: &str) -> Option<&'static str> {
    FORMATS
        .iter()
        .find(|format| format.pattern == pattern)
        .map(|format| format.pattern)
}

/// Kubernetes' qualified name: at most 63 characters, perhaps after a DNS name of at most 253 and `/`.
pub(crate) fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(|prefix| prefix.len() <= 253 && matches(DNS_SUBDOMAIN, prefix))
        && !name.is_empty()
        && is_label_value(name)
}

/// Value of a label: at most 63 characters of [`LABEL_VALUE`].
pub(crate) fn is_label_value(text: &str) -> bool {
    text.len() <= 63 && matches(LABEL_VALUE, text)
}

/// RFC 1123 label with its bound of 63 characters.
pub(crate) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && matches(DNS_LABEL, text)
}

/// The rule of [`is_dns_label`] in words.
pub(crate) const DNS_LABEL_RULE: &str =
    "must be at most 63 lower-case letters, digits and '-', starting and ending with a letter or digit (RFC 1123)";

/// Whether every label of a DNS name has at most 63 characters, as RFC 1035 demands.
pub(crate) fn labels_fit(name: &str) -> bool {
    name.split('.').all(|label| label.len() <= 63)
}

/// Kubernetes' IANA service name: at most 15 characters, at least one letter, no `--`.
pub(crate) fn is_port_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && matches(DNS_LABEL, text)
        && text.contains(|letter: char| letter.is_ascii_lowercase())
        && !text.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(FORMATS.len(), 16);
    }

    #[test]
    fn qualified_names() {
        for good in ["a", "example.com/name", "a/B_c.d", "kubernetes.io/service-name"] {
            assert!(is_qualified_name(good), "{good}");
        }
        let long = format!("{}/name", "a".repeat(254));
        for bad in [
            "",
            "/a",
            "a/",
            "a/b/c",
            "Example.com/a",
            "-a",
            "a-",
            "a b",
            long.as_str(),
        ] {
            assert!(!is_qualified_name(bad), "{bad}");
        }
    }

    #[test]
    fn port_names() {
        for good in ["http", "p80", "a-b"] {
            assert!(is_port_name(good), "{good}");
        }
        for bad in ["", "80", "a--b", "-a", "a-", "HTTP", "sixteen-letters-x"] {
            assert!(!is_port_name(bad), "{bad}");
        }
    }
}
