//! The repository itself, for tests that check how the house is built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Root of the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the crate lives in the workspace")
        .to_owned()
}

/// Files that git knows or would add, relative to the root, sorted.
pub fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files failed");
    let mut files: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files
}

/// [`files`] with this extension.
pub fn files_with_extension(extension: &str) -> Vec<PathBuf> {
    let mut files = files();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files
}

/// Text of a file.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The dependency graph that `cargo metadata` resolves.
#[derive(Debug)]
pub struct Graph {
    packages: BTreeMap<String, Package>,
    members: BTreeSet<String>,
}

/// One package of the graph.
#[derive(Debug)]
pub struct Package {
    /// Name.
    pub name: String,
    /// SPDX expression; empty if there is none.
    pub license: String,
    /// Where it comes from; empty for our own.
    pub source: String,
    /// Ids of what it needs to build and run, without dev-dependencies.
    needs: BTreeSet<String>,
    /// Names of what its manifest asks for directly, dev-dependencies and build-dependencies included.
    pub manifest: BTreeSet<String>,
}

impl Graph {
    /// Asks cargo.
    pub fn load() -> Graph {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version=1", "--locked"])
            .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let json: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
        let mut packages: BTreeMap<String, Package> = entries(&json["packages"])
            .map(|package| (text(&package["id"]), Package::from_json(package)))
            .collect();
        for node in entries(&json["resolve"]["nodes"]) {
            let needs = entries(&node["deps"])
                .filter(|dependency| entries(&dependency["dep_kinds"]).any(|kind| kind["kind"] != "dev"))
                .map(|dependency| text(&dependency["pkg"]))
                .collect();
            if let Some(package) = packages.get_mut(&text(&node["id"])) {
                package.needs = needs;
            }
        }
        Graph {
            packages,
            members: entries(&json["workspace_members"]).map(text).collect(),
        }
    }

    /// Every package that is built.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// The crates of this repository.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter_map(|id| self.packages.get(id))
    }

    /// One of our crates by its name without `guideway-`.
    pub fn member(&self, short_name: &str) -> &Package {
        let name = format!("guideway-{short_name}");
        self.members()
            .find(|package| package.name == name)
            .unwrap_or_else(|| panic!("the workspace has no crate {name}"))
    }

    /// Names of our crates that `package` needs directly, dev-dependencies left out, without `guideway-`.
    pub fn own_needs(&self, package: &Package) -> BTreeSet<String> {
        package
            .needs
            .iter()
            .filter(|id| self.members.contains(*id))
            .filter_map(|id| self.packages[id].name.strip_prefix("guideway-"))
            .map(str::to_owned)
            .collect()
    }

    /// Names of every package that `package` needs, through however many others, dev-dependencies left out.
    pub fn reach(&self, package: &Package) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&String> = package.needs.iter().collect();
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(&self.packages[id].needs);
            }
        }
        seen.into_iter().map(|id| self.packages[id].name.clone()).collect()
    }
}

impl Package {
    fn from_json(package: &Value) -> Package {
        Package {
            name: text(&package["name"]),
            license: text(&package["license"]),
            source: text(&package["source"]),
            needs: BTreeSet::new(),
            manifest: entries(&package["dependencies"])
                .map(|dependency| text(&dependency["name"]))
                .collect(),
        }
    }
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
