//! The section about healing on the page of a service: its state, and the last decisions.

use maud::{Markup, html};

use super::text::{Text, count, format_age, time, time_with_zone};
use crate::config::heal::HealMode;
use crate::store::{HealDecision, HealPause, HealState};

/// Renders the section. `taken` is the time of the snapshot.
pub(super) fn section(taken: f64, heal: &HealState) -> Markup {
    let mode = match heal.mode {
        HealMode::Act => "acts",
        HealMode::DryRun => "dry run: only records what it would do",
        HealMode::Off => "off",
    };
    html! {
        section.check data-key="heal" aria-labelledby="h-heal" {
            h2 id="h-heal" { "Healing" }
            p.target {
                (heal.action)
                @if !heal.target.is_empty() { " " code { (Text(&heal.target)) } }
            }
            @if heal.has_given_up { p.problem.down { "Healing gave up: the last actions did not help. It continues when the service has been up for a minute, or when a person resumes it." } }
            dl.facts {
                div { dt { "Mode" } dd { (mode) } }
                @if let Some(pause) = &heal.pause { div { dt { "Paused" } dd { (paused(taken, pause)) } } }
                div { dt { "Budget" } dd { (heal.budget_remaining) " of " (count(heal.budget_limit as usize, "action")) " left in this hour" } }
                div { dt { "Last action" } dd { @match heal.last_action {
                    Some(action) => { (time_with_zone(action.at, taken)) ", " (format_age(taken - action.at)) " ago: " (action.result) },
                    None => { "none yet" },
                } } }
                @if let Some(refusal) = heal.refusal { div { dt { "No action now" } dd { (refusal) } } }
            }
            (decisions(taken, &heal.decisions))
        }
    }
}

fn paused(taken: f64, pause: &HealPause) -> Markup {
    html! {
        @match pause.until {
            Some(until) => { "until " (time_with_zone(until, taken)) },
            None => { "until a person resumes it" },
        }
        ", by " (Text(&pause.by))
    }
}

/// Renders the last decisions, newest first.
fn decisions(taken: f64, decisions: &[HealDecision]) -> Markup {
    html! {
        @if decisions.is_empty() { p.empty { "No decisions yet." } }
        @else {
            details data-key="decisions" {
                summary { "Last " (count(decisions.len(), "decision")) }
                div.scroll tabindex="0" role="region" aria-label="Last decisions of healing" {
                    table.runs {
                        thead { tr {
                            th scope="col" { "Time (UTC)" } th scope="col" { "Decision" } th scope="col" { "Cause" } th scope="col" { "Evidence" }
                        } }
                        tbody { @for decision in decisions {
                            tr {
                                th scope="row" { (time(decision.at, taken)) }
                                td { b { (decision.event) } " " (Text(&decision.detail)) }
                                td { @if let Some((check, runs, reason)) = &decision.cause {
                                    (Text(check.as_str())) " (" (reason.as_str()) ", " (count(*runs, "failed run")) ")"
                                } }
                                td.result { (Text(&decision.evidence)) }
                            }
                        } }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{CheckName, Reason};
    use crate::store::LastAction;

    const TAKEN: f64 = 1_700_000_000.0;

    fn state() -> HealState {
        HealState {
            mode: HealMode::DryRun,
            action: "restart",
            target: "api.service".to_owned(),
            budget_remaining: 4,
            budget_limit: 5,
            pause: None,
            has_given_up: false,
            refusal: None,
            last_action: None,
            actions: Vec::new(),
            refusals: Vec::new(),
            decisions: Vec::new(),
        }
    }

    #[test]
    fn the_section_shows_the_state_and_the_decisions() {
        let text = section(TAKEN, &state()).into_string();
        for part in ["dry run", "api.service", "4 of 5", "none yet", "No decisions yet"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        for absent in ["gave up", "Paused", "No action now"] {
            assert!(!text.contains(absent), "{absent} is in {text}");
        }
        let decision = HealDecision {
            at: TAKEN - 60.0,
            event: "refused",
            detail: "backoff".to_owned(),
            cause: Some((CheckName::new("http"), 2, Reason::Timeout)),
            evidence: "<b>no response".to_owned(),
        };
        let busy = HealState {
            mode: HealMode::Act,
            pause: Some(HealPause {
                until: None,
                by: "alice".to_owned(),
            }),
            has_given_up: true,
            refusal: Some("paused"),
            last_action: Some(LastAction {
                at: TAKEN - 120.0,
                result: "failed",
            }),
            decisions: vec![decision],
            ..state()
        };
        let text = section(TAKEN, &busy).into_string();
        for part in [
            "gave up",
            "until a person resumes it, by ",
            "alice",
            "No action now",
            "ago: failed",
            "backoff",
            "(timeout, 2 failed runs)",
            "&lt;b&gt;no response",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
}
