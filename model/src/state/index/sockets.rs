//! Who holds a socket group, and who loses it to whom.
//!
//! One object after the other, by rank, is looked at. The first whose listeners agree on how to use the socket settles
//! that: one listener for all of it, or several that are told apart by host name. Later listeners that want another use
//! lose, and so do those whose host name an earlier object has. Where the listeners of one object disagree and no
//! earlier object has settled it, all of them lose: there is no telling which one its author meant.
//!
//! Claims are compared, not outcomes: a listener that loses one of its addresses still blocks the others, so a verdict
//! on one socket never hangs on a chain of verdicts on others.

use super::{Claim, Index, Rank, Takes};
use crate::node::SocketKey;
use crate::object::ObjectKey;
use crate::state::host::HostKey;

/// What a socket group is used for, and who has settled that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) rank: Rank,
    /// One listener of the object that has settled it.
    pub(crate) listener: String,
    /// Whether it is shared by host name.
    pub(crate) by_name: bool,
}

/// Why a claim is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// Other listeners of the same object want the socket, and cannot be told apart from this one.
    Siblings(Vec<String>),
    /// The socket is used otherwise, or as a whole.
    Protocol(Holder),
    /// An earlier object has the host name.
    Hostname { owner: ObjectKey, listener: String },
}

impl Conflict {
    /// The Gateway API's reason for it.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Conflict::Siblings(_) | Conflict::Protocol(_) => "ProtocolConflict",
            Conflict::Hostname { .. } => "HostnameConflict",
        }
    }
}

impl Index {
    /// Who has settled what a socket group is used for; `None` if no one holds it.
    pub(crate) fn holder(&self, socket: &SocketKey) -> Option<Holder> {
        let mut claims = self.claims.of(socket).peekable();
        while let Some(first) = claims.next() {
            let by_name = first.takes != Takes::Port;
            let mut agree = true;
            while let Some(sibling) = claims.next_if(|other| other.rank == first.rank) {
                agree &= by_name && sibling.takes != Takes::Port;
            }
            if agree {
                return Some(Holder {
                    rank: first.rank.clone(),
                    listener: first.listener.clone(),
                    by_name,
                });
            }
        }
        None
    }

    /// Why `claim` does not hold `socket`, which `holder` has settled the use of; `None` if it does.
    pub(crate) fn conflict(&self, socket: &SocketKey, claim: &Claim, holder: Option<&Holder>) -> Option<Conflict> {
        let Some(holder) = holder.filter(|holder| holder.rank <= claim.rank) else {
            return Some(Conflict::Siblings(self.siblings(socket, claim)));
        };
        match &claim.takes {
            Takes::Port if !holder.by_name && holder.rank == claim.rank => None,
            Takes::Name(name) if holder.by_name => self.name_conflict(socket, name, claim, holder),
            Takes::Port | Takes::Name(_) => Some(Conflict::Protocol(holder.clone())),
        }
    }

    fn name_conflict(&self, socket: &SocketKey, name: &HostKey, claim: &Claim, holder: &Holder) -> Option<Conflict> {
        let key = (*socket, name.clone());
        let mut rivals = self
            .names
            .of(&key)
            .filter(|other| other.rank >= holder.rank && *other != claim);
        let rival = rivals.find(|other| other.rank <= claim.rank)?;
        Some(Conflict::Hostname {
            owner: rival.rank.owner.clone(),
            listener: rival.listener.clone(),
        })
    }

    /// Other listeners of the same object that want the socket.
    fn siblings(&self, socket: &SocketKey, claim: &Claim) -> Vec<String> {
        let claims = self.claims.of(socket);
        let own = claims.filter(|other| other.rank == claim.rank && other.listener != claim.listener);
        own.map(|other| other.listener.clone()).collect()
    }

    /// Other claims on the socket whose host names overlap that of `claim`, the same name left out: that is a conflict.
    pub(crate) fn overlapping<'a>(&'a self, socket: &SocketKey, name: &HostKey) -> Vec<&'a Claim> {
        let mut found = Vec::new();
        for wider in name.wider() {
            found.extend(self.names.iter_of(&(*socket, wider)));
        }
        if let Some(prefix) = name.prefix() {
            let start = (*socket, HostKey::starting_with(prefix));
            let below = self
                .names
                .from(start)
                .take_while(|((other, key), _)| other == socket && key.has_prefix(prefix))
                .filter(|((_, key), _)| key != name);
            found.extend(below.map(|(_, claim)| claim));
        }
        found
    }

    /// Every claim on the socket whose host name overlaps `name`, the same name included.
    pub(crate) fn concerned<'a>(&'a self, socket: &SocketKey, name: &HostKey) -> Vec<&'a Claim> {
        let mut found = self.overlapping(socket, name);
        found.extend(self.names.iter_of(&(*socket, name.clone())));
        found
    }
}
