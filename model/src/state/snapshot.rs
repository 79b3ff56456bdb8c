//! The state as records for a snapshot, and back.
//!
//! Records come in this order: header, nodes, binds, tokens to join with, resolved names, objects in key order, generations, pools, pins.
//! Each is JSON behind one byte that says whether the next record goes on with it, so that no record passes
//! [`RECORD_BYTES`].

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::changes::ChangeRing;
use super::{Cluster, JoinTokenRecord, State};
use crate::meta::{Uid, UnixMillis};
use crate::node::{BindResult, NodeId, NodeRecord, SocketKey};
use crate::object::Object;

mod phases;

/// Version of the records; raised when they change in a way that older code cannot read.
const VERSION: u32 = 2;
/// The version without generations, pools and pins: still written below the cluster level that has them.
const WITHOUT_PHASES: u32 = 1;
/// Most bytes in one record; what is longer goes on in the next one.
const RECORD_BYTES: usize = 256 * 1024;
/// Most bytes that continued records may add up to: far above any object that the API admits.
const JOINED_BYTES: usize = 64 * 1024 * 1024;
/// Binds and names are grouped, so that a record is worth its overhead and stays small.
const GROUPED: usize = 128;

const WHOLE: u8 = b'=';
const GOES_ON: u8 = b'+';

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum Record {
    Header(Header),
    Node {
        id: NodeId,
        record: NodeRecord,
    },
    Binds {
        node: NodeId,
        binds: Vec<(SocketKey, BindResult)>,
    },
    JoinToken {
        id: String,
        record: JoinTokenRecord,
    },
    Resolved(Vec<(String, Vec<IpAddr>)>),
    Object(Object),
    Phases(phases::PhasesRecord),
    Pool(phases::PoolRecordV2),
    Holds(phases::HoldsRecord),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    version: u32,
    time: UnixMillis,
    revision: u64,
    level: u32,
    cluster: Option<Uid>,
    seed: Option<[u8; 16]>,
    next_node: u64,
    /// How many of each follow: a snapshot that was cut short is noticed.
    nodes: usize,
    #[serde(default, skip_serializing_if = "is_none")]
    join_tokens: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealing_key: Option<String>,
    resolved: usize,
    objects: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phases: Option<phases::Counts>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// A snapshot that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("snapshot record {record}: {problem}")]
pub struct SnapshotDecodeError {
    /// Number of the record, from 0.
    pub record: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl State {
    /// The state as records for a snapshot: each is at most 256 KiB and one byte, in a fixed order, versioned and
    /// self-contained. The ring of changes is not in it. Encodes lazily from a shared copy of the state.
    pub fn snapshot_records(&self) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
        let phases = phases::counts(self);
        let header = Header {
            version: if phases.is_some() { VERSION } else { WITHOUT_PHASES },
            time: self.time,
            revision: self.revision,
            level: self.level,
            cluster: self.cluster.as_ref().map(|cluster| cluster.uid.clone()),
            seed: self.cluster.as_ref().map(|cluster| cluster.seed),
            next_node: self.next_node,
            nodes: self.nodes.len(),
            join_tokens: self.join_tokens.len(),
            sealing_key: self.sealing_key.clone(),
            resolved: self.resolved.len(),
            objects: self.objects.len(),
            phases,
        };
        let nodes = self
            .nodes
            .clone()
            .into_iter()
            .flat_map(|(id, record)| node_records(id, record));
        let tokens = self.join_tokens.clone().into_iter();
        let tokens = tokens.map(|(id, record)| Record::JoinToken { id, record });
        let resolved = self.resolved.clone();
        let names: Vec<(String, Vec<IpAddr>)> = resolved
            .into_iter()
            .map(|(name, addresses)| (name, addresses.to_vec()))
            .collect();
        let names: Vec<Record> = names
            .chunks(GROUPED)
            .map(|group| Record::Resolved(group.to_vec()))
            .collect();
        let objects = self
            .objects
            .clone()
            .into_iter()
            .map(|(_, object)| Record::Object(object));
        std::iter::once(Record::Header(header))
            .chain(nodes)
            .chain(tokens)
            .chain(names)
            .chain(objects)
            .chain(phases::records(self))
            .flat_map(|record| encode(&record))
    }

    /// The state that `snapshot_records` wrote.
    ///
    /// # Errors
    /// A record is missing, damaged, out of order or of a version this code does not know.
    pub fn from_snapshot_records<'a>(
        records: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<State, SnapshotDecodeError> {
        let mut reader = Reader::default();
        let mut read = 0;
        for (record, bytes) in records.into_iter().enumerate() {
            read = record + 1;
            reader
                .take(bytes)
                .map_err(|problem| SnapshotDecodeError { record, problem })?;
        }
        reader
            .finish()
            .map_err(|problem| SnapshotDecodeError { record: read, problem })
    }
}

fn node_records(id: NodeId, mut record: NodeRecord) -> Vec<Record> {
    let binds: Vec<_> = std::mem::take(&mut record.binds).into_iter().collect();
    let mut records = vec![Record::Node { id, record }];
    records.extend(binds.chunks(GROUPED).map(|group| Record::Binds {
        node: id,
        binds: group.to_vec(),
    }));
    records
}

fn encode(record: &Record) -> Vec<Vec<u8>> {
    // No map in these types has a key that JSON cannot write; an empty record would be refused when read.
    let json = serde_json::to_vec(record).unwrap_or_default();
    let pieces = json.chunks(RECORD_BYTES);
    let last = pieces.len().saturating_sub(1);
    pieces
        .enumerate()
        .map(|(number, piece)| {
            let mut bytes = Vec::with_capacity(piece.len() + 1);
            bytes.push(if number == last { WHOLE } else { GOES_ON });
            bytes.extend_from_slice(piece);
            bytes
        })
        .collect()
}

/// Puts records together again.
#[derive(Default)]
struct Reader {
    pending: Vec<u8>,
    header: Option<Header>,
    state: State,
    phases: phases::PhasesReader,
}

impl Reader {
    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let (mark, piece) = bytes.split_first().ok_or("it is empty")?;
        if self.pending.len() + piece.len() > JOINED_BYTES {
            return Err(format!("continued records pass {JOINED_BYTES} bytes"));
        }
        self.pending.extend_from_slice(piece);
        match *mark {
            GOES_ON => Ok(()),
            WHOLE => {
                let json = std::mem::take(&mut self.pending);
                let record = serde_json::from_slice(&json).map_err(|error| describe(&json, &error))?;
                self.place(record)
            }
            other => Err(format!("it starts with byte {other:#04x}, not '=' or '+'")),
        }
    }

    fn place(&mut self, record: Record) -> Result<(), String> {
        match record {
            Record::Header(_) if self.header.is_some() => return Err("a second header".to_owned()),
            Record::Header(header) => {
                check_version(header.version)?;
                self.header = Some(header);
                return Ok(());
            }
            _ if self.header.is_none() => return Err("a header must come first".to_owned()),
            Record::Node { id, record } => {
                self.state.nodes.insert(id, record);
            }
            Record::Binds { node, binds } => {
                let record = self.state.nodes.get_mut(&node);
                let record = record.ok_or_else(|| format!("binds of node {node}, which is not in the snapshot"))?;
                record.binds.extend(binds);
            }
            Record::JoinToken { id, record } => {
                self.state.join_tokens.insert(id, record);
            }
            Record::Resolved(names) => {
                let names = names.into_iter().map(|(name, addresses)| (name, Arc::from(addresses)));
                self.state.resolved.extend(names);
            }
            Record::Object(object) => {
                self.state.objects.insert(object.key(), object);
            }
            Record::Phases(record) => self.phases.phases(record)?,
            Record::Pool(record) => self.phases.pool(record),
            Record::Holds(record) => self.phases.holds(record),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<State, String> {
        let header = self.header.take().ok_or("there is no header")?;
        if !self.pending.is_empty() {
            return Err("the last record goes on, and nothing follows".to_owned());
        }
        let mut state = self.state;
        for (what, announced, found) in [
            ("nodes", header.nodes, state.nodes.len()),
            ("tokens to join with", header.join_tokens, state.join_tokens.len()),
            ("resolved names", header.resolved, state.resolved.len()),
            ("objects", header.objects, state.objects.len()),
        ] {
            if announced != found {
                return Err(format!("the header announces {announced} {what}, {found} were found"));
            }
        }
        state.time = header.time;
        state.revision = header.revision;
        state.access_revision = header.revision;
        state.level = header.level;
        state.next_node = header.next_node;
        state.sealing_key = header.sealing_key;
        state.cluster = match (header.cluster, header.seed) {
            (Some(uid), Some(seed)) => Some(Cluster { uid, seed }),
            (None, None) => None,
            _ => return Err("the header has a cluster without a seed, or a seed without a cluster".to_owned()),
        };
        state.changes = ChangeRing::starting_after(state.revision);
        state.rebuild_index();
        self.phases.finish(&mut state, header.phases)?;
        Ok(state)
    }
}

fn check_version(version: u32) -> Result<(), String> {
    if (WITHOUT_PHASES..=VERSION).contains(&version) {
        return Ok(());
    }
    Err(format!(
        "it is of version {version}, this binary reads up to version {VERSION}: run the binary that wrote it, or a newer one"
    ))
}

/// A newer header may have fields that this code does not know: then its version is the better complaint.
fn describe(json: &[u8], error: &serde_json::Error) -> String {
    let version = serde_json::from_slice::<serde_json::Value>(json)
        .ok()
        .and_then(|value| value.get("Header")?.get("version")?.as_u64())
        .and_then(|version| u32::try_from(version).ok());
    match version.map(check_version) {
        Some(Err(problem)) => problem,
        _ => error.to_string(),
    }
}
