//! The start order of a node.

use std::sync::Arc;
use std::time::Duration;

use guideway_api::{AuditConfig, AuditLog, Limits, Options, ServerTls, Transport};
use guideway_consensus::{Consensus, Tuning};
use guideway_dataplane::DataPlane;
use guideway_model::Incarnation;
use guideway_model::pin::Holder;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{Node, Slot, StartError, Tasks};
use crate::binds::BindReporter;
use crate::cluster::ConsensusCluster;
use crate::config::{AccessLogTarget, AuditTarget, Config};
use crate::deeds::DeedLog;
use crate::drains::DrainTask;
use crate::facts::{self, VERSION};
use crate::leader::LeaderTask;
use crate::metrics::NodeMetrics;
use crate::observer::WakeUps;
use crate::pins::{PinOutlet, PinTask, Unpinned};
use crate::planner::Planner;
use crate::questions::{Answerer, Asker};
use crate::readiness::Readiness;
use crate::{exporter, resolver};

/// How long one try to learn the commit index may take after a stale start; then it is tried again.
const CATCH_UP_TRY: Duration = Duration::from_secs(60);

/// Pause between two such tries: one may fail at once, with the store for example.
const CATCH_UP_PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// Starts everything that `config` asks for; returns when the node serves.
    ///
    /// # Errors
    /// What could not be started; everything started before it has been dropped.
    pub async fn start(config: &Config) -> Result<Node, StartError> {
        let recorder = exporter::recorder()?;
        let metrics = NodeMetrics::register();
        let readiness = Readiness::new(metrics.ready.clone());
        let mut workers = Tasks::new();
        let mut servers = Tasks::new();
        exporter::start(
            &mut servers.running,
            config.metrics_listen,
            recorder.clone(),
            metrics.clone(),
            servers.stop.subscribe(),
        )
        .await?;

        let incarnation = incarnation();
        let slot = Slot::default();
        slot.set_source_addresses(config.data.source_addresses.clone());
        let deeds = DeedLog::new(incarnation);
        let consensus = Consensus::start(consensus_config(config, incarnation, (slot.clone(), deeds.clone()))).await?;
        slot.follow(consensus.node_id(), consensus.watch());
        tracing::info!(node = %consensus.node_id(), name = config.name, peer = %config.peer_listen, "the replicated log is open");
        catch_up(config, &consensus, &readiness, &mut workers).await;

        let metrics_of_api = metrics.clone();
        let (observer, wakes) = WakeUps::new();
        let data_plane = Arc::new(DataPlane::start(data_plane_config(config), Arc::new(observer))?);
        slot.fill(data_plane.clone());
        let pins = PinOutlet::new(if config.data.pins {
            data_plane.clone()
        } else {
            Arc::new(Unpinned(data_plane.clone()))
        });
        let mut planner = Planner::new(
            consensus.watch(),
            data_plane.clone(),
            pins.clone(),
            slot.clone(),
            metrics.clone(),
            (config.data.grace, consensus.credentials().sealing().clone()),
        );
        planner.activate().await.map_err(StartError::Plan)?;
        readiness.data_plane_runs();
        workers.running.spawn(planner.run(workers.stop.subscribe()));
        let reporter = BindReporter {
            consensus: consensus.clone(),
            incarnation,
            data_plane: data_plane.clone(),
            changed: wakes.binds,
            metrics: metrics.clone(),
        };
        workers.running.spawn(reporter.run(workers.stop.subscribe()));
        let pinning = PinTask {
            consensus: consensus.clone(),
            holder: Holder {
                node: consensus.node_id(),
                incarnation,
            },
            outlet: pins,
            wake: wakes.pins,
            metrics: metrics.clone(),
        };
        workers.running.spawn(pinning.run(workers.stop.subscribe()));
        let leading = LeaderTask {
            consensus: consensus.clone(),
            asker: Asker::new(consensus.clone()),
            metrics: metrics.clone(),
        };
        workers.running.spawn(leading.run(workers.stop.subscribe()));
        let draining = DrainTask {
            consensus: consensus.clone(),
            incarnation,
            slot: slot.clone(),
            readiness: readiness.clone(),
        };
        workers.running.spawn(draining.run(workers.stop.subscribe()));
        let resolving = resolver::run(consensus.clone(), metrics, workers.stop.subscribe());
        workers.running.spawn(resolving);
        let text = {
            let metrics = metrics_of_api;
            Arc::new(move || exporter::render(&recorder, &metrics))
        };
        let cluster = ConsensusCluster::new(consensus.clone(), readiness.clone(), slot.clone(), deeds);
        serve_api(config, &consensus, (cluster, text), &mut servers).await?;
        Ok(Node {
            id: consensus.node_id(),
            consensus,
            data_plane,
            slot,
            readiness,
            workers,
            servers,
            shutdown_deadline: config.shutdown_deadline,
        })
    }
}

impl Tasks {
    fn new() -> Tasks {
        Tasks {
            running: JoinSet::new(),
            stop: watch::channel(false).0,
        }
    }
}

/// Random, so that no two starts of a node are taken for one.
fn incarnation() -> Incarnation {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    Incarnation(high ^ low)
}

fn consensus_config(
    config: &Config,
    incarnation: Incarnation,
    (slot, deeds): (Slot, DeedLog),
) -> guideway_consensus::Config {
    let answerer = Answerer::new(slot.clone(), incarnation, deeds);
    guideway_consensus::Config {
        data_dir: config.data_dir.clone(),
        peer_listen: config.peer_listen,
        facts: facts::facts(config),
        names: facts::names(config),
        incarnation,
        figures: Arc::new(move || slot.figures()),
        answers: Arc::new(move |question| answerer.answer(question)),
        tuning: Tuning {
            snapshot_log_bytes: config.store.snapshot_log_bytes,
            free_space_mark: config.store.free_space_mark,
            certificate_life: config.certificate_life,
            ..Tuning::default()
        },
    }
}

fn data_plane_config(config: &Config) -> guideway_dataplane::Config {
    let target = match &config.access_log.target {
        AccessLogTarget::Off => guideway_dataplane::AccessLogTarget::Off,
        AccessLogTarget::Stdout => guideway_dataplane::AccessLogTarget::Stdout,
        AccessLogTarget::File(path) => guideway_dataplane::AccessLogTarget::File(path.clone()),
    };
    guideway_dataplane::Config {
        driver: config.data.driver,
        threads: config.data.threads,
        data_address: config.data.address,
        source_addresses: config.data.source_addresses.clone(),
        connect_timeout: config.data.connect_timeout,
        idle_timeout: config.data.idle_timeout,
        handshake_timeout: config.data.handshake_timeout,
        udp_idle_timeout: config.data.udp_idle_timeout,
        udp_max_flows: config.data.udp_max_flows,
        udp_max_flows_per_client: config.data.udp_max_flows_per_client,
        access_log: guideway_dataplane::AccessLogConfig {
            target,
            open_lines: config.access_log.open_lines,
        },
        ..guideway_dataplane::Config::default()
    }
}

/// Waits for a leader to name the commit index and for this node to apply it. Without one within `start.wait` the
/// node goes on with what it knows committed, and a task waits on.
async fn catch_up(config: &Config, consensus: &Consensus, readiness: &Readiness, workers: &mut Tasks) {
    match consensus.caught_up(config.start_wait).await {
        Ok(index) => {
            tracing::info!(index, "applied what was committed before this start");
            readiness.caught_up();
        }
        Err(error) => {
            tracing::warn!(
                %error,
                applied = consensus.status().last_applied,
                "stale: no leader has said what is committed; serving the last configuration known committed"
            );
            let stop = workers.stop.subscribe();
            workers
                .running
                .spawn(look_on(consensus.clone(), readiness.clone(), stop));
        }
    }
}

/// Waits for a leader as long as it takes; then has nothing to do but to be stopped.
async fn look_on(consensus: Consensus, readiness: Readiness, mut stop: watch::Receiver<bool>) {
    let caught_up = async {
        let index = loop {
            match consensus.caught_up(CATCH_UP_TRY).await {
                Ok(index) => break index,
                Err(_) => tokio::time::sleep(CATCH_UP_PAUSE).await,
            }
        };
        tracing::info!(index, "no longer stale");
        readiness.caught_up();
        std::future::pending().await
    };
    tokio::select! {
        () = caught_up => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn serve_api(
    config: &Config,
    consensus: &Consensus,
    (cluster, metrics): (ConsensusCluster, Arc<dyn Fn() -> String + Send + Sync>),
    servers: &mut Tasks,
) -> Result<(), StartError> {
    let transport = transport(config, consensus, servers)?;
    let audit = audit(config)?;
    let address = config.api_listen;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| StartError::ApiBind { address, source })?;
    let limits = Limits::default();
    let options = Options {
        version: VERSION.to_owned(),
        limits: limits.clone(),
        audit: audit.clone(),
        cookie_key: consensus.credentials().authority().cookie_key(),
        metrics: Some(metrics),
    };
    let router = guideway_api::router(Arc::new(cluster), options);
    let mut stop = servers.stop.subscribe();
    servers.running.spawn(async move {
        let stopped = async move {
            // A sender that is gone means the node is gone.
            if stop.wait_for(|stop| *stop).await.is_err() {
                tracing::debug!("API: the node went away without saying stop");
            }
        };
        guideway_api::serve(listener, (router, transport, audit), limits, stopped).await;
    });
    Ok(())
}

/// TLS with the certificate that members know this node by, and with each that follows it.
fn transport(config: &Config, consensus: &Consensus, servers: &mut Tasks) -> Result<Transport, StartError> {
    if config.api_plain_http {
        tracing::warn!(address = %config.api_listen, "the API is served without TLS, as api.plain_http asks");
        return Ok(Transport::Plain);
    }
    let credentials = consensus.credentials();
    let mut current = credentials.watch();
    let certified = Arc::clone(&current.borrow_and_update().certified);
    let tls = ServerTls::new(credentials.authority().certificate_pem(), certified)?;
    let (shown, mut stop) = (tls.clone(), servers.stop.subscribe());
    servers.running.spawn(async move {
        let follow = async {
            while current.changed().await.is_ok() {
                shown.show(Arc::clone(&current.borrow_and_update().certified));
            }
            // Without consensus there are no new certificates, and the node is about to stop.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = follow => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    Ok(Transport::Tls(tls))
}

fn audit(config: &Config) -> Result<AuditLog, StartError> {
    let path = match &config.audit.target {
        AuditTarget::Off => return Ok(AuditLog::off()),
        AuditTarget::DataDir => config.data_dir.join("audit.log"),
        AuditTarget::File(path) => path.clone(),
    };
    Ok(AuditLog::open(AuditConfig {
        path,
        max_bytes: config.audit.max_bytes,
        kept_files: config.audit.kept_files,
        queue: usize::try_from(config.audit.queue).unwrap_or(usize::MAX),
        patience: config.audit.patience,
        node: config.name.clone(),
    })?)
}
