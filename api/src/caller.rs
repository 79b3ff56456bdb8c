//! Who sent a request, and from where.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use guideway_identity::UserIdentity;
use guideway_model::authority::User;

use crate::sign_in::Credential;

/// The other end of a connection, as far as the connection tells.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Where it connects from.
    pub(crate) address: SocketAddr,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
    /// What its certificate says; the TLS handshake has verified that the cluster's authority issued it.
    pub(crate) certificate: Option<UserIdentity>,
}

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Caller {
    /// For whom it counts.
    pub(crate) user: User,
    /// Who had signed in, if they act as someone else.
    pub(crate) impersonator: Option<String>,
    /// Where it came from; `None` only in tests without a connection.
    pub(crate) source: Option<SocketAddr>,
    /// By what; `None` for nobody who is known.
    pub(crate) credential: Option<Credential>,
    audited: AtomicBool,
}

impl Caller {
    /// Who signed in as `user` by this, and acts as `other`, if given.
    pub(crate) fn signed_in(user: User, other: Option<User>, credential: Credential, peer: Option<&Peer>) -> Caller {
        let (user, impersonator) = match other {
            Some(other) => (other, Some(user.name)),
            None => (user, None),
        };
        Caller {
            user,
            impersonator,
            source: peer.map(|peer| peer.address),
            credential: Some(credential),
            audited: AtomicBool::new(false),
        }
    }

    /// Nobody who is known.
    pub(crate) fn anonymous(source: Option<SocketAddr>) -> Caller {
        Caller {
            user: User::anonymous(),
            impersonator: None,
            source,
            credential: None,
            audited: AtomicBool::new(false),
        }
    }

    /// Id of the token that was used.
    pub(crate) fn token(&self) -> Option<&str> {
        self.credential.as_ref()?.token()
    }

    /// Everything that is to be said of the request in the audit log has been said.
    pub(crate) fn set_audited(&self) {
        self.audited.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub(crate) fn is_audited(&self) -> bool {
        self.audited.load(Ordering::Relaxed)
    }
}
