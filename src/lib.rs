//! Runs the configured checks of services in the background and serves the results as Prometheus metrics.
//!
//! Data flows one way: the configuration defines checks, the scheduler runs them, the store records the results and computes
//! statuses. Metrics and pages are rendered from immutable snapshots of the store. [`run`] connects the parts.

#![forbid(unsafe_code)]

pub mod actuator;
pub mod check;
pub mod cli;
pub mod config;
pub mod control;
pub mod discover;
pub mod heal;
pub mod heartbeat;
pub mod history;
pub mod log;
pub mod log_throttle;
pub mod maintenance;
pub mod manage;
pub mod metrics;
pub mod model;
pub mod net;
pub mod notify;
pub mod probe;
pub mod process_groups;
pub mod reload;
pub mod runner;
pub mod schedule;
pub mod slots;
pub mod socket_file;
pub mod state_dir;
pub mod status;
pub mod store;
pub mod supervise;
pub mod verdict;
pub mod web;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use reload::Loader;

/// How long the last write of the state file may take.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// Everything that an exporter depends on from outside, so that tests can bind port 0 and control time.
pub struct Setup {
    /// The sockets to serve on.
    pub listeners: Vec<web::Listener>,
    /// The web configuration: TLS and authentication.
    pub web_config: Arc<web::WebConfig>,
    /// The initial configuration.
    pub config: config::LoadedFiles,
    /// Loads the configuration again.
    pub load: Arc<Loader>,
    /// Repeated discovery, if there are no configuration files.
    pub discovery: Option<Arc<discover::Continuous>>,
    /// The files of the configuration, if changes are loaded automatically.
    pub watched_files: Option<reload::WatchedFiles>,
    /// The clock.
    pub clock: Arc<dyn model::Clock>,
    /// The directory of the state file, which keeps statuses and since-times over a restart. `None` keeps them in memory.
    pub state_dir: Option<PathBuf>,
    /// The file to write the status document to.
    pub status_file: Option<PathBuf>,
    /// The control socket. `None` for none.
    pub control: Option<control::Listener>,
    /// Where the proc file system of the monitored machine is mounted.
    pub procfs: PathBuf,
    /// The path of the metrics.
    pub telemetry_path: String,
    /// The time to subtract from the scrape timeout in `/probe`.
    pub probe_timeout_offset: Duration,
    /// Whether response times are counted in native histograms too.
    pub has_native_histograms: bool,
    /// Whether `POST /-/reload` is enabled.
    pub enable_lifecycle: bool,
    /// Whether badges are served.
    pub enable_badges: bool,
    /// Whether services can be started, stopped and restarted by requests. The web configuration must have users.
    pub enable_admin_api: bool,
    /// The host names that requests may use. Empty allows all.
    pub allowed_hosts: web::AllowedHosts,
    /// Whether nothing is healed, whatever the configuration says.
    pub no_heal: bool,
    /// The runtime for checks, so that they do not delay responses. `None` uses the runtime that [`run`] is called on.
    pub checks: Option<Handle>,
}

/// The settings of [`Setup`] that only the web server needs.
struct WebSettings {
    load: Arc<Loader>,
    is_lifecycle_enabled: bool,
    has_badges: bool,
    is_admin_enabled: bool,
    allowed_hosts: web::AllowedHosts,
    telemetry_path: String,
}

/// The parts of the exporter that work in the background.
struct Parts {
    store: Arc<store::Store>,
    maintenance: Arc<maintenance::Manager>,
    scheduler: schedule::Scheduler,
    healer: Arc<heal::Healer>,
    history: history::History,
    prober: Arc<probe::Prober>,
    process_groups: Arc<process_groups::ProcessGroups>,
    heartbeats: heartbeat::Heartbeats,
    web_config: Arc<web::WebConfig>,
    status_file: Option<Arc<status::StatusFileState>>,
    /// The configuration without secrets, for `/config`.
    shown_config: watch::Sender<Arc<str>>,
}

impl Parts {
    /// Replaces the configuration of all parts.
    fn apply(&self, config: &config::Config) {
        // First, so that no run of a service in maintenance confirms a condition.
        self.maintenance.apply(config);
        // Also first: its checks look up their jobs.
        self.heartbeats.apply(config);
        self.scheduler.apply(config);
        self.healer.apply(config);
        self.prober.apply(&config.probe);
        self.process_groups.apply(config.process_groups.as_ref());
        self.shown_config.send_replace(Arc::clone(&config.shown.0));
    }

    fn web_state(self: &Arc<Self>, settings: WebSettings) -> web::State {
        let parts = || Arc::clone(self);
        let (for_snapshots, for_metrics, for_readiness) = (parts(), parts(), parts());
        let (for_reloads, for_runs, for_events, for_config) = (parts(), parts(), parts(), parts());
        let reader = self.history.reader();
        web::State {
            snapshot: Arc::new(move || {
                let mut snapshot = take_snapshot(&for_snapshots.store, &for_snapshots.healer);
                reader.add_to(&mut snapshot);
                snapshot
            }),
            history: self.history.reader(),
            config: Box::new(move || Arc::clone(&for_config.shown_config.borrow())),
            prober: Arc::clone(&self.prober),
            process_groups: Arc::clone(&self.process_groups),
            heartbeats: web::HeartbeatEndpoint::new(self.heartbeats.clone()),
            renderer: metrics::Renderer::new(move || for_metrics.metrics_input()),
            is_ready: Box::new(move || for_readiness.store.is_first_round_over()),
            reloader: reload::reloader(settings.load, Arc::clone(&self.store), move |config| {
                for_reloads.apply(config);
            }),
            is_lifecycle_enabled: settings.is_lifecycle_enabled,
            has_badges: settings.has_badges,
            admin: settings.is_admin_enabled.then(Arc::default),
            allowed_hosts: settings.allowed_hosts,
            event_hub: web::EventHub::new(
                move |service| for_runs.store.recent_runs(service),
                move || for_events.store.subscribe(),
            ),
            telemetry_path: settings.telemetry_path,
            bodies: web::BodyCache::default(),
        }
    }

    /// Serves the control socket, if there is one. Never returns.
    async fn serve_control(self: &Arc<Self>, listener: Option<control::Listener>) {
        let Some(listener) = listener else {
            return std::future::pending().await;
        };
        let (manager, healer) = (Arc::clone(&self.maintenance), Arc::clone(&self.healer));
        let handlers = control::Handlers {
            maintenance: Box::new(move |request, peer| {
                manager
                    .handle(&request, &peer.to_string())
                    .and_then(|response| control::encode(&response))
            }),
            heal: Box::new(move |request, peer| {
                healer
                    .handle(&request, &peer.to_string())
                    .and_then(|response| control::encode(&response))
            }),
        };
        info!(path = %listener.path().display(), "control socket");
        control::serve(listener, Arc::new(handlers)).await;
    }

    /// Collects what `/metrics` shows.
    fn metrics_input(&self) -> metrics::Input {
        let mut snapshot = take_snapshot(&self.store, &self.healer);
        self.history.reader().add_saved_to(&mut snapshot);
        metrics::Input {
            snapshot,
            views: metrics::Views {
                lost: self.scheduler.lost_time().total(),
                probes: self.prober.counts(),
                web: self.web_config.view(),
                refused_beats: self.heartbeats.refused(),
                status_file: self.status_file.as_ref().map(|state| state.view()),
            },
        }
    }
}

/// Logs warnings for the operator.
fn warn_of(warnings: impl IntoIterator<Item = impl std::fmt::Display>) {
    warnings.into_iter().for_each(|warning| warn!("{warning}"));
}

/// Takes a snapshot of the store, and adds the state of healing.
fn take_snapshot(store: &store::Store, healer: &heal::Healer) -> store::Snapshot {
    let mut snapshot = store.snapshot();
    healer.add_to(&mut snapshot);
    snapshot
}

/// Runs an exporter until `shutdown` is ready. Reloads the configuration on every message of `hangup`, and when watched files change.
///
/// # Errors
/// If another exporter uses the same state directory.
pub async fn run(
    setup: Setup,
    hangup: mpsc::Receiver<()>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), store::StateDirError> {
    let (store, warnings) = store::Store::open(Arc::clone(&setup.clock), setup.state_dir.clone())?;
    warn_of(warnings);
    if setup.has_native_histograms {
        store.enable_native_histograms();
    }
    let (maintenance, warning) =
        maintenance::Manager::open(Arc::clone(&store), Arc::clone(&setup.clock), store.state_dir());
    warn_of(warning);
    let (heartbeats, warning) = heartbeat::Heartbeats::open(Arc::clone(&setup.clock), store.state_dir());
    warn_of(warning);
    let context = check::CheckContext::new(setup.procfs.clone())
        .with_state_dir(store.state_dir())
        .with_heartbeats(heartbeats.clone());
    let checks = setup.checks.unwrap_or_else(Handle::current);
    let clock = Arc::clone(&setup.clock);
    let history_clock = Arc::clone(&setup.clock);
    let process_groups = Arc::new(process_groups::ProcessGroups::new(setup.procfs.clone()));
    let scheduler = schedule::Scheduler::start(&checks, Arc::clone(&store), context.clone(), clock);
    let healer = Arc::new(heal::Healer::start(
        &checks,
        heal::HealSetup {
            store: Arc::clone(&store),
            clock: setup.clock,
            control: Arc::new(heal::SystemControl::default()),
            state_dir: setup.state_dir,
            procfs: setup.procfs,
            lost: Arc::clone(scheduler.lost_time()),
            is_disabled: setup.no_heal,
        },
    ));
    let (history, warnings) = history::History::start(&checks, Arc::clone(&store), history_clock);
    warn_of(warnings);
    let prober = probe::Prober::new(context, setup.probe_timeout_offset);
    let status_file = setup.status_file.map(|path| {
        let (source, healer) = (Arc::clone(&store), Arc::clone(&healer));
        status::StatusFile::start(path, Arc::clone(&store), move || take_snapshot(&source, &healer))
    });
    let parts = Arc::new(Parts {
        prober: Arc::new(prober.with_runtime(checks, Arc::clone(scheduler.lost_time()))),
        process_groups,
        heartbeats,
        scheduler,
        healer,
        history,
        web_config: setup.web_config,
        status_file: status_file.as_ref().map(status::StatusFile::state),
        maintenance,
        store,
        shown_config: watch::Sender::default(),
    });
    parts.store.record_config_files(&setup.config.files);
    parts.apply(&setup.config.config);

    let state = Arc::new(parts.web_state(WebSettings {
        load: setup.load,
        is_lifecycle_enabled: setup.enable_lifecycle,
        has_badges: setup.enable_badges,
        is_admin_enabled: setup.enable_admin_api,
        allowed_hosts: setup.allowed_hosts,
        telemetry_path: setup.telemetry_path,
    }));
    let servers = web::Servers::start(setup.listeners, &parts.web_config, &state);

    let summary = reload::summary(&setup.config.config, setup.config.files.len());
    info!(%summary, "serving");
    notify::ready(&summary);
    tokio::select! {
        () = shutdown => {}
        () = reload::reload_on_hangup(hangup, &state.reloader) => {}
        () = reload::reload_on_change(setup.watched_files, &state.reloader) => {}
        () = reload::reload_on_discovery(setup.discovery, &state.reloader) => {}
        () = Arc::clone(&parts.web_config).watch() => {}
        () = Arc::clone(&parts.maintenance).update_every_second() => {}
        () = parts.heartbeats.clone().keep_time() => {}
        () = parts.serve_control(setup.control) => {}
        () = log::report_suppressed() => {}
        () = notify::ping_watchdog(|| parts.scheduler.liveness().is_alive()) => {}
    }
    notify::stopping();
    servers.stop_accepting();
    // A disk that hangs must not delay the end of the exporter.
    if tokio::time::timeout(FLUSH_TIMEOUT, parts.healer.stop())
        .await
        .is_err()
    {
        warn!("saving the history of healing takes too long; changes of the last seconds are lost");
    }
    parts.scheduler.stop().await;
    servers.join().await;
    let flush = tokio::task::spawn_blocking(move || {
        parts.heartbeats.flush();
        parts.store.flush();
        parts.history.stop();
    });
    if tokio::time::timeout(FLUSH_TIMEOUT, flush).await.is_err() {
        warn!(
            "saving the state takes too long; changes of the last second and the history of the last minute are lost"
        );
    }
    info!("stopped");
    Ok(())
}
