//! Socket groups: the `SO_REUSEPORT` sockets of one listener, one for each relay thread and address.
//!
//! A group is opened whole or not at all, and lives unchanged until its listener goes: adding or closing one socket
//! would steer most flows of the others elsewhere.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use guideway_model::node::{BindAddress, BindFailure, Protocol, SocketKey};
use rustix::io::Errno;

use crate::config::Config;
use crate::sockets::tuning::Tuning;
use crate::sockets::{self, Listen};
use crate::udp;
use crate::udp::ports::Ports;

/// An open group.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Where it listens.
    pub(crate) addresses: Vec<SocketAddr>,
    /// For each relay thread its sockets.
    pub(crate) sockets: Vec<Vec<OwnedFd>>,
}

/// Opens the group of `key`, whose clients inherit `tuning`. `held` are the addresses of the groups of its protocol that
/// this data plane has open, and `ports` those of its UDP flows.
pub(crate) fn open(
    key: SocketKey,
    config: &Config,
    tuning: Tuning,
    held: &BTreeSet<SocketAddr>,
    ports: &Ports,
) -> Result<Opened, BindFailure> {
    let mut opened = Opened {
        addresses: Vec::new(),
        sockets: (0..config.threads.get()).map(|_| Vec::new()).collect(),
    };
    for ip in addresses(key, config) {
        let address = SocketAddr::new(ip, key.port);
        let listen = Listen {
            address,
            freebind: matches!(key.address, BindAddress::Exactly(_)),
            backlog: config.backlog,
        };
        let kind = match key.protocol {
            Protocol::Tcp => Kind::Stream { tuning },
            Protocol::Udp => Kind::Datagram {
                beside_flows: ports.is_leased(key.port),
            },
        };
        match open_address(kind, listen, held, &mut opened.sockets) {
            Ok(()) => opened.addresses.push(address),
            // A machine without IPv6 has no `[::]` to listen on.
            Err(Errno::AFNOSUPPORT) if ip.is_unspecified() && ip.is_ipv6() => {}
            Err(errno) => return Err(failure(address, errno, held.contains(&address))),
        }
    }
    Ok(opened)
}

/// Which kind of socket to open.
#[derive(Clone, Copy)]
enum Kind {
    Stream {
        /// Set before the first client can come.
        tuning: Tuning,
    },
    Datagram {
        /// Flows of this process have the port, toward endpoints of theirs: they may keep it.
        beside_flows: bool,
    },
}

fn open_address(
    kind: Kind,
    listen: Listen,
    held: &BTreeSet<SocketAddr>,
    threads: &mut [Vec<OwnedFd>],
) -> Result<(), Errno> {
    if held.contains(&listen.address) {
        return Err(Errno::ADDRINUSE);
    }
    // Another process with the same user could share the port unnoticed, so ask without SO_REUSEPORT first. Where this
    // process itself holds the wildcard beside a single address the answer would be about that, so it is not asked.
    if !held.iter().any(|other| overlap(*other, listen.address)) {
        match kind {
            Kind::Stream { .. } => sockets::probe(listen)?,
            Kind::Datagram { beside_flows } => udp::sockets::probe(listen, beside_flows)?,
        }
    }
    for sockets in threads {
        sockets.push(match kind {
            Kind::Stream { tuning } => sockets::listen(listen, tuning)?,
            Kind::Datagram { beside_flows } => udp::sockets::listen(listen, beside_flows)?,
        });
    }
    Ok(())
}

fn addresses(key: SocketKey, config: &Config) -> Vec<IpAddr> {
    match (key.address, config.data_address) {
        (BindAddress::Exactly(address), _) | (BindAddress::NodeDefault, Some(address)) => vec![address],
        (BindAddress::NodeDefault, None) => sockets::WILDCARDS.to_vec(),
    }
}

/// Whether one of the two is the wildcard that covers the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip().is_unspecified() || other.ip().is_unspecified())
}

fn failure(address: SocketAddr, errno: Errno, ours: bool) -> BindFailure {
    let meaning = std::io::Error::from(errno).to_string();
    let meaning = meaning.split(" (os error").next().unwrap_or_default().to_owned();
    let whose = if ours { ", by another listener of this node" } else { "" };
    BindFailure {
        address: address.to_string(),
        errno: errno.raw_os_error(),
        message: match name(errno) {
            Some(name) => format!("{name}: {meaning}{whose}"),
            None => meaning,
        },
    }
}

fn name(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::ADDRINUSE => "EADDRINUSE",
        Errno::ADDRNOTAVAIL => "EADDRNOTAVAIL",
        Errno::ACCESS => "EACCES",
        Errno::PERM => "EPERM",
        Errno::MFILE => "EMFILE",
        Errno::NFILE => "ENFILE",
        Errno::NOMEM => "ENOMEM",
        Errno::NOBUFS => "ENOBUFS",
        Errno::AFNOSUPPORT => "EAFNOSUPPORT",
        Errno::INVAL => "EINVAL",
        _ => return None,
    })
}
