//! `guideway demo`: a cluster of real node processes on this machine, with something to connect to.
//!
//! The demo process supervises the nodes and serves the demo endpoints. A node that dies stays dead. The
//! nodes end with the demo in every case: told to by SIGTERM when it ends in order, by the kernel or by
//! their own watch of it (`guardian`) when it is killed.

mod banner;
mod child;
mod endpoints;
mod folder;
mod kubeconfig;
mod layout;
mod objects;
mod ready_file;
mod setting;
mod startup;
mod stragglers;

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use guideway_consensus::InviteError;

use crate::client::{AccessError, RequestError};
use crate::config::LoadError;
use crate::membership::{AdminError, InitError, JoinError};
use crate::signals::Stop;
use child::Children;
use endpoints::Endpoints;
use folder::Folder;
use layout::{Busy, Layout};
use ready_file::ReadyFile;
use setting::Setting;

/// How long nodes may take to end before they are killed. With the time to notice and clean up, a demo is gone within
/// eight seconds.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// What a demo is to be like.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoOptions {
    /// Number of nodes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Address of the first node; the others have the next ones. Another one lets two demos run side by side
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST, value_parser = loopback)]
    base_address: Ipv4Addr,
    /// Keep all data in this folder, and go on with what an earlier demo left there; otherwise it is temporary
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Write where everything is to this file (JSON), once the cluster answers
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Start with an empty configuration: no endpoints, no Gateway, no route
    #[arg(long)]
    no_endpoints: bool,
    /// Set a key of every node's configuration, as a file has it: data.threads=1
    #[arg(long, value_name = "KEY=VALUE", hide = true)]
    set: Vec<Setting>,
}

/// Why a demo did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// Signals cannot be taken over.
    #[error("signals cannot be handled: {0}")]
    Signals(io::Error),
    /// Not enough loopback addresses after the base address.
    #[error("{nodes} nodes from {base} on would leave 127.0.0.0/8; choose a lower --base-address")]
    AddressRange {
        /// First address.
        base: Ipv4Addr,
        /// Number of nodes.
        nodes: u8,
    },
    /// Something else uses the addresses.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder is from a different demo.
    #[error("{} is from a demo with {found}, and this one has {wanted}; use the same options, or another --data-dir", path.display())]
    OtherDemo {
        /// The folder.
        path: PathBuf,
        /// What it was.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// A configuration that the demo wrote is not valid.
    #[error(transparent)]
    Config(#[from] LoadError),
    /// The first node's store.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The administrator's certificate.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The kubeconfig that the demo wrote.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A token for a further node.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// A further node's place.
    #[error("{node}: {source}")]
    Join {
        /// Which.
        node: String,
        /// Why.
        source: JoinError,
    },
    /// A node ended while the cluster started.
    #[error("{node} ended while it started: {status}\nIts log, {}, ends with:\n{tail}", log.display())]
    NodeEnded {
        /// Which.
        node: String,
        /// How.
        status: std::process::ExitStatus,
        /// Where its log is; gone with a temporary folder.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The cluster did not get ready.
    #[error("the demo was not ready within {waited:?}; still waiting for {what}\nThe log of {node} ends with:\n{tail}")]
    NotReady {
        /// How long.
        waited: Duration,
        /// What is missing.
        what: String,
        /// The node that is waited for.
        node: String,
        /// Its log's last lines.
        tail: String,
    },
    /// The API refused one of the demo's objects.
    #[error("the demo's objects could not be applied: {0}")]
    Objects(#[from] RequestError),
}

/// Runs a demo until SIGTERM or SIGINT, then ends every node and removes what is temporary.
pub(crate) async fn run(options: DemoOptions) -> Result<(), DemoError> {
    let began = Instant::now();
    let mut stop = Stop::listen().map_err(DemoError::Signals)?;
    let ready_file = options.ready_file.as_ref().map(ReadyFile::at).transpose()?;
    let folder = Folder::open(&options)?;
    let layout = Layout::new(&options, folder.path())?;
    layout.check_free()?;
    let endpoints = if options.no_endpoints {
        None
    } else {
        Some(Endpoints::start(options.base_address).await?)
    };
    let mut children = Children::new();
    let started = tokio::select! {
        started = startup::start(&layout, &folder, endpoints.as_ref(), &mut children) => Some(started),
        _ = stop.next() => None,
    };
    let result = match started {
        Some(Ok(nodes)) => {
            let kubeconfig = kubeconfig::write(&layout)?;
            if let Some(file) = &ready_file {
                file.write(&layout, &kubeconfig, &children)?;
            }
            say(&banner::ready(
                &layout,
                &nodes,
                &kubeconfig,
                &children,
                began.elapsed(),
                endpoints.is_some(),
            ));
            supervise(&mut children, &layout, &mut stop).await;
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    end(children, &folder).await;
    if let Some(file) = ready_file {
        file.remove();
    }
    result
}

/// Prints the end of each node until a signal comes.
async fn supervise(children: &mut Children, layout: &Layout, stop: &mut Stop) {
    loop {
        tokio::select! {
            _ = stop.next() => return,
            (index, status) = children.next_exit() => {
                say(&banner::node_ended(layout, index, status, children.running()));
            }
        }
    }
}

async fn end(children: Children, folder: &Folder) {
    say("\nEnding the nodes.\n");
    let ((), ()) = tokio::join!(children.stop(STOP_DEADLINE), stragglers::stop(STOP_DEADLINE));
    say(&banner::gone(folder));
}

/// Writes to standard output. A demo whose reader went away goes on.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

fn loopback(text: &str) -> Result<Ipv4Addr, String> {
    let address: Option<Ipv4Addr> = text.parse().ok();
    address
        .filter(Ipv4Addr::is_loopback)
        .ok_or_else(|| "must be an IPv4 address in 127.0.0.0/8, such as 127.0.40.1".to_owned())
}
