//! Failures of commands, and the exit code of each.

use std::io::{self, Write};
use std::process::ExitCode;

use guideway_consensus::{BesideError, InviteError, StartError as ConsensusStartError};
use guideway_identity::TokenError;

use crate::backup::BackupCommandError;
use crate::check_host::HostError;
use crate::client::AccessError;
use crate::config::LoadError;
use crate::demo::DemoError;
use crate::egress_policy::PolicyError;
use crate::exporter::ExporterError;
use crate::membership::{InitError, JoinError, KubeconfigError};
use crate::node::StartError;
use crate::recover::RecoverCommandError;
use crate::run::RunError;
use crate::sessions::SessionsError;
use crate::status::StatusError;
use crate::tokens::TokensError;

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 3;
const DATA_FOLDER: u8 = 4;
const ADDRESS: u8 = 5;
const CLUSTER: u8 = 6;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the async runtime did not start: {0}")]
    Runtime(io::Error),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error(transparent)]
    Config(#[from] LoadError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Init(#[from] InitError),
    #[error(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    Invite(#[from] InviteError),
    #[error(transparent)]
    Beside(#[from] BesideError),
    #[error(transparent)]
    Backup(#[from] BackupCommandError),
    #[error(transparent)]
    Recover(#[from] RecoverCommandError),
    #[error(transparent)]
    Kubeconfig(#[from] KubeconfigError),
    #[error("--token: {0}")]
    Token(TokenError),
    #[error(transparent)]
    Status(#[from] StatusError),
    #[error(transparent)]
    Sessions(#[from] SessionsError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    EgressPolicy(#[from] PolicyError),
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error(transparent)]
    Demo(#[from] DemoError),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Failure::Runtime(_) | Failure::Output(_) | Failure::Host(_) => FAILED,
            Failure::Config(_) => CONFIGURATION,
            Failure::Run(RunError::Start(error)) => start_code(error),
            Failure::Run(_) => FAILED,
            Failure::Init(_) => DATA_FOLDER,
            Failure::Join(JoinError::Folder { .. }) => DATA_FOLDER,
            Failure::Tokens(TokensError::Request(_) | TokensError::NotFound { .. }) => CLUSTER,
            Failure::Tokens(TokensError::Token(_) | TokensError::Output(_)) => FAILED,
            Failure::EgressPolicy(_) => CLUSTER,
            Failure::Access(_) => CONFIGURATION,
            Failure::Backup(BackupCommandError::Request(_)) => CLUSTER,
            Failure::Backup(BackupCommandError::Folder(_) | BackupCommandError::Restore(_)) => DATA_FOLDER,
            Failure::Backup(_) => FAILED,
            Failure::Recover(RecoverCommandError::NotSure) => FAILED,
            Failure::Recover(RecoverCommandError::Folder(_) | RecoverCommandError::Stopped(_)) => DATA_FOLDER,
            Failure::Recover(RecoverCommandError::Beside(_)) => CLUSTER,
            Failure::Kubeconfig(KubeconfigError::Access(_)) => CONFIGURATION,
            Failure::Kubeconfig(KubeconfigError::Request(_)) => CLUSTER,
            Failure::Kubeconfig(KubeconfigError::Admin(_)) => FAILED,
            Failure::Token(_) => USAGE,
            Failure::Beside(BesideError::NoNode(_) | BesideError::Credentials(_))
            | Failure::Invite(InviteError::Beside(BesideError::NoNode(_) | BesideError::Credentials(_))) => DATA_FOLDER,
            Failure::Join(_) | Failure::Invite(_) | Failure::Beside(_) | Failure::Status(_) => CLUSTER,
            Failure::Sessions(SessionsError::Request { .. } | SessionsError::NotFound { .. }) => CLUSTER,
            Failure::Sessions(SessionsError::Unclear) => USAGE,
            Failure::Sessions(SessionsError::Output(_)) => FAILED,
            Failure::Demo(DemoError::Busy(_)) => ADDRESS,
            Failure::Demo(_) => FAILED,
        }
    }
}

fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::ApiBind { .. } | StartError::Metrics(ExporterError::Bind { .. }) => ADDRESS,
        StartError::Consensus(error) => match error {
            ConsensusStartError::Bind { .. } => ADDRESS,
            ConsensusStartError::NotInitialised { .. }
            | ConsensusStartError::Corrupted { .. }
            | ConsensusStartError::Credentials(_)
            | ConsensusStartError::SealingKey { .. }
            | ConsensusStartError::Io { .. } => DATA_FOLDER,
            _ => FAILED,
        },
        _ => FAILED,
    }
}

/// Writes the failure to standard error and gives its code.
pub(super) fn report(failure: &Failure) -> ExitCode {
    let line = format!("guideway: {failure}\n");
    let code = ExitCode::from(failure.code());
    match io::stderr().lock().write_all(line.as_bytes()) {
        // Without a standard error the code alone says what it can.
        Ok(()) | Err(_) => code,
    }
}
