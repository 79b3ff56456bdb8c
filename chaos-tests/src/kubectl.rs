//! Runs the real `kubectl` against a cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::program;

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

    /// What a manifest that was applied under this name has become, as JSON.
    pub fn get(&self, name: &str) -> Result<String, String> {
        let path = self.home.path().join(name);
        self.run(&["get", "-o", "json", "-f", &path.to_string_lossy()])
    }

    /// Runs lines of shell as a user with this kubeconfig would, with these variables; what they printed, both streams.
    pub fn shell(&self, lines: &str, variables: &[(&str, String)]) -> Result<String, String> {
        let programs = self.home.path().join("bin");
        std::fs::create_dir_all(&programs).expect("a folder can be made");
        let link = programs.join("kubectl");
        if !link.exists() {
            std::os::unix::fs::symlink(program::find(&self.program.to_string_lossy()), &link)
                .expect("a link can be made");
        }
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = program::command("bash");
        command
            .args(["-euo", "pipefail", "-c"])
            .arg(format!("exec 2>&1\n{lines}"))
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("PATH", format!("{}:{path}:/usr/sbin:/sbin", programs.display()))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", self.home.path())
            .current_dir(self.home.path());
        program::run(&mut command)
    }

    /// Deletes what a manifest that was applied under this name has created, and is still there: a Namespace that is
    /// deleted first takes its contents with it.
    pub fn delete(&self, name: &str) -> String {
        let path = self.home.path().join(name);
        self.must(&["delete", "--ignore-not-found", "-f", &path.to_string_lossy()])
    }
}
