//! The page of one service: its settings and dependencies, and each check with its settings, values and latest runs.

use std::time::Duration;

use maud::{Markup, html};

use super::actions;
use super::filter::Filter;
use super::findings;
use super::heal;
use super::history::{PastView, section as past_section};
use super::job;
use super::overview::{impact, layout_hash, since};
use super::parts::{
    Frame, advice, display_name, document, footer, maintenance, problem, problem_of, runbook_url,
    status_mark, warnings,
};
use super::text::{Text, count, format_age, format_latency, format_setting, full_time, time, time_with_zone};
use crate::model::{JobView, Phase, Severity, Status};
use crate::store::{CheckView, RecentRun, RecentRuns, ServiceView, Snapshot};
use crate::web::endpoints::Site;
use crate::web::model_query::ModelQuery;

/// How many values of a check are shown.
const MAX_VALUES: usize = 100;

/// Renders the page; `runs` are the latest runs of each check.
pub(in crate::web) fn service(
    site: Site<'_>,
    snapshot: &Snapshot,
    view: &ServiceView,
    runs: &[RecentRuns],
    past: Option<&PastView>,
) -> String {
    let service = &*view.service;
    let top = html! {
        p.back { a href="/" { "All services" } }
        h1.(view.status.as_str()) { i {} (Text(display_name(service))) " is " (view.status.as_str()) }
        p { (since(view, snapshot.taken)) }
        @if let Some(window) = &view.maintenance { p.maintenance { (maintenance(window, snapshot.taken)) } }
        (warnings(snapshot))
    };
    document(Frame {
        title: format!("{} \u{b7} {} \u{b7} upkeep", view.status, display_name(service)),
        status: view.status,
        refresh: "page",
        reloads_without_script: true,
        layout: layout_hash(snapshot),
        top,
        main: html! {
            (about(snapshot, view))
            @if site.is_admin_enabled { (actions::section(service)) }
            @if let Some(past) = past { (past_section(view, past)) }
            @if let Some(state) = &view.heal { (heal::section(snapshot.taken, state)) }
            @for (position, check) in view.checks.iter().enumerate() {
                (check_section(snapshot.taken, check, runs.get(position).map_or(&[], Vec::as_slice)))
            }
        },
        bottom: footer(site, snapshot),
        snapshot,
    })
}

/// Renders the settings of a service.
fn about(snapshot: &Snapshot, view: &ServiceView) -> Markup {
    let service = &*view.service;
    let find =
        |key: &crate::model::ServiceKey| snapshot.services.iter().find(|other| other.service.key == *key);
    html! {
        @if !service.description.is_empty() { p.description { (Text(&service.description)) } }
        dl.facts {
            @if let Some(url) = runbook_url(service.runbook_url.as_ref()) {
                div { dt { "Runbook" } dd { a href=(url) rel="noreferrer" { (Text(&url)) } } }
            }
            @if view.is_impacted { div { dt { "Root cause" } dd { (impact(snapshot, view)) "; its alerts for down, degraded and slow do not start" } } }
            @if !service.depends_on.is_empty() {
                div { dt { "Depends on" } dd {
                    ul.plain {
                        @for other in service.depends_on.iter().filter_map(find) {
                            li { (status_mark(other.status)) " " a href={ "/service/" (other.service.key.as_str()) } { (Text(display_name(&other.service))) } }
                        }
                    }
                } }
            }
            div { dt { "Key" } dd { code { (service.key.as_str()) } } }
            @if !service.group.is_empty() { div { dt { "Group" } dd { a href=(Filter::url_of_group(&service.group)) { (Text(&service.group)) } } } }
            div { dt { "Tier" } dd { (service.tier.as_str()) ": alerts after " (format_setting(service.tolerance.down)) " down, " (format_setting(service.tolerance.degraded)) " degraded, " (format_setting(service.tolerance.slow)) " slow" } }
            @if let Some(objective) = service.objective {
                div { dt { "Objective" } dd { "not down for " (objective.to_string()) " of 30 days" } }
            }
            @if let Some(any_of) = service.any_of {
                div { dt { "Redundancy" } dd { "down if fewer than " (any_of) " of " (count(service.critical_checks().count(), "critical check")) " work, otherwise degraded" } }
            }
            @if let Some(since) = view.running_since() {
                div { dt { "Running" } dd { "since " (time_with_zone(since, snapshot.taken)) ", " (format_age(snapshot.taken - since)) } }
            }
            div { dt { "Status changes" } dd { (view.status_changes) " since the exporter started" } }
        }
    }
}

/// Renders one check.
#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn check_section(taken: f64, check: &CheckView, runs: &[RecentRun]) -> Markup {
    let settings = &*check.settings;
    let check_name = settings.name.as_str();
    html! {
        section.check data-key={ "c-" (check_name) } aria-labelledby={ "h-" (check_name) } {
            h2 id={ "h-" (check_name) } { (status_mark(check.status)) " " (Text(check_name)) }
            p.target { (settings.kind.kind().as_str()) " " code { (Text(&check.target)) } }
            @if let Some(found) = problem_of(check) {
                p.problem.(check.status.as_str()) { (problem(found)) }
                (advice(settings.kind.kind(), found))
            }
            dl.facts {
                div { dt { "Response time" } dd { @match check.last_run.as_ref().and_then(|run| run.outcome.response_time) {
                    Some(time) => { (format_latency(time)) }, None => { "\u{2013}" },
                } } }
                @if let Some(since) = check.running_since() {
                    div { dt { "Running" } dd { "since " (time_with_zone(since, taken)) ", " (format_age(taken - since)) } }
                }
                div { dt { "Last run" } dd { @match check.last_ended {
                    Some(ended) => { (time_with_zone(ended, taken)) ", " (format_age(taken - ended)) " ago" }, None => { "none yet" },
                } } }
                div { dt { "Last success" } dd { @match check.last_success {
                    Some(ended) => { (time_with_zone(ended, taken)) ", " (format_age(taken - ended)) " ago" }, None => { "none yet" },
                } } }
                @if let Some(job) = job_of(check) { (job::facts(taken, job)) }
                @if let Some(catalog) = &check.catalog {
                    div { dt { "Models" } dd {
                        a href=(ModelQuery::url_of_provider(catalog.provider)) { (count(catalog.models.len(), "model")) }
                        ", list from " (time_with_zone(catalog.fetched as f64, taken))
                    } }
                }
                div { dt { "Runs" } dd {
                    (check.runs) ", " (check.failures) " failed"
                    @if check.consecutive_failures > 1 { " (the last " (check.consecutive_failures) " in a row)" }
                    @if check.missed_runs > 0 { ", " (check.missed_runs) " missed" }
                    @if check.inconclusive_runs > 0 { ", " (check.inconclusive_runs) " inconclusive" }
                } }
                div { dt { "Schedule" } dd {
                    "every " (format_setting(settings.interval)) ", timeout " (format_setting(settings.timeout))
                    ", recheck after " (format_setting(settings.recheck_interval))
                } }
                @if settings.kind.kind().is_timed() {
                    div { dt { "Thresholds" } dd { "degraded at " (format_setting(settings.thresholds.degraded)) ", down at " (format_setting(settings.thresholds.down)) } }
                }
                div { dt { "Severity" } dd {
                    @match settings.severity {
                        Severity::Critical => { "critical: takes the service down" },
                        Severity::Warning => { "warning: only degrades the service" },
                    }
                    " after " (count(settings.failures_before_down as usize, "failed run"))
                    ", recovers after " (count(settings.successes_before_up as usize, "successful run"))
                } }
            }
            @if let Some(run) = &check.last_run { (findings::section(check_name, &run.outcome.findings)) }
            @if let Some(job) = job_of(check) { (job::beats(taken, check_name, job)) }
            (values(check))
            (history(taken, check_name, runs))
        }
    }
}

/// The job that the check watches.
fn job_of(check: &CheckView) -> Option<&JobView> {
    check.last_run.as_ref()?.outcome.job.as_deref()
}

/// Renders the values that the last run measured.
fn values(check: &CheckView) -> Markup {
    let samples = check
        .last_run
        .as_ref()
        .map_or(&[][..], |run| &run.outcome.samples);
    html! {
        @if !samples.is_empty() {
            details data-key="values" {
                summary { (count(samples.len(), "value")) " from the last run" }
                div.scroll tabindex="0" role="region" aria-label={ "Values of " (check.settings.name.as_str()) } {
                    table {
                        thead { tr { th scope="col" { "Metric" } th scope="col" { "Labels" } th.number scope="col" { "Value" } } }
                        tbody { @for sample in samples.iter().take(MAX_VALUES) {
                            tr {
                                th scope="row" { code { (sample.family.name) } }
                                td { @for (label, value) in sample.family.labels.iter().zip(&sample.labels) { (label) "=" (Text(value)) " " } }
                                td.number { (sample.value) }
                            }
                        } }
                    }
                }
            }
        }
    }
}

/// Renders the latest runs, newest first.
fn history(taken: f64, name: &str, runs: &[RecentRun]) -> Markup {
    let longest = runs.iter().map(|run| run.duration).max().unwrap_or_default();
    let has_phases = runs.iter().any(|run| !run.phases.is_empty());
    html! {
        @if runs.is_empty() { p.empty { "No runs since the exporter started." } }
        @else {
            details data-key="runs" open[runs[0].status != Status::Up] {
                summary { "Last " (count(runs.len(), "run")) }
                div.scroll tabindex="0" role="region" aria-label={ "Last runs of " (name) } {
                    table.runs {
                        thead { tr {
                            th scope="col" { "Ended (UTC)" } th scope="col" { "Result" } th.number scope="col" { "Duration" } th.number scope="col" { "Response time" }
                            @if has_phases { th scope="col" { "Phases" } }
                        } }
                        tbody {
                            @for (position, run) in runs.iter().enumerate() {
                                (history_row(taken, run, position.checked_sub(1).map(|newer| &runs[newer]), longest, has_phases))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Renders one run. The problem is left out if it is the same as in the row above.
fn history_row(
    taken: f64,
    run: &RecentRun,
    above: Option<&RecentRun>,
    longest: Duration,
    has_phases: bool,
) -> Markup {
    let is_same = above.is_some_and(|above| above.problem == run.problem);
    html! {
        tr {
            th scope="row" { (time(run.ended, taken)) }
            td.result {
                (status_mark(run.status))
                @match (&run.problem, run.reason) {
                    (Some(found), _) if !is_same => { " " (problem(found)) },
                    (_, Some(reason)) => { " " b { (reason.as_str()) } },
                    (_, None) => {},
                }
            }
            td.number { (format_latency(run.duration)) }
            td.number { @match run.response_time { Some(time) => { (format_latency(time)) }, None => { "\u{2013}" } } }
            @if has_phases { td.phases { (phases(run, longest)) } }
        }
    }
}

/// Renders the phases as numbers, and as a bar on the scale of the longest run.
fn phases(run: &RecentRun, longest: Duration) -> Markup {
    let scale = longest.as_secs_f64().max(1e-9);
    let mut begins = 0.0;
    let spent: Vec<_> = Phase::ALL
        .iter()
        .map(|phase| (*phase, run.phases.spent(*phase)))
        .filter(|(_, spent)| !spent.is_zero())
        .map(|(phase, spent)| {
            let width = (spent.as_secs_f64() / scale * 100.0).min(100.0);
            begins += width;
            (phase, spent, begins - width, width)
        })
        .collect();
    html! {
        @if !spent.is_empty() {
            svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
                @for (phase, _, begins, width) in &spent {
                    rect class=(phase.as_str()) x=(format!("{begins:.2}")) width=(format!("{width:.2}")) height="6" {}
                }
            }
            @for (phase, spent, ..) in &spent { span.phase { (phase.as_str()) " " (format_latency(*spent)) } " " }
        }
    }
}

/// Renders the page about a service or group that does not exist. Without `site` it has no links, for embedding.
pub(in crate::web) fn not_found(site: Option<Site<'_>>, snapshot: &Snapshot, message: &str) -> String {
    document(Frame {
        title: "Not found \u{b7} upkeep".into(),
        status: Status::Unknown,
        refresh: "page",
        reloads_without_script: true,
        layout: layout_hash(snapshot),
        top: html! {
            @if site.is_some() { p.back { a href="/" { "All services" } } }
            h1.unknown { i {} (Text(message)) }
        },
        main: html! { p { "It is not in the configuration loaded at " (full_time(snapshot.exporter.last_reload_success)) "." } },
        bottom: html! { @if let Some(site) = site { (footer(site, snapshot)) } },
        snapshot,
    })
}
