//! A relay without a cluster, for measurements: one listener, its endpoints, no configuration to load.
//!
//! `relay LISTEN ENDPOINT... [--threads N] [--access-log FILE]`, for example
//! `relay 127.0.0.1:8000 127.0.1.1:9000 127.0.1.2:9000 --threads 2`. Ends with SIGTERM.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use guideway_dataplane::{AccessLogTarget, Config, DataPlane, Observer};
use guideway_maglev::{Seed, Table, TableSize, Target, Weighted};
use guideway_model::Plan;
use guideway_model::meta::Uid;
use guideway_model::node::{BindAddress, BindResult, Protocol, SocketKey};
use guideway_model::plan::{Entry, Listener, ListenerName, Pool, PoolId, Route};

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("usage: relay LISTEN ENDPOINT... [--threads N] [--access-log FILE]")]
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
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--threads" => config.threads = arguments.next().ok_or(RelayError::Usage)?.parse()?,
            "--access-log" => {
                config.access_log.target = AccessLogTarget::File(arguments.next().ok_or(RelayError::Usage)?.into());
            }
            address => addresses.push(address.parse()?),
        }
    }
    let (listen, endpoints) = addresses.split_first().ok_or(RelayError::Usage)?;
    let plane = DataPlane::start(config, Arc::new(Complain))?;
    plane.apply(Arc::new(plan(*listen, endpoints)?));
    loop {
        std::thread::park();
    }
}

fn plan(listen: SocketAddr, endpoints: &[SocketAddr]) -> Result<Plan, guideway_maglev::BuildError> {
    let seed = Seed([7; 16]);
    let weighted: Vec<Weighted> = endpoints
        .iter()
        .map(|address| Weighted {
            target: Target::Endpoint(*address),
            weight: 1,
        })
        .collect();
    let table = Arc::new(Table::build(TableSize::DEFAULT, seed, &weighted)?);
    let entries = table
        .targets()
        .iter()
        .map(|target| match target {
            Target::Endpoint(address) => Entry::Endpoint {
                address: *address,
                origin: String::new(),
            },
            Target::Reject(_) => Entry::Reject { origin: String::new() },
        })
        .collect();
    let pool = Arc::new(Pool {
        id: PoolId {
            route: Uid("relay".into()),
            rule: 0,
        },
        table,
        entries,
    });
    let listener = Listener {
        socket: SocketKey {
            protocol: Protocol::Tcp,
            address: BindAddress::Exactly(listen.ip()),
            port: listen.port(),
        },
        name: ListenerName {
            namespace: "default".into(),
            gateway: "relay".into(),
            listener: "tcp".into(),
        },
        route: Some(Route {
            namespace: "default".into(),
            name: "relay".into(),
            pool,
        }),
    };
    Ok(Plan::new(1, seed, vec![listener]))
}

fn complain(text: &str) {
    use std::io::Write;
    // Where standard error is gone there is no one to tell.
    writeln!(std::io::stderr(), "{text}").ok();
}
