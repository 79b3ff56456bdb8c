//! Promise: where endpoints are behind a firewall that drops what it does not know, the rule that `guideway egress-policy`
//! prints lets the nodes in, and nobody else.
//!
//! Needs root, which makes network namespaces, and kubectl, and the tools: curl, ip, nc, nft.

use guideway_chaos_tests::boxes::Boxes;
use guideway_chaos_tests::{manifest, wait};

/// In a namespace of its own, where nothing else listens.
const LISTENER: u16 = 6000;
const ENDPOINT: u16 = 7000;

/// What the box of the endpoint does with packets: it drops those that nothing lets in.
const DEFAULT_DROP: &str = "nft --file - <<'END'
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iif lo accept
    ct state established,related accept
    meta l4proto { icmp, icmpv6 } accept
    counter drop
  }
}
END";

#[test]
fn the_printed_rule_lets_the_nodes_in_and_nobody_else() {
    // A node, the machine of an endpoint, and one of someone else.
    let boxes = Boxes::make(3);
    let node = Boxes::address(1);
    let settings = format!(
        "cat >/etc/guideway/guideway.toml <<'END'
name = \"box-1\"
data_dir = \"/var/lib/guideway\"
[peer]
listen = \"{node}:7444\"
[data]
connect_timeout = \"500ms\"
END
guideway init --config /etc/guideway/guideway.toml"
    );
    must(&boxes, 1, &settings);
    let _node = boxes.start(1, "guideway run --config /etc/guideway/guideway.toml");
    let address = Boxes::address(2);
    let answer = "printf 'HTTP/1.0 200 OK\\r\\n\\r\\nserved'";
    let serve = format!("while :; do {answer} | nc -N -l {address} {ENDPOINT} >/dev/null; done");
    let _endpoint = boxes.start(2, &format!("bash -c \"{}\"", serve.replace('\\', "\\\\")));

    let endpoint = format!("{address}:{ENDPOINT}").parse().expect("an address");
    let objects = [
        manifest::gateway("edge", &[("main", LISTENER)]),
        manifest::backend("b", &[endpoint]),
        manifest::tcp_route_to_backend("r", "edge", "main", "b"),
    ];
    let kubectl = std::env::var("KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
    let apply = format!(
        "{kubectl} --kubeconfig /var/lib/guideway/admin.kubeconfig apply -f - <<'END'\n{}END",
        manifest::stream(&objects)
    );
    wait::until("the objects are applied", || boxes.run(1, &apply, &[]));

    let through = format!("curl --silent --show-error --max-time 5 http://{node}:{LISTENER}/");
    let direct = format!("curl --silent --show-error --max-time 5 http://{address}:{ENDPOINT}/");
    served(&boxes, 3, &through);
    served(&boxes, 3, &direct);
    must(&boxes, 2, DEFAULT_DROP);
    for line in [&through, &direct] {
        let refused = boxes.run(3, line, &[]);
        assert!(
            refused.is_err(),
            "{line}: the machine drops what it does not know: {refused:?}"
        );
    }

    let print =
        format!("guideway egress-policy --config /etc/guideway/guideway.toml --format nftables --port {ENDPOINT}");
    let rule = must(&boxes, 1, &print);
    assert!(
        rule.contains(&format!("ip saddr {{ {node} }} tcp dport {{ {ENDPOINT} }} accept")),
        "{rule}"
    );
    must(&boxes, 2, &format!("nft --file - <<'END'\n{rule}END"));
    served(&boxes, 3, &through);
    let refused = boxes.run(3, &direct, &[]);
    assert!(refused.is_err(), "the rule lets in the nodes alone: {refused:?}");
}

fn must(boxes: &Boxes, number: u8, lines: &str) -> String {
    boxes
        .run(number, lines, &[])
        .unwrap_or_else(|failure| panic!("box {number}: {failure}"))
}

/// Between two connections the endpoint does not listen for a moment.
fn served(boxes: &Boxes, number: u8, line: &str) {
    wait::until(line, || match boxes.run(number, line, &[])?.as_str() {
        "served" => Ok(()),
        other => Err(other.to_owned()),
    });
}
