//! A web server in the test's own process that serves a given snapshot.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::net::TcpListener;
use upkeep_exporter::history::Reader;
use upkeep_exporter::metrics::Renderer;
use upkeep_exporter::store::{RecentRun, RecentRuns, Snapshot};
use upkeep_exporter::web::{EventHub, Reloader, State, serve};

use crate::common::snapshots::NOW;

/// Serves a snapshot until the test ends. Returns the URL.
pub async fn served(snapshot: impl Fn() -> Snapshot + Clone + Send + Sync + 'static) -> String {
    served_with(snapshot, Reader::empty()).await
}

/// Serves a snapshot with this history.
pub async fn served_with(
    snapshot: impl Fn() -> Snapshot + Clone + Send + Sync + 'static,
    history: Reader,
) -> String {
    let past = history.clone();
    let snapshot = move || {
        let mut snapshot = snapshot();
        past.add_to(&mut snapshot);
        snapshot
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let source = snapshot.clone();
    let runs = move |key: &str| Some(runs(&source(), key));
    let events = tokio::sync::broadcast::Sender::new(1);
    let state = State {
        prober: Arc::new(upkeep_exporter::probe::Prober::new(
            upkeep_exporter::check::CheckContext::new("/proc".into()),
            std::time::Duration::ZERO,
        )),
        bodies: upkeep_exporter::web::BodyCache::default(),
        snapshot: Arc::new(snapshot.clone()),
        renderer: Renderer::new(snapshot),
        heartbeats: upkeep_exporter::web::HeartbeatEndpoint::default(),
        process_groups: Arc::new(upkeep_exporter::process_groups::ProcessGroups::new(
            "/proc".into(),
        )),
        history,
        config: Box::new(|| "services: []\n".into()),
        is_ready: Box::new(|| true),
        reloader: Reloader::new(|| Box::pin(async { Ok(()) })),
        is_lifecycle_enabled: false,
        has_badges: false,
        admin: None,
        allowed_hosts: upkeep_exporter::web::AllowedHosts::default(),
        event_hub: EventHub::new(runs, move || events.subscribe()),
        telemetry_path: "/metrics".into(),
    };
    tokio::spawn(serve(listener, Arc::new(state), std::future::pending()));
    format!("http://{address}")
}

/// Ten runs per check, each like the last one.
fn runs(snapshot: &Snapshot, key: &str) -> Vec<RecentRuns> {
    let found = snapshot
        .services
        .iter()
        .find(|view| view.service.key.as_str() == key);
    let checks = found.map_or(&[][..], |view| &view.checks);
    let runs = checks.iter().map(|check| {
        let last = check.last_run.as_ref();
        last.into_iter()
            .flat_map(|last| (0..10).map(move |number| (last, number)))
            .map(|(last, number)| RecentRun {
                ended: NOW - 2.0 - 15.0 * f64::from(number),
                status: check.status,
                reason: check.problem.as_ref().map(|problem| problem.reason),
                problem: check.problem.clone().filter(|_| number < 8),
                duration: last.outcome.duration,
                response_time: last.outcome.response_time,
                phases: last.outcome.phases,
            })
            .collect()
    });
    runs.collect()
}
