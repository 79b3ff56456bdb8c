//! Where the `guideway` binary under test is.

use std::path::PathBuf;

/// The binary that the same build made; `GUIDEWAY_BINARY` names another one.
///
/// Panics with the command that builds it.
pub fn guideway() -> PathBuf {
    if let Some(path) = std::env::var_os("GUIDEWAY_BINARY") {
        return PathBuf::from(path);
    }
    // A test runs as target/PROFILE/deps/NAME-HASH; the binary is two levels up.
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test
        .parent()
        .and_then(|deps| deps.parent())
        .expect("a test lives in target/PROFILE/deps");
    let path = profile.join("guideway");
    assert!(
        path.exists(),
        "{} is not built; run: cargo build -p guideway-node",
        path.display()
    );
    path
}
