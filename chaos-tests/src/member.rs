//! A node by hand, as an operator makes one: a configuration, then `join` or `restore`, then `run`.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use crate::api::Api;
use crate::process::Process;
use crate::{binary, credentials, program, wait};

/// A node with a folder and an address of its own. Dropping it ends its process.
#[derive(Debug)]
pub struct Member {
    name: String,
    address: Ipv4Addr,
    config: PathBuf,
    data_dir: PathBuf,
    process: Option<Process>,
}

impl Member {
    /// Writes the configuration of a node below `folder`; nothing runs yet.
    pub fn prepare(folder: &Path, name: &str, address: Ipv4Addr) -> Member {
        let own = folder.join(name);
        std::fs::create_dir_all(&own).expect("a folder can be made");
        let member = Member {
            name: name.to_owned(),
            address,
            config: own.join("guideway.toml"),
            data_dir: own.join("data"),
            process: None,
        };
        member.write_config();
        member
    }

    /// Gives it another name, before it joins.
    pub fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
        self.write_config();
    }

    /// Gives it another address, from its next start on.
    pub fn readdress(&mut self, address: Ipv4Addr) {
        self.address = address;
        self.write_config();
    }

    fn write_config(&self) {
        let (name, address, data_dir) = (&self.name, self.address, self.data_dir.display());
        let text = format!(
            "name = \"{name}\"\n\
             data_dir = \"{data_dir}\"\n\
             peer.listen = \"{address}:7444\"\n\
             api.listen = \"{address}:7443\"\n\
             metrics.listen = \"{address}:7445\"\n\
             data.address = \"{address}\"\n\
             shutdown.deadline = \"1s\"\n"
        );
        std::fs::write(&self.config, text).expect("the configuration can be written");
    }

    /// Runs `guideway` with its configuration; standard output, or all that it said when it failed.
    pub fn guideway(&self, arguments: &[&str]) -> Result<String, String> {
        guideway(&self.config, arguments)
    }

    /// Joins with a token that a member makes, whose configuration this is.
    pub fn join(&self, through: &Path) {
        let token = invited(through);
        let joined = self.guideway(&["join", "--token", &token]);
        joined.unwrap_or_else(|failure| panic!("{}: {failure}", self.name));
    }

    /// Starts it and waits until it is ready.
    pub fn start(&mut self) {
        let mut process = Process::start(
            binary::guideway(),
            ["run".as_ref(), "--config".as_ref(), self.config.as_os_str()],
        );
        credentials::show(
            &self.data_dir.join("admin.kubeconfig"),
            &format!("{}:7443", self.address),
        );
        let api = self.api();
        wait::until(&format!("{} is ready", self.name), || {
            assert!(process.exited().is_none(), "{} ended:\n{}", self.name, process.tail());
            let answer = api.get("/readyz").map_err(|error| error.to_string())?;
            match answer.status {
                200 => Ok(()),
                status => Err(format!("{status}: {}\n{}", answer.text(), process.tail())),
            }
        });
        self.process = Some(process);
    }

    /// Ends its process.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Its API.
    pub fn api(&self) -> Api {
        Api::new(&format!("https://{}:7443", self.address))
    }

    /// Where it serves listeners.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its configuration.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Its store and identity.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }
}

/// Runs `guideway` with a configuration; standard output, or all that it said when it failed.
pub fn guideway(config: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = std::process::Command::new(binary::guideway());
    program::run(command.args(arguments).arg("--config").arg(config))
}

/// The token that `guideway invite` prints.
pub fn invited(config: &Path) -> String {
    let printed = wait::until("a token to join with", || guideway(config, &["invite"]));
    let token = printed.lines().find(|line| !line.starts_with('#'));
    token.expect("a token is printed").to_owned()
}
