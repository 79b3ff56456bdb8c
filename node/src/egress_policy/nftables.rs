//! Rules of nftables, for the machine of an endpoint.

use std::net::IpAddr;

use super::{PolicyArgs, Port, Sources};

/// A chain of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    family: String,
    table: String,
    chain: String,
}

/// Reads `FAMILY/TABLE/CHAIN`.
pub(super) fn chain(text: &str) -> Result<Chain, String> {
    const RULE: &str = "must be FAMILY/TABLE/CHAIN, such as inet/filter/input, with the family inet, ip or ip6 and names of \
                        letters, digits, '_' and '-'";
    let is_name = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphabetic())
            && text
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-')
    };
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [family @ ("inet" | "ip" | "ip6"), table, chain] if is_name(table) && is_name(chain) => Ok(Chain {
            family: (*family).to_owned(),
            table: (*table).to_owned(),
            chain: (*chain).to_owned(),
        }),
        _ => Err(RULE.to_owned()),
    }
}

/// A rule for each family and protocol. They are inserted before the others of the chain: behind one that drops they would
/// mean nothing.
pub(super) fn text(sources: &Sources, arguments: &PolicyArgs) -> String {
    let Chain { family, table, chain } = &arguments.chain;
    let mut text =
        "# Lets the nodes of the Guideway cluster reach the endpoints on this machine: nft --file FILE\n".to_owned();
    text += &sources.remark();
    for (field, addresses, other) in [("ip", &sources.v4, "ip6"), ("ip6", &sources.v6, "ip")] {
        if addresses.is_empty() || family == other {
            continue;
        }
        let set = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
        for ports in matches(&arguments.ports) {
            text += &format!(
                "insert rule {family} {table} {chain} {field} saddr {{ {set} }} {ports} accept comment \"guideway\"\n"
            );
        }
    }
    text
}

fn matches(ports: &[Port]) -> Vec<String> {
    if ports.is_empty() {
        return vec!["meta l4proto { tcp, udp }".to_owned()];
    }
    let of = |udp: bool| {
        let mut numbers: Vec<u16> = ports
            .iter()
            .filter(|port| port.udp == udp)
            .map(|port| port.number)
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
    };
    let both = [("tcp", of(false)), ("udp", of(true))];
    let some = both.into_iter().filter(|(_, numbers)| !numbers.is_empty());
    some.map(|(protocol, numbers)| format!("{protocol} dport {{ {numbers} }}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{arguments, nodes};
    use super::*;

    #[test]
    fn each_family_and_protocol_has_a_rule() {
        let all = arguments(&["--format", "nftables"]);
        let text = text(&nodes(), &all);
        let rules: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            rules,
            [
                "insert rule inet filter input ip saddr { 10.0.0.1, 10.0.0.2 } meta l4proto { tcp, udp } accept comment \"guideway\"",
                "insert rule inet filter input ip6 saddr { 2001:db8::1 } meta l4proto { tcp, udp } accept comment \"guideway\"",
            ]
        );
        assert!(text.contains("# Incomplete: no answer from c."));
        let words = [
            "--format",
            "nftables",
            "--chain",
            "ip/own/in",
            "--port",
            "443",
            "--port",
            "80",
            "--port",
            "53/udp",
            "--port",
            "80/tcp",
        ];
        let text = super::text(&nodes(), &arguments(&words));
        let rules: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            rules,
            [
                "insert rule ip own in ip saddr { 10.0.0.1, 10.0.0.2 } tcp dport { 80, 443 } accept comment \"guideway\"",
                "insert rule ip own in ip saddr { 10.0.0.1, 10.0.0.2 } udp dport { 53 } accept comment \"guideway\"",
            ]
        );
    }
}
