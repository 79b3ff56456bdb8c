//! Drains: which endpoints and nodes they empty, whether one may be created, and what is reported of them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::State;
use super::batch::Batch;
use super::index::{Drainer, Name};
use crate::kind::Kind;
use crate::meta::{Timestamp, Uid, UnixMillis};
use crate::node::NodeId;
use crate::object::{Object, ObjectKey};
use crate::outcome::{Cause, CauseReason, Refusal};
use crate::plan::undrained;
use crate::resource::{AtDeadline, Backend, Drain, DrainPhase, DrainRemaining, DrainUdp, Drained};
use crate::status::drain::phase;

impl State {
    /// Every Drain, by name.
    pub fn drains(&self) -> impl Iterator<Item = &Arc<Drain>> {
        let all = self.list(Kind::Drain, None, None);
        all.filter_map(|object| match object {
            Object::Drain(drain) => Some(drain),
            _ => None,
        })
    }

    /// The Drain that empties an endpoint; of several, the oldest.
    pub fn is_draining(&self, endpoint: SocketAddr) -> Option<&Arc<Drain>> {
        self.drain(&self.drainer(endpoint)?.drain.key)
    }

    /// Every endpoint that is being emptied, with the Drain that says so; of several, the oldest.
    pub fn drained_endpoints(&self) -> BTreeMap<SocketAddr, Arc<Drain>> {
        let mut drained = BTreeMap::new();
        for (address, drainer) in self.index.drained.iter() {
            if let Some(drain) = self.drain(&drainer.drain.key) {
                drained.entry(*address).or_insert_with(|| Arc::clone(drain));
            }
        }
        drained
    }

    /// Members that are being emptied, each with the Drain that says so; of several, the oldest.
    pub fn draining_nodes(&self) -> impl Iterator<Item = (NodeId, &Arc<Drain>)> {
        self.nodes().filter_map(|(id, record)| {
            let drain = self.index.drains_of_node.first(&record.facts.name)?;
            Some((id, self.drain(&drain.key)?))
        })
    }

    /// The addresses that one Drain empties; none for one of a node.
    pub fn endpoints_of_drain(&self, name: &str) -> BTreeSet<SocketAddr> {
        let drained = self.index.drained_by.get(&drain_key(name));
        drained.map(|(_, addresses)| (**addresses).clone()).unwrap_or_default()
    }

    /// What empties an endpoint, as the index has it.
    pub(crate) fn drainer(&self, endpoint: SocketAddr) -> Option<&Drainer> {
        self.index.drained.first(&endpoint)
    }

    /// Whether some Backend or EndpointSlice has this endpoint.
    pub(crate) fn is_endpoint(&self, address: SocketAddr) -> bool {
        !self.holders_of_endpoint(address).is_empty()
    }

    /// Routes whose backendRefs name something that has this endpoint. Costs what names its IP address.
    pub(crate) fn routes_of_endpoint(&self, address: SocketAddr) -> BTreeSet<ObjectKey> {
        let holders = self.holders_of_endpoint(address).into_iter();
        let routes = holders.flat_map(|holder| self.index.routes_of_backend.iter_of(&holder));
        routes.cloned().collect()
    }

    /// Routes that may have an endpoint which a Drain empties.
    pub(crate) fn routes_of_drain(&self, drain: &Drain) -> BTreeSet<ObjectKey> {
        let addresses = self.addresses_of(drain).into_iter();
        addresses.flat_map(|address| self.routes_of_endpoint(address)).collect()
    }

    /// Endpoints of a Backend, each with its weight: those given by address, and those that its DNS names stand for.
    pub(crate) fn endpoints_of_backend(&self, backend: &Backend) -> Vec<(SocketAddr, u32)> {
        let mut found = Vec::new();
        for endpoint in &backend.spec.endpoints {
            let hostname = endpoint.hostname.as_ref().map(|name| name.to_ascii_lowercase());
            let resolved = hostname.and_then(|name| self.resolved(&name));
            let resolved = resolved.into_iter().flat_map(|addresses| addresses.iter().copied());
            let addresses = endpoint.ip.into_iter().chain(resolved);
            found.extend(addresses.map(|ip| (SocketAddr::new(ip.to_canonical(), endpoint.port), endpoint.weight)));
        }
        found
    }

    /// Drains whose deadline has passed.
    pub(super) fn passed_drains(&self) -> Vec<ObjectKey> {
        let deadlines = self.index.deadlines.iter();
        let passed = deadlines.take_while(|(deadline, _)| **deadline <= self.time);
        passed.map(|(_, drain)| drain.clone()).collect()
    }

    /// The next deadline of a Drain.
    pub(super) fn next_deadline(&self) -> Option<UnixMillis> {
        let mut deadlines = self.index.deadlines.iter().map(|(deadline, _)| *deadline);
        deadlines.find(|deadline| *deadline > self.time)
    }

    /// Notes again which endpoints these Drains empty.
    pub(super) fn redrain(&mut self, drains: BTreeSet<ObjectKey>) {
        for key in drains {
            let drained = self.drain(&key).map(|drain| {
                // A flow that is closed at the deadline must not follow its pin back with its next datagram.
                let closes = phase(drain, self.time) == DrainPhase::Closing;
                let drainer = Drainer {
                    drain: super::index::Seniority::of(Kind::Drain, &drain.metadata),
                    rechooses_flows: closes || drain.spec.udp == DrainUdp::Rechoose,
                };
                (drainer, self.addresses_of(drain))
            });
            self.index.set_drained(&key, drained);
        }
    }

    /// Whether a Drain that is new, or no longer forced, leaves everyone an endpoint and the cluster a node.
    pub(super) fn admit_drain(&self, object: &Object, stored: Option<&Object>) -> Result<(), Refusal> {
        let Object::Drain(drain) = object else { return Ok(()) };
        let was_forced = match stored {
            Some(Object::Drain(stored)) => stored.spec.force,
            _ => true,
        };
        if drain.spec.force || !was_forced {
            return Ok(());
        }
        let causes = match drain.spec.target.drained() {
            Some(Drained::Node(name)) => self.last_node(name).into_iter().collect(),
            _ => self.last_endpoints(drain),
        };
        if causes.is_empty() {
            Ok(())
        } else {
            let key = object.key();
            Err(Refusal::Invalid { key, causes })
        }
    }

    /// Takes up what the leader reports of a Drain.
    pub(super) fn report_drain(
        &mut self,
        batch: &mut Batch,
        name: &str,
        uid: &Uid,
        remaining: &BTreeMap<NodeId, u64>,
    ) -> Result<(), Refusal> {
        let key = drain_key(name);
        self.expect(&key, None, Some(uid))?;
        let Some(stored) = self.drain(&key) else {
            return Err(Refusal::NotFound(key));
        };
        let known = remaining.iter().filter_map(|(node, sessions)| {
            let record = self.node(*node)?;
            Some(DrainRemaining {
                node: record.facts.name.clone(),
                sessions: *sessions,
            })
        });
        let known: Vec<DrainRemaining> = known.collect();
        if stored.status.reported_at.is_some() && stored.status.remaining == known {
            return Ok(());
        }
        let mut drain = Arc::clone(stored);
        let now = Timestamp::from(self.time);
        let before = drain.remaining().zip(drain.status.reported_at);
        let status = &mut Arc::make_mut(&mut drain).status;
        status.remaining = known;
        status.reported_at = Some(now);
        let end = self.estimate(&drain, before);
        Arc::make_mut(&mut drain).status.estimated_end = end;
        self.put(batch, Object::Drain(drain));
        Ok(())
    }

    /// When no session will be left of a Drain that had `before` sessions at a time.
    fn estimate(&self, drain: &Drain, before: Option<(u64, Timestamp)>) -> Option<Timestamp> {
        let left = drain.remaining()?;
        let now = Timestamp::from(self.time);
        let after = |start: Timestamp, seconds: u64| Timestamp {
            unix_seconds: start
                .unix_seconds
                .saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX))
                .min(LATEST),
        };
        let closing = left.div_ceil(u64::from(drain.spec.pace.sessions_per_second.max(1)));
        match phase(drain, self.time) {
            DrainPhase::Drained | DrainPhase::Kept => None,
            DrainPhase::Closing => Some(after(now, closing)),
            DrainPhase::Draining => {
                let falling = before.and_then(|(sessions, then)| {
                    let fallen = sessions.checked_sub(left).filter(|fallen| *fallen > 0)?;
                    let took = u64::try_from(now.unix_seconds.saturating_sub(then.unix_seconds)).ok()?;
                    // A report in the same second is one of the second.
                    Some(after(now, left.saturating_mul(took.max(1)).div_ceil(fallen)))
                });
                let closed = drain.deadline().filter(|_| drain.spec.at_deadline == AtDeadline::Close);
                let closed = closed.map(|deadline| after(Timestamp::from(deadline), closing));
                falling.into_iter().chain(closed).min()
            }
        }
    }

    /// Why a node may not be drained: no live one would be left that is not.
    fn last_node(&self, name: &str) -> Option<Cause> {
        let takes = |record: &crate::node::NodeRecord| {
            record.live && self.index.drains_of_node.first(&record.facts.name).is_none()
        };
        let is_live = self.nodes().any(|(_, record)| record.facts.name == name && record.live);
        let others = self
            .nodes()
            .any(|(_, record)| record.facts.name != name && takes(record));
        (is_live && !others).then(|| {
            cause(format!(
                "node {name:?} is the last live one that takes sessions: start another node first, or set spec.force"
            ))
        })
    }

    /// Why endpoints may not be drained: for each backendRef that none would be left to.
    fn last_endpoints(&self, drain: &Drain) -> Vec<Cause> {
        let own = Name::of(&drain.metadata).key(Kind::Drain);
        let addresses = self.addresses_of(drain);
        let drained_by_others = |address: &SocketAddr| {
            let mut drainers = self.index.drained.of(address);
            drainers.any(|drainer| drainer.drain.key != own)
        };
        let mut causes = Vec::new();
        for key in self.routes_of_drain(drain) {
            let Some(route) = self.route(&key) else { continue };
            for (origin, ready) in undrained(self, &route) {
                let mut left = ready.iter().filter(|address| !drained_by_others(address)).peekable();
                if left.peek().is_some() && left.all(|address| addresses.contains(address)) {
                    causes.push(cause(format!(
                        "{key} would be left without a ready endpoint in {origin}, and its sessions be refused: add an \
                         endpoint first, or set spec.force"
                    )));
                    if causes.len() == CAUSES {
                        return causes;
                    }
                }
            }
        }
        causes
    }

    fn drain(&self, key: &ObjectKey) -> Option<&Arc<Drain>> {
        match self.objects.get(key) {
            Some(Object::Drain(drain)) => Some(drain),
            _ => None,
        }
    }

    /// The addresses that a Drain empties.
    fn addresses_of(&self, drain: &Drain) -> BTreeSet<SocketAddr> {
        match drain.spec.target.drained() {
            Some(Drained::Endpoint(address)) => BTreeSet::from([address]),
            Some(Drained::Backend { namespace, name }) => {
                match self.objects.get(&Name::new(namespace, name).key(Kind::Backend)) {
                    Some(Object::Backend(backend)) => {
                        let endpoints = self.endpoints_of_backend(backend).into_iter();
                        endpoints.map(|(address, _)| address).collect()
                    }
                    _ => BTreeSet::new(),
                }
            }
            Some(Drained::Node(_)) | None => BTreeSet::new(),
        }
    }

    /// Services and Backends that have an endpoint. Costs what names its IP address.
    fn holders_of_endpoint(&self, address: SocketAddr) -> BTreeSet<ObjectKey> {
        let (ip, port) = (address.ip(), address.port());
        let mut holders = BTreeSet::new();
        for key in self.index.holders_of_ip.of(&ip) {
            match self.objects.get(key) {
                Some(Object::EndpointSlice(slice)) if slice.ports.iter().any(|found| found.port == Some(port)) => {
                    let service = slice.service_name();
                    let service = service.map(|service| Name::new(&key.namespace, service).key(Kind::Service));
                    // A slice of no Service has endpoints too, though nothing leads there.
                    holders.insert(service.unwrap_or_else(|| key.clone()));
                }
                Some(Object::Backend(backend)) => {
                    let mut endpoints = backend.spec.endpoints.iter();
                    if endpoints
                        .any(|found| found.port == port && found.ip.is_some_and(|found| found.to_canonical() == ip))
                    {
                        holders.insert(key.clone());
                    }
                }
                _ => {}
            }
        }
        for hostname in self.index.names_of_ip.of(&ip) {
            for name in self.index.backends_of_hostname.of(hostname) {
                let key = name.key(Kind::Backend);
                if let Some(Object::Backend(backend)) = self.objects.get(&key)
                    && backend.spec.endpoints.iter().any(|found| {
                        let own = found.hostname.as_ref();
                        found.port == port && own.is_some_and(|own| own.eq_ignore_ascii_case(hostname))
                    })
                {
                    holders.insert(key);
                }
            }
        }
        holders
    }
}

/// Causes of one refusal at most.
const CAUSES: usize = 8;

/// The latest end that is told, in seconds since the epoch: the year 9999 is what RFC 3339 can write.
const LATEST: i64 = 253_402_300_799;

fn cause(message: String) -> Cause {
    Cause {
        field: "spec.target".to_owned(),
        reason: CauseReason::FieldValueForbidden,
        message,
    }
}

fn drain_key(name: &str) -> ObjectKey {
    Name::new("", name).key(Kind::Drain)
}
