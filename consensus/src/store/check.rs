//! What a store must prove before it is used again: that all it has acknowledged is there.

use std::io;
use std::path::Path;

use openraft::LogIdOptionExt;

use super::OpenError;
use super::database::Database;
use super::mark::Promise;
use super::meta;
use super::record;
use super::snapshot::{self, Manifest};
use crate::raft_types::{LogId, Vote};

/// What a whole store holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) vote: Option<Vote>,
    pub(crate) committed: Option<LogId>,
    pub(crate) purged: Option<LogId>,
    /// The last entry, or the last that was purged.
    pub(crate) last: Option<LogId>,
    /// Bytes of the entries.
    pub(crate) bytes: u64,
    pub(crate) manifest: Option<Manifest>,
}

/// An error of the database before or while its contents are looked at.
pub(crate) fn damaged(path: &Path, promised: Promise, source: io::Error) -> OpenError {
    match source.kind() {
        // sled says `InvalidData` for a page it cannot read and `Other` for what it does not expect in its files; the
        // rest comes from the operating system.
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            OpenError::Corrupted {
                path: path.join("db"),
                index: promised.last.index().unwrap_or_default(),
                problem: source.to_string(),
            }
        }
        _ => OpenError::Io {
            path: path.to_owned(),
            source,
        },
    }
}

/// Checks a store that has `promised`; cuts a torn tail that it had not.
pub(crate) fn check(database: &Database, promised: Promise) -> Result<Found, OpenError> {
    let damaged = |source| damaged(database.path(), promised, source);
    let mut found = Found {
        vote: meta::get(database, meta::VOTE).map_err(damaged)?,
        committed: meta::get(database, meta::COMMITTED).map_err(damaged)?,
        purged: meta::get(database, meta::PURGED).map_err(damaged)?,
        manifest: meta::get(database, meta::MANIFEST).map_err(damaged)?,
        ..Found::default()
    };
    check_vote(database, promised, found.vote)?;
    check_log(database, promised, &mut found)?;
    check_snapshot(database, &found)?;
    // Written without a sync of its own after entries that were, and dropped with a tail that is cut.
    found.committed = found.committed.min(found.last);
    Ok(found)
}

fn check_vote(database: &Database, promised: Promise, vote: Option<Vote>) -> Result<(), OpenError> {
    if vote >= promised.vote {
        return Ok(());
    }
    let text = |vote: Option<Vote>| vote.map_or_else(|| "no vote".to_owned(), |vote| vote.to_string());
    Err(corrupted(
        database,
        promised.last.index().unwrap_or_default(),
        format!(
            "the vote {} was acknowledged, the store has {}",
            text(promised.vote),
            text(vote)
        ),
    ))
}

fn check_log(database: &Database, promised: Promise, found: &mut Found) -> Result<(), OpenError> {
    found.last = found.purged;
    // The first entry of a log, which makes node 1 its voter, is number 0.
    let mut next = found.purged.index().map_or(0, |purged| purged + 1);
    let mut problem = None;
    for entry in database
        .entries_from(next)
        .map_err(|error| damaged(database.path(), promised, error))?
    {
        match entry
            .map_err(|error| error.to_string())
            .and_then(|(index, bytes)| read(next, index, bytes))
        {
            Ok((log_id, bytes)) => {
                found.last = Some(log_id);
                found.bytes += bytes;
                next += 1;
            }
            Err(text) => {
                problem = Some(text);
                break;
            }
        }
    }
    if let Some(last) = promised.last
        && found.last < Some(last)
    {
        let text = problem.unwrap_or_else(|| format!("the log ends before it, and {last} was acknowledged"));
        return Err(corrupted(database, next, text));
    }
    let Some(problem) = problem else {
        return Ok(());
    };
    tracing::warn!(
        index = next,
        problem,
        "the log's tail was torn before it was acknowledged; it is cut"
    );
    let cut = || -> io::Result<()> {
        while let Some((index, _)) = database.entries_from(next)?.next().transpose()? {
            database.remove_entry(index)?;
        }
        database.sync()
    };
    cut().map_err(|error| damaged(database.path(), promised, error))
}

fn read(wanted: u64, index: u64, mut bytes: bytes::Bytes) -> Result<(LogId, u64), String> {
    let length = bytes.len() as u64;
    if index != wanted {
        return Err(format!("entry {wanted} is missing, the next one is {index}"));
    }
    let entry = record::decode(&mut bytes).map_err(|error| format!("entry {index}: {error}"))?;
    if entry.log_id.index != index || !bytes.is_empty() {
        return Err(format!(
            "entry {index}: the record is that of entry {}",
            entry.log_id.index
        ));
    }
    Ok((entry.log_id, length))
}

fn check_snapshot(database: &Database, found: &Found) -> Result<(), OpenError> {
    let covered = found.manifest.as_ref().and_then(|manifest| manifest.meta.last_log_id);
    if covered < found.purged {
        let purged = found.purged.index().unwrap_or_default();
        let problem = format!("entries up to {purged} are purged, and no snapshot has them");
        return Err(corrupted(
            database,
            covered.index().map_or(0, |index| index + 1),
            problem,
        ));
    }
    let Some(manifest) = &found.manifest else {
        return Ok(());
    };
    let index = covered.index().unwrap_or_default();
    for number in 0..manifest.chunks {
        let chunk = database.chunk(manifest.id, number);
        let whole = chunk.and_then(|chunk| match chunk {
            Some(chunk) => snapshot::check_chunk(&chunk, number),
            None => Err(io::Error::other(format!("chunk {number} of the snapshot is missing"))),
        });
        whole.map_err(|error| corrupted(database, index, format!("snapshot up to {index}: {error}")))?;
    }
    Ok(())
}

fn corrupted(database: &Database, index: u64, problem: String) -> OpenError {
    OpenError::Corrupted {
        path: database.path().join("db"),
        index,
        problem,
    }
}
