//! `guideway egress-policy`: the rule that lets the nodes of the cluster in where endpoints are behind a firewall.

mod network_policy;
mod nftables;
mod port;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::client::{Access, Client, RequestError};

pub(crate) use nftables::Chain;
pub(crate) use port::Port;

const NODES: &str = "/apis/guideway.dev/v1alpha1/nodes?resourceVersion=0";

/// Longer than the API waits for the figures of a node.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What the rule is for.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// For what it is written
    #[arg(long, value_enum)]
    format: Format,
    /// Port that endpoints serve on, such as 5432 or 53/udp; may be given several times, without it every port is open
    #[arg(long = "port", value_name = "PORT[/tcp|/udp]", value_parser = port::parse)]
    ports: Vec<Port>,
    /// Print the addresses that are known, although a member gives no answer
    #[arg(long)]
    partial: bool,
    /// networkpolicy: namespace of the pods
    #[arg(long, value_name = "NAMESPACE", default_value = "default", value_parser = network_policy::label)]
    namespace: String,
    /// networkpolicy: a label of the pods; may be given several times, without it all pods of the namespace are meant
    #[arg(long = "selector", value_name = "KEY=VALUE", value_parser = network_policy::selector)]
    selectors: Vec<(String, String)>,
    /// nftables: the chain that drops what it does not know
    #[arg(long, value_name = "FAMILY/TABLE/CHAIN", default_value = "inet/filter/input", value_parser = nftables::chain)]
    chain: Chain,
}

/// For what a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A NetworkPolicy of Kubernetes, for kubectl apply
    Networkpolicy,
    /// Rules of an endpoint's machine, for nft --file
    Nftables,
}

/// Why there is no rule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    /// The API.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// Some members do not say from where they come.
    #[error(
        "no answer from {}: a rule without their addresses would shut them out; start them, remove them from the cluster \
         if they are gone for good, or ask with --partial for a rule without them", names.join(", ")
    )]
    Unknown {
        /// Their names.
        names: Vec<String>,
    },
    /// No member connects to anything.
    #[error(
        "no node reaches an endpoint yet: create a Gateway with a route that has endpoints, or set data.source_addresses"
    )]
    Empty,
}

/// The addresses that members connect from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sources {
    v4: Vec<IpAddr>,
    v6: Vec<IpAddr>,
    /// Members whose addresses are missing.
    unknown: Vec<String>,
}

/// The rule, as text.
pub(crate) async fn print(access: Access, arguments: &PolicyArgs) -> Result<String, PolicyError> {
    let client = Client::new(access, REQUEST_TIMEOUT);
    let sources = Sources::of(&client.get(NODES).await?);
    if !sources.unknown.is_empty() && !arguments.partial {
        return Err(PolicyError::Unknown { names: sources.unknown });
    }
    if sources.v4.is_empty() && sources.v6.is_empty() {
        return Err(PolicyError::Empty);
    }
    Ok(match arguments.format {
        Format::Networkpolicy => network_policy::text(&sources, arguments),
        Format::Nftables => nftables::text(&sources, arguments),
    })
}

impl Sources {
    fn of(nodes: &Value) -> Sources {
        let mut all = BTreeSet::new();
        let mut sources = Sources::default();
        for node in nodes["items"].as_array().map(Vec::as_slice).unwrap_or_default() {
            match node["status"]["sourceAddresses"].as_array() {
                Some(addresses) => all.extend(
                    addresses
                        .iter()
                        .filter_map(|text| text.as_str()?.parse::<IpAddr>().ok()),
                ),
                None => {
                    let name = node["metadata"]["name"].as_str().unwrap_or_default();
                    sources.unknown.push(name.to_owned());
                }
            }
        }
        (sources.v4, sources.v6) = all.into_iter().partition(IpAddr::is_ipv4);
        sources
    }

    /// A comment that names what is missing.
    fn remark(&self) -> String {
        match self.unknown.as_slice() {
            [] => String::new(),
            names => format!("# Incomplete: no answer from {}.\n", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: PolicyArgs,
    }

    pub(super) fn arguments(words: &[&str]) -> PolicyArgs {
        let all = ["x"].iter().chain(words).copied();
        Line::try_parse_from(all).expect("a command line").arguments
    }

    pub(super) fn nodes() -> Sources {
        Sources::of(&json!({"items": [
            {"metadata": {"name": "a"}, "status": {"sourceAddresses": ["10.0.0.2", "2001:db8::1"]}},
            {"metadata": {"name": "b"}, "status": {"sourceAddresses": ["10.0.0.1", "10.0.0.2"]}},
            {"metadata": {"name": "c"}, "status": {}},
        ]}))
    }

    #[test]
    fn addresses_are_in_order_and_each_once_and_who_is_silent_is_named() {
        let sources = nodes();
        let text = |all: &[IpAddr]| all.iter().map(IpAddr::to_string).collect::<Vec<_>>();
        assert_eq!(text(&sources.v4), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(text(&sources.v6), ["2001:db8::1"]);
        assert_eq!(sources.unknown, ["c"]);
        assert_eq!(sources.remark(), "# Incomplete: no answer from c.\n");
    }

    #[test]
    fn what_would_become_another_rule_is_refused() {
        for words in [
            ["--port", "0"],
            ["--port", "53/sctp"],
            ["--chain", "inet/filter"],
            ["--chain", "inet/filter/input accept"],
            ["--chain", "bridge/filter/input"],
            ["--namespace", "a b"],
            ["--selector", "app"],
            ["--selector", "app=a\nb"],
        ] {
            let all = ["x", "--format", "nftables"].iter().chain(&words).copied();
            assert!(Line::try_parse_from(all).is_err(), "{words:?}");
        }
    }
}
