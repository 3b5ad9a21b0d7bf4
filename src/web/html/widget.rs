//! The widget: the services as small cards and nothing else, to be embedded in any page.

use maud::html;

use super::filter::Filter;
use super::overview::{Tally, layout, since};
use super::parts::{Frame, document, name, rank, slowest, state};
use super::text::Text;
use crate::model::Status;
use crate::store::Snapshot;

/// The page. Its links open the exporter's own pages beside the page that embeds it.
pub(in crate::web) fn widget(snapshot: &Snapshot, filter: &Filter) -> String {
    let mut services: Vec<_> = snapshot
        .services
        .iter()
        .filter(|service| filter.takes(service))
        .collect();
    services.sort_by_key(|service| rank(service.status));
    // What is chosen by status must not hide how the rest stands.
    let all = snapshot
        .services
        .iter()
        .filter(|service| filter.takes_group(service));
    let tally = Tally::of(all);
    let taken = snapshot.taken;
    document(Frame {
        title: tally.sentence(),
        status: tally.worst(),
        live: "page",
        layout: layout(snapshot),
        top: html! { h1.small.(tally.worst().as_str()) { i {} (tally.sentence()) } },
        main: html! {
            @if services.is_empty() && !filter.takes_any_status() { p.empty { (filter.none()) } }
            ul.cards {
                @for view in services {
                    li class=(view.status.as_str()) data-key=(view.service.key.as_str()) {
                        p {
                            (state(view.status)) " "
                            a.name href={ "/service/" (view.service.key.as_str()) } target="_blank" { (Text(name(&view.service))) }
                        }
                        ul.checks {
                            @for check in &view.checks {
                                li {
                                    (state(check.status)) " " (Text(check.settings.name.as_str())) " "
                                    @if let Some(latency) = slowest(std::slice::from_ref(check)) { span.latency { (latency) } }
                                    @if let (Some(problem), true) = (&check.problem, check.status != Status::Up) {
                                        " " b { (problem.reason.as_str()) }
                                    }
                                }
                            }
                        }
                        p { (since(view, taken)) }
                    }
                }
            }
        },
        bottom: html! {},
        snapshot,
    })
}
