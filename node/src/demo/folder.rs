//! Where a demo keeps its data: a temporary folder, or one that outlives it.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{DemoError, DemoOptions};

/// Marks a folder whose cluster is complete, and says what it is.
const MARKER: &str = "demo.txt";

/// The folder of one demo.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Removed with everything in it when the demo ends.
    temporary: Option<TempDir>,
    shape: String,
}

impl Folder {
    /// Makes the folder, or takes one that an earlier demo of the same shape left.
    pub(super) fn open(options: &DemoOptions) -> Result<Folder, DemoError> {
        let shape = format!("{} nodes from {} on", options.nodes, options.base_address);
        let Some(path) = &options.data_dir else {
            let temporary = tempfile::Builder::new()
                .prefix("guideway-demo-")
                .tempdir()
                .map_err(|source| failed(&std::env::temp_dir(), source))?;
            return Ok(Folder {
                path: temporary.path().to_owned(),
                temporary: Some(temporary),
                shape,
            });
        };
        let path = std::path::absolute(path).map_err(|source| failed(path, source))?;
        std::fs::create_dir_all(&path).map_err(|source| failed(&path, source))?;
        let folder = Folder {
            path,
            temporary: None,
            shape,
        };
        match std::fs::read_to_string(folder.marker()) {
            Ok(found) if found.trim() != folder.shape => Err(DemoError::OtherDemo {
                path: folder.path,
                found: found.trim().to_owned(),
                wanted: folder.shape,
            }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&folder.marker(), error)),
            Ok(_) | Err(_) => Ok(folder),
        }
    }

    /// The folder, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it goes away with the demo.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Whether an earlier demo left a complete cluster.
    pub(super) fn holds_cluster(&self) -> bool {
        self.marker().exists()
    }

    /// Says that every node has its place.
    pub(super) fn mark_complete(&self) -> Result<(), DemoError> {
        let marker = self.marker();
        std::fs::write(&marker, format!("{}\n", self.shape)).map_err(|source| failed(&marker, source))
    }

    fn marker(&self) -> PathBuf {
        self.path.join(MARKER)
    }
}

/// The error of a file or folder.
pub(super) fn failed(path: &Path, source: io::Error) -> DemoError {
    DemoError::Io {
        path: path.to_owned(),
        source,
    }
}
