//! Tokens with which nodes join: made here, and told to the cluster.

use std::time::Duration;

use guideway_identity::{Digest, JoinToken, TokenError};
use guideway_model::command::Command;
use guideway_model::meta::UnixMillis;
use guideway_model::{Outcome, Refusal, digest};
use rustls_pki_types::UnixTime;

use crate::beside::{Beside, BesideError};
use crate::consensus::Consensus;
use crate::propose::{Committed, ProposeError};

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// None could be made.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The cluster does not take it.
    #[error("the cluster does not take another token to join with: {0:?}; revoke some, or wait until they expire")]
    Refused(Box<Refusal>),
    /// The cluster was not told.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The node beside this command did not do it.
    #[error(transparent)]
    Beside(#[from] BesideError),
}

impl Consensus {
    /// Makes a token with which one node can join within `life`, by asking the member at `address` (`host:port`).
    ///
    /// # Errors
    /// The cluster was not told of it, or refused.
    pub async fn invite(&self, address: &str, life: Duration) -> Result<JoinToken, InviteError> {
        let authority = self.credentials().authority().fingerprint();
        let (token, command) = invitation(authority, address, life)?;
        taken(&self.propose(command).await?)?;
        Ok(token)
    }
}

impl Beside {
    /// Makes a token with which one node can join within `life`, by asking the member at `address` (`host:port`).
    ///
    /// # Errors
    /// The node does not answer, or the cluster refused.
    pub async fn invite(&self, address: &str, life: Duration) -> Result<JoinToken, InviteError> {
        let (token, command) = invitation(self.authority(), address, life)?;
        taken(&self.propose(command).await?)?;
        Ok(token)
    }
}

fn invitation(authority: Digest, address: &str, life: Duration) -> Result<(JoinToken, Command), TokenError> {
    let now = UnixTime::now().as_secs();
    let expires = Duration::from_secs(now.saturating_add(life.as_secs()));
    let token = JoinToken::create(authority, vec![address.to_owned()], UnixTime::since_unix_epoch(expires))?;
    let command = Command::CreateJoinToken {
        id: token.id().to_owned(),
        secret: digest::Digest(token.digest().0),
        expires: UnixMillis(expires.as_secs().saturating_mul(1000)),
    };
    Ok((token, command))
}

fn taken(committed: &Committed) -> Result<(), InviteError> {
    match &committed.outcome {
        Outcome::Refused(refusal) => Err(InviteError::Refused(Box::new(refusal.clone()))),
        _ => Ok(()),
    }
}
