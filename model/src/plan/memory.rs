//! What one compilation leaves to the next.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use guideway_maglev::{TableSize, Weighted};
use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use super::Pool;
use crate::kind::Kind;
use crate::node::SocketKey;
use crate::object::{Object, ObjectKey};
use crate::state::State;
use crate::state::edges::Edges;
use crate::state::index::{AttachPoint, Claim, Name, Seniority};

/// The parts of the state that a plan was compiled from, and the pools that were made. Everything is shared with the
/// state; what it costs are the versions of objects that the state itself has dropped since.
#[derive(Clone)]
pub(super) struct Memory {
    pub(super) size: TableSize,
    /// By route.
    pub(super) made: OrdMap<Name, Made>,
    objects: OrdMap<ObjectKey, Object>,
    resolved: OrdMap<String, Arc<[IpAddr]>>,
    claims: Edges<SocketKey, Claim>,
    attached: Edges<AttachPoint, Seniority>,
}

/// A pool, and what its table was built from.
#[derive(Clone)]
pub(super) struct Made {
    pub(super) pool: Arc<Pool>,
    pub(super) weighted: Arc<[Weighted]>,
}

impl Memory {
    /// Remembers `state`, with no pool yet.
    pub(super) fn of(state: &State, size: TableSize) -> Memory {
        Memory {
            size,
            made: OrdMap::new(),
            objects: state.objects().clone(),
            resolved: state.all_resolved().clone(),
            claims: state.index().claims.clone(),
            attached: state.index().attached.clone(),
        }
    }

    /// Whether the same listeners are served by the same routes in `state`. May say no although they are.
    pub(super) fn has_shape_of(&self, state: &State) -> bool {
        self.claims.is_same(&state.index().claims) && self.attached.is_same(&state.index().attached)
    }

    /// The routes whose pool may be another one in `state`. Costs what differs, for a state that has grown out of the
    /// remembered one; any other state gives the right answer too.
    pub(super) fn routes_touched(&self, state: &State) -> BTreeSet<Name> {
        let mut touched = BTreeSet::new();
        let mut by_backend =
            |kind, name: Name| touched.extend(state.index().routes_of_backend.of(&(kind, name)).cloned());
        let mut routes = Vec::new();
        for difference in self.objects.diff(state.objects()) {
            let (old, new) = match difference {
                DiffItem::Add(_, new) => (None, Some(new)),
                DiffItem::Remove(_, old) => (Some(old), None),
                DiffItem::Update { old, new } => (Some(old.1), Some(new.1)),
            };
            for object in old.into_iter().chain(new) {
                let name = Name::of(object.meta());
                match object {
                    Object::TcpRoute(_) => routes.push(name),
                    Object::Service(_) => by_backend(Kind::Service, name),
                    Object::Backend(_) => by_backend(Kind::Backend, name),
                    Object::EndpointSlice(slice) => {
                        if let Some(service) = slice.service_name() {
                            by_backend(Kind::Service, Name::new(&name.namespace, service));
                        }
                    }
                    Object::Namespace(_) | Object::GatewayClass(_) | Object::Gateway(_) => {}
                }
            }
        }
        for difference in self.resolved.diff(state.all_resolved()) {
            let (DiffItem::Add(hostname, _)
            | DiffItem::Remove(hostname, _)
            | DiffItem::Update { new: (hostname, _), .. }) = difference;
            for backend in state.index().backends_of_hostname.of(hostname) {
                by_backend(Kind::Backend, backend.clone());
            }
        }
        touched.extend(routes);
        touched
    }
}
