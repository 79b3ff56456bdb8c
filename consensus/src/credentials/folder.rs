//! The folder `identity` in a node's data folder. Only its owner may look into it.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use guideway_identity::{Authority, AuthorityError, Key, SealingKeys};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CredentialsError;

/// Name of the folder.
pub(crate) const FOLDER: &str = "identity";
/// Certificate of the cluster's authority.
pub(crate) const AUTHORITY_CERTIFICATE: &str = "ca.crt";
/// Key of the cluster's authority.
pub(crate) const AUTHORITY_KEY: &str = "ca.key";
/// Certificate of the node, followed by the authority's.
pub(crate) const NODE_CERTIFICATE: &str = "node.crt";
/// Key of the node.
pub(crate) const NODE_KEY: &str = "node.key";
/// Keys with which Secrets are sealed.
pub(crate) const SEALING_KEY: &str = "sealing.key";
/// Members that were known when the node joined.
pub(crate) const MEMBERS: &str = "members.json";

/// The folder.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// That of the node in `data_dir`.
    pub(crate) fn of(data_dir: &Path) -> Folder {
        Folder {
            path: data_dir.join(FOLDER),
        }
    }

    /// A copy of one, wherever it is kept.
    pub(crate) fn at(path: &Path) -> Folder {
        Folder { path: path.to_owned() }
    }

    /// Makes it if it is not there, and closes it and the data folder to others.
    pub(crate) fn make(&self) -> Result<(), CredentialsError> {
        let make = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
            let data_dir = self.path.parent().unwrap_or(&self.path);
            for folder in [data_dir, &self.path] {
                std::fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            }
            Ok(())
        };
        make().map_err(|source| self.failed(FOLDER, source))
    }

    /// The cluster's authority.
    pub(crate) fn authority(&self) -> Result<Authority, CredentialsError> {
        let (certificate, key) = (self.read(AUTHORITY_CERTIFICATE)?, self.read(AUTHORITY_KEY)?);
        Authority::from_pem(&certificate, &key).map_err(|source| self.damaged(AUTHORITY_KEY, source))
    }

    /// The keys with which Secrets are sealed.
    pub(crate) fn sealing_keys(&self) -> Result<SealingKeys, CredentialsError> {
        let path = || self.path.join(SEALING_KEY).display().to_string();
        let text = match self.read(SEALING_KEY) {
            Err(CredentialsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Err(CredentialsError::NoSealingKey { path: path() });
            }
            other => other?,
        };
        SealingKeys::parse(&text).map_err(|source| CredentialsError::SealingKey { path: path(), source })
    }

    /// The node's key.
    pub(crate) fn key(&self) -> Result<Key, CredentialsError> {
        Key::from_pem(&self.read(NODE_KEY)?).map_err(|error| self.damaged(NODE_KEY, error.into()))
    }

    /// The node's key; made if there is none, so that who asks for a place twice asks with the same.
    pub(crate) fn key_or_new(&self) -> Result<Key, CredentialsError> {
        match self.key() {
            Err(CredentialsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let key = Key::generate().map_err(|error| CredentialsError::Sign(error.into()))?;
                self.write_secret(NODE_KEY, &key.pem())?;
                Ok(key)
            }
            other => other,
        }
    }

    /// A file of it as JSON.
    pub(crate) fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T, CredentialsError> {
        let text = self.read(name)?;
        serde_json::from_str(&text).map_err(|error| self.failed(name, error.into()))
    }

    /// Writes a file of it as JSON.
    pub(crate) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> Result<(), CredentialsError> {
        let text = serde_json::to_string_pretty(value).map_err(|error| self.failed(name, error.into()))?;
        self.write(name, &text)
    }

    /// Writes a file that is no secret.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), CredentialsError> {
        self.put(name, text, 0o644).map_err(|source| self.failed(name, source))
    }

    /// Writes a file that only its owner may read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> Result<(), CredentialsError> {
        self.put(name, text, 0o600).map_err(|source| self.failed(name, source))
    }

    /// A file of it.
    pub(crate) fn read(&self, name: &str) -> Result<String, CredentialsError> {
        std::fs::read_to_string(self.path.join(name)).map_err(|source| self.failed(name, source))
    }

    /// As a whole or not at all.
    fn put(&self, name: &str, text: &str, mode: u32) -> io::Result<()> {
        let path = self.path.join(name);
        let new = self.path.join(format!("{name}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(mode).open(&new)?;
        // One that an attempt left may have another mode.
        file.set_permissions(Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(&self.path)?.sync_all()
    }

    fn failed(&self, name: &str, source: io::Error) -> CredentialsError {
        CredentialsError::Io {
            path: self.path.join(name).display().to_string(),
            source,
        }
    }

    pub(crate) fn damaged(&self, name: &str, source: AuthorityError) -> CredentialsError {
        CredentialsError::Damaged {
            path: self.path.join(name).display().to_string(),
            source,
        }
    }
}
