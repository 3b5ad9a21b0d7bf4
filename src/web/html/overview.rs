//! The overview: a headline, then the services by group, problems first.

use maud::{Markup, html};

use super::filter::Filter;
use super::parts::{
    Frame, advice, display_name, document, failing_checks, footer, maintenance, problem, problem_of,
    runbook_url, slowest, status_mark, warnings,
};
use super::past::{self, PastRange};
use super::text::{PlainText, Text, count, format_age, time_with_zone};
use crate::model::{ServiceKey, Status, Tier};
use crate::status::model_sources;
use crate::store::{Fnv, ServiceView, Snapshot};
use crate::web::endpoints::Site;

/// How many failing checks of a service its row shows. The page of the service shows all of them.
const MAX_FAILING: usize = 3;

/// The number of services by status, in the order of `Status::ALL`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally([usize; Status::ALL.len()]);

impl Tally {
    /// Counts services.
    pub fn new<'a>(services: impl IntoIterator<Item = &'a ServiceView>) -> Self {
        let mut tally = Self::default();
        for service in services {
            tally.0[service.status as usize] += 1;
        }
        tally
    }

    pub const fn count(&self, status: Status) -> usize {
        self.0[status as usize]
    }

    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// Says how many services work, so are up or degraded, as the dashboards do: `4/5 up, 1 degraded`.
    pub fn working(&self) -> String {
        let degraded = self.count(Status::Degraded);
        let rest = match degraded {
            0 => String::new(),
            _ => format!(", {degraded} {}", Status::Degraded),
        };
        format!("{}/{} up{rest}", self.count(Status::Up) + degraded, self.total())
    }

    /// Returns the worst status of any service.
    pub fn worst(&self) -> Status {
        let present = Status::ALL.iter().filter(|status| self.count(**status) > 0);
        Status::worst(present.copied())
    }

    /// Summarizes the services that are not up: `2 down, 1 degraded`; empty if all are up.
    pub fn problems(&self) -> String {
        let problems = [Status::Down, Status::Degraded, Status::Unknown]
            .into_iter()
            .filter(|status| self.count(*status) > 0)
            .map(|status| format!("{} {status}", self.count(status)));
        problems.collect::<Vec<_>>().join(", ")
    }

    /// Summarizes all services in a sentence.
    pub fn headline(&self) -> String {
        let total = self.total();
        match (self.problems(), total) {
            (_, 0) => "No services are configured".into(),
            (problems, 1) if problems.is_empty() => "The service is up".into(),
            (problems, _) if problems.is_empty() => format!("All {total} services are up"),
            (problems, _) => format!("{problems} of {}", count(total, "service")),
        }
    }
}

/// Renders the page.
pub(in crate::web) fn overview(site: Site<'_>, snapshot: &Snapshot, filter: &Filter) -> String {
    let tally = Tally::new(&snapshot.services);
    let top = html! {
        h1.(tally.worst().as_str()) { i {} (tally.headline()) }
        (warnings(snapshot))
    };
    let problems = tally.problems();
    document(Frame {
        title: match problems.is_empty() {
            true => format!("{} \u{b7} upkeep", tally.headline()),
            false => format!("{problems} \u{b7} upkeep"),
        },
        status: tally.worst(),
        refresh: "rows",
        reloads_without_script: true,
        layout: layout_hash(snapshot),
        top,
        main: html! {
            (status_filter(snapshot, filter))
            (history_filter(snapshot, filter))
            div class={ "rows r" (filter.past().as_str()) } { (groups(snapshot, filter)) }
            (models_link(snapshot))
        },
        bottom: footer(site, snapshot),
        snapshot,
    })
}

/// Hashes what determines the order of the rows and the headlines. When it changes, changed rows alone do not update the page.
pub(in crate::web) fn layout_hash(snapshot: &Snapshot) -> u64 {
    let mut hash = Fnv::new();
    for service in &snapshot.services {
        hash.write(service.service.key.as_str().as_bytes());
        hash.write(&[0, service.status as u8]);
        hash.write(service.service.group.as_bytes());
        hash.write(&[0]);
    }
    let exporter = &snapshot.exporter;
    hash.write(&[
        exporter.last_reload_successful.into(),
        exporter.is_first_round_over.into(),
        (exporter.state_saved == Some(false)).into(),
        (exporter.history_saved == Some(false)).into(),
        model_sources(snapshot).next().is_some().into(),
    ]);
    for file in exporter.config_files.iter().filter(|file| !file.is_valid) {
        hash.write(file.name.as_bytes());
        hash.write(&[0]);
    }
    hash.write(&exporter.last_reload_success.to_bits().to_le_bytes());
    hash.finish()
}

/// Renders a link to the models that the checks have reported, if there are any.
fn models_link(snapshot: &Snapshot) -> Markup {
    let models: usize = model_sources(snapshot)
        .map(|source| source.catalog.models.len())
        .sum();
    html! {
        @if models > 0 { p.models { a href="/models" { (count(models, "model")) " of the configured providers" } } }
    }
}

/// Renders the links that select the shown statuses.
fn status_filter(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let tally = Tally::new(
        snapshot
            .services
            .iter()
            .filter(|service| filter.includes_group(service)),
    );
    let shown = snapshot
        .services
        .iter()
        .filter(|service| filter.includes(service))
        .count();
    html! {
        nav.filter aria-label="Filter by status" {
            ul {
                li { a href=(filter.url_with_status(None)) aria-current=[filter.shows_all_statuses().then_some("true")] { "all " b { (tally.total()) } } }
                @for status in Status::WORST_FIRST {
                    li {
                        a href=(filter.url_with_status(Some(status))) aria-current=[filter.selects_status(status).then_some("true")] {
                            (status_mark(status)) " " b { (tally.count(status)) }
                        }
                    }
                }
            }
            @if !filter.shows_everything() {
                p { "Showing " (shown) " of " (count(snapshot.services.len(), "service")) ". " a href="/" { "Show all" } }
            }
        }
    }
}

/// Renders the links that select the range of the strips, and what their bars mean.
fn history_filter(snapshot: &Snapshot, filter: &Filter) -> Markup {
    html! {
        @if snapshot.services.iter().any(|view| view.past.is_some()) {
            nav.filter.history aria-label="Range of the history" {
                ul {
                    li.label { "History" }
                    @for range in PastRange::OF_OVERVIEW {
                        li { a href=(filter.url_with_past(range)) aria-current=[(range == filter.past()).then_some("true")] { (range.words()) } }
                    }
                }
                (past::legend())
            }
        }
    }
}

/// Renders the services by group. The worst groups come first, and the worst services of each group. Equally bad ones are in the
/// order of the configuration.
fn groups(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let mut groups: Vec<(&str, Vec<&ServiceView>)> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    for service in snapshot
        .services
        .iter()
        .filter(|service| filter.includes_group(service))
    {
        let group = service.service.group.as_str();
        let position = *positions.entry(group).or_insert(groups.len());
        if position == groups.len() {
            groups.push((group, Vec::new()));
        }
        groups[position].1.push(service);
    }
    for (_, services) in &mut groups {
        services.sort_by_key(|service| sort_key(service));
    }
    groups.sort_by_key(|(_, services)| services.iter().map(|service| sort_key(service)).min());
    let taken = snapshot.taken;
    html! {
        @for (group, services) in groups {
            @let tally = Tally::new(services.iter().copied());
            @let shown: Vec<_> = services.into_iter().filter(|service| filter.includes(service)).collect();
            @if !shown.is_empty() {
                details.group data-key={ "g-" (PlainText(group)) } open {
                    summary {
                        h2 { @if group.is_empty() { "Services without a group" } @else { (Text(group)) } }
                        " " span.count.(tally.worst().as_str()) { (tally.working()) }
                    }
                    ul.services { @for service in shown { (row(snapshot, service, taken, Some(filter.past()))) } }
                    @if filter.shows_all_statuses() && filter.shows_everything() {
                        p.only { a href=(Filter::url_of_group(group)) { "Show only " @if group.is_empty() { "these" } @else { (Text(group)) } } }
                    }
                }
            }
        }
        @if snapshot.services.is_empty() { p.empty { "No services are configured." } }
        @else if !snapshot.services.iter().any(|service| filter.includes(service)) {
            p.empty { (filter.no_match_message()) " " a href="/" { "Show all" } }
        }
    }
}

/// The worst come first; among equals, critical services come before tolerant ones.
fn sort_key(service: &ServiceView) -> (u8, bool) {
    let is_tolerant = service.status != Status::Up && service.service.tier == Tier::Tolerant;
    (service.status.rank(), is_tolerant)
}

/// Renders the row of a service: a line, and why the service is not up. Update events contain the rows that changed, with the past of all
/// ranges (`None`).
pub(in crate::web) fn row(
    snapshot: &Snapshot,
    view: &ServiceView,
    taken: f64,
    range: Option<PastRange>,
) -> Markup {
    let service = &*view.service;
    html! {
        li id={ "s-" (service.key.as_str()) } class=(view.status.as_str()) {
            (status_mark(view.status))
            a.name href={ "/service/" (service.key.as_str()) } { (Text(display_name(service))) }
            (past::of_row(view.past.as_deref(), range))
            span.latency { @if let Some(latency) = slowest(&view.checks) { (latency) } }
            (since(view, taken))
            @if let Some(window) = &view.maintenance { p.maintenance { (maintenance(window, taken)) } }
            @if view.status != Status::Up { (reasons(snapshot, view)) }
        }
    }
}

/// Renders since when a service has its status.
pub(super) fn since(view: &ServiceView, taken: f64) -> Markup {
    html! {
        span.since {
            @if let Some(since) = view.status_since { "since " (time_with_zone(since, taken)) ", " span.age { (format_age(taken - since)) } }
            @else { "not checked yet" }
        }
    }
}

/// Renders why a service is not up.
fn reasons(snapshot: &Snapshot, view: &ServiceView) -> Markup {
    let service = &*view.service;
    let failing = failing_checks(&view.checks);
    let hidden = failing.len().saturating_sub(MAX_FAILING);
    // A service that it depends on may be the cause.
    let dependencies = snapshot.services.iter().filter(|other| {
        let key = &other.service.key;
        service.depends_on.contains(key) && other.status != Status::Up && !view.roots.contains(key)
    });
    html! {
        div.why {
            @if view.is_impacted { p { (impact(snapshot, view)) } }
            @for (position, check) in failing.iter().take(MAX_FAILING).enumerate() {
                p {
                    span.check { (Text(check.settings.name.as_str())) } " "
                    @match problem_of(check) {
                        Some(found) => { (problem(found)) },
                        None if check.last_ended.is_some() => { "the last result is stale" },
                        None => { "no result yet" },
                    }
                }
                // The advice on other checks is on the page of the service.
                @if let (0, Some(found)) = (position, problem_of(check)) { (advice(check.settings.kind.kind(), found)) }
            }
            @if hidden > 0 { p { "and " (count(hidden, "more check")) } }
            @for other in dependencies {
                p { "depends on " a href={ "/service/" (other.service.key.as_str()) } { (Text(display_name(&other.service))) } ", which is " (status_mark(other.status)) }
            }
            @if let Some(url) = runbook_url(service.runbook_url.as_ref()) {
                p { a href=(url) rel="noreferrer" { "Runbook" span.unseen { " of " (Text(display_name(service))) } } }
            }
        }
    }
}

/// Renders the root causes of a service's impact.
pub(super) fn impact(snapshot: &Snapshot, view: &ServiceView) -> Markup {
    let find = |key: &ServiceKey| snapshot.services.iter().find(|other| other.service.key == *key);
    html! {
        "impacted: "
        @for (position, root) in view.roots.iter().filter_map(find).enumerate() {
            @if position > 0 { ", " }
            a href={ "/service/" (root.service.key.as_str()) } { (Text(display_name(&root.service))) }
        }
        @if view.roots.len() == 1 { " is " } @else { " are " } (status_mark(Status::Down))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headlines_summarize_the_services() {
        for (tally, headline) in [
            ([0, 0, 0, 0], "No services are configured"),
            ([1, 0, 0, 0], "The service is up"),
            ([7, 0, 0, 0], "All 7 services are up"),
            ([7, 1, 2, 0], "2 down, 1 degraded of 10 services"),
            ([0, 0, 0, 1], "1 unknown of 1 service"),
        ] {
            assert_eq!(Tally(tally).headline(), headline);
        }
        assert_eq!(Tally([5, 1, 0, 1]).worst(), Status::Degraded);
    }

    /// As on the dashboards: otherwise both would disagree while a service is degraded.
    #[test]
    fn degraded_services_work_and_unknown_ones_do_not() {
        for (tally, text) in [
            ([5, 0, 0, 0], "5/5 up"),
            ([4, 1, 0, 0], "5/5 up, 1 degraded"),
            ([2, 1, 1, 1], "3/5 up, 1 degraded"),
        ] {
            assert_eq!(Tally(tally).working(), text);
        }
    }
}
