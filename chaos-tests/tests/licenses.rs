//! Every package that is built has a licence that Guideway may be shipped with, comes from crates.io, and is not banned.
//!
//! deny.toml says the same to cargo-deny, which also knows advisories; this test needs nothing installed.

use guideway_chaos_tests::repository::{self, Graph};

const DENY: &str = "deny.toml";

#[test]
fn licenses_sources_and_bans() {
    let deny = repository::read(DENY.as_ref());
    let allowed = quoted_list(&deny, "allow");
    assert!(!allowed.is_empty(), "{DENY} lists the licences that are allowed");
    let banned = bans(&deny);
    assert!(!banned.is_empty(), "{DENY} lists packages that are banned");
    let mut faults = Vec::new();
    let graph = Graph::load();
    for package in graph.packages() {
        let name = &package.name;
        if !is_allowed(&package.license, &allowed) {
            faults.push(format!("{name}: licence {:?} is not in {DENY}", package.license));
        }
        for (_, wrappers) in banned.iter().filter(|(banned, _)| banned == name) {
            let asking = graph.packages().filter(|other| other.manifest.contains(name));
            let asking: Vec<&String> = asking.map(|other| &other.name).collect();
            if !asking.iter().all(|other| wrappers.contains(*other)) || wrappers.is_empty() {
                faults.push(format!("{name} is banned by {DENY}; {asking:?} ask for it"));
            }
        }
        let ours = package.source.is_empty();
        let registry = package.source == "registry+https://github.com/rust-lang/crates.io-index";
        if !ours && !registry {
            faults.push(format!("{name} comes from {}", package.source));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An SPDX expression of AND, OR, WITH and parentheses, read loosely: some alternative must be allowed in all its parts.
fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let flat = expression.replace(['(', ')'], " ").replace('/', " OR ");
    // `MPL-2.0+` offers that version and later ones.
    let part_allowed = |part: &str| allowed.iter().any(|one| one == part.trim().trim_end_matches('+'));
    if flat.contains(" AND ") && flat.contains(" OR ") {
        // Mixed: each side of every AND must have an allowed alternative.
        return flat.split(" AND ").all(|side| side.split(" OR ").any(part_allowed));
    }
    if flat.contains(" AND ") {
        return flat.split(" AND ").all(part_allowed);
    }
    flat.split(" OR ").any(part_allowed)
}

/// The strings of `key = [ ... ]` in the `[licenses]` table.
fn quoted_list(toml: &str, key: &str) -> Vec<String> {
    let table = toml.split("[licenses]").nth(1).unwrap_or_default();
    let list = table.split(&format!("{key} = [")).nth(1).unwrap_or_default();
    strings(list.split(']').next().unwrap_or_default())
}

/// The `crate` of each entry of `[bans] deny`, and its `wrappers`: who may ask for it all the same.
fn bans(toml: &str) -> Vec<(String, Vec<String>)> {
    let table = toml.split("[bans]").nth(1).unwrap_or_default();
    table
        .lines()
        .filter(|line| line.contains("crate = "))
        .filter_map(|line| {
            let wrappers = line.split("wrappers = [").nth(1);
            let wrappers = wrappers.and_then(|rest| rest.split(']').next()).unwrap_or_default();
            Some((strings(line).into_iter().next()?, strings(wrappers)))
        })
        .collect()
}

fn strings(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
    for good in [
        "MIT",
        "Apache-2.0 OR MIT",
        "MIT/Apache-2.0",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "(GPL-2.0 OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
