//! Promise: what is in a Secret is on no disk: not in the log, not in a snapshot, not in what a node writes about itself.
//! Each node shows it all the same, and one without the key says so instead of starting.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use guideway_chaos_tests::{Cluster, http, wait};
use serde_json::{Value, json};

/// In the Secret's data.
const DATA: &str = "tell-nobody-7c1f";
/// In an annotation.
const NOTE: &str = "nor-of-this-b04e";
/// Its name, which is no secret and shows that the search finds things.
const NAME: &str = "a-name-in-clear-55aa";

/// Of the larger Secret, in bytes: two of them make a snapshot due.
const LARGE: usize = 600 * 1024;

#[test]
fn what_is_in_a_secret_is_on_no_disk() {
    let mut cluster = Cluster::start_with(&["store.snapshot_log_bytes=\"1MiB\""]);
    for round in 0..4 {
        cluster.api(round % 3).apply(&secret(round));
    }
    for index in 0..3 {
        wait::until(&format!("node {index} has made a snapshot"), || {
            let metrics = http::get(&cluster.node(index).metrics).map_err(|error| error.to_string())?;
            let text = metrics.text();
            let count = text
                .lines()
                .find_map(|line| line.strip_prefix("guideway_consensus_snapshot_seconds_count "));
            match count {
                Some(count) if count != "0" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        let found = cluster.api(index).read(&secret(3));
        assert_eq!(found["data"]["text"], STANDARD.encode(DATA), "node {index} opens it");
        assert_eq!(found["metadata"]["annotations"]["example.com/note"], NOTE);
    }
    cluster.wait_caught_up(&[0, 1, 2]);
    let folder = cluster.directory().to_owned();
    assert!(!holders(&folder, NAME).is_empty(), "the search looks where objects are");
    assert_not_on_disk(&folder);

    let key = cluster.data_dir(1).join("identity/sealing.key");
    let (own, mode) = (std::fs::read(&key).expect("a key"), mode(&key));
    assert_eq!(mode, 0o600, "nobody else reads it");
    for index in [0, 2] {
        let other = std::fs::read(cluster.data_dir(index).join("identity/sealing.key")).expect("a key");
        assert_eq!(other, own, "one key in the cluster");
    }
    cluster.kill(1);
    std::fs::remove_file(&key).expect("removed");
    let said = refusal(&mut cluster);
    assert!(
        said.contains("identity/sealing.key is not there") && said.contains("another member"),
        "{said}"
    );
    let strange = format!("guideway-sealing-key-1 {}\n", "5a".repeat(32));
    std::fs::write(&key, strange).expect("written");
    let said = refusal(&mut cluster);
    assert!(
        said.contains("is not the key of this cluster") && said.contains("another member"),
        "{said}"
    );
    assert!(!said.contains("5a5a5a5a"), "it is not shown: {said}");
    std::fs::write(&key, own).expect("written");
    cluster.restart(1);
    let found = cluster.api(1).read(&secret(3));
    assert_eq!(found["data"]["text"], STANDARD.encode(DATA), "the node is back");
    assert_not_on_disk(&folder);
}

fn secret(round: usize) -> Value {
    // As `kubectl apply` does it, which keeps a copy of what it has sent.
    let sent = json!({ "apiVersion": "v1", "kind": "Secret", "stringData": { "text": DATA } }).to_string();
    let annotations = json!({ "kubectl.kubernetes.io/last-applied-configuration": sent, "example.com/note": NOTE });
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": NAME, "namespace": "default", "annotations": annotations },
        "stringData": { "text": DATA, "large": format!("{round}{}", DATA.repeat(LARGE / DATA.len())) },
    })
}

#[track_caller]
fn assert_not_on_disk(folder: &Path) {
    for text in [DATA, NOTE] {
        for form in forms(text) {
            let files = holders(folder, &form);
            assert!(files.is_empty(), "{form} is in {files:?}");
        }
    }
}

/// A text and its base64, wherever in a longer one it begins.
fn forms(text: &str) -> Vec<String> {
    let at = |offset: usize| {
        let whole = STANDARD.encode(format!("{}{text}", "x".repeat(offset)));
        let [first, last] = [[0, 2, 3][offset], (offset + text.len()) * 8 / 6];
        whole[first..last].to_owned()
    };
    (0..3).map(at).chain([text.to_owned()]).collect()
}

/// The files below a folder that hold a text.
fn holders(folder: &Path, wanted: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(holders(&path, wanted));
        } else if let Ok(bytes) = std::fs::read(&path)
            && String::from_utf8_lossy(&bytes).contains(wanted)
        {
            found.push(path);
        }
    }
    found
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

/// What node 1 says when it does not start.
fn refusal(cluster: &mut Cluster) -> String {
    cluster.start_again(1);
    let process = cluster.restarted(1);
    assert!(!process.wait().success(), "it must not start: {}", process.tail());
    process.tail()
}
