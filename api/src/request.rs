//! One request on a resource, from its head to its answer.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;

use crate::audit::{Event, Record};
use crate::body::Payload;
use crate::caller::Caller;
use crate::delete::{self, DeleteOptions};
use crate::metrics;
use crate::permission::Right;
use crate::query::Parameters;
use crate::resource::{Source, Verb};
use crate::serve::ShutdownSignal;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::view::View;
use crate::{computed, list, patch, permission, watch, write};

/// Answers a request on `rest` under a group and version, in time, counts it, and has it written down if it is one to be
/// audited.
pub(crate) async fn serve(
    server: Arc<Server>,
    group: &str,
    version: &str,
    rest: &str,
    request: Request,
) -> Response<Body> {
    let started = Instant::now();
    let (verb, resource, result) = match plan(group, version, rest, &request) {
        Ok(plan) => {
            let (verb, resource) = (plan.verb, plan.target.resource.plural);
            (verb.as_str(), resource, audited(&server, plan, request).await)
        }
        Err(status) => ("other", "unknown", Err(status)),
    };
    let response = result.unwrap_or_else(IntoResponse::into_response);
    metrics::answered(verb, resource, response.status().as_u16(), started.elapsed());
    response
}

/// Carries the request out if its caller may. Writes take their place in the audit log before they are tried; of what was
/// only read there is a line if it was refused.
async fn audited(server: &Server, plan: Plan, request: Request) -> Result<Response<Body>, Status> {
    let (verb, target) = (plan.verb, plan.target.clone());
    let record = |event| Record::of(event, &target.caller).on_target(verb, &target);
    if let Err(status) = permission::check(server, &target, verb, &plan.parameters) {
        server.audit.note(record(Event::Refused).answered(&status)).await;
        return Err(status);
    }
    let writes = verb.writes() && !target.resource.is_only_asked();
    // Commands take places of their own.
    let slot = match writes && matches!(target.resource.source, Source::Computed(_)) {
        true => Some(server.audit.admit().await?),
        false => None,
    };
    let limit = server.limits.request_timeout;
    let result = match tokio::time::timeout(limit, handle(server, plan, request)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(out_of_time(verb, limit.as_secs())),
    };
    if target.caller.is_audited() {
        return result;
    }
    let record = match &result {
        Ok(response) if writes => record(Event::Write).done(response.status()),
        Err(status) if status.code() == StatusCode::FORBIDDEN => record(Event::Refused).answered(status),
        Err(status) if writes => record(Event::Write).answered(status),
        Ok(_) | Err(_) => return result,
    };
    match slot {
        Some(slot) => slot.write(record),
        None => server.audit.note(record).await,
    }
    result
}

/// What a request's head asks for.
struct Plan {
    target: Target,
    verb: Verb,
    parameters: Parameters,
}

fn plan(group: &str, version: &str, rest: &str, request: &Request) -> Result<Plan, Status> {
    let mut target = Target::parse(group, version, rest)?;
    let parameters = Parameters::of(request.uri())?;
    let verb = target.verb(request.method(), parameters.wants_watch()?, request.uri().path())?;
    target.view = View::read(request.headers(), &parameters)?;
    let caller = request.extensions().get::<Arc<Caller>>();
    target.caller = caller
        .cloned()
        .ok_or_else(|| Status::internal("a request came past the doorman"))?;
    Ok(Plan {
        target,
        verb,
        parameters,
    })
}

async fn handle(server: &Server, plan: Plan, request: Request) -> Result<Response<Body>, Status> {
    let Plan {
        target,
        verb,
        parameters,
    } = plan;
    let kind = match target.resource.source {
        Source::Stored(kind) => kind,
        Source::Computed(source) => {
            return computed::handle(server, &target, (source, verb), &parameters, request).await;
        }
    };
    if verb == Verb::Watch {
        let shutdown = request.extensions().get::<ShutdownSignal>().cloned();
        let right = Right::new(server, &target, verb, &parameters);
        return watch::watch(server, &target, kind, (parameters.watch()?, right), shutdown).await;
    }
    let permit = server.admit_request()?;
    let (head, body) = request.into_parts();
    let payload = Payload::read(&head.headers, body, server.limits.body_bytes).await?;
    match verb {
        Verb::Get => {
            let state = server.state(parameters.freshness()?).await?;
            let object = server.opened(write::stored(&state, &target, &target.key(kind))?)?;
            Ok(write::answer_object(&target, StatusCode::OK, &object, &[]))
        }
        Verb::List => list::list(server, &target, kind, &parameters.list()?, permit).await,
        Verb::Create => write::create(server, &target, kind, &parameters.write(&head.headers)?, &payload).await,
        Verb::Update => write::update(server, &target, kind, &parameters.write(&head.headers)?, &payload).await,
        Verb::Patch => patch::patch(server, &target, kind, &parameters.write(&head.headers)?, &payload).await,
        Verb::Delete => {
            let options = DeleteOptions::read(&parameters, &payload)?;
            delete::delete(server, &target, kind, options).await
        }
        Verb::DeleteCollection => {
            let options = DeleteOptions::read(&parameters, &payload)?;
            delete::delete_collection(server, &target, kind, &parameters, options).await
        }
        Verb::Watch => Err(Status::internal("a watch was handled as another request")),
    }
}

fn out_of_time(verb: Verb, seconds: u64) -> Status {
    metrics::refused(metrics::Bound::Time);
    let outcome = if verb.writes() {
        "the write may have happened or may still happen: read the object before trying again"
    } else {
        "it is safe to try again"
    };
    Status::timeout(format!(
        "the request was not finished within {seconds} seconds; {outcome}"
    ))
}
