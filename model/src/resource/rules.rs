//! Defaults and rules that need more than one field, kind by kind.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::faults::Faults;
use crate::meta::rules::NameRule;

/// Message for a field that must keep its value, as the standard words it.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// What a kind adds to the shape of its JSON.
pub(crate) trait Rules {
    /// What its names are made of.
    const NAMES: NameRule = NameRule::Subdomain;

    /// Fills in the defaults that depend on other fields. Filling in twice changes nothing more.
    fn fill_defaults(&mut self) {}

    /// Checks an object that was sent as `version` of its group.
    fn check(&self, version: &str, faults: &mut Faults);

    /// What is allowed but will surprise, each a sentence.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Checks `status`.
    fn check_status(&self, _faults: &mut Faults) {}

    /// Checks what must not change from `old` to this.
    fn check_update(&self, _old: &Self, _faults: &mut Faults) {}

    /// Whether all but metadata and status are equal.
    fn wants_same(&self, other: &Self) -> bool;
}

/// Checks an address to which connections are made. Loopback is allowed: an endpoint may well run on the same machine.
pub(super) fn check_endpoint_address(address: IpAddr, path: &str, faults: &mut Faults) {
    let fault = match address {
        address if address.is_unspecified() => "is unspecified",
        address if address.is_multicast() => "is a multicast address",
        IpAddr::V4(Ipv4Addr::BROADCAST) => "is the broadcast address",
        IpAddr::V4(v4) if v4.is_link_local() => "is link-local (169.254.0.0/16)",
        IpAddr::V6(v6) if v6.is_unicast_link_local() => "is link-local (fe80::/10)",
        IpAddr::V4(_) | IpAddr::V6(_) => return,
    };
    faults.invalid_text(
        path,
        &address.to_string(),
        format_args!("{fault}, must be an address to which connections can be made"),
    );
}

/// The first index at which each repeated key stood, by the index of its repetition.
pub(super) fn repeated<K: Ord>(keys: impl IntoIterator<Item = K>) -> Vec<(usize, usize)> {
    let mut seen = BTreeMap::new();
    let mut found = Vec::new();
    for (index, key) in keys.into_iter().enumerate() {
        match seen.get(&key) {
            Some(first) => found.push((index, *first)),
            None => {
                seen.insert(key, index);
            }
        }
    }
    found
}
