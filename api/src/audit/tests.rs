//! The file grows, is put aside and is bounded, whoever else touches it; a full queue refuses.

use std::path::Path;

use super::*;
use crate::caller::Caller;

fn config(path: &Path) -> AuditConfig {
    AuditConfig {
        path: path.to_owned(),
        max_bytes: 600,
        kept_files: 2,
        queue: 4,
        patience: Duration::from_millis(10),
        node: "one".to_owned(),
    }
}

fn record(name: &str) -> Record {
    Record::of(Event::Write, &Caller::anonymous(None)).named(name)
}

#[tokio::test]
async fn lines_are_appended_in_order_and_files_put_aside() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.log");
    let mut config = config(&path);
    config.patience = Duration::from_secs(60);
    for number in 0..40 {
        // Opened anew, as by a node that starts again.
        let log = AuditLog::open(config.clone()).expect("opened");
        log.admit().await.expect("a place").write(record(&format!("{number}")));
    }
    let mut names: Vec<String> = std::fs::read_dir(folder.path())
        .expect("read")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["audit.log", "audit.log.1", "audit.log.2"]);
    let mut numbers = Vec::new();
    for name in ["audit.log.2", "audit.log.1", "audit.log"] {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("read");
        assert!(text.len() <= 600, "{name}");
        for line in text.lines() {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            assert_eq!(line["node"], "one");
            numbers.push(line["name"].as_str().expect("a name").parse::<u32>().expect("a number"));
        }
    }
    let last: Vec<u32> = (40 - u32::try_from(numbers.len()).expect("few")..40).collect();
    assert_eq!(numbers, last, "the newest lines, in order");
}

#[tokio::test]
async fn without_a_place_in_time_a_request_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = AuditLog::open(config(&folder.path().join("audit.log"))).expect("opened");
    let mut places = Vec::new();
    for _ in 0..4 {
        places.push(log.admit().await.expect("a place"));
    }
    let refused = log.admit().await.err().expect("the queue is full");
    assert_eq!(refused.code(), 503);
    places.pop();
    assert!(log.admit().await.is_ok(), "a place that was not used is free again");
}

#[test]
fn a_file_that_somebody_took_away_is_begun_anew_when_it_is_full() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.log");
    let mut file = RotatedFile::open(&path, 10, 0).expect("opened");
    file.append("twelve bytes").expect("written");
    std::fs::remove_file(&path).expect("there");
    file.append("after it").expect("written to a new file");
    assert_eq!(std::fs::read_to_string(&path).expect("there"), "after it\n");
}
