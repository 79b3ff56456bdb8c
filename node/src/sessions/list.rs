//! `guideway sessions list`

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::filter::Filter;
use super::live::{Listed, Session, fetch, table};
use super::{SessionsError, warn, write};
use crate::client::Client;

/// What to list, and how.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    /// Sort by name, age, idle or bytes; -bytes has the greatest first
    #[arg(long, value_name = "FIELD", default_value = "name", allow_hyphen_values = true)]
    sort: String,
    /// Sessions to list at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people
    Table,
    /// For people with wide terminals
    Wide,
    /// For programs, as the API has it
    Json,
}

pub(super) async fn run(client: &Client, arguments: &Arguments) -> Result<(), SessionsError> {
    let listed = fetch(client, &arguments.filter, &arguments.sort, arguments.limit as usize).await?;
    if listed.more {
        warn(&[format!("there are more; these are the first {}", listed.items.len())]);
    }
    write(&print(&listed, arguments.output)).map(drop)
}

fn print(listed: &Listed, output: Output) -> String {
    let sessions = || listed.items.iter().map(Session::of).collect::<Vec<_>>();
    match output {
        Output::Json => {
            let list = json!({
                "apiVersion": "guideway.dev/v1alpha1",
                "kind": "SessionList",
                "items": Value::from(listed.items.clone()),
            });
            format!("{list:#}\n")
        }
        Output::Table | Output::Wide if listed.items.is_empty() => "No such session lives.\n".to_owned(),
        Output::Table => table(&sessions(), false),
        Output::Wide => table(&sessions(), true),
    }
}
