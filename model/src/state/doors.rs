//! Who is let in: tokens with which nodes join, each once, and the keys by which members know each other.

use serde::{Deserialize, Serialize};

use super::State;
use super::settle::Events;
use crate::digest::Digest;
use crate::meta::UnixMillis;
use crate::node::{NodeFacts, NodeId};
use crate::outcome::{Refusal, TokenFault};

/// A token with which a node joins, as the state knows it: not the secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinTokenRecord {
    /// SHA-256 of the secret.
    pub secret: Digest,
    /// From then on it opens nothing.
    pub expires: UnixMillis,
    /// Who joined with it; no one else can.
    pub used_by: Option<NodeId>,
}

impl State {
    /// Tokens that are kept at most, those that have ended left out; one more is refused with `TooMany`.
    pub const JOIN_TOKENS_KEPT: usize = 64;

    /// Keys of one member that are welcome at most: the one it has, and while it takes a new one that, too.
    pub const KEYS_PER_NODE: usize = 2;

    /// Tokens with which nodes can join or have joined, by id.
    pub fn join_tokens(&self) -> impl Iterator<Item = (&str, &JoinTokenRecord)> {
        self.join_tokens.iter().map(|(id, record)| (id.as_str(), record))
    }

    /// The highest number that a member has had. A lower one that is no member's now was removed.
    pub fn highest_node(&self) -> NodeId {
        NodeId(self.next_node)
    }

    /// Whether a node that shows this token may ask for a place at `now`, for a node with this key.
    ///
    /// # Errors
    /// What is wrong with the token. One that does not exist and one with another secret are the same to who asks.
    pub fn check_join_token(&self, id: &str, secret: &Digest, key: &Digest, now: UnixMillis) -> Result<(), TokenFault> {
        let token = self.join_tokens.get(id).filter(|token| token.secret == *secret);
        let token = token.ok_or(TokenFault::Unknown)?;
        match token.used_by {
            Some(node) if !self.is_trying_again(node, key) => Err(TokenFault::Used),
            _ if token.expires <= now => Err(TokenFault::Expired),
            _ => Ok(()),
        }
    }

    /// Whether this member joined with this key and has not started yet: it may not have got the answer.
    fn is_trying_again(&self, node: NodeId, key: &Digest) -> bool {
        let record = self.nodes.get(&node);
        record.is_some_and(|record| record.incarnation.is_none() && record.keys == [*key])
    }

    pub(super) fn create_join_token(&mut self, id: String, secret: Digest, expires: UnixMillis) -> Result<(), Refusal> {
        self.check_identities()?;
        let ended: Vec<String> = self
            .join_tokens
            .iter()
            .filter(|(_, token)| token.expires <= self.time)
            .map(|(id, _)| id.clone())
            .collect();
        if self.join_tokens.len() - ended.len() >= State::JOIN_TOKENS_KEPT {
            return Err(Refusal::TooMany {
                what: "tokens to join with".to_owned(),
                limit: State::JOIN_TOKENS_KEPT as u64,
            });
        }
        for id in ended {
            self.join_tokens.remove(&id);
        }
        let token = JoinTokenRecord {
            secret,
            expires,
            used_by: None,
        };
        self.join_tokens.insert(id, token);
        Ok(())
    }

    /// Forgets a token; that of a member changes nothing for it.
    pub(super) fn revoke_join_token(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_identities()?;
        match self.join_tokens.remove(id) {
            Some(_) => Ok(()),
            None => Err(Refusal::JoinToken {
                id: id.to_owned(),
                fault: TokenFault::Unknown,
            }),
        }
    }

    /// Gives a place to the node that shows a token, and ends the token.
    pub(super) fn admit(
        &mut self,
        facts: NodeFacts,
        key: Digest,
        id: String,
        secret: &Digest,
        events: &mut Events,
    ) -> Result<NodeId, Refusal> {
        self.check_identities()?;
        if let Err(fault) = self.check_join_token(&id, secret, &key, self.time) {
            return Err(Refusal::JoinToken { id, fault });
        }
        let node = self.join_node(facts)?;
        if let Some(record) = self.nodes.get_mut(&node) {
            record.keys = vec![key];
        }
        if let Some(token) = self.join_tokens.get_mut(&id) {
            token.used_by = Some(node);
        }
        events.members = true;
        Ok(node)
    }

    /// Says by which keys a member is known from now on.
    pub(super) fn set_node_keys(&mut self, node: NodeId, mut keys: Vec<Digest>) -> Result<(), Refusal> {
        self.check_identities()?;
        let record = self.nodes.get_mut(&node).ok_or(Refusal::UnknownNode(node))?;
        keys.truncate(State::KEYS_PER_NODE);
        record.keys = keys;
        Ok(())
    }
}
