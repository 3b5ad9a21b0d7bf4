//! The overview: how everything stands, in words; then the services by group, with what is wrong first.

use maud::{Markup, html};

use super::filter::Filter;
use super::parts::{
    Frame, advised, culprits, document, footer, found, name, problem, rank, runbook, slowest, state, warnings,
};
use super::text::{PlainText, Text, age, count, zoned};
use crate::model::{Status, Tier};
use crate::store::{Fnv, ServiceView, Snapshot};
use crate::web::State;

/// How many of a service's checks are told in its row; its own page has all of them.
const MAX_CULPRITS: usize = 3;

/// How many services have each status, in the order of `Status::ALL`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tally([usize; Status::ALL.len()]);

impl Tally {
    pub fn of<'a>(services: impl IntoIterator<Item = &'a ServiceView>) -> Self {
        let mut tally = Self::default();
        for service in services {
            tally.0[service.status as usize] += 1;
        }
        tally
    }

    pub const fn of_status(&self, status: Status) -> usize {
        self.0[status as usize]
    }

    pub fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// The gravest status that any service has.
    pub fn worst(&self) -> Status {
        let mut statuses = Status::ALL.to_vec();
        statuses.sort_by_key(|status| rank(*status));
        let found = statuses.into_iter().find(|status| self.of_status(*status) > 0);
        found.unwrap_or(Status::Unknown)
    }

    /// `2 down, 1 degraded`; empty where all are up.
    pub fn troubles(&self) -> String {
        let troubles = [Status::Down, Status::Degraded, Status::Unknown]
            .into_iter()
            .filter(|status| self.of_status(*status) > 0)
            .map(|status| format!("{} {status}", self.of_status(status)));
        troubles.collect::<Vec<_>>().join(", ")
    }

    /// How things stand, as a sentence.
    pub fn sentence(&self) -> String {
        let total = self.total();
        match (self.troubles(), total) {
            (_, 0) => "No services are configured".into(),
            (troubles, 1) if troubles.is_empty() => "The service is up".into(),
            (troubles, _) if troubles.is_empty() => format!("All {total} services are up"),
            (troubles, _) => format!("{troubles} of {}", count(total, "service")),
        }
    }
}

/// The page.
pub(in crate::web) fn overview(state: &State, snapshot: &Snapshot, filter: &Filter) -> String {
    let tally = Tally::of(&snapshot.services);
    let top = html! {
        h1.(tally.worst().as_str()) { i {} (tally.sentence()) }
        (warnings(snapshot))
    };
    let troubles = tally.troubles();
    document(Frame {
        title: match troubles.is_empty() {
            true => format!("{} \u{b7} upkeep", tally.sentence()),
            false => format!("{troubles} \u{b7} upkeep"),
        },
        status: tally.worst(),
        live: "rows",
        layout: layout(snapshot),
        top,
        main: html! { (choice(snapshot, filter)) (groups(snapshot, filter)) },
        bottom: footer(state, snapshot),
        snapshot,
    })
}

/// What decides where a row is and what the heads say: when it changes, changed rows alone do not make the page.
pub(in crate::web) fn layout(snapshot: &Snapshot) -> u64 {
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
    ]);
    hash.write(&exporter.last_reload_success.to_bits().to_le_bytes());
    hash.finish()
}

/// The links that choose which statuses are shown.
fn choice(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let tally = Tally::of(
        snapshot
            .services
            .iter()
            .filter(|service| filter.takes_group(service)),
    );
    let shown = snapshot
        .services
        .iter()
        .filter(|service| filter.takes(service))
        .count();
    html! {
        nav.choice aria-label="Show" {
            ul {
                li { a href=(filter.with_status(None)) aria-current=[filter.takes_any_status().then_some("true")] { "all " b { (tally.total()) } } }
                @for status in [Status::Down, Status::Degraded, Status::Unknown, Status::Up] {
                    li {
                        a href=(filter.with_status(Some(status))) aria-current=[filter.has_status(status).then_some("true")] {
                            (state(status)) " " b { (tally.of_status(status)) }
                        }
                    }
                }
            }
            @if !filter.is_open() {
                p { "Showing " (shown) " of " (count(snapshot.services.len(), "service")) ". " a href="/" { "Show all" } }
            }
        }
    }
}

/// The services by group. Groups with something wrong come first, and what is wrong comes first in its group; what is
/// alike keeps the order of the configuration.
fn groups(snapshot: &Snapshot, filter: &Filter) -> Markup {
    let mut groups: Vec<(&str, Vec<&ServiceView>)> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    for service in snapshot
        .services
        .iter()
        .filter(|service| filter.takes_group(service))
    {
        let group = service.service.group.as_str();
        let position = *positions.entry(group).or_insert(groups.len());
        if position == groups.len() {
            groups.push((group, Vec::new()));
        }
        groups[position].1.push(service);
    }
    for (_, services) in &mut groups {
        services.sort_by_key(|service| order(service));
    }
    groups.sort_by_key(|(_, services)| services.iter().map(|service| order(service)).min());
    let taken = snapshot.taken;
    html! {
        @for (group, services) in groups {
            @let tally = Tally::of(services.iter().copied());
            @let shown: Vec<_> = services.into_iter().filter(|service| filter.takes(service)).collect();
            @if !shown.is_empty() {
                details.group data-key={ "g-" (PlainText(group)) } open {
                    summary {
                        h2 { @if group.is_empty() { "Services without a group" } @else { (Text(group)) } }
                        " " span.count.(tally.worst().as_str()) { (tally.of_status(Status::Up)) "/" (tally.total()) " up" }
                    }
                    ul.services { @for service in shown { (row(snapshot, service, taken)) } }
                    @if filter.takes_any_status() && filter.is_open() {
                        p.only { a href=(Filter::of_group(group)) { "Only " @if group.is_empty() { "these" } @else { (Text(group)) } } }
                    }
                }
            }
        }
        @if snapshot.services.is_empty() { p.empty { "The configuration holds no services." } }
        @else if !snapshot.services.iter().any(|service| filter.takes(service)) {
            p.empty { (filter.none()) " " a href="/" { "Show all" } }
        }
    }
}

/// Critical services come before others that are as bad.
fn order(service: &ServiceView) -> (u8, bool) {
    let is_tolerant = service.status != Status::Up && service.service.tier == Tier::Tolerant;
    (rank(service.status), is_tolerant)
}

/// One service: a line, and why it is not up. It is what the events bring when it changes.
pub(in crate::web) fn row(snapshot: &Snapshot, view: &ServiceView, taken: f64) -> Markup {
    let service = &*view.service;
    html! {
        li id={ "s-" (service.key.as_str()) } class=(view.status.as_str()) {
            (state(view.status))
            a.name href={ "/service/" (service.key.as_str()) } { (Text(name(service))) }
            span.latency { @if let Some(latency) = slowest(&view.checks) { (latency) } }
            (since(view, taken))
            @if view.status != Status::Up { (why(snapshot, view)) }
        }
    }
}

/// Since when the status is what it is.
pub(super) fn since(view: &ServiceView, taken: f64) -> Markup {
    html! {
        span.since {
            @if let Some(since) = view.status_since { "since " (zoned(since, taken)) ", " span.age { (age(taken - since)) } }
            @else { "not checked yet" }
        }
    }
}

fn why(snapshot: &Snapshot, view: &ServiceView) -> Markup {
    let service = &*view.service;
    let culprits = culprits(&view.checks);
    let hidden = culprits.len().saturating_sub(MAX_CULPRITS);
    // What it needs may be the cause.
    let needs = snapshot
        .services
        .iter()
        .filter(|other| service.depends_on.contains(&other.service.key) && other.status != Status::Up);
    html! {
        div.why {
            @for (position, check) in culprits.iter().take(MAX_CULPRITS).enumerate() {
                p {
                    span.check { (Text(check.settings.name.as_str())) } " "
                    @match found(check) {
                        Some(found) => { (problem(found)) },
                        None if check.last_ended.is_some() => { "no result for too long" },
                        None => { "no result yet" },
                    }
                }
                // The others' advice is on the service's own page.
                @if let (0, Some(found)) = (position, found(check)) { (advised(check.settings.kind.kind(), found)) }
            }
            @if hidden > 0 { p { "and " (count(hidden, "more check")) } }
            @for other in needs {
                p { "needs " a href={ "/service/" (other.service.key.as_str()) } { (Text(name(&other.service))) } ", which is " (state(other.status)) }
            }
            @if let Some(url) = runbook(service.runbook_url.as_ref()) {
                p { a href=(url) rel="noreferrer" { "Runbook" span.unseen { " of " (Text(name(service))) } } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_a_sentence() {
        for (tally, sentence) in [
            ([0, 0, 0, 0], "No services are configured"),
            ([1, 0, 0, 0], "The service is up"),
            ([7, 0, 0, 0], "All 7 services are up"),
            ([7, 1, 2, 0], "2 down, 1 degraded of 10 services"),
            ([0, 0, 0, 1], "1 unknown of 1 service"),
        ] {
            assert_eq!(Tally(tally).sentence(), sentence);
        }
        assert_eq!(Tally([5, 1, 0, 1]).worst(), Status::Degraded);
    }
}
