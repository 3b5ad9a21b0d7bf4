//! Parts that several pages share: the frame, the footer, warnings, statuses and problems.

use maud::{DOCTYPE, Markup, html};

use super::assets::{SCRIPT, STYLE, icon};
use super::text::{PlainText, Text, format_latency, full_time, time_with_zone};
use crate::config::Service;
use crate::model::{CheckKind, Maintenance, Problem, Status};
use crate::status::advice::advice_on;
use crate::store::{CheckView, ExporterView, Snapshot};
use crate::web::endpoints::{Endpoint, Site};

/// The content of a page, and the data for its frame.
pub(super) struct Frame<'a> {
    /// The title of the browser's tab.
    pub title: String,
    /// The status that the icon shows.
    pub status: Status,
    /// How the script refreshes the page: `rows` patches changed rows, `page` fetches the page again.
    pub refresh: &'static str,
    /// Whether the page reloads itself in browsers without scripts. A reload loses what was typed into a form.
    pub reloads_without_script: bool,
    /// Changes when the page has to be fetched again; see `layout_hash`.
    pub layout: u64,
    /// The headline.
    pub top: Markup,
    /// The main content.
    pub main: Markup,
    /// The content below, which is not refreshed.
    pub bottom: Markup,
    /// The snapshot that the page shows.
    pub snapshot: &'a Snapshot,
}

/// Renders a page in its frame.
pub(super) fn document(frame: Frame<'_>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (PlainText(&frame.title)) }
                link id="icon" rel="icon" type="image/svg+xml" href=(icon(frame.status).path()) data-stale=(icon(Status::Unknown).path());
                link rel="stylesheet" href=(STYLE.path());
                @if frame.reloads_without_script { noscript { meta http-equiv="refresh" content="10"; } }
                script src=(SCRIPT.path()) defer {}
            }
            body class=(frame.refresh) data-refresh=(frame.refresh) data-layout={ (format!("{:016x}", frame.layout)) } {
                @if frame.refresh == "rows" { a.skip href="#main" { "Skip to the services" } }
                header {
                    div #top { (frame.top) }
                    p.fresh {
                        "As of " span #taken { (full_time(frame.snapshot.taken)) }
                        span #connection role="status" {}
                    }
                    p #announce .unseen role="log" aria-live="polite" {}
                }
                main #main tabindex="-1" { (frame.main) }
                (frame.bottom)
            }
        }
    };
    page.into_string()
}

/// Renders links to the other endpoints.
pub(super) fn footer(site: Site<'_>, snapshot: &Snapshot) -> Markup {
    let exporter = &snapshot.exporter;
    html! {
        footer {
            nav aria-label="Endpoints" {
                ul {
                    @for endpoint in Endpoint::ALL.into_iter().filter(|endpoint| endpoint.is_listed()) {
                        li {
                            @if endpoint.allow() == "POST" || endpoint == Endpoint::Probe { code { (endpoint.path(site)) } }
                            @else { a href=(endpoint.path(site)) { (endpoint.path(site)) } }
                            " " (endpoint.description())
                        }
                    }
                }
            }
            p {
                "upkeep_exporter " (env!("CARGO_PKG_VERSION"))
                " \u{b7} configuration loaded " (full_time(exporter.last_reload_success))
                " \u{b7} send SIGHUP to reload it"
                @if site.is_lifecycle_enabled { ", or use /-/reload" }
            }
            @if exporter.config_files.is_empty() {
                p {
                    "Without a configuration file, it watches what it found on this machine. To write that to a file, run "
                    code { "upkeep_exporter discover --write upkeep.yml" }
                }
            }
        }
    }
}

/// Renders warnings about the exporter itself.
pub(super) fn warnings(snapshot: &Snapshot) -> Markup {
    let exporter = &snapshot.exporter;
    html! {
        @if !exporter.last_reload_successful {
            p.warning { (reload_failure(exporter)) }
        }
        @if exporter.state_saved == Some(false) {
            p.warning { "The state file can't be written. After a restart, alerts could fire late. See the exporter's log." }
        }
        @if exporter.history_saved == Some(false) {
            p.warning { "The history can't be saved. After a restart, the time since the last save shows as no data. See the exporter's log." }
        }
        @if !exporter.is_first_round_over {
            p.warning { "Some checks have not run since the exporter started." }
        }
    }
}

/// The maximum number of invalid files that the page lists.
const MAX_FILES_SHOWN: usize = 10;

/// Describes a configuration that is not in use, or not all of it.
fn reload_failure(exporter: &ExporterView) -> Markup {
    let invalid = exporter.config_files.iter().filter(|file| !file.is_valid);
    let more = invalid.clone().count().saturating_sub(MAX_FILES_SHOWN);
    let is_partial = exporter.config_files.len() > 1;
    html! {
        @if is_partial {
            "Some configuration files have errors. Their last valid content stays in use; without any, their services are not monitored. "
        } @else {
            "Reloading the configuration failed. The configuration loaded at " (full_time(exporter.last_reload_success)) " stays in use. "
        }
        "See the exporter's log for the errors"
        @if invalid.clone().next().is_some() { ":" } @else { "." }
        @for file in invalid.take(MAX_FILES_SHOWN) { " " code { (file.name) } }
        @if more > 0 { " and " (more) " more" }
    }
}

/// Renders a status as shape, word and colour.
pub(super) fn status_mark(status: Status) -> Markup {
    html! { span.state.(status.as_str()) { i {} (status.as_str()) } }
}

/// Returns why a check is not up, or why its status is unknown.
pub(super) fn problem_of(check: &CheckView) -> Option<&Problem> {
    let shortage = check
        .shortage
        .as_ref()
        .filter(|_| check.status == Status::Unknown);
    check.problem.as_ref().or(shortage).map(|problem| &**problem)
}

/// Renders what to do about a problem of a check of this kind.
pub(super) fn advice(kind: CheckKind, problem: &Problem) -> Markup {
    // Commands are between backticks.
    let parts = advice_on(kind, problem).split('`').enumerate();
    html! {
        p.advice {
            @for (position, part) in parts {
                @if position % 2 == 0 { (part) } @else { code { (part) } }
            }
        }
    }
}

/// Renders the maintenance window that holds for a service: its end, and who started it and why.
pub(super) fn maintenance(window: &Maintenance, taken: f64) -> Markup {
    html! {
        b { "maintenance" } " until " (time_with_zone(window.ends, taken))
        @if let Some(by) = &window.by { ", started by " (Text(by)) }
        @if !window.reason.is_empty() { ": " (Text(&window.reason)) }
    }
}

/// Renders a problem.
pub(super) fn problem(problem: &Problem) -> Markup {
    html! { b { (problem.reason.as_str()) } ": " (Text(problem.message())) }
}

/// Returns the checks that are not up, worst first.
pub(super) fn failing_checks(checks: &[CheckView]) -> Vec<&CheckView> {
    let mut failing: Vec<_> = checks.iter().filter(|check| check.status != Status::Up).collect();
    failing.sort_by_key(|check| check.status.rank());
    failing
}

/// Returns the display name of a service: its name, or its key if the name is blank.
pub(super) fn display_name(service: &Service) -> &str {
    match service.name.trim() {
        "" => service.key.as_str(),
        name => name,
    }
}

/// Returns the longest response time of several checks.
pub(super) fn slowest(checks: &[CheckView]) -> Option<String> {
    let times = checks
        .iter()
        .filter_map(|check| check.last_run.as_ref()?.outcome.response_time);
    times.max().map(format_latency)
}

/// Returns the URL of a runbook if it is safe to link.
pub(super) fn runbook_url(url: Option<&String>) -> Option<String> {
    let url = url::Url::parse(url?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.into())
}
