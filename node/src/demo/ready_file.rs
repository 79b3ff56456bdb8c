//! Where everything is, for tools: written once the cluster answers, whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::NamedTempFile;

use super::DemoError;
use super::child::Children;
use super::folder::failed;
use super::layout::Layout;

/// The file a tool waits for.
pub(super) struct ReadyFile {
    path: PathBuf,
}

#[derive(Serialize)]
struct Contents<'a> {
    kubeconfig: &'a Path,
    /// URL of the dashboard; nodes serve none.
    dashboard: Option<&'a str>,
    nodes: Vec<NodeEntry<'a>>,
}

#[derive(Serialize)]
struct NodeEntry<'a> {
    name: &'a str,
    pid: u32,
    /// Where the node serves listeners.
    address: String,
    api: String,
    metrics: String,
}

impl ReadyFile {
    /// Removes what an earlier demo left, so that nobody takes it for this one's.
    pub(super) fn at(path: &PathBuf) -> Result<ReadyFile, DemoError> {
        let path = std::path::absolute(path).map_err(|source| failed(path, source))?;
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path, error)),
            Ok(()) | Err(_) => Ok(ReadyFile { path }),
        }
    }

    /// Writes it beside its place and moves it there.
    pub(super) fn write(&self, layout: &Layout, kubeconfig: &Path, children: &Children) -> Result<(), DemoError> {
        let contents = Contents {
            kubeconfig,
            dashboard: None,
            nodes: layout
                .nodes
                .iter()
                .zip(children.pids())
                .map(|(node, pid)| NodeEntry {
                    name: &node.name,
                    pid: *pid,
                    address: node.address.to_string(),
                    api: node.api(),
                    metrics: node.metrics(),
                })
                .collect(),
        };
        let write = || {
            let mut text = serde_json::to_vec_pretty(&contents)?;
            text.push(b'\n');
            let folder = self.path.parent().unwrap_or(Path::new("/"));
            let mut file = NamedTempFile::new_in(folder)?;
            file.write_all(&text)?;
            file.persist(&self.path)?;
            Ok(())
        };
        write().map_err(|source| failed(&self.path, source))
    }

    /// Removes it at the end of the demo.
    pub(super) fn remove(self) {
        // Somebody else may have removed it; gone is gone.
        std::fs::remove_file(&self.path).ok();
    }
}
