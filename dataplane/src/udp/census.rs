//! How many flows a listener has, and each of its clients, over all threads of this node.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use guideway_model::node::SocketKey;

/// Parts with a lock each.
const SHARDS: usize = 16;

/// The flows of one listener. When a limit is reached new flows are refused; those that live stay.
#[derive(Debug)]
pub(crate) struct Census {
    flows: AtomicU64,
    clients: [Mutex<BTreeMap<IpAddr, u32>>; SHARDS],
}

/// Flows at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Of the listener.
    pub(crate) flows: u32,
    /// Of one client address.
    pub(crate) per_client: u32,
}

impl Census {
    fn new() -> Census {
        Census {
            flows: AtomicU64::new(0),
            clients: Default::default(),
        }
    }

    /// Counts a new flow in, unless it would be one too many.
    pub(crate) fn admit(&self, client: IpAddr, limits: Limits) -> bool {
        if self.flows.fetch_add(1, Ordering::AcqRel) >= u64::from(limits.flows) {
            self.flows.fetch_sub(1, Ordering::AcqRel);
            return false;
        }
        let mut clients = self.shard(client);
        let count = clients.entry(client).or_insert(0);
        if *count < limits.per_client {
            *count += 1;
            return true;
        }
        if *count == 0 {
            clients.remove(&client);
        }
        drop(clients);
        self.flows.fetch_sub(1, Ordering::AcqRel);
        false
    }

    /// Counts a flow out.
    pub(crate) fn leave(&self, client: IpAddr) {
        self.flows.fetch_sub(1, Ordering::AcqRel);
        let mut clients = self.shard(client);
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }

    fn shard(&self, client: IpAddr) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
        let octets: u32 = match client {
            IpAddr::V4(address) => address.to_bits(),
            IpAddr::V6(address) => address.octets().chunks_exact(4).fold(0, |sum, part| {
                u32::from_be_bytes([part[0], part[1], part[2], part[3]]).wrapping_add(sum)
            }),
        };
        // Clients of one network differ in their last bits.
        let place = octets.wrapping_mul(0x9e37_79b1) >> 28;
        self.clients[place as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The census of each listener; kept while a thread or a flow has it.
#[derive(Debug, Default)]
pub(crate) struct Registry(Mutex<BTreeMap<SocketKey, Weak<Census>>>);

impl Registry {
    /// The census of a listener, the same for all threads.
    pub(crate) fn census(&self, listener: SocketKey) -> Arc<Census> {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(census) = registry.get(&listener).and_then(Weak::upgrade) {
            return census;
        }
        registry.retain(|_, census| census.strong_count() > 0);
        let census = Arc::new(Census::new());
        registry.insert(listener, Arc::downgrade(&census));
        census
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use guideway_model::node::{BindAddress, Protocol};

    use super::*;

    fn client(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn a_client_and_a_listener_have_no_more_than_they_may() {
        let census = Census::new();
        let limits = Limits {
            flows: 5,
            per_client: 3,
        };
        let admitted = |last| (0..10).filter(|_| census.admit(client(last), limits)).count();
        assert_eq!([admitted(1), admitted(2), admitted(3)], [3, 2, 0]);
        census.leave(client(1));
        assert_eq!([admitted(1), admitted(2)], [1, 0]);
        for (last, count) in [(1, 3), (2, 2)] {
            for _ in 0..count {
                census.leave(client(last));
            }
        }
        assert_eq!(census.flows.load(Ordering::Acquire), 0);
        assert!(
            census
                .clients
                .iter()
                .all(|shard| shard.lock().expect("shard").is_empty())
        );
        let none = Limits {
            flows: 5,
            per_client: 0,
        };
        assert!(!census.admit(client(1), none));
        assert!(census.shard(client(1)).is_empty());
    }

    #[test]
    fn threads_share_a_census_and_none_outlives_them() {
        let registry = Registry::default();
        let listener = |port| SocketKey {
            protocol: Protocol::Udp,
            address: BindAddress::NodeDefault,
            port,
        };
        let (one, other) = (registry.census(listener(1)), registry.census(listener(1)));
        assert!(Arc::ptr_eq(&one, &other));
        let limits = Limits {
            flows: 1,
            per_client: 1,
        };
        assert!(one.admit(client(1), limits) && !other.admit(client(2), limits));
        drop((one, other));
        registry.census(listener(2));
        assert_eq!(registry.0.lock().expect("registry").len(), 1);
    }
}
