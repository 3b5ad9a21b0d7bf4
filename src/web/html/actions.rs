//! The buttons that start, stop and restart a service, and the page about a failed action.

use maud::{Markup, html};

use super::overview::layout_hash;
use super::parts::{Frame, display_name, document};
use super::text::Text;
use crate::actuator::Action;
use crate::config::Service;
use crate::manage::targets_of;
use crate::model::Status;
use crate::store::Snapshot;

/// Renders the buttons. Each opens a second one that confirms, so that one click changes nothing. Needs no script. Empty if the
/// service has no unit or container.
pub(super) fn section(service: &Service) -> Markup {
    let targets = targets_of(service);
    html! {
        @if !targets.is_empty() {
            section.actions aria-label="Actions" {
                @for action in Action::ALL {
                    details data-key={ "action-" (action.as_str()) } {
                        summary { (label(*action)) "\u{2026}" }
                        form method="post" action={ "/api/services/" (service.key.as_str()) "/" (action.as_str()) } {
                            p {
                                (label(*action)) " "
                                @for (position, target) in targets.iter().enumerate() {
                                    @if position > 0 { ", " }
                                    code { (Text(&target.to_string())) }
                                }
                                " of " (Text(display_name(service))) "?"
                            }
                            button type="submit" { (label(*action)) " now" }
                        }
                    }
                }
            }
        }
    }
}

fn label(action: Action) -> &'static str {
    match action {
        Action::Start => "Start",
        Action::Stop => "Stop",
        Action::Restart => "Restart",
    }
}

/// Renders the page about an action that failed.
pub(in crate::web) fn action_failed(snapshot: &Snapshot, key: &str, title: &str, message: &str) -> String {
    let service = snapshot
        .services
        .iter()
        .find(|view| view.service.key.as_str() == key);
    document(Frame {
        title: format!("{title} \u{b7} upkeep"),
        status: Status::Unknown,
        refresh: "none",
        reloads_without_script: false,
        layout: layout_hash(snapshot),
        top: html! {
            p.back {
                @match service {
                    Some(view) => { a href={ "/service/" (key) } { (Text(display_name(&view.service))) } },
                    None => { a href="/" { "All services" } },
                }
            }
            h1.unknown { i {} (Text(title)) }
        },
        main: html! { p.problem.down { (Text(message)) } },
        bottom: html! {},
        snapshot,
    })
}
