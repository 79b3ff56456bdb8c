//! Who has which address, port and folder in a demo.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use super::setting::Setting;
use super::{DemoError, DemoOptions};

/// Port of each node's API.
const API_PORT: u16 = 7443;

/// Port of the transport between nodes.
const PEER_PORT: u16 = 7444;

/// Port of each node's metrics.
const METRICS_PORT: u16 = 7445;

/// Port of the demo's listener on every node.
pub(super) const LISTENER_PORT: u16 = 7400;

/// All nodes of a demo.
#[derive(Debug)]
pub(super) struct Layout {
    /// In order; node-1 makes the cluster.
    pub(super) nodes: Vec<DemoNode>,
    /// Whether the demo's listener is wanted.
    pub(super) listener: bool,
    folder: PathBuf,
}

/// One node of a demo.
#[derive(Clone, Debug)]
pub(super) struct DemoNode {
    /// `node-1` and so on.
    pub(super) name: String,
    /// Address of its API, metrics, transport and listeners.
    pub(super) address: Ipv4Addr,
    folder: PathBuf,
    settings: Vec<Setting>,
}

/// Addresses that a demo needs and cannot have.
#[derive(Debug, thiserror::Error)]
pub(crate) struct Busy {
    taken: Vec<(SocketAddr, String, io::Error)>,
}

impl Layout {
    pub(super) fn new(options: &DemoOptions, folder: &Path) -> Result<Layout, DemoError> {
        let base = u32::from(options.base_address);
        let node = |offset: u8| {
            let address = Ipv4Addr::from(base.checked_add(u32::from(offset))?);
            let name = format!("node-{}", offset + 1);
            address.is_loopback().then(|| DemoNode {
                folder: folder.join(&name),
                name,
                address,
                settings: options.set.clone(),
            })
        };
        let nodes: Option<Vec<DemoNode>> = (0..options.nodes).map(node).collect();
        Ok(Layout {
            nodes: nodes.ok_or(DemoError::AddressRange {
                base: options.base_address,
                nodes: options.nodes,
            })?,
            listener: !options.no_endpoints,
            folder: folder.to_owned(),
        })
    }

    /// Folder of everything.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether every address and port that the nodes will bind is free now.
    pub(super) fn check_free(&self) -> Result<(), Busy> {
        let mut taken = Vec::new();
        for node in &self.nodes {
            for (address, purpose) in node.binds(self.listener) {
                if let Err(error) = TcpListener::bind(address) {
                    taken.push((address, format!("{purpose} of {}", node.name), error));
                }
            }
        }
        if taken.is_empty() { Ok(()) } else { Err(Busy { taken }) }
    }
}

impl DemoNode {
    /// URL of its API.
    pub(super) fn api(&self) -> String {
        format!("https://{}:{API_PORT}", self.address)
    }

    /// URL of its metrics.
    pub(super) fn metrics(&self) -> String {
        format!("http://{}:{METRICS_PORT}/metrics", self.address)
    }

    /// Where the demo's listener is.
    pub(super) fn listener(&self) -> SocketAddr {
        SocketAddr::from((self.address, LISTENER_PORT))
    }

    /// Everything of this node.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its store and its identity.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Its configuration.
    pub(super) fn config_file(&self) -> PathBuf {
        self.folder.join("guideway.toml")
    }

    /// What it writes to standard output and standard error.
    pub(super) fn log_file(&self) -> PathBuf {
        self.folder.join("guideway.log")
    }

    /// Text of its configuration.
    pub(super) fn config(&self) -> String {
        let data_dir = toml::Value::from(self.data_dir().display().to_string());
        let DemoNode { name, address, .. } = self;
        let text = format!(
            "name = \"{name}\"\n\
             data_dir = {data_dir}\n\n\
             [peer]\nlisten = \"{address}:{PEER_PORT}\"\n\n\
             [api]\nlisten = \"{address}:{API_PORT}\"\n\n\
             [metrics]\nlisten = \"{address}:{METRICS_PORT}\"\n\n\
             [data]\naddress = \"{address}\"\n\n\
             [shutdown]\ndeadline = \"1s\"\n"
        );
        match text.parse::<toml::Table>() {
            Ok(mut configuration) if !self.settings.is_empty() => {
                self.settings
                    .iter()
                    .for_each(|setting| setting.put_into(&mut configuration));
                configuration.to_string()
            }
            _ => text,
        }
    }

    fn binds(&self, listener: bool) -> Vec<(SocketAddr, &'static str)> {
        let at = |port| SocketAddr::from((self.address, port));
        let mut binds = vec![
            (at(API_PORT), "API"),
            (at(PEER_PORT), "peer transport"),
            (at(METRICS_PORT), "metrics"),
        ];
        if listener {
            binds.push((at(LISTENER_PORT), "demo listener"));
        }
        binds
    }
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the demo cannot have these addresses:")?;
        for (address, purpose, error) in &self.taken {
            writeln!(f, "  {address} ({purpose}): {error}")?;
        }
        f.write_str(
            "End what uses them (another demo? `ss -ltnp` shows it), or choose other addresses, \
             such as --base-address 127.0.40.1",
        )
    }
}
