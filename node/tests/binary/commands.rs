//! Commands that end by themselves: what they print and with which code they exit.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use guideway_identity::{Digest, JoinToken};
use rustls_pki_types::UnixTime;
use tempfile::TempDir;

use crate::addresses::Block;
use crate::process::{argument, expect};

/// A configuration file in a folder of its own, on addresses of its own.
struct Setting {
    folder: TempDir,
    block: Block,
}

impl Setting {
    fn new() -> Setting {
        Setting {
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            block: Block::claim(),
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn write(&self, text: &str) -> String {
        let path = self.folder.path().join("guideway.toml");
        std::fs::write(&path, text).expect("the folder is writable");
        argument(&path)
    }

    fn valid(&self) -> String {
        let host = self.block.host(1);
        self.write(&format!(
            "name = \"node-1\"\ndata_dir = \"{}\"\n\
             peer.listen = \"{host}:7444\"\napi.listen = \"{host}:7443\"\nmetrics.listen = \"{host}:7445\"\n",
            self.data_dir().display()
        ))
    }
}

#[tokio::test]
async fn version_and_usage() {
    let (out, _) = expect(0, ["--version"]).await;
    assert_eq!(out, concat!("guideway ", env!("CARGO_PKG_VERSION"), "\n"));
    let (out, _) = expect(0, ["--help"]).await;
    assert!(out.contains("Exit codes:") && out.contains("guideway demo"), "{out}");
    expect(2, ["frobnicate"]).await;
    let (_, err) = expect(2, ["join", "--token", "t", "--member", "nowhere"]).await;
    assert!(err.contains("must be HOST:PORT"), "{err}");
    let (_, err) = expect(2, ["demo", "--base-address", "10.0.0.1"]).await;
    assert!(err.contains("127.0.0.0/8"), "{err}");
}

#[tokio::test]
async fn every_fault_of_a_configuration_is_printed_and_nothing_starts() {
    let setting = Setting::new();
    let file = setting.write("name = \"Node\"\ncolour = 1\n[api]\nlisten = \"0.0.0.0\"\n");
    for command in [["check-config", "--config"], ["run", "--config"], ["init", "--config"]] {
        let (out, err) = expect(3, [command[0], command[1], &file]).await;
        assert_eq!(out, "");
        let lines: Vec<&str> = err.lines().collect();
        assert!(lines[0].contains(":1:8: name: found \"Node\"; must be a name"), "{err}");
        assert!(lines[1].contains(":2:1: colour: no such key"), "{err}");
        assert!(
            lines[2].contains(":4:10: api.listen: found \"0.0.0.0\"; must be"),
            "{err}"
        );
        assert!(lines[3].starts_with("3 faults; nothing was started."), "{err}");
    }
    assert!(!setting.data_dir().exists());
}

#[tokio::test]
async fn the_explained_and_the_effective_configuration_are_valid_files() {
    let setting = Setting::new();
    let (explained, _) = expect(0, ["check-config", "--explain"]).await;
    let file = setting.write(&explained);
    let (effective, _) = expect(0, ["check-config", "--config", &file]).await;
    assert!(effective.starts_with(&format!("# {file} is valid.")), "{effective}");
    let file = setting.write(&effective);
    expect(0, ["check-config", "--config", &file]).await;
}

#[tokio::test]
async fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (out, _) = expect(0, ["completions", shell]).await;
        assert!(
            out.contains("check-config") && !out.contains("stop-with\\["),
            "{shell}: {out}"
        );
    }
}

#[tokio::test]
async fn status_of_nobody_says_whom_it_asked() {
    let setting = Setting::new();
    let file = setting.valid();
    let (_, err) = expect(3, ["status", "--config", &file]).await;
    assert!(
        err.contains("admin.kubeconfig") && err.contains("--kubeconfig"),
        "{err}"
    );
    expect(0, ["init", "--config", &file]).await;
    let (_, err) = expect(6, ["status", "--config", &file]).await;
    let url = format!("https://{}:7443", setting.block.host(1));
    assert!(err.contains(&url) && err.contains("does not answer"), "{err}");
    assert!(err.contains("--server URL"), "{err}");
    let kubeconfig = argument(&setting.data_dir().join("admin.kubeconfig"));
    let (_, err) = expect(6, ["status", "--server", "not a url", "--kubeconfig", &kubeconfig]).await;
    assert!(err.contains("https://127.0.0.1:7443"), "{err}");
}

#[tokio::test]
async fn a_node_without_a_place_says_how_to_get_one() {
    let setting = Setting::new();
    let file = setting.valid();
    let (_, err) = expect(4, ["run", "--config", &file]).await;
    assert!(err.contains(&argument(&setting.data_dir())), "{err}");
    assert!(err.contains("init") && err.contains("join"), "{err}");
}

#[tokio::test]
async fn joining_names_the_member_that_was_asked() {
    let setting = Setting::new();
    let file = setting.valid();
    let member = format!("{}:7444", setting.block.host(9));
    let (_, err) = expect(6, ["join", "--config", &file, "--token", &token(), "--member", &member]).await;
    assert!(err.contains(&format!("asked member {member}")), "{err}");
    let (_, err) = expect(6, ["join", "--config", &file, "--token", &token()]).await;
    assert!(err.contains("--member HOST:PORT"), "{err}");
    let (_, err) = expect(2, ["join", "--config", &file, "--token", "gwt_not_this"]).await;
    assert!(err.contains("copy it whole") && !err.contains("not_this"), "{err}");
}

/// A token that asks no member of its own accord.
fn token() -> String {
    let expires = UnixTime::since_unix_epoch(Duration::from_secs(4_000_000_000));
    let token = JoinToken::create(Digest::of(b"some authority"), Vec::new(), expires);
    token.expect("random bytes").text()
}

#[tokio::test]
async fn init_makes_a_kubeconfig_for_its_owner_alone() {
    let setting = Setting::new();
    let file = setting.valid();
    let (out, _) = expect(0, ["init", "--config", &file]).await;
    let path = setting.data_dir().join("admin.kubeconfig");
    assert!(out.contains(&argument(&path)), "{out}");
    let mode = path.metadata().expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).expect("text");
    assert!(
        text.contains(&format!("server: \"https://{}:7443\"", setting.block.host(1))),
        "{text}"
    );
}

#[tokio::test]
async fn what_runs_beside_a_node_says_when_there_is_none() {
    let setting = Setting::new();
    let file = setting.valid();
    for command in [
        &["invite", "--config", &file][..],
        &["certs", "rotate", "--config", &file],
    ] {
        let (_, err) = expect(4, command).await;
        assert!(err.contains(&argument(&setting.data_dir())), "{err}");
    }
    expect(0, ["init", "--config", &file]).await;
    let (_, err) = expect(6, ["invite", "--config", &file]).await;
    assert!(err.contains("is it running?"), "{err}");
}

#[tokio::test]
async fn a_cluster_is_made_once() {
    let setting = Setting::new();
    let file = setting.valid();
    let (out, _) = expect(0, ["init", "--config", &file]).await;
    assert!(out.contains("node-1 is node 1"), "{out}");
    assert!(out.contains(&format!("guideway run --config {file}")), "{out}");
    let (_, err) = expect(4, ["init", "--config", &file]).await;
    assert!(err.contains(&argument(&setting.data_dir())), "{err}");
    let member = format!("{}:7444", setting.block.host(9));
    let (_, err) = expect(4, ["join", "--config", &file, "--token", &token(), "--member", &member]).await;
    assert!(err.contains(&argument(&setting.data_dir())), "{err}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let setting = Setting::new();
    let file = setting.valid();
    expect(0, ["init", "--config", &file]).await;
    for (key, port) in [("metrics.listen", 7445), ("peer", 7444), ("api.listen", 7443)] {
        let taken = std::net::TcpListener::bind((setting.block.host(1), port)).expect("the block is ours");
        let (_, err) = expect(5, ["run", "--config", &file]).await;
        let address = taken.local_addr().expect("it is bound").to_string();
        let line = err.lines().last().unwrap_or_default();
        assert!(line.contains(key) && line.contains(&address), "{err}");
    }
}

/// Runs `guideway check-host` under a limit of descriptors; its exit code and what it prints.
async fn check_host(descriptors: u32, arguments: &[&str]) -> (i32, String) {
    let line = format!("ulimit -n {descriptors}; exec \"$0\" check-host \"$@\"");
    let command = tokio::process::Command::new("sh")
        .args(["-c", &line, env!("CARGO_BIN_EXE_guideway")])
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(crate::wait::DEADLINE, command).await;
    let output = output.expect("in time").expect("started");
    let code = output.status.code().expect("it ends by itself");
    (code, String::from_utf8(output.stdout).expect("text"))
}

#[tokio::test]
async fn a_machine_that_lacks_something_is_told_what_to_set() {
    let setting = Setting::new();
    let file = setting.valid();
    let (code, text) = check_host(256, &["--config", &file]).await;
    assert_eq!(code, 1, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    let place = lines
        .iter()
        .position(|line| line.starts_with("CHANGE  descriptors of a process"));
    let place = place.unwrap_or_else(|| panic!("256 descriptors are few: {text}"));
    assert!(lines[place].ends_with(": 256"), "{text}");
    for (offset, beginning) in [
        (1, "        wanted  "),
        (2, "        why     "),
        (3, "        set     "),
    ] {
        assert!(lines[place + offset].starts_with(beginning), "{text}");
    }
    assert!(
        text.contains("ok      data folder: ") && text.contains(" is not there yet\n"),
        "{text}"
    );
    // Others could look into it.
    let data = setting.data_dir();
    std::fs::create_dir(&data).expect("made");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("set");
    let (code, text) = check_host(256, &["--config", &file, "--json"]).await;
    assert_eq!(code, 1, "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let items = report["items"].as_array().expect("items").iter();
    let folder = items
        .clone()
        .find(|item| item["name"] == "data folder")
        .expect("it is looked at");
    assert_eq!(folder["verdict"], "change");
    assert!(
        folder["found"].as_str().expect("text").ends_with(" has mode 0755"),
        "{folder}"
    );
    assert!(
        items
            .clone()
            .all(|item| item["set"].as_str().is_some_and(|line| !line.is_empty())),
        "{text}"
    );
    assert_eq!(
        std::fs::read_dir(&data).expect("read").count(),
        0,
        "nothing is left behind"
    );
}

#[tokio::test]
async fn the_data_folder_is_closed_to_others() {
    let setting = Setting::new();
    let file = setting.valid();
    expect(0, ["init", "--config", &file]).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let data = setting.data_dir();
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("admin.kubeconfig")), 0o600);
    let (_, text) = check_host(256, &["--config", &file]).await;
    assert!(
        text.contains("ok      data folder: ") && text.contains(" has mode 0700\n"),
        "{text}"
    );
}
