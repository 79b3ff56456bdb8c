//! The sockets that clients send datagrams to, and where what comes in goes.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use guideway_maglev::Seed;
use guideway_model::node::SocketKey;
use guideway_model::plan::{Entry, OpaqueListener};

use crate::core::flow::Terms;
use crate::lane::Lane;
use crate::metrics::datagrams::DatagramTally;
use crate::shared::Shared;
use crate::udp::census::{Census, Limits};

/// A socket that clients send datagrams to, and that replies leave from.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: SocketKey,
    /// Where it is bound.
    pub(super) address: SocketAddr,
    pub(super) socket: OwnedFd,
    pub(super) lane: Rc<FlowLane>,
}

impl Door {
    /// Whether it has every address of its family, so that each reply must say from which it leaves.
    pub(super) fn is_wildcard(&self) -> bool {
        self.address.ip().is_unspecified()
    }
}

/// A UDP listener under one plan.
#[derive(Debug)]
pub(super) struct FlowLane {
    pub(super) lane: Rc<Lane>,
    pub(super) datagrams: Rc<DatagramTally>,
    pub(super) census: Arc<Census>,
    pub(super) limits: Limits,
}

impl FlowLane {
    /// The lane of `listener`; the one before is taken over as far as nothing has changed.
    pub(super) fn of(
        shared: &Shared,
        socket: SocketKey,
        listener: &OpaqueListener,
        seed: Seed,
        previous: Option<&Rc<FlowLane>>,
    ) -> Rc<FlowLane> {
        let limits = Limits {
            flows: listener.settings.max_flows.unwrap_or(shared.config.udp_max_flows),
            per_client: listener
                .settings
                .max_flows_per_client
                .unwrap_or(shared.config.udp_max_flows_per_client),
        };
        let lane = Lane::of(
            socket,
            listener,
            seed,
            &shared.timeouts,
            previous.map(|previous| &previous.lane),
        );
        if let Some(previous) = previous
            && Rc::ptr_eq(&previous.lane, &lane)
            && previous.limits == limits
        {
            return Rc::clone(previous);
        }
        let same_names = previous.filter(|previous| Rc::ptr_eq(&previous.lane.tally, &lane.tally));
        Rc::new(FlowLane {
            datagrams: match same_names {
                Some(previous) => Rc::clone(&previous.datagrams),
                None => Rc::new(DatagramTally::new(Arc::clone(&lane.tally.names))),
            },
            census: match previous {
                Some(previous) => Arc::clone(&previous.census),
                None => shared.udp.registry.census(socket),
            },
            lane,
            limits,
        })
    }

    /// Whether flows of `older` are flows of this lane: the same listener has the same route.
    pub(super) fn succeeds(&self, older: &FlowLane) -> bool {
        let id = |lane: &FlowLane| lane.lane.pool().map(|pool| pool.id.clone());
        self.lane.tally.names == older.lane.tally.names && id(self).is_some() && id(self) == id(older)
    }

    /// The entry of an endpoint that flows may stay with; `None` if the pool has it no more.
    pub(super) fn serving(&self, address: SocketAddr) -> Option<u16> {
        let pool = self.lane.pool()?;
        pool.entry(address).filter(|entry| pool.serves(*entry))
    }

    /// How flows to an entry end.
    pub(super) fn terms(&self, entry: u16, shared: &Shared) -> Terms {
        let idle = shared.config.udp_idle_timeout;
        match self.lane.pool().and_then(|pool| pool.entries.get(usize::from(entry))) {
            Some(Entry::Endpoint { upstream, .. }) => Terms::new(&upstream.settings.udp, idle),
            Some(Entry::Reject { .. }) | None => Terms {
                idle,
                replies: 0,
                one_way: false,
            },
        }
    }
}
