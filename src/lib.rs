//! Runs the configured checks of services in the background and serves the results as Prometheus metrics.
//!
//! Data goes one way: the configuration makes checks, the scheduler runs them, the store keeps what came of it and asks
//! for the verdict, and metrics and pages are rendered from immutable snapshots of the store. [`run`] wires it all.

#![forbid(unsafe_code)]

pub mod check;
pub mod cli;
pub mod config;
pub mod log;
pub mod log_throttle;
pub mod metrics;
pub mod model;
pub mod net;
pub mod notify;
pub mod probe;
pub mod reload;
pub mod runner;
pub mod schedule;
pub mod slots;
pub mod status;
pub mod store;
pub mod verdict;
pub mod web;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use reload::Loader;

/// How long the last write of the lasting state may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything that a running exporter depends on from outside, so that tests can bind port 0 and control time.
pub struct Setup {
    /// Where to serve.
    pub listeners: Vec<web::Listener>,
    /// Who is served, and whether over TLS.
    pub web_config: Arc<web::WebConfig>,
    /// The configuration to begin with.
    pub config: config::Config,
    /// Loads the configuration again.
    pub load: Arc<Loader>,
    /// The time.
    pub clock: Arc<dyn model::Clock>,
    /// Where statuses and since-times are kept over a restart; `None` for in memory only.
    pub state_dir: Option<PathBuf>,
    /// The file that the status document is kept in, if any.
    pub status_file: Option<PathBuf>,
    /// Where the watched machine's proc file system is mounted.
    pub procfs: PathBuf,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// What is taken off a scraper's deadline in `/probe`.
    pub probe_timeout_offset: Duration,
    /// Whether `POST /-/reload` is allowed.
    pub enable_lifecycle: bool,
    /// The hosts that requests may name; any without one.
    pub allowed_hosts: web::AllowedHosts,
    /// The runtime that checks run on, so that they do not hold up the web; `None` for the one that [`run`] is called on.
    pub checks: Option<Handle>,
}

/// Runs an exporter until `shutdown` is ready; loads the configuration again whenever `hangup` says so.
///
/// # Errors
/// When another exporter uses the same state directory.
pub async fn run(
    setup: Setup,
    hangup: mpsc::Receiver<()>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), store::StateDirError> {
    let (store, notices) = store::Store::open(Arc::clone(&setup.clock), setup.state_dir)?;
    for notice in notices {
        warn!("{notice}");
    }
    let shared = check::Shared::new(setup.procfs);
    let checks = setup.checks.unwrap_or_else(Handle::current);
    let scheduler = Arc::new(schedule::Scheduler::start(
        &checks,
        Arc::clone(&store),
        shared.clone(),
        setup.clock,
    ));
    let lost = Arc::clone(scheduler.lost_time());
    let prober = probe::Prober::new(shared, setup.probe_timeout_offset);
    let prober = Arc::new(prober.with_runtime(checks, Arc::clone(&lost)));
    let take_over = {
        let (scheduler, prober) = (Arc::clone(&scheduler), Arc::clone(&prober));
        move |config: &config::Config| {
            scheduler.apply(config);
            prober.apply(&config.probe);
        }
    };
    take_over(&setup.config);
    let snapshot = {
        let (store, prober) = (Arc::clone(&store), Arc::clone(&prober));
        let web_config = Arc::clone(&setup.web_config);
        move || {
            let mut snapshot = store.snapshot();
            snapshot.exporter.probes = prober.counts();
            snapshot.exporter.lost = lost.total();
            snapshot.exporter.web = web_config.view();
            snapshot
        }
    };
    let _status_file = setup
        .status_file
        .map(|path| status::StatusFile::start(path, Arc::clone(&store)));

    let state = Arc::new(web::State {
        snapshot: Box::new(snapshot.clone()),
        prober,
        renderer: metrics::Renderer::new(snapshot),
        is_ready: Box::new({
            let store = Arc::clone(&store);
            move || store.is_first_round_over()
        }),
        reloader: reload::reloader(setup.load, Arc::clone(&store), take_over),
        is_lifecycle_enabled: setup.enable_lifecycle,
        allowed_hosts: setup.allowed_hosts,
        event_hub: web::EventHub::new(
            {
                let store = Arc::clone(&store);
                move |service| store.recent_runs(service)
            },
            {
                let store = Arc::clone(&store);
                move || store.subscribe()
            },
        ),
        telemetry_path: setup.telemetry_path,
        bodies: web::BodyCache::default(),
    });
    let (stop, stopped) = watch::channel(());
    let mut servers = JoinSet::new();
    let auth_layer = web::AuthLayer::of_several(Arc::clone(&setup.web_config), setup.listeners.len());
    for listener in setup.listeners {
        let mut stopped = stopped.clone();
        // The sender's end is as good a sign as its message.
        let stopped = async move { drop(stopped.changed().await) };
        servers.spawn(web::serve_behind(
            Arc::clone(&auth_layer),
            listener,
            Arc::clone(&state),
            stopped,
        ));
    }

    let summary = reload::summary(&setup.config);
    info!(%summary, "serving");
    notify::ready(&summary);
    tokio::select! {
        () = shutdown => {}
        () = reload::follow(hangup, &state.reloader) => {}
        () = setup.web_config.follow() => {}
        () = log::report_left_out() => {}
        () = notify::feed_watchdog(|| scheduler.liveness().is_alive()) => {}
    }
    notify::stopping();
    drop(stop);
    scheduler.stop().await;
    while servers.join_next().await.is_some() {}
    // A disk that hangs must not keep the exporter from ending.
    let flush = tokio::task::spawn_blocking(move || store.flush());
    if tokio::time::timeout(FLUSH_TIMEOUT, flush).await.is_err() {
        warn!("the state directory does not take the state in time; what changed in the last second is lost");
    }
    info!("stopped");
    Ok(())
}
