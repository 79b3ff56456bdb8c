//! Who is who in a cluster: its authority, the certificates of nodes and users, and the tokens that stand in for one.
//!
//! Everything here is a value: no socket, no file, no clock (each time is given), and only keys, nonces, serial numbers
//! and tokens are drawn at random. What a certificate says is read here and nowhere else, so that the transport between nodes
//! and the API agree on it. Whether the one it names is still welcome is not decided here: that is in the replicated
//! state.
#![forbid(unsafe_code)]

mod api_token;
mod authority;
mod cookie_key;
mod der;
mod digest;
mod join_token;
mod joiner;
mod key;
mod kubeconfig;
mod peer;
mod read;
mod sealing;
mod user;
mod validity;

pub use api_token::ApiToken;
pub use authority::{Authority, AuthorityError, NodeSubject, UserSubject, verify_issued};
pub use cookie_key::CookieKey;
pub use digest::{Digest, DigestError};
pub use join_token::{JoinToken, TokenError};
pub use joiner::{Joiner, parse_joiner};
pub use key::{Key, KeyError};
pub use kubeconfig::{KubeconfigServer, kubeconfig};
pub use peer::{PeerIdentity, parse_peer};
pub use read::{CertificateError, CertificateSummary, certificates, fingerprint, summary};
pub use sealing::{OpenError, SealError, SealingKeyId, SealingKeys, SealingKeysError};
pub use user::{MASTERS, UserIdentity, parse_user};
pub use validity::{AUTHORITY_LIFE, BACKDATED, Validity};
