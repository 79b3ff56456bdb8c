//! A small file system of its own, to fill up. Needs root.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs; unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    path: PathBuf,
}

impl Tmpfs {
    /// Mounts one of `mebibytes` at `path`, which is made if it is missing.
    pub fn mount(path: &Path, mebibytes: u32) -> Tmpfs {
        std::fs::create_dir_all(path).expect("the folder to mount on can be made");
        run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={mebibytes}m,mode=755"), "tmpfs"],
            path,
        );
        Tmpfs { path: path.to_owned() }
    }

    /// Fills it to the last byte with a file of this name.
    pub fn fill(&self, name: &str) {
        let mut file = File::create(self.path.join(name)).expect("a file can still be created");
        let mut size = 1 << 20;
        while size > 0 {
            match file.write(&vec![0xA5; size]) {
                Ok(written) if written > 0 => {}
                Ok(_) => size /= 2,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => size /= 2,
                Err(error) => panic!("filling {}: {error}", self.path.display()),
            }
        }
    }

    /// Removes a file that [`Tmpfs::fill`] made.
    pub fn free(&self, name: &str) {
        std::fs::remove_file(self.path.join(name)).expect("the filler is there");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a node that is still ending may hold files in it.
        Command::new("umount").arg("-l").arg(&self.path).status().ok();
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {} failed (this test needs root): {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}
