//! The right by which a watch goes on, long after its request was judged.

use guideway_model::State;
use tokio::time::{Duration, Instant};

use super::{asked_name, check_in};
use crate::attribution::now;
use crate::audit::{AuditLog, Event, Record};
use crate::metrics;
use crate::query::Parameters;
use crate::resource::Verb;
use crate::server::Server;
use crate::sign_in;
use crate::status::Status;
use crate::target::Target;

/// Farther than any watch goes; an instant cannot be as far as the end of a token.
const A_YEAR: u64 = 365 * 24 * 3600;

/// Judged again whenever a role, a binding or a token changes, and when its caller's credential ends.
pub(crate) struct Right {
    target: Target,
    verb: Verb,
    name: String,
    /// [`State::access_revision`] of the state by which it was judged last.
    judged: Option<u64>,
    ends: Option<Instant>,
    audit: AuditLog,
}

impl Right {
    /// Of the caller of a request that may do what it asks for.
    pub(crate) fn new(server: &Server, target: &Target, verb: Verb, parameters: &Parameters) -> Right {
        let state = server.cluster.watch().borrow().state.clone();
        let ends = target.caller.credential.as_ref().and_then(|by| by.ends(&state));
        let ends = ends.map(|ends| {
            let left = ends.unix_seconds.saturating_sub(now().unix_seconds);
            // Times have seconds: after one more, whatever ends then has ended.
            Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or(0).saturating_add(1).min(A_YEAR))
        });
        Right {
            name: asked_name(target, verb, parameters).to_owned(),
            target: target.clone(),
            verb,
            judged: None,
            ends,
            audit: server.audit.clone(),
        }
    }

    /// When it must be judged again although nothing has changed; `None` if that has been done.
    pub(crate) fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// Judges it by a newer state, if there is something to judge; who has lost it is told, and it is written down.
    pub(crate) async fn judge(&mut self, state: &State) -> Result<(), Status> {
        let is_over = self.ends.is_some_and(|ends| ends <= Instant::now());
        if self.judged == Some(state.access_revision()) && !is_over {
            return Ok(());
        }
        let caller = &self.target.caller;
        let lost = match sign_in::confirm(state, caller) {
            Err(refused) => Some((refused.status, Some(refused.why))),
            Ok(()) => check_in(state, &self.target, self.verb.as_str(), &self.name)
                .err()
                .map(|status| (status, None)),
        };
        let Some((status, why)) = lost else {
            self.judged = Some(state.access_revision());
            if is_over {
                self.ends = None;
            }
            return Ok(());
        };
        metrics::watch_revoked();
        let record = Record::of(Event::Refused, caller).on_target(self.verb, &self.target);
        let record = record.answered(&status);
        self.audit.note(why.into_iter().fold(record, Record::because)).await;
        Err(status)
    }
}
