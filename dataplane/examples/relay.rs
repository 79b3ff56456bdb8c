//! A relay without a cluster, for measurements: one listener, its endpoints, no configuration to load.
//!
//! `relay LISTEN (ENDPOINT... | NAME=ENDPOINT...) [--udp] [--epoll] [--threads N] [--access-log FILE]`, for example
//! `relay 127.0.0.1:8000 127.0.1.1:9000 127.0.1.2:9000 --threads 2`, or, by the name in the ClientHello,
//! `relay 127.0.0.1:8443 a.test=127.0.1.1:9443 b.test=127.0.1.2:9443`. Ends with SIGTERM.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_dataplane::{AccessLogTarget, Config, DataPlane, Driver, Observer};
use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
use guideway_model::Plan;
use guideway_model::meta::Uid;
use guideway_model::node::{BindAddress, BindResult, Protocol, SocketKey};
use guideway_model::plan::{
    Entry, HostPattern, Listener, ListenerName, ListenerService, OpaqueListener, Pool, PoolId, Route, Standing,
    TlsHandling, TlsListener, TlsPort,
};

/// Any will do for one process.
const SEED: Seed = Seed([7; 16]);

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("usage: relay LISTEN (ENDPOINT... | NAME=ENDPOINT...) [--udp] [--epoll] [--threads N] [--access-log FILE]")]
    Usage,
    #[error(transparent)]
    Address(#[from] std::net::AddrParseError),
    #[error(transparent)]
    Threads(#[from] std::num::ParseIntError),
    #[error(transparent)]
    Table(#[from] guideway_maglev::BuildError),
    #[error(transparent)]
    Start(#[from] guideway_dataplane::StartError),
}

struct Complain;

impl Observer for Complain {
    fn binds_changed(&self, binds: &BTreeMap<SocketKey, BindResult>) {
        for result in binds.values() {
            if let BindResult::Failed(failure) = result {
                complain(&format!("{}: {}", failure.address, failure.message));
            }
        }
    }

    fn plan_active(&self, _generation: u64) {}
}

fn main() -> Result<(), RelayError> {
    let mut config = Config::default();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    let mut names: Vec<(String, SocketAddr)> = Vec::new();
    let mut protocol = Protocol::Tcp;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--udp" => protocol = Protocol::Udp,
            "--epoll" => config.driver = Driver::Epoll,
            "--threads" => config.threads = arguments.next().ok_or(RelayError::Usage)?.parse()?,
            "--access-log" => {
                config.access_log.target = AccessLogTarget::File(arguments.next().ok_or(RelayError::Usage)?.into());
            }
            argument => match argument.split_once('=') {
                Some((name, address)) => names.push((name.to_owned(), address.parse()?)),
                None => addresses.push(argument.parse()?),
            },
        }
    }
    let (listen, endpoints) = addresses.split_first().ok_or(RelayError::Usage)?;
    let plane = DataPlane::start(config, Arc::new(Complain))?;
    let service = if names.is_empty() {
        opaque(route("relay", endpoints)?)
    } else {
        by_name(&names)?
    };
    let socket = SocketKey {
        protocol,
        address: BindAddress::Exactly(listen.ip()),
        port: listen.port(),
    };
    plane.apply(Arc::new(Plan::new(1, SEED, vec![Listener { socket, service }])));
    loop {
        std::thread::park();
    }
}

/// All that comes goes one way.
fn opaque(route: Route) -> ListenerService {
    ListenerService::Opaque(OpaqueListener {
        name: name(),
        settings: Arc::default(),
        route: Some(route),
    })
}

/// The name in the ClientHello says the way; TLS ends at the endpoint.
fn by_name(names: &[(String, SocketAddr)]) -> Result<ListenerService, guideway_maglev::BuildError> {
    let mut routes = Vec::new();
    for (name, endpoint) in names {
        routes.push((HostPattern::Exact(name.clone()), route(name, &[*endpoint])?));
    }
    let listener = TlsListener {
        name: name(),
        hostname: HostPattern::Any,
        settings: Arc::default(),
        handling: TlsHandling::Passthrough,
        routes,
    };
    Ok(ListenerService::Tls(Arc::new(TlsPort {
        listeners: vec![listener],
    })))
}

fn name() -> ListenerName {
    ListenerName {
        namespace: "default".into(),
        gateway: "relay".into(),
        listener: "main".into(),
    }
}

fn route(name: &str, endpoints: &[SocketAddr]) -> Result<Route, guideway_maglev::BuildError> {
    let weighted: Vec<Weighted> = endpoints
        .iter()
        .map(|address| Weighted {
            target: Target::Endpoint(*address),
            weight: 1,
        })
        .collect();
    let table = Arc::new(Table::build(TableSize::DEFAULT, SEED, &weighted)?);
    let entries = table
        .targets()
        .iter()
        .map(|target| match target {
            Target::Endpoint(address) => Entry::Endpoint {
                address: *address,
                origin: String::new(),
                upstream: Arc::default(),
                standing: Standing::Ready,
            },
            Target::Reject(_) => Entry::Reject { origin: String::new() },
        })
        .collect();
    let id = PoolId {
        route: Uid(name.into()),
        rule: 0,
    };
    Ok(Route {
        namespace: "default".into(),
        name: name.into(),
        pool: Arc::new(Pool::new(id, table, entries)),
    })
}

fn complain(text: &str) {
    use std::io::Write;
    // Where standard error is gone there is no one to tell.
    writeln!(std::io::stderr(), "{text}").ok();
}
