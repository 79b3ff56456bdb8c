//! Requests on resources that are computed when they are asked for.

use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;

use crate::body::Payload;
use crate::delete::DeleteOptions;
use crate::query::Parameters;
use crate::resource::{Computed, Verb};
use crate::serve::ShutdownSignal;
use crate::server::Server;
use crate::status::Status;
use crate::target::Target;
use crate::{access_reviews, events, nodes, pins, reviews, sessions};

/// Answers a request.
pub(crate) async fn handle(
    server: &Server,
    target: &Target,
    (source, verb): (Computed, Verb),
    parameters: &Parameters,
    request: Request,
) -> Result<Response<Body>, Status> {
    if (source, verb) == (Computed::Session, Verb::Watch) {
        let shutdown = request.extensions().get::<ShutdownSignal>().cloned();
        return sessions::watch(server, target, parameters, shutdown).await;
    }
    let _permit = server.admit_request()?;
    let (head, body) = request.into_parts();
    let payload = Payload::read(&head.headers, body, server.limits.body_bytes).await?;
    match (source, verb) {
        (Computed::Node, Verb::Get) => nodes::get(server, target).await,
        (Computed::Node, Verb::List) => nodes::list(server, target, parameters).await,
        (Computed::Event, Verb::Get) => events::get(server, target, parameters).await,
        (Computed::Event, Verb::List) => events::list(server, target, parameters).await,
        (Computed::Pin, Verb::Get) => pins::get(server, target, parameters).await,
        (Computed::Pin, Verb::List) => pins::list(server, target, parameters).await,
        (Computed::Session, Verb::Get) => sessions::get(server, target).await,
        (Computed::Session, Verb::List) => sessions::list(server, target, parameters).await,
        (Computed::Session, Verb::Delete) => {
            let options = DeleteOptions::read(parameters, &payload)?;
            sessions::delete(server, target, options).await
        }
        (Computed::Session, Verb::DeleteCollection) => {
            let options = DeleteOptions::read(parameters, &payload)?;
            sessions::delete_collection(server, target, parameters, options).await
        }
        (Computed::RouteReview, Verb::Create) => {
            reviews::create(server, target, &parameters.write(&head.headers)?, &payload).await
        }
        (Computed::Access(review), Verb::Create) => {
            access_reviews::create(server, target, review, &parameters.write(&head.headers)?, &payload)
        }
        _ => Err(Status::internal(format!(
            "{} was let through on {}, which does not take it",
            verb.as_str(),
            target.resource.qualified()
        ))),
    }
}
