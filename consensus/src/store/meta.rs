//! Small records of the store: a version byte, JSON, CRC-32 of both.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::database::Database;

/// The last vote that was given.
pub(crate) const VOTE: &str = "vote";
/// The last entry known committed; written without a sync of its own, since it may lag.
pub(crate) const COMMITTED: &str = "committed";
/// The last entry that was purged.
pub(crate) const PURGED: &str = "purged";
/// The current snapshot.
pub(crate) const MANIFEST: &str = "snapshot";

const VERSION: u8 = 1;

/// Writes the record `key`.
pub(crate) fn put<T: Serialize>(database: &Database, key: &str, value: &T) -> io::Result<()> {
    let mut bytes = vec![VERSION];
    serde_json::to_writer(&mut bytes, value)?;
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_be_bytes());
    database.put_meta(key, &bytes)
}

/// Reads the record `key`.
pub(crate) fn get<T: DeserializeOwned>(database: &Database, key: &str) -> io::Result<Option<T>> {
    let Some(bytes) = database.meta(key)? else {
        return Ok(None);
    };
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidData, format!("record {key:?}: {problem}"));
    let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
        return Err(invalid(format!("{} bytes are too few", bytes.len())));
    };
    if u32::from_be_bytes(*checksum) != crc32fast::hash(body) {
        return Err(invalid("wrong checksum".to_owned()));
    }
    match body.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(|error| invalid(error.to_string())),
        Some((version, _)) => Err(invalid(format!("version {version} is not known to this release"))),
        None => Err(invalid("empty".to_owned())),
    }
}
