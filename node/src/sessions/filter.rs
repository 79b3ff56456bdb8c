//! Which sessions are meant, and how the API is asked for them.

use std::net::{IpAddr, SocketAddr};

use clap::{Args, ValueEnum};

/// Sessions that meet all of these.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which sessions")]
pub(super) struct Filter {
    /// Only this namespace
    #[arg(short, long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// Carried by this node
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// TCP sessions or UDP flows
    #[arg(long, value_enum)]
    protocol: Option<Protocol>,
    /// Accepted by a listener of this Gateway
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
    /// Accepted by a listener of this name
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// Carried by this route
    #[arg(long, value_name = "NAMESPACE/NAME")]
    route: Option<String>,
    /// From this client: address and port, address, or network such as 10.0.0.0/8
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// To this endpoint
    #[arg(long, value_name = "ADDRESS:PORT")]
    endpoint: Option<String>,
    /// Accepted at least so long ago, such as 5m
    #[arg(long, value_name = "TIME")]
    min_age: Option<String>,
    /// Accepted at most so long ago
    #[arg(long, value_name = "TIME")]
    max_age: Option<String>,
    /// Silent for at least so long
    #[arg(long, value_name = "TIME")]
    min_idle: Option<String>,
    /// Silent for at most so long
    #[arg(long, value_name = "TIME")]
    max_idle: Option<String>,
    /// At least so many bytes, both ways together
    #[arg(long, value_name = "BYTES")]
    min_bytes: Option<u64>,
    /// Any field that the API selects by, such as status.state=Established or spec.sni!=a.example; may be repeated
    #[arg(long, value_name = "FIELD=VALUE")]
    filter: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocol {
    Tcp,
    Udp,
}

impl Filter {
    /// Whether every session is meant.
    pub(super) fn is_empty(&self) -> bool {
        self.parameters().is_empty() && self.namespace.is_none()
    }

    /// Sets the longest silence, unless it is set.
    pub(super) fn with_max_idle(mut self, longest: String) -> Filter {
        self.max_idle.get_or_insert(longest);
        self
    }

    /// What is asked for at `collection`, with further parameters.
    pub(super) fn query(&self, collection: &str, more: &[(&str, &str)]) -> String {
        let own = self.parameters();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        path(collection, own.chain(more.iter().copied()))
    }

    fn parameters(&self) -> Vec<(&'static str, String)> {
        let client = self.client.as_deref().map(client);
        let fields = [
            ("spec.node", self.node.clone()),
            (
                "spec.protocol",
                self.protocol.map(|protocol| protocol.name().to_owned()),
            ),
            ("spec.listener.gateway", self.gateway.clone()),
            ("spec.listener.name", self.listener.clone()),
            ("spec.route", self.route.clone()),
            ("spec.endpoint", self.endpoint.clone()),
            ("spec.client", client.as_ref().and_then(|client| client.exact.clone())),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(field, value)| Some(format!("{field}={}", value?)));
        let selector: Vec<String> = fields.chain(self.filter.iter().cloned()).collect();
        let parameters = [
            (
                "fieldSelector",
                Some(selector.join(",")).filter(|selector| !selector.is_empty()),
            ),
            ("clientCIDR", client.and_then(|client| client.network)),
            ("minAge", self.min_age.clone()),
            ("maxAge", self.max_age.clone()),
            ("minIdle", self.min_idle.clone()),
            ("maxIdle", self.max_idle.clone()),
            ("minBytes", self.min_bytes.map(|bytes| bytes.to_string())),
        ];
        let given = parameters.into_iter();
        given.filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        }
    }
}

struct Client {
    exact: Option<String>,
    network: Option<String>,
}

/// An address and port is a field, all else a network; what is neither the API explains best.
fn client(text: &str) -> Client {
    if text.parse::<SocketAddr>().is_ok() {
        return Client {
            exact: Some(text.to_owned()),
            network: None,
        };
    }
    let network = match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => format!("{address}/32"),
        Ok(IpAddr::V6(address)) => format!("{address}/128"),
        Err(_) => text.to_owned(),
    };
    Client {
        exact: None,
        network: Some(network),
    }
}

/// A path with a query.
pub(super) fn path<'a>(collection: &str, parameters: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut path = collection.to_owned();
    for (place, (name, value)) in parameters.enumerate() {
        path.push(if place == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.push_str(&encoded(value));
    }
    path
}

/// Percent-encoded but for the unreserved characters of RFC 3986, section 2.3.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_one_query() {
        let filter = Filter {
            node: Some("node-1".to_owned()),
            protocol: Some(Protocol::Udp),
            min_idle: Some("5m".to_owned()),
            filter: vec!["spec.sni!=a.example".to_owned()],
            ..Filter::default()
        };
        assert_eq!(
            filter.query("/sessions", &[("limit", "10")]),
            "/sessions?fieldSelector=spec.node%3Dnode-1%2Cspec.protocol%3DUDP%2Cspec.sni%21%3Da.example&minIdle=5m&limit=10"
        );
        assert_eq!(Filter::default().query("/sessions", &[]), "/sessions");
        assert!(Filter::default().is_empty() && !filter.is_empty());
    }

    #[test]
    fn a_client_is_an_address_with_or_without_port_or_a_network() {
        for (given, expected) in [
            ("10.0.0.1:5000", "/s?fieldSelector=spec.client%3D10.0.0.1%3A5000"),
            ("10.0.0.1", "/s?clientCIDR=10.0.0.1%2F32"),
            ("fd00::1", "/s?clientCIDR=fd00%3A%3A1%2F128"),
            ("10.0.0.0/8", "/s?clientCIDR=10.0.0.0%2F8"),
        ] {
            let filter = Filter {
                client: Some(given.to_owned()),
                ..Filter::default()
            };
            assert_eq!(filter.query("/s", &[]), expected);
        }
    }
}
