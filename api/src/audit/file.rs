//! A file that is only appended to, and put aside when it is full.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Nobody else has to read who did what.
const MODE: u32 = 0o600;

/// The file, and those put aside: `PATH.1` is the newest.
pub(super) struct RotatedFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    kept: u32,
}

impl RotatedFile {
    pub(super) fn open(path: &Path, max_bytes: u64, kept: u32) -> io::Result<RotatedFile> {
        let file = append_to(path)?;
        Ok(RotatedFile {
            path: path.to_owned(),
            bytes: file.metadata()?.len(),
            file,
            max_bytes,
            kept,
        })
    }

    /// Appends a line, in a file of its own if it does not fit into this one any more.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX).saturating_add(1);
        if self.bytes > 0 && self.bytes.saturating_add(length) > self.max_bytes {
            self.put_aside()?;
        }
        // One call, so that no line is torn by a crash between two.
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.bytes = self.bytes.saturating_add(length);
        Ok(())
    }

    fn put_aside(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        for number in (1..self.kept).rev() {
            rename(&self.numbered(number), &self.numbered(number + 1))?;
        }
        if self.kept == 0 {
            unless_gone(std::fs::remove_file(&self.path))?;
        } else {
            rename(&self.path, &self.numbered(1))?;
        }
        self.file = append_to(&self.path)?;
        self.bytes = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(MODE).open(path)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    unless_gone(std::fs::rename(from, to))
}

/// There are not that many files yet, or somebody else has taken one away.
fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
