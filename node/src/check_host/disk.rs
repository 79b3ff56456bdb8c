//! The data folder: who may look into it, how quickly its disk keeps what it is told, and how much room there is.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::statvfs;
use rustix::process::geteuid;

use super::item::{Item, Subject, Verdict, verdict};

/// Writes that are timed; the middle one counts.
const WRITES: usize = 9;
/// About what an entry of the replicated log takes.
const WRITE_BYTES: usize = 4096;
const SYNC_WANTED: Duration = Duration::from_millis(10);

static FOLDER: Subject = Subject {
    name: "data folder",
    wanted: "open to its owner alone (0700), or not there yet",
    why: "whoever can read it can act for the cluster: it holds the authority's key",
    set: "chmod 0700 /var/lib/guideway, and chown it to the user that the node runs as",
};
static SYNC: Subject = Subject {
    name: "disk of the data folder",
    wanted: "a write is kept within 10 ms (fdatasync of 4096 bytes)",
    why: "each change waits for it on a majority of the nodes",
    set: "data_dir on a local disk with a write cache that survives power loss",
};
static SPACE: Subject = Subject {
    name: "room for the data folder",
    wanted: "1 GiB above store.free_space_mark, or more",
    why: "below the mark changes are refused; the log grows to store.snapshot_log_bytes, and a snapshot is written beside the one before",
    set: "data_dir on a larger file system",
};

/// What is looked at.
pub(super) fn subjects() -> impl Iterator<Item = &'static Subject> {
    [&FOLDER, &SYNC, &SPACE].into_iter()
}

/// Looks at the folder, or, as long as it is not there, at the one that it would be made in.
pub(super) fn items(data_dir: &Path, mark: u64) -> Vec<Item> {
    let existing = data_dir.ancestors().find(|folder| folder.is_dir());
    let existing = existing.unwrap_or(Path::new("/"));
    vec![folder(data_dir), sync(existing), space(existing, mark)]
}

fn folder(data_dir: &Path) -> Item {
    let shown = data_dir.display();
    let metadata = match std::fs::metadata(data_dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return FOLDER.found(Verdict::Ok, format!("{shown} is not there yet"));
        }
        Err(error) => return FOLDER.found(Verdict::Change, format!("{shown}: {error}")),
    };
    let (mode, owner) = (metadata.permissions().mode() & 0o777, metadata.uid());
    let mine = owner == geteuid().as_raw();
    let fits = metadata.is_dir() && mode == 0o700 && mine;
    let whose = if mine {
        String::new()
    } else {
        format!(", of user {owner}")
    };
    FOLDER.found(verdict(fits), format!("{shown} has mode {mode:04o}{whose}"))
}

fn sync(folder: &Path) -> Item {
    match time_of_sync(folder) {
        Ok(took) => SYNC.found(
            verdict(took <= SYNC_WANTED),
            format!("kept within {} µs", took.as_micros()),
        ),
        Err(error) => SYNC.found(
            Verdict::Change,
            format!("nothing can be written to {}: {error}", folder.display()),
        ),
    }
}

/// The middle one of some times that a write takes.
fn time_of_sync(folder: &Path) -> io::Result<Duration> {
    let mut file: File = tempfile::tempfile_in(folder)?;
    let mut times = Vec::with_capacity(WRITES);
    for _ in 0..WRITES {
        let start = Instant::now();
        file.write_all(&[0; WRITE_BYTES])?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[WRITES / 2])
}

fn space(folder: &Path, mark: u64) -> Item {
    match statvfs(folder) {
        Ok(figures) => {
            let free = figures.f_bavail.saturating_mul(figures.f_frsize);
            let wanted = mark.saturating_add(1 << 30);
            SPACE.found(verdict(free >= wanted), format!("{} MiB free", free >> 20))
        }
        Err(errno) => SPACE.found(Verdict::Unknown, format!("{}: {errno}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_folder_that_others_can_look_into_is_to_be_changed() {
        let parent = tempfile::tempdir().expect("a folder");
        let data = parent.path().join("data");
        assert_eq!(folder(&data).verdict, Verdict::Ok);
        std::fs::create_dir(&data).expect("made");
        for (mode, expected) in [(0o755, Verdict::Change), (0o710, Verdict::Change), (0o700, Verdict::Ok)] {
            std::fs::set_permissions(&data, Permissions::from_mode(mode)).expect("set");
            assert_eq!(folder(&data).verdict, expected, "{mode:o}");
        }
        assert!(space(&data, u64::MAX).verdict == Verdict::Change);
        assert!(space(&data, 0).verdict != Verdict::Unknown);
        assert_eq!(sync(Path::new("/proc")).verdict, Verdict::Change);
        assert!(time_of_sync(&data).is_ok());
        assert_eq!(
            std::fs::read_dir(&data).expect("read").count(),
            0,
            "nothing is left behind"
        );
    }
}
