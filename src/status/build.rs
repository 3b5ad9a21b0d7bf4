//! Builds the document from a snapshot. Pure: equal snapshots give equal documents.

use std::collections::HashMap;

use super::advice::{UNKNOWN, advice_on};
use super::chatstack::chatstack_fields;
use super::heal::{heal, heal_with_decisions};
use super::schema::{
    BeatStatus, CheckStatus, Document, FindingStatus, FindingsStatus, GroupStatus, JobStatus, MODE,
    MaintenanceStatus, Milliseconds, ProblemDetails, STALE_AFTER_SECONDS, ServiceStatus, Value,
};
use super::time::Time;
use super::word::Word;
use crate::model::{Findings, JobView, Maintenance, Outcome, Phase, Problem, Status};
use crate::store::{CheckView, ServiceView, Snapshot};

/// Builds the document of the services that `is_wanted` selects. `host` is the name of the exporter's machine.
pub fn document<'a>(
    snapshot: &'a Snapshot,
    host: &'a str,
    is_wanted: impl Fn(&ServiceView) -> bool,
) -> Document<'a> {
    let views = || snapshot.services.iter().filter(|view| is_wanted(view));
    let services: Vec<_> = views()
        .map(|view| ServiceStatus {
            heal: view.heal.as_ref().map(heal),
            ..service(view, snapshot.taken)
        })
        .collect();
    let ok_count = services.iter().filter(|service| service.chatstack.ok).count();
    Document {
        ok_count,
        fail_count: services.len() - ok_count,
        total: services.len(),
        services,
        host,
        version: env!("CARGO_PKG_VERSION"),
        generated_at: Time::new(snapshot.taken),
        mode: MODE,
        stale_after_seconds: STALE_AFTER_SECONDS,
        overall: Word(Status::worst(views().map(|view| view.status))),
        groups: groups(views()),
    }
}

/// Returns the name of this machine.
pub fn host_name() -> String {
    let names = rustix::system::uname();
    names.nodename().to_string_lossy().into_owned()
}

/// Counts the statuses of the services by group, in the order of the first service of each group.
pub fn groups<'a>(views: impl IntoIterator<Item = &'a ServiceView>) -> Vec<GroupStatus<'a>> {
    let mut groups: Vec<GroupStatus<'a>> = Vec::new();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    for view in views {
        let name = view.service.group.as_str();
        let position = *positions.entry(name).or_insert_with(|| {
            groups.push(GroupStatus {
                name,
                total: 0,
                up: 0,
                degraded: 0,
                down: 0,
                unknown: 0,
            });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(position) else {
            continue;
        };
        group.total += 1;
        match view.status {
            Status::Up => group.up += 1,
            Status::Degraded => group.degraded += 1,
            Status::Down => group.down += 1,
            Status::Unknown => group.unknown += 1,
        }
    }
    groups
}

/// Builds the object of one service, with its last heal decisions. `taken` is the time of the snapshot.
pub fn service(view: &ServiceView, taken: f64) -> ServiceStatus<'_> {
    let service = &*view.service;
    ServiceStatus {
        name: &service.name,
        key: service.key.as_str(),
        chatstack: chatstack_fields(view, taken),
        group: &service.group,
        tier: Word(service.tier),
        status: Word(view.status),
        since: view.status_since.map(Time::new),
        running_since: view.running_since().map(Time::new),
        problem: service_problem(view),
        impacted: view.is_impacted,
        root_causes: view.roots.iter().map(|key| key.as_str()).collect(),
        description: &service.description,
        runbook_url: service.runbook_url.as_deref(),
        objective_ratio: service.objective.map(|objective| objective.ratio()),
        depends_on: service.depends_on.iter().map(|key| key.as_str()).collect(),
        maintenance: view.maintenance.as_deref().map(maintenance),
        heal: view.heal.as_ref().map(heal_with_decisions),
        checks: view.checks.iter().map(check).collect(),
    }
}

fn maintenance(maintenance: &Maintenance) -> MaintenanceStatus<'_> {
    MaintenanceStatus {
        id: &maintenance.id,
        started: Time::new(maintenance.started),
        ends: Time::new(maintenance.ends),
        reason: &maintenance.reason,
        by: maintenance.by.as_deref(),
    }
}

/// The problem of the first check that causes the status of the service.
fn service_problem(view: &ServiceView) -> ProblemDetails<'_> {
    if view.status == Status::Up {
        return ProblemDetails::default();
    }
    let decides = |check: &&CheckView| check.status == view.status;
    let deciding = view.checks.iter().find(decides);
    let any = || view.checks.iter().find(|check| check.problem.is_some());
    match deciding.or_else(any) {
        Some(check) => check_problem(check),
        None => unknown_problem(),
    }
}

fn check_problem(view: &CheckView) -> ProblemDetails<'_> {
    match (&view.problem, view.status) {
        (_, Status::Up) => ProblemDetails::default(),
        (Some(problem), _) => describe_problem(view, problem),
        // The status is unknown because the exporter lacks a resource.
        (None, _) => match &view.shortage {
            Some(lack) => describe_problem(view, lack),
            None => unknown_problem(),
        },
    }
}

fn describe_problem<'v>(view: &CheckView, problem: &'v Problem) -> ProblemDetails<'v> {
    ProblemDetails {
        reason: Some(problem.reason.as_str()),
        message: Some(problem.message()),
        advice: Some(advice_on(view.settings.kind.kind(), problem)),
    }
}

fn unknown_problem() -> ProblemDetails<'static> {
    ProblemDetails {
        advice: Some(UNKNOWN),
        ..ProblemDetails::default()
    }
}

fn check(view: &CheckView) -> CheckStatus<'_> {
    let settings = &*view.settings;
    let outcome = view.last_run.as_ref().map(|run| &*run.outcome);
    CheckStatus {
        name: settings.name.as_str(),
        kind: Word(settings.kind.kind()),
        target: &view.target,
        severity: Word(settings.severity),
        status: Word(view.status),
        // The since-time of stale runs is not that of the status unknown.
        since: view
            .status_since
            .filter(|_| view.status != Status::Unknown)
            .map(Time::new),
        running_since: view.running_since().map(Time::new),
        latency_ms: outcome
            .and_then(|outcome| outcome.response_time)
            .map(Milliseconds),
        problem: check_problem(view),
        last_checked: view.last_ended.map(Time::new),
        last_success: view.last_success.map(Time::new),
        consecutive_failures: view.consecutive_failures,
        phases_ms: outcome.map_or_else(Vec::new, phases),
        values: outcome.map_or_else(Vec::new, values),
        fix: outcome.and_then(|outcome| outcome.findings.fix()),
        findings: outcome.and_then(|outcome| findings(&outcome.findings)),
        job: outcome.and_then(|outcome| outcome.job.as_deref()).map(job),
    }
}

fn job(job: &JobView) -> JobStatus<'_> {
    JobStatus {
        state: Word(job.state),
        last_success: job.last_success.map(Time::new),
        last_start: job.last_start.map(Time::new),
        due: job.due.map(Time::new),
        deadline: job.deadline.map(Time::new),
        open_runs: job.open_runs,
        beats: job
            .beats
            .iter()
            .map(|beat| BeatStatus {
                at: Time::new(beat.at),
                kind: Word(beat.kind),
                exit_status: beat.exit_status,
                run_id: beat.run_id.as_deref(),
                run_time_ms: beat.run_time.map(Milliseconds),
                message: &beat.message,
            })
            .collect(),
    }
}

fn findings(findings: &Findings) -> Option<FindingsStatus<'_>> {
    let list = findings.list();
    (!list.is_empty()).then(|| FindingsStatus {
        total: list.len() + findings.omitted(),
        list: list
            .iter()
            .map(|finding| FindingStatus {
                subject: &finding.subject,
                state: finding.state,
                detail: &finding.detail,
                fix: finding.fix.as_deref(),
            })
            .collect(),
    })
}

fn phases(outcome: &Outcome) -> Vec<(&'static str, Milliseconds)> {
    let spent = Phase::ALL
        .iter()
        .map(|phase| (*phase, outcome.phases.spent(*phase)));
    spent
        .filter(|(_, spent)| !spent.is_zero())
        .map(|(phase, spent)| (phase.as_str(), Milliseconds(spent)))
        .collect()
}

fn values(outcome: &Outcome) -> Vec<Value<'_>> {
    // JSON has neither infinity nor NaN.
    let finite = outcome.samples.iter().filter(|sample| sample.value.is_finite());
    finite
        .map(|sample| Value {
            metric: sample.family.name,
            labels: sample
                .family
                .labels
                .iter()
                .copied()
                .zip(sample.labels.iter().map(|value| &**value))
                .collect(),
            value: sample.value,
        })
        .collect()
}
