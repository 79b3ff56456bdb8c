//! The architecture is checked, not described: who may depend on whom, and what the pure crates never touch.
//!
//! ARCHITECTURE.md lists these invariants of absence and names this file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use guideway_chaos_tests::repository::{self, Graph};

/// Our crates that each of our crates may need directly.
const MAY_SEE: [(&str, &[&str]); 8] = [
    ("maglev", &[]),
    ("model", &["maglev"]),
    ("identity", &[]),
    ("consensus", &["identity", "model"]),
    ("dataplane", &["maglev", "model"]),
    ("api", &["identity", "model"]),
    (
        "node",
        &["api", "consensus", "dataplane", "identity", "maglev", "model"],
    ),
    ("chaos-tests", &[]),
];

/// What a crate never reaches, through however many dependencies.
const NEVER_REACHES: [(&str, &[&str]); 5] = [
    (
        "maglev",
        &[
            "tokio",
            "rand",
            "getrandom",
            "mio",
            "socket2",
            "rustix",
            "libc",
            "axum",
            "hyper",
            "openraft",
            "sled",
            "tracing",
        ],
    ),
    (
        "model",
        &[
            "tokio", "rand", "mio", "socket2", "rustix", "axum", "hyper", "openraft", "sled", "tracing", "metrics",
        ],
    ),
    (
        "identity",
        &[
            "tokio", "mio", "socket2", "rustix", "axum", "hyper", "openraft", "sled", "tracing", "metrics",
        ],
    ),
    ("dataplane", &["tokio", "hyper", "axum", "h2", "openraft", "sled"]),
    ("api", &["openraft", "sled"]),
];

/// Packages that only one of our crates may name in its manifest.
const ONE_OWNER: [(&str, &str); 2] = [("openraft", "consensus"), ("sled", "consensus")];

/// Text that never appears in the code of a crate, and why.
const NEVER_SAYS: [(&str, &[&str], &str); 3] = [
    (
        "maglev/src",
        &["SystemTime", "Instant::now", "std::net::Tcp", "std::fs", "thread::"],
        "maglev is pure",
    ),
    (
        "identity/src",
        &[
            "SystemTime",
            "Instant::now",
            "UnixTime::now",
            "now_utc",
            "std::net::Tcp",
            "std::fs",
            "thread::",
            "async fn",
        ],
        "identity never reads a clock and does no I/O: times are given to it",
    ),
    (
        "model/src",
        &[
            "SystemTime",
            "Instant::now",
            "Timestamp::now",
            "std::net::Tcp",
            "std::fs",
            // A scope of threads that work on values and end with the call is no more than a quicker loop.
            concat!("thread::", "sleep"),
            "thread::spawn",
            "async fn",
            "new_v4",
        ],
        "model never reads a clock, does I/O or draws at random",
    ),
];

#[test]
fn crates_see_only_what_they_may() {
    let graph = Graph::load();
    let allowed: BTreeMap<&str, BTreeSet<&str>> = MAY_SEE
        .iter()
        .map(|(name, may)| (*name, may.iter().copied().collect()))
        .collect();
    for package in graph.members() {
        let name = package.name.strip_prefix("guideway-").unwrap_or(&package.name);
        let may = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} is new: say in MAY_SEE which crates it may see"));
        let own = graph.own_needs(package);
        let forbidden: Vec<&String> = own.iter().filter(|needed| !may.contains(needed.as_str())).collect();
        assert!(
            forbidden.is_empty(),
            "{name} depends on {forbidden:?}; it may see only {may:?}"
        );
    }
}

#[test]
fn pure_crates_reach_no_world() {
    let graph = Graph::load();
    for (name, never) in NEVER_REACHES {
        let reach = graph.reach(graph.member(name));
        let found: Vec<&&str> = never.iter().filter(|package| reach.contains(**package)).collect();
        assert!(
            found.is_empty(),
            "{name} reaches {found:?}; cargo tree -p guideway-{name} -i NAME shows how"
        );
    }
}

#[test]
fn some_packages_have_one_owner() {
    let graph = Graph::load();
    for (package, owner) in ONE_OWNER {
        for member in graph.members() {
            let named = member.manifest.contains(package);
            assert!(
                !named || member.name == format!("guideway-{owner}"),
                "{} names {package}; only guideway-{owner} may",
                member.name
            );
        }
    }
}

#[test]
fn pure_crates_never_name_clock_disk_or_threads() {
    for (folder, words, why) in NEVER_SAYS {
        for path in rust_files_below(folder) {
            for (number, line) in repository::read(&path).lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let found = words.iter().find(|word| code.contains(**word));
                assert!(
                    found.is_none(),
                    "{}:{}: {line:?} says {found:?}; {why}",
                    path.display(),
                    number + 1
                );
            }
        }
    }
}

/// The store is behind one module (DESIGN section 9).
#[test]
fn one_module_names_sled() {
    let mut modules = BTreeSet::new();
    for path in rust_files_below("consensus/src") {
        let text = repository::read(&path);
        if text
            .lines()
            .any(|line| line.split("//").next().unwrap_or_default().contains("sled::"))
        {
            let inside = path.strip_prefix("consensus/src").expect("below").to_owned();
            let module = inside
                .iter()
                .next()
                .expect("has a name")
                .to_string_lossy()
                .replace(".rs", "");
            modules.insert(module);
        }
    }
    assert!(
        modules.len() <= 1,
        "these modules of consensus name sled: {modules:?}; only one may"
    );
}

#[test]
fn only_the_data_plane_may_be_unsafe() {
    for member in Graph::load().members() {
        let name = member.name.strip_prefix("guideway-").unwrap_or(&member.name);
        if name == "dataplane" {
            continue;
        }
        let path = Path::new(name).join("src/lib.rs");
        let text = repository::read(&path);
        assert!(
            text.contains("#![forbid(unsafe_code)]"),
            "{} lacks #![forbid(unsafe_code)]",
            path.display()
        );
    }
}

fn rust_files_below(folder: &str) -> Vec<PathBuf> {
    let mut files = repository::files_with_extension("rs");
    files.retain(|path| path.starts_with(folder));
    files
}
