//! The core names nothing of the outside world.

use std::path::Path;

/// What only the shell may name.
const OUTSIDE: [&str; 12] = [
    "std::fs",
    "std::io",
    "std::os",
    "std::process",
    "std::thread",
    "std::sync::atomic",
    "TcpStream",
    "Instant",
    "SystemTime",
    "rustix",
    "libc",
    "metrics",
];

#[test]
fn the_core_names_nothing_of_the_outside_world() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core");
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).expect("core") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        files += 1;
        let text = std::fs::read_to_string(&path).expect("text");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for outside in OUTSIDE {
                assert!(!line.contains(outside), "{}: `{line}` names {outside}", path.display());
            }
            // Of this crate the core sees itself alone.
            let own = line.matches("crate::").count();
            assert_eq!(own, line.matches("crate::core").count(), "{}: `{line}`", path.display());
        }
    }
    assert!(files >= 6, "only {files} files under {}", folder.display());
}
