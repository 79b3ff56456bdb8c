//! `guideway sessions kill`

use clap::Args;
use serde_json::Value;

use super::filter::{Filter, encoded, path};
use super::live::{Session, collection, text};
use super::{SessionsError, warn, write};
use crate::client::{Client, RequestError};

const NAMESPACES: &str = "/api/v1/namespaces";

/// What to close.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Names of sessions, as `list` shows them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    filter: Filter,
    /// Every session that there is
    #[arg(long)]
    all: bool,
    /// Only say what would be closed
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(client: &Client, arguments: &Arguments) -> Result<(), SessionsError> {
    let selects = arguments.all || !arguments.filter.is_empty();
    match (arguments.names.is_empty(), selects) {
        (false, false) => close_named(client, arguments).await,
        (true, true) => close_selected(client, arguments).await,
        (false, true) | (true, false) => Err(SessionsError::Unclear),
    }
}

/// Closes one after the other; those that are gone are told at the end.
async fn close_named(client: &Client, arguments: &Arguments) -> Result<(), SessionsError> {
    let mut gone = Vec::new();
    for name in &arguments.names {
        let wanted = format!("metadata.name={name}");
        let query = path(&collection(None), [("fieldSelector", wanted.as_str())].into_iter());
        let (found, warnings) = client.get_warned(&query).await?;
        warn(&warnings);
        let Some(session) = found["items"].get(0).map(Session::of) else {
            gone.push(name.clone());
            continue;
        };
        let word = if arguments.dry_run { "would be closed" } else { "closed" };
        if !arguments.dry_run {
            let session_path = format!("{}/{}", collection(Some(&session.namespace)), encoded(name));
            match client.delete(&session_path).await {
                Ok((_, warnings)) => warn(&warnings),
                Err(error) if is_not_found(&error) => {
                    gone.push(name.clone());
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
        }
        write(&format!("{name} {word}\n"))?;
    }
    if gone.is_empty() {
        Ok(())
    } else {
        Err(SessionsError::NotFound { names: gone })
    }
}

/// Closes what is selected. A collection is deleted in one namespace, as in Kubernetes.
async fn close_selected(client: &Client, arguments: &Arguments) -> Result<(), SessionsError> {
    let namespaces = match &arguments.filter.namespace {
        Some(namespace) => vec![namespace.clone()],
        None => namespaces(client).await?,
    };
    let dry_run: &[(&str, &str)] = if arguments.dry_run { &[("dryRun", "All")] } else { &[] };
    for namespace in namespaces {
        let query = arguments.filter.query(&collection(Some(&namespace)), dry_run);
        let (answer, warnings) = client.delete(&query).await?;
        let message = text(&answer["message"]);
        // A dry run says the same twice, for kubectl, which shows warnings only.
        let others: Vec<String> = warnings.into_iter().filter(|warning| *warning != message).collect();
        warn(&others);
        write(&format!("{namespace}: {message}\n"))?;
    }
    Ok(())
}

async fn namespaces(client: &Client) -> Result<Vec<String>, SessionsError> {
    let list = client.get(NAMESPACES).await?;
    let items = list["items"].as_array().into_iter().flatten();
    Ok(items.map(|item: &Value| text(&item["metadata"]["name"])).collect())
}

fn is_not_found(error: &RequestError) -> bool {
    matches!(error, RequestError::Refused { status, .. } if status.as_u16() == 404)
}
