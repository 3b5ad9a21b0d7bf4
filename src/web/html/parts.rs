//! What several pages share: the frame around them, statuses as shape, word and colour, and problems.

use maud::{DOCTYPE, Markup, html};

use super::assets::{SCRIPT, STYLE, icon};
use super::text::{PlainText, Text, full_time, latency, rfc3339};
use crate::config::Service;
use crate::model::{CheckKind, Problem, Status};
use crate::status::advice::advice_on;
use crate::store::{CheckView, Snapshot};
use crate::web::State;
use crate::web::endpoints::Page;

/// What the frame of a page needs to know of it.
pub(super) struct Frame<'a> {
    /// The title in the browser's tab.
    pub title: String,
    /// The status that its icon shows.
    pub status: Status,
    /// How the script keeps it fresh: `rows` patches changed services, `page` asks for the page again.
    pub live: &'static str,
    /// What changes when the page has to be asked for again; see `layout`.
    pub layout: u64,
    /// The head of the page: says how things stand.
    pub top: Markup,
    /// The rest.
    pub main: Markup,
    /// What follows the content, outside of what is kept fresh.
    pub bottom: Markup,
    /// The snapshot all of it is made of.
    pub snapshot: &'a Snapshot,
}

/// A whole document.
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
                link id="icon" rel="icon" type="image/svg+xml" href=(icon(frame.status).path()) data-lost=(icon(Status::Unknown).path());
                link rel="stylesheet" href=(STYLE.path());
                noscript { meta http-equiv="refresh" content="10"; }
                script src=(SCRIPT.path()) defer {}
            }
            body class=(frame.live) data-live=(frame.live) data-layout={ (format!("{:016x}", frame.layout)) } {
                @if frame.live == "rows" { a.skip href="#main" { "Skip to the services" } }
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

/// The links to everything else that the exporter serves.
pub(super) fn footer(state: &State, snapshot: &Snapshot) -> Markup {
    let exporter = &snapshot.exporter;
    html! {
        footer {
            nav aria-label="The exporter" {
                ul {
                    @for page in Page::ALL.into_iter().filter(|page| page.is_listed()) {
                        li {
                            @if page.allow() == "POST" || page == Page::Probe { code { (page.path(state)) } }
                            @else { a href=(page.path(state)) { (page.path(state)) } }
                            " " (page.about())
                        }
                    }
                }
            }
            p {
                "upkeep_exporter " (env!("CARGO_PKG_VERSION"))
                " \u{b7} configuration loaded " time datetime=(rfc3339(exporter.last_reload_success)) { (full_time_text(exporter.last_reload_success)) }
                " \u{b7} SIGHUP loads it again"
                @if !state.is_lifecycle_enabled { " (over HTTP that is not enabled)" }
            }
        }
    }
}

fn full_time_text(at: f64) -> String {
    let full = rfc3339(at);
    format!("{} {} UTC", &full[..10], &full[11..19])
}

/// What the exporter has to say of itself.
pub(super) fn warnings(snapshot: &Snapshot) -> Markup {
    let exporter = &snapshot.exporter;
    html! {
        @if !exporter.last_reload_successful {
            p.warning {
                "The configuration file could not be loaded again; the one of "
                (full_time(exporter.last_reload_success)) " is still in use. The exporter's log says what is wrong."
            }
        }
        @if exporter.state_saved == Some(false) {
            p.warning { "Statuses can't be saved at present: after a restart their since-times would be wrong." }
        }
        @if !exporter.is_first_round_over {
            p.warning { "Not every check has run yet since the exporter started." }
        }
    }
}

/// A status as shape, word and colour.
pub(super) fn state(status: Status) -> Markup {
    html! { span.state.(status.as_str()) { i {} (status.as_str()) } }
}

/// What keeps a check from being up, or from being known.
pub(super) fn found(check: &CheckView) -> Option<&Problem> {
    let lack = check
        .shortage
        .as_ref()
        .filter(|_| check.status == Status::Unknown);
    check.problem.as_ref().or(lack).map(|problem| &**problem)
}

/// What to do about a problem of a check of this kind.
pub(super) fn advised(kind: CheckKind, problem: &Problem) -> Markup {
    html! { p.advice { (advice_on(kind, problem)) } }
}

/// Why a check is not up.
pub(super) fn problem(problem: &Problem) -> Markup {
    html! { b { (problem.reason.as_str()) } ": " (Text(problem.message())) }
}

/// The checks of a service that keep it from being up, the gravest first.
pub(super) fn culprits(checks: &[CheckView]) -> Vec<&CheckView> {
    let mut culprits: Vec<_> = checks.iter().filter(|check| check.status != Status::Up).collect();
    culprits.sort_by_key(|check| rank(check.status));
    culprits
}

/// What a service is called; a link needs some text.
pub(super) fn name(service: &Service) -> &str {
    match service.name.trim() {
        "" => service.key.as_str(),
        name => name,
    }
}

/// How long the slowest check of a service waited for its answer.
pub(super) fn slowest(checks: &[CheckView]) -> Option<String> {
    let times = checks
        .iter()
        .filter_map(|check| check.last_run.as_ref()?.outcome.response_time);
    times.max().map(latency)
}

/// What a person wants to see first: down, degraded, unknown, up.
pub(super) const fn rank(status: Status) -> u8 {
    match status {
        Status::Down => 0,
        Status::Degraded => 1,
        Status::Unknown => 2,
        Status::Up => 3,
    }
}

/// The address of a runbook, if it is one to follow.
pub(super) fn runbook(url: Option<&String>) -> Option<String> {
    let url = url::Url::parse(url?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.into())
}
