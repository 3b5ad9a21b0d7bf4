//! The widget: the services as small cards, to embed in other pages.

use maud::html;

use super::filter::Filter;
use super::overview::{Tally, layout_hash, since};
use super::parts::{Frame, display_name, document, maintenance, slowest, status_mark};
use super::text::Text;
use crate::model::Status;
use crate::store::Snapshot;

/// Renders the page. Its links open the exporter's own pages in a new tab.
pub(in crate::web) fn widget(snapshot: &Snapshot, filter: &Filter) -> String {
    let mut services: Vec<_> = snapshot
        .services
        .iter()
        .filter(|service| filter.includes(service))
        .collect();
    services.sort_by_key(|service| service.status.rank());
    // The headline counts every status, so that a filter by status hides no problem.
    let all = snapshot
        .services
        .iter()
        .filter(|service| filter.includes_group(service));
    let tally = Tally::new(all);
    let taken = snapshot.taken;
    document(Frame {
        title: tally.headline(),
        status: tally.worst(),
        refresh: "page",
        reloads_without_script: true,
        layout: layout_hash(snapshot),
        top: html! { h1.small.(tally.worst().as_str()) { i {} (tally.headline()) } },
        main: html! {
            @if services.is_empty() && !filter.shows_all_statuses() { p.empty { (filter.no_match_message()) } }
            ul.cards {
                @for view in services {
                    li class=(view.status.as_str()) data-key=(view.service.key.as_str()) {
                        p {
                            (status_mark(view.status)) " "
                            a.name href={ "/service/" (view.service.key.as_str()) } target="_blank" { (Text(display_name(&view.service))) }
                        }
                        ul.checks {
                            @for check in &view.checks {
                                li {
                                    (status_mark(check.status)) " " (Text(check.settings.name.as_str())) " "
                                    @if let Some(latency) = slowest(std::slice::from_ref(check)) { span.latency { (latency) } }
                                    @if let (Some(problem), true) = (&check.problem, check.status != Status::Up) {
                                        " " b { (problem.reason.as_str()) }
                                    }
                                }
                            }
                        }
                        p { (since(view, taken)) }
                        @if let Some(window) = &view.maintenance { p.maintenance { (maintenance(window, taken)) } }
                    }
                }
            }
        },
        bottom: html! {},
        snapshot,
    })
}
