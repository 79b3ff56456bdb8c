//! The command line: what can be asked for, and which exit code each failure has.

mod answer;
mod exit;
mod upkeep;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use guideway_identity::JoinToken;
use guideway_model::NodeId;

use crate::check_host::{self, CheckHostArgs};
use crate::client::Access;
use crate::config::{self, Config, LoadError};
use crate::demo::{self, DemoOptions};
use crate::membership::ADMIN_KUBECONFIG;
use crate::{egress_policy, membership, reference, run, sessions, status, tokens};
use answer::print;
use exit::Failure;

/// Where `--config` looks by default.
const DEFAULT_CONFIG: &str = "/etc/guideway/guideway.toml";

const AFTER_HELP: &str = "\
Start here:
  guideway demo                 three nodes on this machine, with something to connect to

Exit codes:
  0  done
  1  failed; the message says what and why
  2  wrong usage
  3  the configuration is not valid
  4  the data folder is not what the command needs: empty, in use, or damaged
  5  an address or port is not available
  6  the cluster does not answer, or refused";

/// Clustered layer-4 load balancer: one configuration and one session table on every node.
#[derive(Debug, Parser)]
#[command(name = "guideway", version, after_help = AFTER_HELP, disable_help_subcommand = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run this node until SIGTERM or SIGINT
    Run(RunArgs),
    /// Make a new cluster of which this is the first node
    Init(ConfigArg),
    /// Ask a member of a cluster for a place in it
    Join(JoinArgs),
    /// Make a token with which one node can join; on the machine of a member that runs
    Invite(InviteArgs),
    /// Remove a member for good; on the machine of another that runs
    Remove(RemoveArgs),
    #[command(flatten)]
    Upkeep(upkeep::Task),
    /// Show the nodes of the cluster, and listeners with problems
    Status(StatusArgs),
    /// Show and close live sessions of the whole cluster
    Sessions(Box<SessionsArgs>),
    /// Make, show and revoke tokens with which users sign in
    Token(TokenArgs),
    /// Print the rule that lets the nodes in where endpoints are behind a firewall
    EgressPolicy(Box<EgressPolicyArgs>),
    /// Run a cluster on this machine to play with; Ctrl-C removes it
    Demo(DemoOptions),
    /// Check a configuration and print what is in effect
    CheckConfig(CheckConfigArgs),
    /// Check whether this machine gives a node what it needs; exit code 1 if something should be changed
    CheckHost(CheckHostCommand),
    /// Print what every metric means, as Markdown
    #[command(hide = true)]
    MetricsReference,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
struct ConfigArg {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG, env = "GUIDEWAY_CONFIG")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// End when the process with this number has ended
    #[arg(long, value_name = "PID", hide = true)]
    stop_with: Option<i32>,
}

#[derive(Debug, Args)]
struct JoinArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// What `guideway invite` printed on a member
    #[arg(long, value_name = "TOKEN", env = "GUIDEWAY_JOIN_TOKEN", hide_env_values = true)]
    token: String,
    /// peer.listen of any member, to ask it instead of the one that made the token
    #[arg(long, value_name = "HOST:PORT", value_parser = host_and_port)]
    member: Option<String>,
}

#[derive(Debug, Args)]
struct InviteArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// How long the token opens, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=7 * 24 * 60))]
    minutes: u32,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Its number, as `guideway status` shows it; it is never given again
    #[arg(value_name = "NUMBER")]
    node: u64,
}

/// Whom to ask.
#[derive(Debug, Args)]
struct ServerArgs {
    /// URL of any node's API; otherwise that of the kubeconfig
    #[arg(
        long,
        value_name = "URL",
        env = "GUIDEWAY_SERVER",
        conflicts_with = "config",
        global = true
    )]
    server: Option<String>,
    /// Configuration file of a node on this machine, which is then asked
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Kubeconfig that says as whom to ask; otherwise admin.kubeconfig in the data folder
    #[arg(long, value_name = "FILE", env = "KUBECONFIG", global = true)]
    kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SessionsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    task: sessions::Task,
}

#[derive(Debug, Args)]
struct TokenArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    task: tokens::Task,
}

#[derive(Debug, Args)]
struct EgressPolicyArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    policy: egress_policy::PolicyArgs,
}

#[derive(Debug, Args)]
struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
struct CheckConfigArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Print every key with its default and meaning instead, as a file to start from
    #[arg(long)]
    explain: bool,
}

#[derive(Debug, Args)]
struct CheckHostCommand {
    /// Configuration file (TOML); without it the data folder is the default one
    #[arg(long, value_name = "FILE", env = "GUIDEWAY_CONFIG")]
    config: Option<PathBuf>,
    #[command(flatten)]
    host: CheckHostArgs,
}

/// Parses the command line, does what it says, and gives the process's exit code.
pub fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&Failure::Runtime(error)),
    };
    let result = runtime.block_on(execute(command));
    // Lookups and drains that are still under way after a second signal must not hold the process.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit::report(&failure),
    }
}

async fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => Ok(run::run(load(&args.config.config)?, args.stop_with).await?),
        Command::Init(args) => {
            let config = load(&args.config)?;
            let node = membership::init(&config).await?;
            print(&answer::initialised(&config, &args.config, node))
        }
        Command::Join(args) => {
            let config = load(&args.config.config)?;
            let token = JoinToken::parse(&args.token).map_err(Failure::Token)?;
            let node = membership::join(&config, &token, args.member.as_deref()).await?;
            print(&answer::joined(&config, &args.config.config, node))
        }
        Command::Invite(args) => {
            let life = Duration::from_secs(u64::from(args.minutes) * 60);
            let token = membership::invite(&load(&args.config.config)?, life).await?;
            print(&answer::invited(&token, args.minutes))
        }
        Command::Remove(args) => {
            let node = NodeId(args.node);
            membership::beside(&load(&args.config.config)?)?.remove(node).await?;
            print(&format!("node {node} is no member any more: it is let in nowhere\n"))
        }
        Command::Upkeep(task) => upkeep::execute(task).await,
        Command::Status(args) => {
            let report = status::fetch(access(&args.server)?).await?;
            print(&match args.output {
                Output::Table => report.table(),
                Output::Json => report.json(),
            })
        }
        Command::Sessions(args) => Ok(sessions::execute(access(&args.server)?, args.task).await?),
        Command::Token(args) => Ok(tokens::execute(access(&args.server)?, args.task).await?),
        Command::EgressPolicy(args) => print(&egress_policy::print(access(&args.server)?, &args.policy).await?),
        Command::Demo(options) => Ok(demo::run(options).await?),
        Command::CheckConfig(args) if args.explain => print(&config::explain()),
        Command::CheckConfig(args) => {
            let (_, effective) = Config::load(&args.config.config)?;
            let file = args.config.config.display();
            print(&format!("# {file} is valid. In effect:\n{effective}"))
        }
        Command::CheckHost(args) if args.host.explain => print(&check_host::explain()),
        Command::CheckHost(args) => {
            let report = check_host::Report::of(&config_or_default(args.config.as_deref())?);
            print(&if args.host.json { report.json() } else { report.text() })?;
            Ok(report.result()?)
        }
        Command::MetricsReference => print(&reference::metrics_page()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut CommandLine::command(), "guideway", &mut script);
            print(&String::from_utf8_lossy(&script))
        }
    }
}

fn load(path: &Path) -> Result<Config, Failure> {
    Ok(Config::load(path)?.0)
}

/// The configuration in a file; without one, that of the default file, or of a file that says nothing.
fn config_or_default(path: Option<&Path>) -> Result<Config, Failure> {
    let default = Path::new(DEFAULT_CONFIG);
    match path {
        Some(path) => load(path),
        None if default.exists() => load(default),
        // A file that says nothing but a name has every default.
        None => Ok(Config::parse(default, "name = \"any\"").map_err(LoadError::from)?.0),
    }
}

/// Whom to ask, and as whom.
fn access(args: &ServerArgs) -> Result<Access, Failure> {
    let config = config_or_default(args.config.as_deref())?;
    // Of several files, as KUBECONFIG may name them, the first is ours.
    let named = args
        .kubeconfig
        .as_deref()
        .map(|path| path.to_string_lossy().into_owned());
    let named = named.and_then(|paths| paths.split(':').find(|path| !path.is_empty()).map(PathBuf::from));
    let kubeconfig = named.unwrap_or_else(|| config.data_dir.join(ADMIN_KUBECONFIG));
    let server = match (&args.server, &args.config) {
        (Some(server), _) => Some(server.clone()),
        (None, Some(_)) => Some(config.api_url()),
        (None, None) => None,
    };
    Ok(Access::from_kubeconfig(&kubeconfig, server.as_deref())?)
}

fn host_and_port(text: &str) -> Result<String, String> {
    let rule = "must be HOST:PORT, the peer.listen of a member, such as 127.0.0.1:7444";
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(text.to_owned()),
        _ => Err(rule.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_member_is_a_host_and_a_port() {
        for valid in ["127.0.0.1:7444", "[::1]:7444", "node-1:1"] {
            assert_eq!(host_and_port(valid).as_deref(), Ok(valid));
        }
        for invalid in ["", "127.0.0.1", ":7444", "node-1:", "node-1:0", "node-1:65536"] {
            assert!(host_and_port(invalid).is_err(), "{invalid}");
        }
    }
}
