//! One service in full: what it is, what it needs, and each check with its settings, values and last runs.

use std::time::Duration;

use maud::{Markup, html};

use super::overview::{layout, since};
use super::parts::{Frame, advised, document, footer, found, name, problem, runbook, state, warnings};
use super::text::{Text, age, configured, count, full_time, latency, time, zoned};
use crate::model::{Phase, Severity, Status};
use crate::store::{CheckView, RecentRun, RecentRuns, ServiceView, Snapshot};
use crate::web::State;

/// The page; `runs` are the last runs of each check.
pub(in crate::web) fn service(
    state: &State,
    snapshot: &Snapshot,
    view: &ServiceView,
    runs: &[RecentRuns],
) -> String {
    let service = &*view.service;
    let top = html! {
        p.back { a href="/" { "All services" } }
        h1.(view.status.as_str()) { i {} (Text(name(service))) " is " (view.status.as_str()) }
        p { (since(view, snapshot.taken)) }
        (warnings(snapshot))
    };
    document(Frame {
        title: format!("{} \u{b7} {} \u{b7} upkeep", view.status, name(service)),
        status: view.status,
        live: "page",
        layout: layout(snapshot),
        top,
        main: html! {
            (about(snapshot, view))
            @for (position, check) in view.checks.iter().enumerate() {
                (section(snapshot.taken, check, runs.get(position).map_or(&[], Vec::as_slice)))
            }
        },
        bottom: footer(state, snapshot),
        snapshot,
    })
}

fn about(snapshot: &Snapshot, view: &ServiceView) -> Markup {
    let service = &*view.service;
    let named =
        |key: &crate::model::ServiceKey| snapshot.services.iter().find(|other| other.service.key == *key);
    html! {
        @if !service.description.is_empty() { p.description { (Text(&service.description)) } }
        dl.facts {
            @if let Some(url) = runbook(service.runbook_url.as_ref()) {
                div { dt { "Runbook" } dd { a href=(url) rel="noreferrer" { (Text(&url)) } } }
            }
            @if !service.depends_on.is_empty() {
                div { dt { "Needs" } dd {
                    ul.plain {
                        @for other in service.depends_on.iter().filter_map(named) {
                            li { (state(other.status)) " " a href={ "/service/" (other.service.key.as_str()) } { (Text(name(&other.service))) } }
                        }
                    }
                } }
            }
            div { dt { "Key" } dd { code { (service.key.as_str()) } } }
            @if !service.group.is_empty() { div { dt { "Group" } dd { a href=(super::filter::Filter::of_group(&service.group)) { (Text(&service.group)) } } } }
            div { dt { "Tier" } dd { (service.tier.as_str()) ": down is borne for " (configured(service.tolerance.down)) ", degraded for " (configured(service.tolerance.degraded)) ", slow for " (configured(service.tolerance.slow)) } }
            div { dt { "Changes" } dd { (count(usize::try_from(view.status_changes).unwrap_or(usize::MAX), "change")) " of its status since the exporter started" } }
        }
    }
}

fn section(taken: f64, check: &CheckView, runs: &[RecentRun]) -> Markup {
    let settings = &*check.settings;
    let check_name = settings.name.as_str();
    html! {
        section.check data-key={ "c-" (check_name) } aria-labelledby={ "h-" (check_name) } {
            h2 id={ "h-" (check_name) } { (state(check.status)) " " (Text(check_name)) }
            p.target { (settings.kind.kind().as_str()) " " code { (Text(&check.target)) } }
            @if let Some(found) = found(check) {
                p.problem.(check.status.as_str()) { (problem(found)) }
                (advised(settings.kind.kind(), found))
            }
            dl.facts {
                div { dt { "Response" } dd { @match check.last_run.as_ref().and_then(|run| run.outcome.response_time) {
                    Some(time) => { (latency(time)) }, None => { "\u{2013}" },
                } } }
                div { dt { "Last run" } dd { @match check.last_ended {
                    Some(ended) => { (zoned(ended, taken)) ", " (age(taken - ended)) " ago" }, None => { "none yet" },
                } } }
                div { dt { "Last success" } dd { @match check.last_success {
                    Some(ended) => { (zoned(ended, taken)) ", " (age(taken - ended)) " ago" }, None => { "none yet" },
                } } }
                div { dt { "Runs" } dd {
                    (check.runs) ", " (check.failures) " failed"
                    @if check.consecutive_failures > 0 { ", the last " (check.consecutive_failures) " in a row" }
                    @if check.missed_runs > 0 { ", " (check.missed_runs) " missed" }
                    @if check.inconclusive_runs > 0 { ", " (check.inconclusive_runs) " inconclusive" }
                } }
                div { dt { "Schedule" } dd {
                    "each " (configured(settings.interval)) ", deadline " (configured(settings.timeout))
                    ", rechecked after " (configured(settings.recheck_interval))
                } }
                @if settings.kind.kind().is_timed() {
                    div { dt { "Limits" } dd { "degraded from " (configured(settings.thresholds.degraded)) ", down from " (configured(settings.thresholds.down)) } }
                }
                div { dt { "Weight" } dd {
                    @match settings.severity {
                        Severity::Critical => { "critical: takes the service down" },
                        Severity::Warning => { "warning: only degrades the service" },
                    }
                    ", after " (count(settings.failures_before_down as usize, "bad run"))
                    ", back after " (count(settings.successes_before_up as usize, "good run"))
                } }
            }
            (values(check))
            (history(taken, check_name, runs))
        }
    }
}

/// What the last run measured beside its time.
fn values(check: &CheckView) -> Markup {
    let samples = check
        .last_run
        .as_ref()
        .map_or(&[][..], |run| &run.outcome.samples);
    html! {
        @if !samples.is_empty() {
            details data-key="values" {
                summary { (count(samples.len(), "value")) " of the last run" }
                div.scroll tabindex="0" role="region" aria-label={ "Values of " (check.settings.name.as_str()) } {
                    table {
                        thead { tr { th scope="col" { "Metric" } th scope="col" { "Labels" } th.number scope="col" { "Value" } } }
                        tbody { @for sample in samples.iter().take(100) {
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

/// The last runs, the newest first.
fn history(taken: f64, name: &str, runs: &[RecentRun]) -> Markup {
    let longest = runs.iter().map(|run| run.duration).max().unwrap_or_default();
    let has_phases = runs.iter().any(|run| !run.phases.is_empty());
    html! {
        @if runs.is_empty() { p.empty { "No run since the exporter started." } }
        @else {
            details data-key="runs" open[runs[0].status != Status::Up] {
                summary { "Last " (count(runs.len(), "run")) }
                div.scroll tabindex="0" role="region" aria-label={ "Last runs of " (name) } {
                    table.runs {
                        thead { tr {
                            th scope="col" { "Ended (UTC)" } th scope="col" { "Result" } th.number scope="col" { "Took" } th.number scope="col" { "Response" }
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

/// One run. What the row above says in full is not said again.
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
                (state(run.status))
                @match (&run.problem, run.reason) {
                    (Some(found), _) if !is_same => { " " (problem(found)) },
                    (_, Some(reason)) => { " " b { (reason.as_str()) } },
                    (_, None) => {},
                }
            }
            td.number { (latency(run.duration)) }
            td.number { @match run.response_time { Some(time) => { (latency(time)) }, None => { "\u{2013}" } } }
            @if has_phases { td.phases { (phases(run, longest)) } }
        }
    }
}

/// The phases as numbers, and as a bar on the scale of the longest run.
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
            @for (phase, spent, ..) in &spent { span.phase { (phase.as_str()) " " (latency(*spent)) } " " }
        }
    }
}

/// What is said where there is no such service or group.
/// It stands alone where it is embedded.
pub(in crate::web) fn unknown(state: Option<&State>, snapshot: &Snapshot, what: &str) -> String {
    document(Frame {
        title: "Not found \u{b7} upkeep".into(),
        status: Status::Unknown,
        live: "page",
        layout: layout(snapshot),
        top: html! {
            @if state.is_some() { p.back { a href="/" { "All services" } } }
            h1.unknown { i {} (Text(what)) }
        },
        main: html! { p { "The configuration of " (full_time(snapshot.exporter.last_reload_success)) " does not hold it." } },
        bottom: html! { @if let Some(state) = state { (footer(state, snapshot)) } },
        snapshot,
    })
}
