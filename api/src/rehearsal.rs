//! What a write would do, tried on a copy of the state: `dryRun=All` warns of what it would do to the traffic.

use std::sync::Arc;

use guideway_model::impact::{EffectCounts, Impact, impact};
use guideway_model::plan;
use guideway_model::{Command, Object, Proposal, State};

use crate::blocking::blocking;
use crate::ports::{SessionImpact, TriedChange};
use crate::server::Server;
use crate::status::Status;
use crate::words::node_name;
use crate::write::object_of;

/// Commands of one change that nodes are asked to measure; of larger ones only the tables are compared.
const COMMANDS: usize = 256;
/// Nodes that warnings name; the others are added up.
const NODES: usize = 6;
/// Routes that warnings name; the others are counted.
const ROUTES: usize = 6;

/// A copy of the state that nobody else sees.
pub(crate) struct Rehearsal {
    before: Arc<State>,
    after: State,
    commands: Vec<Command>,
}

impl Rehearsal {
    /// From the state as it is.
    pub(crate) fn begin(before: Arc<State>) -> Rehearsal {
        Rehearsal {
            after: State::clone(&before),
            before,
            commands: Vec::new(),
        }
    }

    /// Tries a command; gives the object as it would be.
    pub(crate) fn apply(&mut self, command: Command) -> Result<Object, Status> {
        let time = self.after.time();
        let proposal = Proposal {
            time,
            command: command.clone(),
        };
        let object = object_of(self.after.apply(proposal))?;
        self.commands.push(command);
        Ok(object)
    }

    /// What the commands would do to the traffic: nothing is said if they would do nothing.
    pub(crate) async fn warnings(self, server: &Server) -> Result<Vec<String>, Status> {
        if self.commands.is_empty() {
            return Ok(Vec::new());
        }
        let _turn = server.rehearsal_turn().await?;
        let running = server.cluster.plan();
        let Rehearsal {
            before: state,
            after,
            commands,
        } = self;
        let few = commands.len() <= COMMANDS;
        let foreseen = {
            let (state, commands) = (Arc::clone(&state), commands.clone());
            blocking(move || {
                let after = if few { foresee(&state, commands) } else { None }.unwrap_or(after);
                let before = plan::compile(&state, running.as_deref());
                let after = plan::compile(&after, Some(&before));
                let impact = impact(&before, &after);
                let differ = before.listeners != after.listeners;
                differ.then(|| (Arc::new(before), Arc::new(after), impact))
            })
        };
        let Some((before, after, impact)) = foreseen.await? else {
            return Ok(Vec::new());
        };
        let mut warnings = Vec::new();
        if few {
            let change = TriedChange {
                commands,
                before,
                after,
            };
            warnings.extend(of_sessions(&state, &server.cluster.impact(Arc::new(change)).await));
        } else {
            warnings.push(format!(
                "{} objects would change, which is too many to say what becomes of live sessions",
                commands.len()
            ));
        }
        warnings.extend(of_tables(&impact));
        Ok(warnings)
    }
}

/// The state that the commands lead to, once every node has prepared it; `None` where that cannot be said.
fn foresee(state: &State, commands: Vec<Command>) -> Option<State> {
    let mut after = State::clone(state);
    for command in commands {
        after = after.foresee(command).ok()?;
    }
    Some(after)
}

/// What becomes of the live sessions, node by node.
fn of_sessions(state: &State, impact: &SessionImpact) -> Vec<String> {
    let touched = impact
        .nodes
        .iter()
        .filter(|(_, counts)| counts.pinned + counts.moved + counts.closed > 0);
    let touched: Vec<_> = touched.collect();
    let named = touched.iter().take(NODES);
    let named = named.map(|(node, counts)| format!("on node {}: {}", node_name(state, *node), in_words(*counts)));
    let mut warnings: Vec<String> = named.collect();
    let mut rest = EffectCounts::default();
    for (_, counts) in touched.iter().skip(NODES) {
        rest += *counts;
    }
    if touched.len() > NODES {
        warnings.push(format!("on {} more nodes: {}", touched.len() - NODES, in_words(rest)));
    }
    if !impact.silent.is_empty() {
        let names: Vec<String> = impact.silent.iter().map(|node| node_name(state, *node)).collect();
        warnings.push(format!(
            "no answer from {}: what becomes of the live sessions there is not known",
            names.join(", ")
        ));
    }
    warnings
}

fn in_words(counts: EffectCounts) -> String {
    format!(
        "of the live sessions {} would move to another endpoint, {} be pinned, {} be closed",
        counts.moved, counts.pinned, counts.closed
    )
}

/// What becomes of the tables, route by route.
fn of_tables(impact: &Impact) -> Vec<String> {
    let gone = impact.routes_gone.iter();
    let gone = gone.map(|route| format!("{route}: would carry nothing any more"));
    let listeners = impact.listeners_gone.iter();
    let listeners = listeners.map(|name| {
        let (namespace, gateway) = (&name.namespace, &name.gateway);
        format!(
            "listener {} of {namespace}/{gateway}: would not be served any more",
            name.listener
        )
    });
    let changed = impact.pools.iter().map(|pool| {
        let mut text = format!(
            "{}: {} of the rows of its table would go to another endpoint",
            pool.route,
            share(pool.moved_rows, pool.rows)
        );
        for (what, endpoints) in [("leave", &pool.endpoints_gone), ("drain", &pool.endpoints_draining)] {
            match endpoints.as_slice() {
                [] => {}
                [one] => text.push_str(&format!("; {one} would {what}")),
                [one, more @ ..] => text.push_str(&format!("; {one} and {} more would {what}", more.len())),
            }
        }
        text
    });
    let mut texts: Vec<String> = listeners.chain(gone).chain(changed).collect();
    let more = texts.len().saturating_sub(ROUTES);
    if more > 0 {
        texts.truncate(ROUTES);
        texts.push(format!("and {more} more listeners and routes would change"));
    }
    texts
}

/// A share in percent with one digit behind the point.
fn share(part: u64, whole: u64) -> String {
    match part.saturating_mul(1000) / whole.max(1) {
        0 if part > 0 => "less than 0.1 %".to_owned(),
        thousandths => format!("{}.{} %", thousandths / 10, thousandths % 10),
    }
}
