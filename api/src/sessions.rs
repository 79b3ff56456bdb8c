//! `Session` of `guideway.dev/v1alpha1`: what the data planes of all nodes carry at the moment of asking. Deleting one
//! closes it.

mod choice;
mod encode;
mod query;
mod token;
mod watch;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use guideway_model::session::{Look, SessionDetail, SessionId};
use guideway_model::{NodeId, State};
use serde_json::{Value, json};

use crate::answer;
use crate::blocking::blocking;
use crate::deeds::Closing;
use crate::delete::DeleteOptions;
use crate::list::list_metadata;
use crate::ports::FoundSessions;
use crate::query::{Freshness, Parameters};
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::words::node_name;

use query::Wanted;
pub(crate) use watch::watch;

/// Sessions that one `deletecollection` closes at most; the answer says when there are more.
const CLOSED_AT_ONCE: usize = 1_000_000;

/// What it means for a list that a node did not answer.
const MISSING: &str = "their sessions are missing";

/// Answers `GET` on one session.
pub(crate) async fn get(server: &Server, target: &Target) -> Result<Response<Body>, Status> {
    let state = server.state(Freshness::Local).await?;
    let (id, found) = find(server, &state, target, Look::Measure).await?;
    let plan = server.cluster.plan();
    let object = encode::detail((&state, plan.as_deref()), target, id, &found);
    Ok(answer::json(StatusCode::OK, &target.view.one(target, object)))
}

/// Answers `GET` on a collection: one page.
pub(crate) async fn list(server: &Server, target: &Target, parameters: &Parameters) -> Result<Response<Body>, Status> {
    let state = server.state(Freshness::Local).await?;
    let wanted = Wanted::read(parameters, target, server.limits.list_page)?.for_watch();
    let FoundSessions { page, silent } = wanted.page(&*server.cluster, &state).await;
    let silent = not_answered(&state, &silent, MISSING);
    let version = wanted.version(&page);
    let token = wanted.token_after(&page);
    let target = target.clone();
    let list = blocking(move || {
        let sessions = page.sessions.iter();
        let items = sessions
            .map(|found| encode::row(&state, &target, found.id, &found.row))
            .collect();
        let mut metadata = list_metadata(version, token.as_deref());
        if token.is_some() {
            metadata["remainingItemCount"] = Value::from(page.left);
        }
        target.view.list(&target, metadata, items).to_string()
    });
    let mut response = answer::stream(Body::from(list.await?));
    answer::warn(&mut response, silent.as_slice());
    Ok(response)
}

/// Answers `DELETE` on one session: closes it.
pub(crate) async fn delete(server: &Server, target: &Target, options: DeleteOptions) -> Result<Response<Body>, Status> {
    let state = server.state(Freshness::Local).await?;
    let (id, found) = find(server, &state, target, Look::Glance).await?;
    options.check_computed(target, &encode::uid(id))?;
    if options.dry_run {
        target.caller.set_audited();
    } else {
        let closed = server.cluster.close_sessions(vec![id]).await;
        if let Some(node) = closed.silent.first() {
            return Err(silent(&state, *node));
        }
        if closed.closed > 0 {
            let mut closing = Closing::default();
            closing.add(id, &found.row);
            closing.note(server, &state, &target.caller);
        }
    }
    let details = json!({
        "name": target.name(),
        "group": target.resource.group,
        "kind": target.resource.plural,
        "uid": encode::uid(id),
    });
    Ok(answer::json(StatusCode::OK, &success(details, "")))
}

/// Answers `DELETE` on a collection: closes what is selected, or, as a dry run, counts it.
pub(crate) async fn delete_collection(
    server: &Server,
    target: &Target,
    parameters: &Parameters,
    options: DeleteOptions,
) -> Result<Response<Body>, Status> {
    let state = server.state(Freshness::Local).await?;
    let mut wanted = Wanted::read(parameters, target, server.limits.list_page)?;
    let mut ids: Vec<SessionId> = Vec::new();
    let mut closing = Closing::default();
    let mut silent_nodes = BTreeSet::new();
    let more = loop {
        let FoundSessions { page, silent } = wanted.page(&*server.cluster, &state).await;
        for session in &page.sessions {
            ids.push(session.id);
            closing.add(session.id, &session.row);
        }
        silent_nodes.extend(silent);
        if ids.len() >= CLOSED_AT_ONCE {
            break page.next.is_some();
        }
        if !wanted.advance(&page) {
            break false;
        }
    };
    let nodes: BTreeSet<NodeId> = ids.iter().map(|id| id.node).collect();
    let message = if options.dry_run {
        format!(
            "{} on {} would be closed",
            count(ids.len(), "session"),
            count(nodes.len(), "node")
        )
    } else {
        let closed = server.cluster.close_sessions(ids).await;
        silent_nodes.extend(closed.silent);
        if closed.closed > 0 {
            closing.note(server, &state, &target.caller);
        }
        format!(
            "{} on {} closed",
            count(closed.closed, "session"),
            count(nodes.len(), "node")
        )
    };
    let mut warnings = Vec::new();
    if options.dry_run {
        target.caller.set_audited();
        warnings.push(message.clone());
    }
    if more {
        warnings.push(format!(
            "there are more than {CLOSED_AT_ONCE} such sessions; delete again for those that are left"
        ));
    }
    let silent_nodes: Vec<NodeId> = silent_nodes.into_iter().collect();
    warnings.extend(not_answered(&state, &silent_nodes, MISSING));
    let details = json!({ "group": target.resource.group, "kind": target.resource.plural });
    let mut response = answer::json(StatusCode::OK, &success(details, &message));
    answer::warn(&mut response, &warnings);
    Ok(response)
}

/// The session that a path names, if it lives, and in that namespace.
async fn find(
    server: &Server,
    state: &State,
    target: &Target,
    look: Look,
) -> Result<(SessionId, SessionDetail), Status> {
    let not_found = || Status::not_found(&target.resource, target.name());
    let id = encode::parse_name(target.name()).ok_or_else(not_found)?;
    if state.node(id.node).is_none() {
        return Err(not_found());
    }
    let found = server.cluster.session(id, look).await;
    let found = found.map_err(|failure| silent(state, failure.node))?;
    let found = found.filter(|found| target.namespace.as_deref() == Some(found.row.namespace()));
    Ok((id, found.ok_or_else(not_found)?))
}

fn silent(state: &State, node: NodeId) -> Status {
    Status::unavailable(format!(
        "node {}, which carries the session, did not answer in time; it is safe to try again",
        node_name(state, node)
    ))
}

/// What a list says of nodes that did not answer.
pub(crate) fn not_answered(state: &State, nodes: &[NodeId], consequence: &str) -> Option<String> {
    let names: Vec<String> = nodes.iter().map(|node| node_name(state, *node)).collect();
    (!names.is_empty()).then(|| format!("no answer from {}: {consequence}", names.join(", ")))
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        more => format!("{more} {what}s"),
    }
}

fn success(details: Value, message: &str) -> Value {
    let mut status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
        "code": 200,
    });
    if !message.is_empty() {
        status["message"] = Value::from(message);
    }
    status
}
