//! Runs the real `kubectl` against a cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// `kubectl` with one kubeconfig and a cache of its own.
#[derive(Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: TempDir,
}

impl Kubectl {
    /// `KUBECTL` names the program (`scripts/kubectl.sh` finds or builds one); without it, the one on PATH.
    pub fn new(kubeconfig: &Path) -> Kubectl {
        Kubectl {
            program: std::env::var_os("KUBECTL").map_or_else(|| PathBuf::from("kubectl"), PathBuf::from),
            kubeconfig: kubeconfig.to_owned(),
            home: tempfile::tempdir().expect("a temporary folder can be made"),
        }
    }

    /// Runs it; standard output, or what it said when it failed.
    pub fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .env("HOME", self.home.path())
            .env_remove("KUBECONFIG")
            .output()
            .unwrap_or_else(|error| {
                panic!(
                    "cannot start {} ({error}); run `scripts/kubectl.sh` and set KUBECTL to what it prints",
                    self.program.display()
                )
            });
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            Ok(stdout)
        } else {
            Err(format!(
                "kubectl {}: {}: {stdout}{}",
                arguments.join(" "),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            ))
        }
    }

    /// Runs it; panics if it fails.
    pub fn must(&self, arguments: &[&str]) -> String {
        self.run(arguments).unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Writes a manifest to a file and applies it.
    pub fn apply(&self, name: &str, manifest: &str) -> Result<String, String> {
        let path = self.home.path().join(name);
        std::fs::write(&path, manifest).expect("the manifest can be written");
        self.run(&["apply", "-f", &path.to_string_lossy()])
    }

    /// Deletes what a manifest that was applied under this name has created, and is still there: a Namespace that is
    /// deleted first takes its contents with it.
    pub fn delete(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        self.must(&["delete", "--ignore-not-found", "-f", &path.to_string_lossy()])
    }
}
