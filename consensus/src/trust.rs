//! Who is let in: members by certificate, cluster, number and key; joining nodes by their token.
//!
//! A node judges by the state that it has applied. One that was away may meet members that it has not heard of, or that
//! have taken a new key since. It lets none of them in, but asks the members it does know: what one of them says, with a
//! later index than its own, counts until the log has come as far. Without that, a node that came back could not be
//! reached by a leader that it does not know, from which alone it can learn of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use guideway_identity::{Joiner, PeerIdentity, parse_joiner, parse_peer, verify_issued};
use guideway_model::digest::Digest;
use guideway_model::outcome::TokenFault;
use guideway_model::state::Applied;
use guideway_model::{NodeId, State};
use rustls_pki_types::{CertificateDer, UnixTime};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use crate::clock;

/// Why someone is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stranger {
    #[error("it shows no certificate of a node: {0}")]
    NoNode(String),
    #[error("its certificate is not of this cluster's authority: {0}")]
    Authority(String),
    #[error("its certificate has expired, or is not good yet")]
    Expired,
    #[error("its certificate is of cluster {0}")]
    OtherCluster(String),
    #[error("it is node {0}, which is not a member")]
    NoMember(u64),
    #[error("it is node {0}, which was removed from the cluster")]
    Removed(u64),
    #[error("it is node {0} with another key than that member has")]
    OtherKey(u64),
    #[error("its token {id} {fault}")]
    Token { id: String, fault: TokenFault },
}

impl Stranger {
    /// Name in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Stranger::NoNode(_) => "no_node_certificate",
            Stranger::Authority(_) => "other_authority",
            Stranger::Expired => "expired",
            Stranger::OtherCluster(_) => "other_cluster",
            Stranger::NoMember(_) => "not_a_member",
            Stranger::Removed(_) => "removed",
            Stranger::OtherKey(_) => "other_key",
            Stranger::Token { fault, .. } => match fault {
                TokenFault::Unknown => "token_unknown",
                TokenFault::Expired => "token_expired",
                TokenFault::Used => "token_used",
            },
        }
    }
}

/// Who is at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A member.
    Member(PeerIdentity),
    /// A node that asks for a place, with a token that would open.
    Joiner(Joiner),
}

/// Members as one of them knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Roster {
    /// Log index of the state they are from.
    pub(crate) index: u64,
    /// The highest number that a member has had.
    pub(crate) highest: u64,
    /// By number.
    pub(crate) members: BTreeMap<u64, RosterMember>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RosterMember {
    /// `host:port` of its transport.
    pub(crate) address: String,
    /// Its keys.
    pub(crate) keys: Vec<Digest>,
}

impl Roster {
    /// That of an applied state.
    pub(crate) fn of(applied: &Applied) -> Roster {
        let member = |(id, record): (NodeId, &guideway_model::node::NodeRecord)| {
            let member = RosterMember {
                address: record.facts.peer_address.clone(),
                keys: record.keys.clone(),
            };
            (id.0, member)
        };
        Roster {
            index: applied.index,
            highest: applied.state.highest_node().0,
            members: applied.state.nodes().map(member).collect(),
        }
    }
}

/// Judges who is let in.
#[derive(Debug)]
pub(crate) struct Trust {
    cluster: String,
    authority: CertificateDer<'static>,
    applied: watch::Receiver<Applied>,
    heard: watch::Sender<Arc<Roster>>,
    /// Someone with a certificate of this cluster was not let in because this node may not have heard of it.
    pub(crate) doubt: Notify,
}

impl Trust {
    pub(crate) fn new(
        cluster: String,
        authority: CertificateDer<'static>,
        applied: watch::Receiver<Applied>,
        heard: Roster,
    ) -> Trust {
        Trust {
            cluster,
            authority,
            applied,
            heard: watch::Sender::new(Arc::new(heard)),
            doubt: Notify::new(),
        }
    }

    /// Who shows this chain, the leaf first, to a server (`client`) or as one.
    pub(crate) fn caller(&self, chain: &[CertificateDer<'_>], client: bool, now: UnixTime) -> Result<Caller, Stranger> {
        let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
        if client && let Ok(joiner) = parse_joiner(leaf) {
            self.check_joiner(&joiner)?;
            return Ok(Caller::Joiner(joiner));
        }
        let peer = parse_peer(leaf).map_err(|error| Stranger::NoNode(error.to_string()))?;
        verify_issued(chain, &self.authority, now, !client).map_err(|error| match error {
            webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Stranger::Expired,
            other => Stranger::Authority(other.to_string()),
        })?;
        self.judge(&peer)?;
        Ok(Caller::Member(peer))
    }

    /// Whether a node whose certificate the authority signed is still a member, by the key it has.
    pub(crate) fn judge(&self, peer: &PeerIdentity) -> Result<(), Stranger> {
        if peer.cluster != self.cluster {
            return Err(Stranger::OtherCluster(peer.cluster.clone()));
        }
        let key = Digest(peer.key.0);
        let number = peer.number;
        let (keys, highest) = self.known(number);
        match keys {
            Some(keys) if keys.contains(&key) => Ok(()),
            None if number <= highest => Err(Stranger::Removed(number)),
            unheard => {
                self.doubt.notify_one();
                Err(match unheard {
                    Some(_) => Stranger::OtherKey(number),
                    None => Stranger::NoMember(number),
                })
            }
        }
    }

    /// Whether a caller that was let in would be let in still. The token of a joining node is looked at when it is used.
    pub(crate) fn judge_again(&self, caller: &Caller) -> Result<(), Stranger> {
        match caller {
            Caller::Member(peer) => self.judge(peer),
            Caller::Joiner(_) => Ok(()),
        }
    }

    /// What the later of both knows: the state, or what another member said.
    fn known(&self, number: u64) -> (Option<Vec<Digest>>, u64) {
        let heard = self.heard.borrow().clone();
        let applied = self.applied.borrow();
        if applied.index > heard.index {
            let record = applied.state.node(NodeId(number));
            return (record.map(|record| record.keys.clone()), applied.state.highest_node().0);
        }
        let member = heard.members.get(&number);
        (member.map(|member| member.keys.clone()), heard.highest)
    }

    fn check_joiner(&self, joiner: &Joiner) -> Result<(), Stranger> {
        let applied = self.applied.borrow();
        let (secret, key) = (Digest(joiner.secret.0), Digest(joiner.key.0));
        let checked = applied
            .state
            .check_join_token(&joiner.token, &secret, &key, clock::now());
        checked.map_err(|fault| Stranger::Token {
            id: joiner.token.clone(),
            fault,
        })
    }

    /// Takes what another member said, if it is later than what is known.
    pub(crate) fn hear(&self, roster: Roster) -> bool {
        let applied = self.applied.borrow().index;
        self.heard.send_if_modified(|heard| {
            let later = roster.index > heard.index && roster.index > applied;
            if later {
                *heard = Arc::new(roster);
            }
            later
        })
    }

    /// Where members can be asked: those of the state, and those heard of.
    pub(crate) fn addresses(&self) -> BTreeMap<u64, String> {
        let heard = self.heard.borrow().clone();
        let mut addresses: BTreeMap<u64, String> = heard
            .members
            .iter()
            .map(|(number, member)| (*number, member.address.clone()))
            .collect();
        let applied = self.applied.borrow();
        let known = applied.state.nodes();
        addresses.extend(known.map(|(id, record)| (id.0, record.facts.peer_address.clone())));
        addresses
    }

    /// Fires when what was heard changes.
    pub(crate) fn heard(&self) -> watch::Receiver<Arc<Roster>> {
        self.heard.subscribe()
    }
}

/// What of a state this module judges by.
pub(crate) fn membership(state: &State) -> Vec<(NodeId, Vec<Digest>)> {
    state.nodes().map(|(id, record)| (id, record.keys.clone())).collect()
}
