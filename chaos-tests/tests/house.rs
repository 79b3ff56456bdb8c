//! Rules of the house that a reader can rely on because they are checked.

use std::path::Path;

use guideway_chaos_tests::repository::{self, Graph};

/// The tail is where the pleasure of reading goes.
const MOST_LINES: usize = 600;

/// A file over the limit says why in a line that contains this.
const REASON: &str = "Longer than 600 lines because";

#[test]
fn no_file_is_longer_than_600_lines_without_a_reason() {
    for path in repository::files().iter().filter(|path| is_code(path)) {
        let text = repository::read(path);
        let lines = text.lines().count();
        assert!(
            lines <= MOST_LINES || text.contains(REASON),
            "{} has {lines} lines; split it by noun, or write `{REASON} ...` in it",
            path.display()
        );
    }
}

#[test]
fn no_test_is_ignored_and_no_test_sleeps() {
    // Spelt in two parts, so that this file does not find itself.
    let words = [
        (concat!("#[", "ignore"), "a test that does not run proves nothing"),
        (concat!("thread::", "sleep"), "wait for a state with a deadline"),
        (concat!("time::", "sleep"), "wait for a state with a deadline"),
        (concat!("#[", "allow("), "use #[expect(lint, reason = \"...\")]"),
    ];
    for path in repository::files_with_extension("rs") {
        let text = repository::read(&path);
        let is_test = path.iter().any(|part| part == "tests") || path.starts_with("chaos-tests");
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for (word, rule) in words {
                let sleeping = word.ends_with("sleep");
                if code.contains(word) && (is_test || !sleeping) {
                    panic!("{}:{}: {word}: {rule}", path.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn modules_are_named_by_what_they_hold() {
    for path in repository::files_with_extension("rs") {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        for refused in ["mod.rs", "utils.rs", "util.rs", "common.rs", "helpers.rs", "misc.rs"] {
            assert_ne!(name, refused, "{}: name it by its noun", path.display());
        }
    }
}

#[test]
fn every_dependency_has_its_reason_on_the_page() {
    let page = Path::new("docs/dependencies.md");
    let text = repository::read(page);
    for member in Graph::load().members() {
        for dependency in member.manifest.iter().filter(|name| !name.starts_with("guideway-")) {
            assert!(
                text.contains(&format!("| `{dependency}` |")),
                "{} depends on {dependency}, which has no line in {}",
                member.name,
                page.display()
            );
        }
    }
}

#[test]
fn documents_are_where_people_look() {
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "LICENSE",
        "Makefile",
        ".ci/run",
        "deny.toml",
        "docs/README.md",
        "docs/lexicon.md",
        "docs/dependencies.md",
        "docs/benchmarks.md",
        "docs/adr/README.md",
        "web-ui/README.md",
        "deploy/README.md",
    ] {
        assert!(!repository::read(Path::new(path)).trim().is_empty(), "{path} is empty");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for path in repository::files_with_extension("md") {
        let text = repository::read(&path);
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            assert!(
                repository::root().join(&folder).join(target).exists(),
                "{}: {target} is not there",
                path.display()
            );
        }
    }
}

fn is_code(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "py" | "sh" | "ts" | "c" | "h" | "go"))
}
