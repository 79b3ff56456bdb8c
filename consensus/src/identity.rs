//! Who the node in a data folder is: a small file, written as a whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use guideway_model::NodeId;
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
pub(crate) const FILE: &str = "identity.json";

const VERSION: u32 = 1;

/// Contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    version: u32,
    /// The number that the cluster gave.
    pub(crate) node: NodeId,
    /// Identity of the cluster.
    pub(crate) cluster: String,
    /// Name under which the node joined.
    pub(crate) name: String,
    /// Whether the store has been made: from then on it must be there.
    pub(crate) started: bool,
}

impl Identity {
    /// A node that has never started.
    pub(crate) fn new(node: NodeId, cluster: String, name: String) -> Identity {
        Identity {
            version: VERSION,
            node,
            cluster,
            name,
            started: false,
        }
    }

    /// Reads the identity in `data_dir`; `None` if the folder holds no node.
    pub(crate) fn read(data_dir: &Path) -> io::Result<Option<Identity>> {
        let bytes = match std::fs::read(data_dir.join(FILE)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let identity: Identity = serde_json::from_slice(&bytes)?;
        if identity.version != VERSION {
            let problem = format!("version {} is not known to this release", identity.version);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(Some(identity))
    }

    /// Writes the identity into `data_dir`, which is made if it is not there.
    pub(crate) fn write(&self, data_dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(data_dir)?;
        let path = data_dir.join(FILE);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(data_dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_back_and_an_unknown_version_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().join("a").join("b");
        assert_eq!(Identity::read(&data_dir).expect("no file"), None);
        let identity = Identity::new(NodeId(3), "cluster".to_owned(), "three".to_owned());
        identity.write(&data_dir).expect("written");
        assert_eq!(Identity::read(&data_dir).expect("read"), Some(identity.clone()));

        let newer = Identity { version: 2, ..identity };
        newer.write(&data_dir).expect("written");
        assert!(Identity::read(&data_dir).is_err());
    }
}
