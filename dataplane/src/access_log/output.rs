//! Where the access log's text goes.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the text goes.
#[derive(Debug)]
pub(super) enum Output {
    Stdout(io::Stdout),
    File(LogFile),
}

/// A file that stays the one its path names: when it was moved away or deleted, the path is opened anew. So a log is
/// rotated by renaming it, without a signal.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    identity: (u64, u64),
    /// The path could not be opened anew; the old file is written on.
    failing: bool,
}

impl Output {
    /// Writes all of it.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Output::Stdout(stdout) => stdout.write_all(text).and_then(|()| stdout.flush()),
            Output::File(log) => log.file.write_all(text),
        }
    }

    /// Looks whether the file was moved away.
    pub(super) fn follow(&mut self) {
        match self {
            Output::Stdout(_) => {}
            Output::File(log) => log.follow(),
        }
    }
}

impl LogFile {
    /// Opens the file to append to it, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<LogFile> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(LogFile {
            path: path.into(),
            identity: identity(&file.metadata()?),
            file,
            failing: false,
        })
    }

    fn follow(&mut self) {
        let named = std::fs::metadata(&self.path).map(|found| identity(&found));
        if named.is_ok_and(|named| named == self.identity) {
            return;
        }
        match LogFile::open(&self.path) {
            Ok(log) => *self = log,
            Err(error) => {
                if !self.failing {
                    let path = self.path.display();
                    tracing::error!(%error, "access log {path} was moved away and cannot be opened anew; lines go on into the moved file");
                }
                self.failing = true;
            }
        }
    }
}

/// Device and inode.
fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}
