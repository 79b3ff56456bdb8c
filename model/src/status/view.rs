//! Everything that decides the conditions of one listener.
//!
//! A listener's `Accepted` is about the configuration alone. What a node reports about its sockets shows in
//! `Programmed`, never in `Accepted`: a port that is busy on one node must not take the listener from the others.

use std::collections::BTreeSet;

use super::binds::{Binds, Verdict};
use super::certificates::certificates;
use super::condition::{
    ACCEPTED, CONFLICTED, Derived, Moment, OVERLAPPING_TLS_CONFIG, PROGRAMMED, RESOLVED_REFS, enumerate, merge,
};
use super::listener::{SERVED, Shape, rivals, shape};
use super::overlap::overlapping;
use super::owner::Owner;
use crate::node::{BindAddress, SocketKey};
use crate::resource::ListenerStatus;
use crate::state::State;
use crate::state::index::{Claim, Conflict, Name};

/// Types that are ours in a listener.
pub(crate) const OWN: [&str; 5] = [ACCEPTED, PROGRAMMED, RESOLVED_REFS, CONFLICTED, OVERLAPPING_TLS_CONFIG];

/// What follows from the configuration.
pub(crate) struct Judged<'a> {
    pub(crate) shape: Shape<'a>,
    pub(crate) accepted: Derived,
    pub(crate) resolved: Derived,
    conflicted: Derived,
    /// Whether it has a certificate, or needs none.
    certified: bool,
    claims: Vec<(SocketKey, Claim)>,
}

/// One listener with everything that decides its conditions.
pub(crate) struct View<'a> {
    pub(crate) judged: Judged<'a>,
    programmed: Derived,
    /// What the nodes say, if it is served.
    pub(crate) binds: Option<Verdict>,
}

impl<'a> Judged<'a> {
    /// Each listener of `owner`, with what the configuration makes of it.
    pub(crate) fn all(state: &'a State, owner: &Owner<'a>) -> Vec<Judged<'a>> {
        let claims = state.index().claims_of(&owner.key);
        let (placed, beyond) = owner.listeners.split_at(owner.placed(state).len());
        let placed = placed.iter().map(|listener| {
            let shape = shape(listener);
            let own = claims.iter().filter(|(_, claim)| claim.listener == listener.name);
            let own: Vec<(SocketKey, Claim)> = own.cloned().collect();
            let conflict = conflict(state, owner, &shape, &own);
            let accepted = accepted(&shape, conflict.as_ref());
            Judged::of(state, owner, shape, accepted, conflict, own)
        });
        let beyond = beyond.iter().map(|listener| {
            let accepted = Derived::fails(ACCEPTED, "TooManyListeners", too_many(owner));
            Judged::of(state, owner, shape(listener), accepted, None, Vec::new())
        });
        placed.chain(beyond).collect()
    }

    fn of(
        state: &'a State,
        owner: &Owner<'a>,
        shape: Shape<'a>,
        accepted: Derived,
        conflict: Option<(&'static str, String)>,
        claims: Vec<(SocketKey, Claim)>,
    ) -> Judged<'a> {
        let (resolved, certified) = resolved(state, owner, &shape);
        Judged {
            conflicted: match conflict {
                Some((reason, message)) => Derived::holds(CONFLICTED, reason, message),
                None => Derived::fails(CONFLICTED, "NoConflicts", "no other listener stands in its way"),
            },
            shape,
            accepted,
            resolved,
            certified,
            claims,
        }
    }

    /// Whether it can be served, as far as the configuration goes.
    pub(crate) fn is_valid(&self) -> bool {
        self.accepted.is_true() && self.certified
    }

    /// Name and what is wrong with it, for one that is not valid.
    pub(crate) fn complaint(&self) -> String {
        let reason = if self.accepted.is_true() {
            self.resolved.reason
        } else {
            self.accepted.reason
        };
        format!("{:?} ({reason})", self.shape.listener.name)
    }

    /// What it claims, whether it holds it or not.
    pub(crate) fn claims(&self) -> &[(SocketKey, Claim)] {
        &self.claims
    }

    /// The sockets that it has, if it holds all that it claims.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketKey> {
        let held = self.accepted.is_true().then_some(&self.claims);
        held.into_iter().flatten().map(|(socket, _)| *socket)
    }
}

impl<'a> View<'a> {
    /// Each listener of `owner`. `rejected` says that the owner as a whole is.
    pub(crate) fn all(state: &'a State, owner: &Owner<'a>, rejected: bool) -> Vec<View<'a>> {
        let judged = Judged::all(state, owner);
        judged
            .into_iter()
            .map(|judged| View::of(state, judged, rejected))
            .collect()
    }

    fn of(state: &State, judged: Judged<'a>, rejected: bool) -> View<'a> {
        let sockets: BTreeSet<SocketKey> = judged.sockets().collect();
        let served = judged.is_valid() && !rejected && !sockets.is_empty();
        let binds = served.then(|| Binds::of(state, &sockets).verdict());
        View {
            programmed: programmed(&judged, rejected, binds.as_ref()),
            judged,
            binds,
        }
    }

    /// Its entry in the status.
    pub(crate) fn status(self, state: &State, owner: &Owner<'_>, moment: Moment) -> ListenerStatus {
        let name = &self.judged.shape.listener.name;
        let previous = owner.status_of(name);
        let overlapping = overlapping(state, owner, &self.judged);
        let judged = self.judged;
        let conflicted = judged.conflicted.is_true();
        let mut conditions = vec![judged.accepted, self.programmed, judged.resolved, judged.conflicted];
        conditions.extend(overlapping);
        ListenerStatus {
            name: name.clone(),
            attached_routes: state.index().attached_count(&owner.point(name)),
            supported_kinds: if conflicted { Vec::new() } else { judged.shape.kinds },
            conditions: merge(
                previous.map_or(&[], |previous| previous.conditions.as_slice()),
                &OWN,
                conditions,
                moment,
            ),
        }
    }
}

fn accepted(shape: &Shape<'_>, conflict: Option<&(&'static str, String)>) -> Derived {
    match conflict {
        Some((reason, message)) => Derived::fails(ACCEPTED, reason, message.clone()),
        None if shape.carries.is_none() => {
            let message = format!("protocol {} is not served; {SERVED}", shape.listener.protocol);
            Derived::fails(ACCEPTED, "UnsupportedProtocol", message)
        }
        None => Derived::holds(ACCEPTED, "Accepted", "the listener is valid"),
    }
}

/// Says nothing of how many there are: the answer must stay true while others come and go.
fn too_many(owner: &Owner<'_>) -> String {
    let (gateway, most) = (Name::of(&owner.gateway.metadata), State::MERGED_LISTENERS);
    format!(
        "Gateway {gateway} takes {most} listeners, its own first, then those of its ListenerSets by age, and this one comes \
         after them: remove listeners that are not needed, or attach this ListenerSet to another Gateway"
    )
}

fn conflict(
    state: &State,
    owner: &Owner<'_>,
    shape: &Shape<'_>,
    claims: &[(SocketKey, Claim)],
) -> Option<(&'static str, String)> {
    conflict_with_unserved(state, owner, shape).or_else(|| conflict_on_sockets(state, owner, shape, claims))
}

/// A listener of the same object that is not served and cannot share the port.
fn conflict_with_unserved(state: &State, owner: &Owner<'_>, shape: &Shape<'_>) -> Option<(&'static str, String)> {
    let rivals = rivals(owner.placed(state), shape.listener);
    let by_name = |protocol: &str| matches!(protocol, "TLS" | "HTTPS");
    let first = rivals.first()?;
    let reason = if by_name(&first.protocol) && by_name(&shape.listener.protocol) {
        "HostnameConflict"
    } else {
        "ProtocolConflict"
    };
    let names = rivals
        .iter()
        .map(|rival| format!("{:?} ({})", rival.name, rival.protocol));
    Some((reason, siblings_message(owner, shape, &names.collect::<Vec<_>>())))
}

fn siblings_message(owner: &Owner<'_>, shape: &Shape<'_>, rivals: &[String]) -> String {
    format!(
        "{} at port {} cannot be told apart from listener {} of the same {}; none of them is served",
        shape.listener.protocol,
        shape.listener.port,
        enumerate(rivals, ", "),
        owner.key.kind.info().name
    )
}

fn conflict_on_sockets(
    state: &State,
    owner: &Owner<'_>,
    shape: &Shape<'_>,
    claims: &[(SocketKey, Claim)],
) -> Option<(&'static str, String)> {
    let index = state.index();
    let conflicts: Vec<(SocketKey, Conflict)> = claims
        .iter()
        .filter_map(|(socket, claim)| {
            let holder = index.holder(socket);
            Some((*socket, index.conflict(socket, claim, holder.as_ref())?))
        })
        .collect();
    // Two protocols on one socket is the more basic fault.
    let reason = conflicts.iter().map(|(_, conflict)| conflict.reason()).max()?;
    let messages: Vec<String> = conflicts
        .iter()
        .map(|(socket, conflict)| conflict_message(owner, shape, socket, conflict))
        .collect();
    Some((reason, enumerate(&messages, "; ")))
}

fn conflict_message(owner: &Owner<'_>, shape: &Shape<'_>, socket: &SocketKey, conflict: &Conflict) -> String {
    let place = match socket.address {
        BindAddress::NodeDefault => "the nodes' data address".to_owned(),
        BindAddress::Exactly(address) => address.to_string(),
    };
    match conflict {
        Conflict::Siblings(names) => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            siblings_message(owner, shape, &names)
        }
        Conflict::Protocol(holder) => {
            let whole = if holder.by_name {
                "with other TLS listeners"
            } else {
                "as a whole"
            };
            format!(
                "port {} of {place} belongs {whole} to listener {:?} of {}, which goes before this one",
                socket.port, holder.listener, holder.rank.owner
            )
        }
        Conflict::Hostname { owner, listener } => format!(
            "host name {:?} at port {} of {place} belongs to listener {listener:?} of {owner}, which goes before this one",
            shape.listener.hostname.as_deref().unwrap_or_default(),
            socket.port
        ),
    }
}

fn programmed(judged: &Judged<'_>, rejected: bool, binds: Option<&Verdict>) -> Derived {
    if !judged.accepted.is_true() {
        let reason = match judged.accepted.reason {
            reason @ ("ProtocolConflict" | "HostnameConflict") => reason,
            _ => "Invalid",
        };
        return Derived::fails(PROGRAMMED, reason, judged.accepted.message.clone());
    }
    if rejected {
        return Derived::fails(PROGRAMMED, "Invalid", "the object that it belongs to is not accepted");
    }
    if !judged.certified {
        let message = format!(
            "without a certificate its connections are refused: {}",
            judged.resolved.message
        );
        return Derived::fails(PROGRAMMED, "Invalid", message);
    }
    match binds {
        Some(Verdict::Bound) => Derived::holds(PROGRAMMED, "Programmed", "every live node listens"),
        Some(Verdict::Failed(message)) => Derived::fails(PROGRAMMED, "Invalid", message.clone()),
        Some(Verdict::Pending(message)) => Derived::fails(PROGRAMMED, "Pending", message.clone()),
        None if judged.shape.kinds.is_empty() => Derived::fails(
            PROGRAMMED,
            "Invalid",
            "no route can attach, so there is nothing to listen for",
        ),
        None => Derived::fails(PROGRAMMED, "Invalid", "the Gateway has no address to listen on"),
    }
}

/// Whether everything it refers to is there, and whether it has a certificate or needs none. A listener with one of
/// several certificates is served with that one.
fn resolved(state: &State, owner: &Owner<'_>, shape: &Shape<'_>) -> (Derived, bool) {
    let mut messages = Vec::new();
    let mut reason = None;
    let mut certified = true;
    if shape.terminates() {
        let found = certificates(state, owner, shape.listener);
        certified = !found.valid.is_empty();
        reason = found
            .faults
            .iter()
            .map(|fault| fault.reason)
            .min()
            .map(|reason| reason.as_str());
        messages.extend(found.faults.into_iter().map(|fault| fault.message));
    }
    if !shape.wrong_kinds.is_empty() {
        let wrong = shape
            .wrong_kinds
            .iter()
            .map(|kind| format!("{} {:?}", kind.kind, kind.group));
        let wrong: Vec<String> = wrong.collect();
        reason = reason.or(Some("InvalidRouteKinds"));
        messages.push(format!(
            "protocol {} carries none of allowedRoutes.kinds {}",
            shape.listener.protocol,
            enumerate(&wrong, ", ")
        ));
    }
    let derived = match reason {
        Some(reason) => Derived::fails(RESOLVED_REFS, reason, enumerate(&messages, "; ")),
        None => Derived::holds(
            RESOLVED_REFS,
            "ResolvedRefs",
            "the listener refers to nothing that is missing",
        ),
    };
    (derived, certified)
}
