//! Turns the snapshot after a round into a report.

use std::time::Duration;

use crate::cli::show::{CheckRow, MaintenanceRow, ServiceRow, StatusReport, clean, now, rfc3339};
use crate::model::{Maintenance, Phase, Status};
use crate::status::advice::advice_on;
use crate::store::{CheckView, ServiceView, Snapshot};

/// The report of a snapshot. It has no since-times, because a single run does not know them.
pub fn report(snapshot: &Snapshot) -> StatusReport {
    let services = snapshot.services.iter().map(|view| service(view, snapshot.taken));
    StatusReport::new(now(), services.collect())
}

fn service(view: &ServiceView, taken: f64) -> ServiceRow {
    let running_since = view.running_since();
    ServiceRow {
        key: clean(view.service.key.as_str()),
        name: clean(&view.service.name),
        group: clean(&view.service.group),
        tier: Some(view.service.tier),
        status: view.status,
        since: None,
        age: None,
        running_since: running_since.map(rfc3339),
        uptime: running_since.and_then(|since| Duration::try_from_secs_f64(taken - since).ok()),
        root_causes: view.roots.iter().map(|key| clean(key.as_str())).collect(),
        advice: None,
        maintenance: view.maintenance.as_deref().map(maintenance),
        checks: view.checks.iter().map(check).collect(),
    }
}

fn maintenance(window: &Maintenance) -> MaintenanceRow {
    MaintenanceRow {
        ends: rfc3339(window.ends),
        reason: clean(&window.reason),
        by: window.by.as_deref().map(clean),
    }
}

fn check(view: &CheckView) -> CheckRow {
    let problem = view.problem.as_ref().or(view.shortage.as_ref());
    let outcome = view.last_run.as_ref().map(|run| &run.outcome);
    let phases = outcome
        .map(|outcome| outcome.phases)
        .filter(|phases| !phases.is_empty());
    CheckRow {
        name: clean(view.settings.name.as_str()),
        kind: view.settings.kind.kind().to_string(),
        target: clean(&view.target),
        status: view.status,
        since: None,
        running_since: view.running_since().map(rfc3339),
        latency_seconds: outcome
            .and_then(|outcome| outcome.response_time)
            .map(|time| time.as_secs_f64()),
        reason: problem.map(|problem| problem.reason.to_string()),
        message: problem.map(|problem| clean(problem.message())),
        advice: problem
            .filter(|_| view.status != Status::Up)
            .map(|problem| advice_on(view.settings.kind.kind(), problem).to_owned()),
        fix: outcome.and_then(|outcome| outcome.findings.fix()).map(clean),
        phases: phases
            .map(|phases| {
                let entry = |phase: &Phase| (phase.as_str(), phases.spent(*phase).as_secs_f64());
                Phase::ALL.iter().map(entry).collect()
            })
            .unwrap_or_default(),
    }
}
