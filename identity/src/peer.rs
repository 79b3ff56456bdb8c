//! What the certificate of a node says.

use rustls_pki_types::UnixTime;

use crate::digest::Digest;
use crate::read::{self, CertificateError};

/// First part of the URI that names a node; the cluster and the number follow.
const SCHEME: &str = "guideway://";

/// A node, as its certificate names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Identity of its cluster.
    pub cluster: String,
    /// Its number.
    pub number: u64,
    /// SHA-256 of its public key.
    pub key: Digest,
    /// From when the certificate is good.
    pub not_before: UnixTime,
    /// Until when.
    pub not_after: UnixTime,
}

/// Reads the certificate of a node. Who signed it and whether it is still good is another question.
///
/// # Errors
/// It is no certificate, or that of something else.
pub fn parse_peer(certificate: &[u8]) -> Result<PeerIdentity, CertificateError> {
    let parts = read::read(certificate)?;
    let other = |problem: String| CertificateError::Other {
        wanted: "the certificate of a node",
        problem,
    };
    let [uri] = parts.uris.as_slice() else {
        return Err(other(format!("it has {} URIs, a node's has one", parts.uris.len())));
    };
    let (cluster, number) = from_uri(uri).ok_or_else(|| other(format!("its URI is {uri:?}")))?;
    Ok(PeerIdentity {
        cluster,
        number,
        key: parts.key,
        not_before: parts.not_before,
        not_after: parts.not_after,
    })
}

/// The URI of a node.
pub(crate) fn uri(cluster: &str, number: u64) -> String {
    format!("{SCHEME}{cluster}/node/{number}")
}

fn from_uri(uri: &str) -> Option<(String, u64)> {
    let (cluster, number) = uri.strip_prefix(SCHEME)?.split_once("/node/")?;
    let parsed: u64 = number.parse().ok()?;
    let same = parsed.to_string() == number && !cluster.is_empty() && !cluster.contains('/');
    same.then(|| (cluster.to_owned(), parsed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_has_one_way_of_being_named() {
        assert_eq!(from_uri(&uri("c-1", 7)), Some(("c-1".to_owned(), 7)));
        for wrong in [
            "guideway:///node/7",
            "guideway://c/node/07",
            "guideway://c/node/+7",
            "guideway://c/node/7/",
            "guideway://c/d/node/7",
            "http://c/node/7",
            "guideway://join/a/b",
        ] {
            assert_eq!(from_uri(wrong), None, "{wrong}");
        }
    }
}
