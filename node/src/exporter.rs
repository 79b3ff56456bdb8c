//! `/metrics` on its own listener.
//!
//! Two tasks live here: the HTTP server, which ends when the stop signal fires, and upkeep, which folds
//! histogram samples so that they stay bounded while nobody scrapes; aborting either loses nothing but
//! the answer in flight.

use std::io;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::metrics::NodeMetrics;

/// How often histogram samples are folded.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Bounds of every `_seconds` histogram: a tenth of a millisecond to a minute.
const SECONDS_BUCKETS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// Text exposition format of Prometheus.
const CONTENT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why metrics cannot be recorded or served.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The recorder could not be set up.
    #[error("metrics cannot be recorded: {0}")]
    Recorder(#[from] BuildError),
    /// The address cannot be bound.
    #[error("metrics.listen {address} cannot be bound: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// The process's recorder, installed at the first call; nodes of one process share it.
pub(crate) fn recorder() -> Result<PrometheusHandle, ExporterError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS_BUCKETS)?
        .install_recorder()?;
    Ok(RECORDER.get_or_init(|| handle).clone())
}

/// Binds `address` and serves `/metrics` in `tasks` until `stop` becomes true.
pub(crate) async fn start(
    tasks: &mut JoinSet<()>,
    address: SocketAddr,
    handle: PrometheusHandle,
    metrics: NodeMetrics,
    stop: watch::Receiver<bool>,
) -> Result<(), ExporterError> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ExporterError::Bind { address, source })?;
    tasks.spawn(upkeep(handle.clone(), stop.clone()));
    let router = Router::new().route("/metrics", get(move || scrape(handle.clone(), metrics.clone())));
    tasks.spawn(async move {
        let server = axum::serve(listener, router).with_graceful_shutdown(stopped(stop));
        if let Err(error) = server.await {
            tracing::error!(%error, "metrics are no longer served");
        }
    });
    Ok(())
}

async fn scrape(handle: PrometheusHandle, metrics: NodeMetrics) -> impl IntoResponse {
    ([(CONTENT_TYPE, CONTENT)], render(&handle, &metrics))
}

/// The metrics as they are, as text.
pub(crate) fn render(handle: &PrometheusHandle, metrics: &NodeMetrics) -> String {
    metrics.refresh();
    handle.render()
}

async fn upkeep(handle: PrometheusHandle, stop: watch::Receiver<bool>) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    let stopped = stopped(stop);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            _ = interval.tick() => handle.run_upkeep(),
            () = &mut stopped => return,
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone means the node is gone: stop as well.
    if stop.wait_for(|stop| *stop).await.is_err() {
        tracing::debug!("metrics: the node went away without saying stop");
    }
}
