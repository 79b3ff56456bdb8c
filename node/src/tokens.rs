//! `guideway token`: bearer tokens of the API. The secret is drawn here and shown once; the cluster gets its hash.

use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use guideway_identity::{ApiToken, TokenError};
use guideway_model::meta::{Timestamp, UnixMillis};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::client::{Access, Client, RequestError};
use crate::columns;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

const TOKENS: &str = "/apis/guideway.dev/v1alpha1/apitokens";

/// What is to be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Make a token and print it; it is not shown again
    Create(CreateArgs),
    /// Show the tokens there are, without their secrets
    List,
    /// End tokens now
    Revoke {
        /// Ids, as `list` shows them
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// Whom a token speaks for.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Name of the user
    user: String,
    /// A group of the user; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// How long it is good for: a number of minutes (m), hours (h) or days (d)
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = lifetime)]
    lifetime: Duration,
}

/// Why a command about tokens failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensError {
    /// The API.
    #[error("{0}")]
    Request(#[from] RequestError),
    /// A token could not be drawn.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Tokens that were to be revoked are not there.
    #[error("no such token: {}; `guideway token list` shows those there are", ids.join(", "))]
    NotFound {
        /// Their ids.
        ids: Vec<String>,
    },
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] io::Error),
}

/// Does what was asked, with the API that `access` leads to.
pub(crate) async fn execute(access: Access, task: Task) -> Result<(), TokensError> {
    let client = Client::new(access, REQUEST_TIMEOUT);
    let text = match task {
        Task::Create(arguments) => create(&client, &arguments).await?,
        Task::List => list(&client).await?,
        Task::Revoke { ids } => revoke(&client, ids).await?,
    };
    use std::io::Write;
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn create(client: &Client, arguments: &CreateArgs) -> Result<String, TokensError> {
    let token = ApiToken::create()?;
    let end = now().saturating_add(arguments.lifetime);
    let end = Timestamp::from(UnixMillis(u64::try_from(end.as_millis()).unwrap_or(u64::MAX)));
    let object = json!({
        "apiVersion": "guideway.dev/v1alpha1",
        "kind": "ApiToken",
        "metadata": { "name": token.id() },
        "spec": {
            "user": arguments.user,
            "groups": arguments.groups,
            "secretHash": token.digest().to_string(),
            "expirationTimestamp": end.to_string(),
        },
    });
    client.post(TOKENS, &object).await?;
    Ok(format!("{}\n", token.text()))
}

async fn list(client: &Client) -> Result<String, TokensError> {
    let list = client.get(TOKENS).await?;
    let now = Timestamp::from(UnixMillis(u64::try_from(now().as_millis()).unwrap_or(u64::MAX)));
    let mut rows = vec![["ID", "USER", "GROUPS", "EXPIRES"].map(str::to_owned)];
    for token in list["items"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let spec = &token["spec"];
        let groups = spec["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        let groups: Vec<String> = groups.iter().map(text).collect();
        let mut expires = text(&spec["expirationTimestamp"]);
        // Both are written alike, so the order of the texts is that of the times.
        if expires <= now.to_string() {
            expires += " (expired)";
        }
        rows.push([
            text(&token["metadata"]["name"]),
            text(&spec["user"]),
            groups.join(","),
            expires,
        ]);
    }
    Ok(columns::aligned(&rows, ""))
}

async fn revoke(client: &Client, ids: Vec<String>) -> Result<String, TokensError> {
    let (mut text, mut missing) = (String::new(), Vec::new());
    for id in ids {
        match client.delete(&format!("{TOKENS}/{id}")).await {
            Ok(_) => text += &format!("{id} is revoked\n"),
            Err(RequestError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => missing.push(id),
            Err(error) => return Err(error.into()),
        }
    }
    if missing.is_empty() {
        Ok(text)
    } else {
        Err(TokensError::NotFound { ids: missing })
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn lifetime(text: &str) -> Result<Duration, String> {
    const RULE: &str =
        "must be a number of minutes (m), hours (h) or days (d) of at most 3650 days, such as 12h or 30d";
    const MOST: Duration = Duration::from_secs(3650 * 24 * 3600);
    let parsed = || {
        let (count, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "m" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            _ => return None,
        };
        let count: u64 = count.parse().ok()?;
        Some(Duration::from_secs(count.checked_mul(seconds)?))
    };
    parsed()
        .filter(|found| !found.is_zero() && *found <= MOST)
        .ok_or_else(|| RULE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        for (text, minutes) in [
            ("5m", Some(5)),
            ("12h", Some(720)),
            ("1d", Some(1440)),
            ("0h", None),
            ("4000d", None),
        ] {
            let expected = minutes.map(|minutes: u64| Duration::from_secs(minutes * 60));
            assert_eq!(lifetime(text).ok(), expected, "{text}");
        }
        for text in ["", "h", "1", "1w", "-1h", "1.5h"] {
            assert!(lifetime(text).is_err(), "{text}");
        }
    }
}
