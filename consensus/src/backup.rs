//! Backups: the replicated state of one moment in one file.
//!
//! ```text
//! guideway-backup 1\n
//! {"cluster":"...","index":1234,...}\n
//! for each record of the state: length (32 bits) | CRC-32 of it | record
//! 0 (32 bits) | CRC-32 of everything before
//! ```
//! Numbers are big-endian. Records are those of a snapshot: Secrets are sealed in them, and no key is in the file.

use std::path::{Path, PathBuf};

use guideway_model::state::{Applied, SnapshotDecodeError};
use guideway_model::{Kind, NodeId, Object, State};
use serde::{Deserialize, Serialize};

/// Begins every backup; the version follows.
const MAGIC: &str = "guideway-backup ";
const VERSION: u32 = 1;
/// Longest first line and longest header.
const LINE_MOST: usize = 64 << 10;

/// What is told of a backup before it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupHeader {
    /// Identity of the cluster.
    pub cluster: String,
    /// Log index of the state.
    pub index: u64,
    /// `resourceVersion` of its last change.
    pub revision: u64,
    /// Its time, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// Cluster level in force.
    pub level: u32,
    /// Objects in it.
    pub objects: usize,
    /// Secrets among them.
    pub secrets: usize,
    /// Id of the key with which Secrets are sealed.
    pub sealing_key: Option<String>,
    /// Members, by number and name.
    pub nodes: Vec<(u64, String)>,
}

/// A backup that was read and found whole.
#[derive(Clone, Debug)]
pub struct Backup {
    /// What it says of itself.
    pub header: BackupHeader,
    /// The state.
    pub state: State,
}

/// Why a file is no backup that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// It cannot be read.
    #[error("{path:?} cannot be read: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something else.
    #[error("{path:?} is no backup of Guideway: `guideway backup` makes one")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Made by a newer release.
    #[error(
        "{path:?} is a backup of version {found}, this binary reads version {VERSION}: run the binary that made it, or a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Not what was written.
    #[error("{path:?} is damaged: {problem}; use another copy of it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Whole, and the state in it cannot be read.
    #[error("the state in {path:?} cannot be read: {source}")]
    State {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SnapshotDecodeError,
    },
}

impl BackupHeader {
    fn of(applied: &Applied) -> BackupHeader {
        let state = &applied.state;
        BackupHeader {
            cluster: state.cluster().map(|uid| uid.0.clone()).unwrap_or_default(),
            index: applied.index,
            revision: state.revision(),
            time_ms: state.time().0,
            level: state.level(),
            objects: state.object_count(),
            secrets: sealed_secrets(state),
            sealing_key: state.sealing_key().map(str::to_owned),
            nodes: state
                .nodes()
                .map(|(id, record)| (id.0, record.facts.name.clone()))
                .collect(),
        }
    }
}

/// How many Secrets are sealed in a state.
fn sealed_secrets(state: &State) -> usize {
    let secrets = state.list(Kind::Secret, None, None);
    let sealed = secrets.filter(|object| matches!(object, Object::Secret(secret) if secret.sealed.is_some()));
    sealed.count()
}

/// The bytes of a backup of this state, piece by piece; each piece is made when it is asked for.
pub fn backup(applied: &Applied) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
    // No map in it has a key that JSON cannot write.
    let header = serde_json::to_string(&BackupHeader::of(applied)).unwrap_or_default();
    let head = format!("{MAGIC}{VERSION}\n{header}\n").into_bytes();
    let records = applied.state.snapshot_records().map(|record| {
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&length, &crc32fast::hash(&record).to_be_bytes(), record.as_slice()].concat()
    });
    let mut pieces = std::iter::once(head).chain(records);
    let mut whole = Some(crc32fast::Hasher::new());
    std::iter::from_fn(move || {
        let piece = pieces.next();
        if let (Some(piece), Some(hasher)) = (&piece, &mut whole) {
            hasher.update(piece);
        }
        piece.or_else(|| {
            let mut hasher = whole.take()?;
            let end = 0_u32.to_be_bytes();
            hasher.update(&end);
            Some([end, hasher.finalize().to_be_bytes()].concat())
        })
    })
}

impl Backup {
    /// Reads a file. Holds it in memory beside the state. Blocks on the disk.
    ///
    /// # Errors
    /// It is no backup, is damaged, or of a newer release.
    pub fn read(path: &Path) -> Result<Backup, BackupError> {
        let bytes = std::fs::read(path).map_err(|source| BackupError::Io {
            path: path.to_owned(),
            source,
        })?;
        decode(path, &bytes)
    }

    /// Members that were in it.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.state.nodes().map(|(id, record)| (id, record.facts.name.as_str()))
    }
}

fn decode(path: &Path, bytes: &[u8]) -> Result<Backup, BackupError> {
    let path = || path.to_owned();
    let damaged = |problem: String| BackupError::Damaged { path: path(), problem };
    let (first, rest) = line(bytes).ok_or_else(|| BackupError::Foreign { path: path() })?;
    let version = first
        .strip_prefix(MAGIC)
        .ok_or_else(|| BackupError::Foreign { path: path() })?;
    let found: u32 = version
        .parse()
        .map_err(|_| damaged(format!("its version is {version:?}")))?;
    if found != VERSION {
        return Err(BackupError::Newer { path: path(), found });
    }
    let (header, mut rest) = line(rest).ok_or_else(|| damaged("its header is cut off".to_owned()))?;
    let header: BackupHeader =
        serde_json::from_str(header).map_err(|error| damaged(format!("its header cannot be read: {error}")))?;
    let mut records = Vec::new();
    loop {
        let cut = || damaged(format!("it ends within record {}", records.len()));
        let (length, after) = number(rest).ok_or_else(cut)?;
        let (checksum, after) = number(after).ok_or_else(cut)?;
        if length == 0 {
            let covered = bytes.len() - after.len() - size_of::<u32>();
            if !after.is_empty() {
                return Err(damaged(format!("{} bytes follow its end", after.len())));
            }
            if crc32fast::hash(&bytes[..covered]) != checksum {
                return Err(damaged("its checksum is wrong".to_owned()));
            }
            break;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (record, after) = after.split_at_checked(length).ok_or_else(cut)?;
        if crc32fast::hash(record) != checksum {
            return Err(damaged(format!("record {} has a wrong checksum", records.len())));
        }
        records.push(record);
        rest = after;
    }
    let state = State::from_snapshot_records(records).map_err(|source| BackupError::State { path: path(), source })?;
    if state.cluster().is_none_or(|cluster| cluster.0 != header.cluster) {
        return Err(damaged("header and state are of two clusters".to_owned()));
    }
    Ok(Backup { header, state })
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().take(LINE_MOST).position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at(end);
    Some((std::str::from_utf8(line).ok()?, &rest[1..]))
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guideway_model::command::{Command, Proposal};
    use guideway_model::meta::{Uid, UnixMillis};
    use guideway_model::node::NodeFacts;

    use super::*;

    fn applied() -> Applied {
        let mut state = State::default();
        let node = NodeFacts {
            name: "one".to_owned(),
            peer_address: "192.0.2.1:7444".to_owned(),
            api_url: String::new(),
            metrics_url: String::new(),
            data_address: None,
            version: "0.1.0".to_owned(),
            level: State::LEVEL,
        };
        state.apply(Proposal {
            time: UnixMillis(7),
            command: Command::InitCluster {
                cluster: Uid("c".to_owned()),
                hash_seed: [9; 16],
                uids: [Uid("a".to_owned()), Uid("b".to_owned())],
                node,
            },
        });
        Applied {
            index: 12,
            state: Arc::new(state),
        }
    }

    fn read(bytes: &[u8]) -> Result<Backup, BackupError> {
        decode(Path::new("f"), bytes)
    }

    #[test]
    fn a_backup_is_read_back() {
        let applied = applied();
        let bytes: Vec<u8> = backup(&applied).flatten().collect();
        let found = read(&bytes).expect("whole");
        assert_eq!(found.header, BackupHeader::of(&applied));
        assert_eq!((found.header.index, found.header.nodes.len()), (12, 1));
        let records = |state: &State| state.snapshot_records().collect::<Vec<_>>();
        assert_eq!(records(&found.state), records(&applied.state));
        assert_eq!(found.members().collect::<Vec<_>>(), [(NodeId(1), "one")]);
    }

    #[test]
    fn no_byte_can_be_changed_added_or_lost() {
        let bytes: Vec<u8> = backup(&applied()).flatten().collect();
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert!(read(&changed).is_err(), "byte {place} of {}", bytes.len());
            assert!(read(&bytes[..place]).is_err(), "{place} bytes");
        }
        let error = read(&[&bytes, b"x".as_slice()].concat()).expect_err("more").to_string();
        assert_eq!(
            error,
            "\"f\" is damaged: 1 bytes follow its end; use another copy of it"
        );
    }

    #[test]
    fn what_is_no_backup_or_a_newer_one_is_named() {
        assert!(matches!(read(b""), Err(BackupError::Foreign { .. })));
        assert!(matches!(read(b"apiVersion: v1\n"), Err(BackupError::Foreign { .. })));
        let error = read(b"guideway-backup 2\nwhatever").expect_err("newer").to_string();
        assert!(error.contains("version 2, this binary reads version 1"), "{error}");
    }
}
