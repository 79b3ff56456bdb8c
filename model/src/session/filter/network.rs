//! Networks in CIDR notation (RFC 4632).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Addresses that begin alike. IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an address such as 10.0.0.7, or a network such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct NoNetwork;

impl Network {
    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = (own.to_bits() ^ other.to_bits()).leading_zeros();
                differing >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = (own.to_bits() ^ other.to_bits()).leading_zeros();
                differing >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let most = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NoNetwork)?,
            None => most,
        };
        let mapped = address.to_canonical().is_ipv4() && address.is_ipv6();
        match (prefix, mapped) {
            (prefix, false) if prefix <= most => Ok(Network { address, prefix }),
            (96..=128, true) => Ok(Network {
                address: address.to_canonical(),
                prefix: prefix - 96,
            }),
            _ => Err(NoNetwork),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl TryFrom<String> for Network {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Network, NoNetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_what_begins_alike() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.9.9.9", "::a01:203"),
            ("10.0.0.7", "::ffff:10.0.0.7", "10.0.0.8"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "::1", "1.1.1.1"),
        ] {
            let read: Network = network.parse().expect(network);
            assert!(read.contains(inside.parse().expect("an address")), "{network}");
            assert!(!read.contains(outside.parse().expect("an address")), "{network}");
            assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/",
            "::/129",
            "::ffff:1.2.3.4/95",
            "a/8",
            "10.0.0.0/-1",
        ] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }
}
