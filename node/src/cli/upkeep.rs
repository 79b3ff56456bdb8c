//! Commands that keep a cluster for years: backups, the way out of a lost quorum, certificates, kubeconfigs.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use guideway_consensus::{BesideError, shown_identity};

use super::answer::{self, print};
use super::exit::Failure;
use super::{ConfigArg, DEFAULT_CONFIG, ServerArgs, access, load};
use crate::membership::{ADMIN_KUBECONFIG, KubeconfigError};
use crate::recover::{Left, RecoverCommandError};
use crate::{backup, membership, recover};

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Write the replicated state to a file, Secrets sealed; takes the role cluster-admin
    Backup(BackupArgs),
    /// Make a new cluster of a backup, of which this is the first node
    Restore(RestoreArgs),
    /// Make a cluster of this node alone when most members are lost for good
    Recover(RecoverArgs),
    /// The certificate of the node on this machine
    Certs {
        /// What to do with it
        #[command(subcommand)]
        task: CertsTask,
    },
    /// Make admin.kubeconfig anew, with a context for each node of the cluster; on the machine of one that runs
    Kubeconfig(KubeconfigArgs),
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// File to write, readable for its owner alone
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// Read the data folder of the node with this configuration, which does not run, instead of asking a node
    #[arg(long)]
    stopped: bool,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    restore: backup::RestoreSource,
}

#[derive(Debug, Args)]
pub(super) struct RecoverArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Do it; without this it is only said what is lost
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct KubeconfigArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print it instead; it is a secret
    #[arg(long)]
    print: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum CertsTask {
    /// Give the node another key and certificate, without ending a connection
    Rotate(ConfigArg),
    /// Show what is in the node's folder `identity`, and when it ends; no secret is shown
    Show(ConfigArg),
}

/// Does what was asked.
pub(super) async fn execute(task: Task) -> Result<(), Failure> {
    match task {
        Task::Backup(args) => {
            let header = if args.stopped {
                let config = args.server.config.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG));
                backup::of_stopped(&load(config)?, &args.to).await?
            } else {
                backup::of_running(access(&args.server)?, &args.to).await?
            };
            print(&answer::backed_up(&args.to, &header))
        }
        Task::Restore(args) => {
            let config = load(&args.config.config)?;
            let (node, header) = backup::restore(&config, &args.restore).await?;
            print(&answer::restored(&config, &args.config.config, node, &header))
        }
        Task::Recover(args) => {
            let config = load(&args.config.config)?;
            let (left, loss) = Left::find(&config).await?;
            print(&recover::stated(&loss))?;
            if !args.yes {
                return Err(RecoverCommandError::NotSure.into());
            }
            let loss = left.recover(&config).await?;
            print(&recover::recovered(&loss, &args.config.config))
        }
        Task::Certs {
            task: CertsTask::Rotate(args),
        } => {
            let beside = membership::beside(&load(&args.config)?)?;
            let key = beside.rotate().await?;
            print(&answer::rotated(beside.node(), key))
        }
        Task::Certs {
            task: CertsTask::Show(args),
        } => {
            let config = load(&args.config)?;
            let none = || BesideError::NoNode(config.data_dir.display().to_string());
            let shown = shown_identity(&config.data_dir)
                .map_err(BesideError::from)?
                .ok_or_else(none)?;
            print(&answer::shown(&shown))
        }
        Task::Kubeconfig(args) => {
            let config = load(&args.config.config)?;
            let text = membership::kubeconfig_of_all(&config).await?;
            if args.print {
                return print(&text);
            }
            let path = config.data_dir.join(ADMIN_KUBECONFIG);
            membership::write_private(&path, &text).map_err(KubeconfigError::from)?;
            print(&format!("{} has a context for each node now\n", path.display()))
        }
    }
}
