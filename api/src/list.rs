//! Lists: pages, versions and selectors. Answers are streamed, so their size does not bound the list's.

mod history;
mod token;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures_util::stream;
use guideway_model::{Kind, Object, State};
use serde_json::{Map, Value};
use tokio::sync::OwnedSemaphorePermit;

use crate::answer;
use crate::query::{Freshness, ListParameters};
use crate::sealing::opened;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;

pub(crate) use history::objects_at;
use token::PageToken;

/// Objects encoded into one chunk of the answer.
const CHUNK: usize = 128;

/// One page of a list.
struct Page {
    objects: Vec<Object>,
    version: u64,
    continue_token: Option<String>,
}

/// Answers a list of a stored kind.
pub(crate) async fn list(
    server: &Server,
    target: &Target,
    kind: Kind,
    parameters: &ListParameters,
    permit: OwnedSemaphorePermit,
) -> Result<Response<Body>, Status> {
    let token = parameters
        .continue_token
        .as_deref()
        .map(PageToken::decode)
        .transpose()?;
    let freshness = match token.as_ref().and_then(|token| token.version) {
        Some(version) => Freshness::NotOlderThan(version),
        None => parameters.freshness,
    };
    let state = server.state(freshness).await?;
    let page = page(
        &state,
        target,
        kind,
        parameters,
        token.as_ref(),
        server.limits.list_page,
    )?;
    stream_page(server, target, page, permit)
}

fn page(
    state: &Arc<State>,
    target: &Target,
    kind: Kind,
    parameters: &ListParameters,
    token: Option<&PageToken>,
    most: usize,
) -> Result<Page, Status> {
    let version = match (token, parameters.freshness) {
        (Some(token), _) => token.version.unwrap_or(state.revision()),
        (None, Freshness::Exact(version)) => version,
        (None, _) => state.revision(),
    };
    let after = token.map(|token| token.after(kind));
    let selected = objects_at(state, version, kind, target.namespace.as_deref(), after.as_ref())
        .map_err(|expired| too_old(expired.oldest, version, token))?
        .filter(|object| parameters.selector.matches(object.meta()));
    let Some(limit) = parameters.limit else {
        return Ok(Page {
            objects: selected.collect(),
            version,
            continue_token: None,
        });
    };
    let limit = limit.min(most);
    let mut objects: Vec<Object> = selected.take(limit + 1).collect();
    let more = objects.len() > limit;
    objects.truncate(limit);
    let continue_token = objects.last().filter(|_| more).map(|last| {
        PageToken {
            version: Some(version),
            namespace: last.meta().namespace.clone(),
            name: last.meta().name.clone(),
        }
        .encode()
    });
    Ok(Page {
        objects,
        version,
        continue_token,
    })
}

fn too_old(oldest: u64, version: u64, token: Option<&PageToken>) -> Status {
    match token {
        None => Status::expired(
            format!("The resourceVersion for the provided list is too old: {version}; the oldest kept is {oldest}"),
            None,
        ),
        Some(token) => {
            let present = PageToken {
                version: None,
                ..token.clone()
            };
            Status::expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new \
                 list without the continue parameter, or use the continue token in this response to retrieve the \
                 remainder of the results from the present state",
                Some(present.encode()),
            )
        }
    }
}

/// `metadata` of a list.
pub(crate) fn list_metadata(version: impl ToString, continue_token: Option<&str>) -> Value {
    let mut metadata = Map::from_iter([("resourceVersion".to_owned(), Value::from(version.to_string()))]);
    if let Some(token) = continue_token {
        metadata.insert("continue".to_owned(), Value::from(token));
    }
    Value::Object(metadata)
}

/// Encodes a page chunk by chunk, as fast as the client takes it. The permit is held to the end. A Secret that does not
/// open is the answer if it is in the first chunk; later it cuts the answer off, so that nobody takes it for the whole.
fn stream_page(
    server: &Server,
    target: &Target,
    page: Page,
    permit: OwnedSemaphorePermit,
) -> Result<Response<Body>, Status> {
    let metadata = list_metadata(page.version, page.continue_token.as_deref());
    let mut head = target.view.list(target, metadata, Vec::new()).to_string();
    let (cluster, target) = (Arc::clone(&server.cluster), target.clone());
    // The head ends with the empty array and the object around it; items go between.
    head.truncate(head.len() - "]}".len());
    let objects = page.objects;
    let last = objects.len().div_ceil(CHUNK);
    let mut chunks = (0..=last).map(move |chunk| {
        let _held = &permit;
        let mut bytes = if chunk == 0 {
            head.clone().into_bytes()
        } else {
            Vec::new()
        };
        let from = chunk * CHUNK;
        for (index, object) in objects.iter().enumerate().skip(from).take(CHUNK) {
            if index > 0 {
                bytes.push(b',');
            }
            let object = opened(cluster.sealer(), object)?;
            let item = target.view.item(&target, object.encode(target.version));
            bytes.extend_from_slice(item.to_string().as_bytes());
        }
        if chunk == last {
            bytes.extend_from_slice(b"]}");
        }
        Ok::<Bytes, Status>(Bytes::from(bytes))
    });
    let first = chunks.next().transpose()?;
    let rest = chunks.map(|chunk| chunk.map_err(|_told| std::io::Error::other("a Secret does not open")));
    let body = stream::iter(first.map(Ok).into_iter().chain(rest));
    Ok(answer::stream(Body::from_stream(body)))
}
