//! From nothing to a cluster that answers.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::child::{self, Children};
use super::endpoints::Endpoints;
use super::folder::{Folder, failed};
use super::layout::{DemoNode, Layout};
use super::{DemoError, kubeconfig, objects, say};
use crate::client::{Access, Client, RequestError};
use crate::config::Config;
use crate::membership;
use crate::status::{self, NodeRow};

/// How long the whole start may take; it takes a few seconds on a machine that is not busy.
const START_DEADLINE: Duration = Duration::from_secs(60);

/// How long a node of the demo may take to join.
const JOIN_LIFE: Duration = START_DEADLINE;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Time between two looks at something that is waited for.
const POLL_INTERVAL: Duration = Duration::from_millis(30);

/// Starts every node, applies the demo's objects if there are endpoints for them, and waits until all answer.
pub(super) async fn start(
    layout: &Layout,
    folder: &Folder,
    endpoints: Option<&Endpoints>,
    children: &mut Children,
) -> Result<Vec<NodeRow>, DemoError> {
    let waiting = Waiting::new();
    for node in &layout.nodes {
        write_config(node)?;
    }
    if folder.holds_cluster() {
        say(&format!(
            "Starting {} on the data in {}.\n",
            count(layout),
            folder.path().display()
        ));
        for node in &layout.nodes {
            children.start(node)?;
        }
    } else {
        say(&format!("Starting {}.\n", count(layout)));
        make_cluster(layout, children, &waiting).await?;
        folder.mark_complete()?;
    }
    let access = kubeconfig::access(layout)?;
    for node in &layout.nodes {
        let at = access.at(&node.api());
        waiting
            .until(children, layout, node, "/readyz to say yes", || is_ready(&at))
            .await?;
    }
    let first = &layout.nodes[0];
    let at_first = access.at(&first.api());
    let nodes = waiting
        .until(children, layout, first, "every node to be a voter", || {
            voters(&at_first, layout.nodes.len())
        })
        .await?;
    if let Some(endpoints) = endpoints {
        let client = Client::new(at_first, REQUEST_TIMEOUT);
        for (collection, object) in objects::all(endpoints) {
            apply(&client, collection, object).await?;
        }
        for node in &layout.nodes {
            waiting
                .until(children, layout, node, "the demo's route to answer", || answers(node))
                .await?;
        }
    }
    Ok(nodes)
}

/// The first node makes the cluster, and each further one asks it for a place.
async fn make_cluster(layout: &Layout, children: &mut Children, waiting: &Waiting) -> Result<(), DemoError> {
    let Some((first, others)) = layout.nodes.split_first() else {
        return Ok(());
    };
    membership::init(&load(first)?).await?;
    let at_first = kubeconfig::access(layout)?.at(&first.api());
    children.start(first)?;
    waiting
        .until(children, layout, first, "/readyz to say yes", || is_ready(&at_first))
        .await?;
    for node in others {
        let token = membership::invite(&load(first)?, JOIN_LIFE).await?;
        let joined = membership::join(&load(node)?, &token, None).await;
        joined.map_err(|source| DemoError::Join {
            node: node.name.clone(),
            source,
        })?;
        children.start(node)?;
    }
    Ok(())
}

/// One deadline for everything that is waited for.
struct Waiting {
    deadline: Instant,
}

impl Waiting {
    fn new() -> Waiting {
        Waiting {
            deadline: Instant::now() + START_DEADLINE,
        }
    }

    /// Polls `look` until it finds something; fails when a node ends or the deadline passes.
    async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        children: &mut Children,
        layout: &Layout,
        node: &DemoNode,
        what: &str,
        look: impl Fn() -> F,
    ) -> Result<T, DemoError> {
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                sleep(POLL_INTERVAL).await;
            }
        };
        tokio::select! {
            found = found => Ok(found),
            (index, status) = children.next_exit() => {
                let ended = &layout.nodes[index];
                Err(DemoError::NodeEnded {
                    node: ended.name.clone(),
                    status,
                    log: ended.log_file(),
                    tail: child::tail(ended),
                })
            }
            () = tokio::time::sleep_until(self.deadline) => Err(DemoError::NotReady {
                waited: START_DEADLINE,
                what: format!("{what} on {}", node.name),
                node: node.name.clone(),
                tail: child::tail(node),
            }),
        }
    }
}

fn count(layout: &Layout) -> String {
    match layout.nodes.len() {
        1 => "1 node".to_owned(),
        more => format!("{more} nodes"),
    }
}

fn write_config(node: &DemoNode) -> Result<(), DemoError> {
    std::fs::create_dir_all(node.folder()).map_err(|source| failed(node.folder(), source))?;
    let file = node.config_file();
    std::fs::write(&file, node.config()).map_err(|source| failed(&file, source))
}

fn load(node: &DemoNode) -> Result<Config, DemoError> {
    Ok(Config::load(&node.config_file())?.0)
}

async fn is_ready(access: &Access) -> Option<()> {
    let answer = Client::new(access.clone(), REQUEST_TIMEOUT).probe("/readyz").await;
    answer.is_ok_and(|(status, _)| status.is_success()).then_some(())
}

/// All nodes once none is a learner any more: before that, losing one could cost the majority.
async fn voters(access: &Access, wanted: usize) -> Option<Vec<NodeRow>> {
    let client = Client::new(access.clone(), REQUEST_TIMEOUT);
    let nodes = status::nodes(&client).await.ok()?;
    let voting = nodes.iter().filter(|node| node.votes()).count();
    (voting == wanted && nodes.iter().any(NodeRow::leads)).then_some(nodes)
}

/// Creates the object, or replaces the one that an earlier demo left.
async fn apply(client: &Client, collection: &str, mut object: Value) -> Result<(), RequestError> {
    let refused = match client.post(collection, &object).await {
        Ok(_) => return Ok(()),
        Err(refused) => refused,
    };
    if !refused.is_conflict() {
        return Err(refused);
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let path = format!("{collection}/{name}");
    let stored = client.get(&path).await?;
    object["metadata"]["resourceVersion"] = stored["metadata"]["resourceVersion"].clone();
    client.put(&path, &object).await?;
    Ok(())
}

/// Whether an endpoint greets through this node's listener.
async fn answers(node: &DemoNode) -> Option<()> {
    let ask = async {
        let mut stream = TcpStream::connect(node.listener()).await?;
        stream.write_all(b"ready?\n").await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await
    };
    let answer = timeout(REQUEST_TIMEOUT, ask).await;
    answer.is_ok_and(|read| read.is_ok_and(|bytes| bytes > 0)).then_some(())
}
