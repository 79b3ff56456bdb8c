//! From which addresses this node reaches the endpoints of its plan: what firewalls in front of them must let in.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use guideway_model::Plan;
use guideway_model::plan::Entry;

/// Endpoints' addresses for which the kernel is asked at most, the lowest ones; those of one network mostly have the same
/// answer.
const ASKED: usize = 256;

/// The addresses that connections to endpoints come from, in order: those that are configured, or those that the kernel
/// chooses for the endpoints at this moment.
pub(crate) fn source_addresses(configured: &[IpAddr], plan: Option<&Plan>) -> Vec<IpAddr> {
    let sources: BTreeSet<IpAddr> = if configured.is_empty() {
        let endpoints = plan.map(endpoints).unwrap_or_default();
        endpoints.into_iter().take(ASKED).filter_map(chosen_for).collect()
    } else {
        configured.iter().map(IpAddr::to_canonical).collect()
    };
    sources.into_iter().collect()
}

fn endpoints(plan: &Plan) -> BTreeSet<IpAddr> {
    let routes = plan.listeners.iter().flat_map(|listener| listener.service.routes());
    let entries = routes.flat_map(|route| &route.pool.entries);
    let addresses = entries.filter_map(|entry| match entry {
        Entry::Endpoint { address, .. } => Some(address.ip().to_canonical()),
        Entry::Reject { .. } => None,
    });
    addresses.collect()
}

/// Connecting a socket for datagrams sends nothing, and names the source that the routes give; `None` without a route.
fn chosen_for(endpoint: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match endpoint {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Any port but 0, with which connect(2) undoes itself.
    socket.connect(SocketAddr::new(endpoint, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_goes_before_what_the_kernel_would_choose() {
        let configured = ["10.0.0.2", "::ffff:10.0.0.1", "10.0.0.1"].map(|text| text.parse().expect("an address"));
        let sources = source_addresses(&configured, None);
        assert_eq!(
            sources,
            ["10.0.0.1", "10.0.0.2"].map(|text| text.parse::<IpAddr>().expect("an address"))
        );
        assert_eq!(source_addresses(&[], None), [] as [IpAddr; 0]);
    }

    #[test]
    fn loopback_is_reached_from_loopback() {
        assert_eq!(chosen_for([127, 1, 2, 3].into()), Some([127, 0, 0, 1].into()));
    }
}
