//! Every fault has its place and its rule, and all of them are reported.

use std::path::Path;

use super::*;

fn faults(text: &str) -> Vec<String> {
    match Config::parse(Path::new("node.toml"), text) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.0.iter().map(Fault::to_string).collect(),
    }
}

#[test]
fn a_name_is_enough() {
    let (config, _) = Config::parse(Path::new("node.toml"), "name = \"node-1\"").expect("valid");
    assert_eq!(config.data_dir, Path::new("/var/lib/guideway"));
    assert_eq!(config.api_listen, "127.0.0.1:7443".parse().expect("an address"));
    assert_eq!(config.data.address, None);
    assert_eq!(config.certificate_life, Duration::from_secs(90 * 24 * 3600));
    assert_eq!(config.data.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.store.snapshot_log_bytes, 64 << 20);
    assert!(config.data.threads.get() >= 1);
}

#[test]
fn each_rule_names_its_place_and_key() {
    const RULE_NAME: &str =
        "must be a name of 1 to 63 lower-case letters, digits and '-', with a letter or digit at both ends";
    const RULE_LOOPBACK: &str =
        "must be an ADDRESS:PORT on loopback (127.0.0.0/8 or [::1]), since it has neither TLS nor login";
    const RULE_REACHABLE: &str = "must be an ADDRESS:PORT at which the other nodes reach this one: not 0.0.0.0 or [::]";
    let table: &[(&str, &str)] = &[
        ("", &format!("1:1: name: missing; {RULE_NAME}")),
        ("name = \"Node\"", &format!("1:8: name: found \"Node\"; {RULE_NAME}")),
        ("name = 7", &format!("1:8: name: found 7; {RULE_NAME}")),
        ("name = \"a-\"", &format!("1:8: name: found \"a-\"; {RULE_NAME}")),
        (
            "name = \"a\"\ndata_dir = \"var/lib\"",
            "2:12: data_dir: found \"var/lib\"; must be an absolute path",
        ),
        (
            "name = \"a\"\n[api]\nlisten = \"0.0.0.0\"",
            "3:10: api.listen: found \"0.0.0.0\"; must be an ADDRESS:PORT",
        ),
        (
            "name = \"a\"\n[api]\nlisten = \"0.0.0.0:7443\"\nplain_http = true",
            "4:14: api.plain_http: true, but api.listen is 0.0.0.0:7443, which is not on loopback; leave TLS on, or listen on 127.0.0.1",
        ),
        (
            "name = \"a\"\n[peer]\nlisten = \"127.0.0.1\"",
            &format!("3:10: peer.listen: found \"127.0.0.1\"; {RULE_REACHABLE}"),
        ),
        (
            "name = \"a\"\n[peer]\nlisten = \"0.0.0.0:7444\"",
            &format!("3:10: peer.listen: found \"0.0.0.0:7444\"; {RULE_REACHABLE}"),
        ),
        (
            "name = \"a\"\n[metrics]\n  listen = \"127.0.0.1:0\"",
            &format!("3:12: metrics.listen: found \"127.0.0.1:0\"; {RULE_LOOPBACK}"),
        ),
        (
            "name = \"a\"\n[metrics]\nlisten = \"127.0.0.1:7443\"",
            "3:10: metrics.listen: 127.0.0.1:7443 is also api.listen; each needs an address and port of its own",
        ),
        (
            "name = \"a\"\n[data]\nthreads = 0",
            "3:11: data.threads: found 0; must be a whole number from 1 to 1024, or \"auto\"",
        ),
        (
            "name = \"a\"\n[data]\naddress = \"everywhere\"",
            "3:11: data.address: found \"everywhere\"; must be an IP address, or \"all\"",
        ),
        (
            "name = \"a\"\n[data]\nsource_addresses = [\"10.0.0.1\",\n  \"::ffff:10.0.0.1\"]",
            "3:20: data.source_addresses: found [\"10.0.0.1\", \"::ffff:10.0.0.1\"]; must be a list of at most 64 IP addresses, none of them twice",
        ),
        (
            "name = \"a\"\n[data]\nconnect_timeout = 5",
            "3:19: data.connect_timeout: found 5; must be a duration such as \"500ms\" or \"5s\", from 1ms to 10m",
        ),
        (
            "name = \"a\"\n[data]\nidle_timeout = \"8d\"",
            "3:16: data.idle_timeout: found \"8d\"; must be a duration such as \"30s\" or \"1h\", from 1s to 7d",
        ),
        (
            "name = \"a\"\n[access_log]\nto = \"stderr\"",
            "3:6: access_log.to: found \"stderr\"; must be \"off\", \"stdout\" or the absolute path of a file",
        ),
        (
            "name = \"a\"\naccess_log.open_lines = \"yes\"",
            "2:25: access_log.open_lines: found \"yes\"; must be true or false",
        ),
        (
            "name = \"a\"\n[log]\nlevel = \"loud\"",
            "3:9: log.level: found \"loud\"; must be a level (error, warn, info, debug, trace, off) or a list such as \"info,openraft=debug\"",
        ),
        (
            "name = \"a\"\n[log]\nformat = \"xml\"",
            "3:10: log.format: found \"xml\"; must be \"text\" or \"json\"",
        ),
        (
            "name = \"a\"\n[store]\nsnapshot_log_bytes = \"64MB\"",
            "3:22: store.snapshot_log_bytes: found \"64MB\"; must be a size such as \"64MiB\", from 1MiB to 16GiB",
        ),
        (
            "name = \"a\"\n[store]\nfree_space_mark = \"99999999999999999999GiB\"",
            "3:19: store.free_space_mark: found \"99999999999999999999GiB\"; must be a size such as \"64MiB\", from 0B to 1TiB",
        ),
        (
            "name = \"a\"\n[shutdown]\ndeadline = \"soon\"",
            "3:12: shutdown.deadline: found \"soon\"; must be a duration such as \"10s\", from 0s to 1h",
        ),
        (
            "name = \"a\"\n[start]\nwait = \"11m\"",
            "3:8: start.wait: found \"11m\"; must be a duration such as \"10s\", from 0s to 10m",
        ),
        (
            "name = \"a\"\n[api]\nlisen = \"127.0.0.1:1\"",
            "3:1: api.lisen: no such key; did you mean api.listen?",
        ),
        ("name = \"a\"\nweather = \"fine\"", "2:1: weather: no such key"),
        ("name = \"a\"\n[vip]\nmode = \"l2\"", "2:2: vip: no such key"),
        (
            "name = \"a\"\napi = \"127.0.0.1:7443\"",
            "2:7: api: must be a table, such as [api] on a line of its own",
        ),
    ];
    for (text, fault) in table {
        assert_eq!(faults(text), [format!("node.toml:{fault}")], "{text}");
    }
}

#[test]
fn every_fault_is_reported_in_the_order_of_the_file() {
    let text = "name = \"Ä\"\n[data]\nthreads = -1\ncolour = 1\n[api]\nlisten = 5\n";
    let keys: Vec<_> = Config::parse(Path::new("node.toml"), text)
        .expect_err("four faults")
        .0
        .into_iter()
        .map(|fault| (fault.line, fault.key.unwrap_or_default()))
        .collect();
    let expected = [(1, "name"), (3, "data.threads"), (4, "data.colour"), (6, "api.listen")];
    assert_eq!(keys, expected.map(|(line, key)| (line, key.to_owned())));
}

#[test]
fn text_that_is_not_toml_is_placed() {
    let all = faults("name = \"a\"\n[data\nthreads = 2\n");
    assert!(all[0].starts_with("node.toml:2:6: not TOML: "), "{all:?}");
    let twice = faults("name = \"a\"\nname = \"b\"\n");
    assert!(twice[0].starts_with("node.toml:2:1: not TOML: "), "{twice:?}");
}

#[test]
fn columns_count_characters() {
    let all = faults("name = \"a\"\nlog = { format = \"é\", level = 3 }\n");
    assert!(
        all[0].starts_with("node.toml:2:18: log.format: found \"é\";"),
        "{all:?}"
    );
    assert!(all[1].starts_with("node.toml:2:31: log.level: found 3;"), "{all:?}");
}

#[test]
fn a_long_value_is_cut() {
    let all = faults(&format!("name = \"{}\"", "x".repeat(4000)));
    assert!(all[0].len() < 260, "{all:?}");
}

#[test]
fn an_unreadable_file_says_what_to_do() {
    let error = Config::load(Path::new("/nonexistent/guideway.toml")).expect_err("no such file");
    let text = error.to_string();
    assert!(
        text.starts_with("cannot read the configuration /nonexistent/guideway.toml: "),
        "{text}"
    );
    assert!(text.contains("--config FILE"), "{text}");
}
