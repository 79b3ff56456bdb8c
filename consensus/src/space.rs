//! Free space: the cluster refuses proposals before a disk is full, and a ballast file makes the way back.
//!
//! A full disk stops the store of its node. So the leader refuses proposals while it, or a member that has lately said
//! so, has less free space than the mark. What is under way still fits between the mark and the end. If the disk is
//! filled by something else and the store fails all the same, the ballast is given up, so that the store can be opened
//! again, and made anew when there is room.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};

use crate::propose::ProposeError;

/// Name of the ballast file in the data folder.
pub(crate) const BALLAST: &str = "ballast";

/// How often free space is measured. What can be written in between must be less than the mark.
pub(crate) const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);

/// How long a member's report counts: one that is silent no longer stands in the way.
const REPORT_LIFE: Duration = Duration::from_secs(3);

/// What a member says of its disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SpaceReport {
    /// Its data folder.
    pub(crate) path: PathBuf,
    /// What is free, in bytes.
    pub(crate) free_bytes: u64,
    /// What must be.
    pub(crate) mark_bytes: u64,
}

/// Free space of this node and what the others said of theirs.
pub(crate) struct Space {
    data_dir: PathBuf,
    mark_bytes: u64,
    ballast_bytes: u64,
    free_bytes: AtomicU64,
    reports: Mutex<BTreeMap<u64, (SpaceReport, Instant)>>,
}

impl Space {
    /// Measures once and lays the ballast down if there is room. Blocks on the disk.
    pub(crate) fn new(data_dir: &Path, mark_bytes: u64, ballast_bytes: u64) -> Space {
        let space = Space {
            data_dir: data_dir.to_owned(),
            mark_bytes,
            ballast_bytes,
            free_bytes: AtomicU64::new(0),
            reports: Mutex::default(),
        };
        space.sample();
        space
    }

    /// Measures, and lays the ballast down again when there is room for it and the mark twice over. Blocks on the disk.
    pub(crate) fn sample(&self) {
        match free_bytes(&self.data_dir) {
            Ok(free) => {
                self.free_bytes.store(free, Ordering::Relaxed);
                if free >= self.mark_bytes + 2 * self.ballast_bytes
                    && let Err(error) = self.lay_ballast()
                {
                    tracing::warn!(path = ?self.data_dir, %error, "the ballast file cannot be made");
                }
            }
            Err(error) => tracing::warn!(path = ?self.data_dir, %error, "free space cannot be measured"),
        }
    }

    /// Gives the ballast up if space is short. Blocks on the disk.
    pub(crate) fn drop_ballast(&self) {
        let short = free_bytes(&self.data_dir).is_ok_and(|free| free < self.mark_bytes);
        if short && std::fs::remove_file(self.data_dir.join(BALLAST)).is_ok() {
            tracing::warn!(path = ?self.data_dir, "the disk is full: the ballast file is given up so that the store can be opened");
        }
    }

    /// What this node says of its disk.
    pub(crate) fn report(&self) -> SpaceReport {
        SpaceReport {
            path: self.data_dir.clone(),
            free_bytes: self.free_bytes.load(Ordering::Relaxed),
            mark_bytes: self.mark_bytes,
        }
    }

    /// Notes what a member said.
    pub(crate) fn note(&self, node: u64, report: SpaceReport) {
        let mut reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        // Only members are asked, so there are never more reports than members had numbers.
        reports.retain(|_, (_, at)| at.elapsed() < REPORT_LIFE);
        reports.insert(node, (report, Instant::now()));
    }

    /// Refuses while this node (`me`) or a member that lately reported has too little space.
    pub(crate) fn guard(&self, me: u64) -> Result<(), ProposeError> {
        let reports = self.reports.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = reports.iter().filter(|(_, (_, at))| at.elapsed() < REPORT_LIFE);
        let own = self.report();
        let mut all = std::iter::once((me, &own)).chain(fresh.map(|(node, (report, _))| (*node, report)));
        all.try_for_each(|(node, report)| check(node, report))
    }

    /// Refuses while this node (`me`) has too little space.
    pub(crate) fn guard_here(&self, me: u64) -> Result<(), ProposeError> {
        check(me, &self.report())
    }

    fn lay_ballast(&self) -> io::Result<()> {
        let path = self.data_dir.join(BALLAST);
        if File::open(&path)
            .and_then(|file| file.metadata())
            .is_ok_and(|known| known.len() == self.ballast_bytes)
        {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        if self.ballast_bytes > 0 {
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.ballast_bytes)?;
        }
        Ok(())
    }
}

fn check(node: u64, report: &SpaceReport) -> Result<(), ProposeError> {
    if report.free_bytes >= report.mark_bytes {
        return Ok(());
    }
    Err(ProposeError::DiskFull {
        node,
        path: report.path.clone(),
        free_bytes: report.free_bytes,
        mark_bytes: report.mark_bytes,
    })
}

fn free_bytes(path: &Path) -> io::Result<u64> {
    let figures = rustix::fs::statvfs(path)?;
    Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_short_of_space_stands_in_the_way_until_it_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let space = Space::new(folder.path(), 1, 4096);
        assert_eq!(
            std::fs::metadata(folder.path().join(BALLAST)).expect("laid down").len(),
            4096
        );
        assert_eq!(space.guard(1), Ok(()));

        let report = |free_bytes| SpaceReport {
            path: "/elsewhere".into(),
            free_bytes,
            mark_bytes: 100,
        };
        space.note(2, report(99));
        let refused = ProposeError::DiskFull {
            node: 2,
            path: "/elsewhere".into(),
            free_bytes: 99,
            mark_bytes: 100,
        };
        assert_eq!(space.guard(1), Err(refused));
        space.note(2, report(100));
        assert_eq!(space.guard(1), Ok(()));

        let full = Space::new(folder.path(), u64::MAX / 2, 4096);
        assert!(matches!(full.guard(7), Err(ProposeError::DiskFull { node: 7, .. })));
        full.drop_ballast();
        assert!(!folder.path().join(BALLAST).exists());
    }
}
