//! Resolves the DNS names of endpoints, on the leader only, so that every node compiles the same plan.
//!
//! One task lives here. New names are looked up at once, known ones every [`REFRESH_INTERVAL`]; what
//! differs from the replicated addresses is proposed. A name that fails keeps the addresses it had.
//! The task ends when the stop signal fires; lookups that are then under way have no effect.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use guideway_consensus::Consensus;
use guideway_model::node::Role;
use guideway_model::{Command, Kind, Object, Outcome, State};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::metrics::NodeMetrics;

/// How long an answer is used before the system's resolver is asked again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(30);

/// How soon a name that has no address yet is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// How long one lookup may take; a slower one counts as failed.
const LOOKUP_DEADLINE: Duration = Duration::from_secs(5);

/// Lookups at once; further names wait for one to end.
const LOOKUPS_AT_ONCE: usize = 8;

/// Addresses taken from one answer; of a longer one the first in order are used.
const MOST_ADDRESSES: usize = 64;

/// Resolves until `stop`.
pub(crate) async fn run(consensus: Consensus, metrics: NodeMetrics, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = follow(consensus, metrics) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn follow(consensus: Consensus, metrics: NodeMetrics) {
    let mut applied = consensus.watch();
    let mut fresh = BTreeSet::new();
    let mut next_refresh = Instant::now();
    loop {
        let state = applied.borrow_and_update().state.clone();
        let wanted = names(&state);
        let due: Vec<String> = if consensus.status().role != Role::Leader {
            fresh.clear();
            Vec::new()
        } else if Instant::now() >= next_refresh {
            wanted.iter().cloned().collect()
        } else {
            wanted.difference(&fresh).cloned().collect()
        };
        if !due.is_empty() {
            let found = look_up(due, &metrics).await;
            fresh = wanted;
            next_refresh = Instant::now() + wait(&fresh, &state, &found);
            propose(&consensus, differing(&state, found)).await;
        }
        tokio::select! {
            changed = applied.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(next_refresh.max(Instant::now() + RETRY_INTERVAL)) => {}
        }
    }
}

/// Names without any address are tried sooner.
fn wait(names: &BTreeSet<String>, state: &State, found: &BTreeMap<String, Vec<IpAddr>>) -> Duration {
    let known = |name: &String| found.contains_key(name) || state.resolved(name).is_some();
    if names.iter().all(known) {
        REFRESH_INTERVAL
    } else {
        RETRY_INTERVAL
    }
}

/// The names of all endpoints, in lower case.
fn names(state: &State) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for object in state.list(Kind::Backend, None, None) {
        if let Object::Backend(backend) = object {
            let hosts = backend
                .spec
                .endpoints
                .iter()
                .filter_map(|endpoint| endpoint.hostname.as_ref());
            names.extend(hosts.map(|host| host.to_ascii_lowercase()));
        }
    }
    names
}

async fn look_up(names: Vec<String>, metrics: &NodeMetrics) -> BTreeMap<String, Vec<IpAddr>> {
    let lookups = names.into_iter().map(|name| async move {
        let lookup = tokio::net::lookup_host((name.clone(), 0));
        let answer = timeout(LOOKUP_DEADLINE, lookup).await;
        let addresses: Result<BTreeSet<IpAddr>, String> = match answer {
            Ok(Ok(found)) => Ok(found.map(|address| address.ip().to_canonical()).collect()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {LOOKUP_DEADLINE:?}")),
        };
        (name, addresses)
    });
    let mut found = BTreeMap::new();
    let mut answers = stream::iter(lookups).buffer_unordered(LOOKUPS_AT_ONCE);
    while let Some((name, answer)) = answers.next().await {
        match answer {
            Ok(addresses) if !addresses.is_empty() => {
                found.insert(name, addresses.into_iter().take(MOST_ADDRESSES).collect());
            }
            failed => {
                metrics.resolve_failures.increment(1);
                let problem = failed.err().unwrap_or_else(|| "no addresses".to_owned());
                tracing::warn!(
                    name,
                    problem,
                    "an endpoint's name does not resolve; its last addresses stay in use"
                );
            }
        }
    }
    found
}

/// What differs from the replicated addresses.
fn differing(state: &State, mut found: BTreeMap<String, Vec<IpAddr>>) -> BTreeMap<String, Vec<IpAddr>> {
    found.retain(|name, addresses| state.resolved(name).map(|known| &known[..]) != Some(&addresses[..]));
    found
}

async fn propose(consensus: &Consensus, names: BTreeMap<String, Vec<IpAddr>>) {
    if names.is_empty() {
        return;
    }
    match consensus.propose(Command::SetResolved { names }).await {
        Ok(committed) => {
            if let Outcome::Refused(refusal) = committed.outcome {
                tracing::warn!(?refusal, "the cluster refused the addresses of endpoint names");
            }
        }
        Err(error) => tracing::warn!(%error, "the addresses of endpoint names were not replicated; tried again later"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;

    #[tokio::test]
    async fn a_name_of_this_machine_resolves_and_nonsense_does_not() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let metrics = metrics::with_local_recorder(&recorder, NodeMetrics::register);
        let found = look_up(vec!["localhost".to_owned(), "name.invalid".to_owned()], &metrics).await;
        assert_eq!(found.keys().collect::<Vec<_>>(), ["localhost"]);
        assert!(found["localhost"].iter().all(IpAddr::is_loopback), "{found:?}");
        let page = recorder.handle().render();
        assert!(page.contains("guideway_node_resolve_failures_total 1"), "{page}");
    }
}
