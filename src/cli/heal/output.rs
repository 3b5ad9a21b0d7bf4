//! Prints the state of healing.

use std::fmt::Write;

use crate::cli::show::clean;
use crate::cli::show::{fit, width};
use crate::heal::{DecisionRow, PauseRow, Response, ServiceRow};

/// The gap between columns.
const GAP: &str = "  ";

/// The widest column but the last.
const MAX_COLUMN: usize = 40;

/// A table of all healed services, and the budget of all.
pub fn overview(response: &Response) -> String {
    let mut out = String::new();
    push_totals(&mut out, response);
    if response.services.is_empty() {
        out.push_str("no service is healed: set heal.mode in the configuration\n");
        return out;
    }
    let header = ["SERVICE", "MODE", "STATE", "BUDGET", "LAST ACTION", "TARGET"].map(str::to_owned);
    let rows = response
        .services
        .iter()
        .map(|service| cells(service, response.pause.is_some()));
    push_table(&mut out, &std::iter::once(header).chain(rows).collect::<Vec<_>>());
    out
}

/// One service, with its last decisions.
pub fn details(response: &Response) -> String {
    let mut out = overview(response);
    for service in &response.services {
        for pause in service.pause.iter().chain(&response.pause) {
            let _ = writeln!(out, "paused {}", describe(pause));
        }
        if service.decisions.is_empty() {
            out.push_str("\nno decisions yet\n");
            continue;
        }
        out.push('\n');
        let header = ["TIME", "DECISION", "DETAIL", "CAUSE", "EVIDENCE"].map(str::to_owned);
        let rows = service.decisions.iter().map(decision);
        push_table(&mut out, &std::iter::once(header).chain(rows).collect::<Vec<_>>());
    }
    out
}

/// What a pause did.
pub fn paused(response: &Response, service: Option<&str>) -> String {
    let pause = match service {
        Some(_) => response
            .services
            .first()
            .and_then(|service| service.pause.as_ref()),
        None => response.pause.as_ref(),
    };
    let what = service.map_or_else(|| "all services".to_owned(), clean);
    match pause {
        Some(pause) => format!("{what}: healing is paused {}\n", describe(pause)),
        None => format!("{what}: healing is paused\n"),
    }
}

/// What a resume did.
pub fn resumed(service: Option<&str>) -> String {
    let what = service.map_or_else(|| "all services".to_owned(), clean);
    format!("{what}: healing continues\n")
}

/// What concerns all services.
fn push_totals(out: &mut String, response: &Response) {
    if response.disabled {
        out.push_str("healing is disabled by --no-heal\n");
    }
    if let Some(pause) = &response.pause {
        let _ = writeln!(out, "all services: paused {}", describe(pause));
    }
    let (left, limit) = (response.budget_remaining, response.budget_limit);
    let _ = writeln!(
        out,
        "budget of all services: {left} of {limit} actions left in this hour\n"
    );
}

fn describe(pause: &PauseRow) -> String {
    let end = match &pause.until {
        Some(until) => format!("until {}", clean(until)),
        None => "until you resume".to_owned(),
    };
    let reason = match pause.reason.is_empty() {
        true => String::new(),
        false => format!(": {}", clean(&pause.reason)),
    };
    format!("{end} by {}{reason}", clean(&pause.by))
}

fn cells(service: &ServiceRow, all_are_paused: bool) -> [String; 6] {
    let last = match (&service.last_action, &service.last_result) {
        (Some(at), Some(result)) => format!("{} {}", clean(at), clean(result)),
        _ => "-".to_owned(),
    };
    let target = match service.target.is_empty() {
        true => clean(&service.action),
        false => format!("{} {}", clean(&service.action), clean(&service.target)),
    };
    [
        clean(&service.service),
        clean(&service.mode),
        state(service, all_are_paused),
        format!("{} of {}", service.budget_remaining, service.budget_limit),
        last,
        target,
    ]
}

fn state(service: &ServiceRow, all_are_paused: bool) -> String {
    if service.gave_up {
        "gave up".to_owned()
    } else if service.pause.is_some() || all_are_paused {
        "paused".to_owned()
    } else if service.acting {
        "acting".to_owned()
    } else {
        match &service.refusal {
            Some(refusal) => format!("refuses: {}", clean(refusal)),
            None => "ready".to_owned(),
        }
    }
}

fn decision(decision: &DecisionRow) -> [String; 5] {
    let cause = match (&decision.check, &decision.reason, decision.runs) {
        (Some(check), Some(reason), Some(runs)) => {
            format!("{} ({}, runs: {runs})", clean(check), clean(reason))
        }
        _ => String::new(),
    };
    [
        clean(&decision.at),
        clean(&decision.event),
        clean(&decision.detail),
        cause,
        clean(&decision.evidence),
    ]
}

/// Appends rows with aligned columns. The last column is not padded.
fn push_table<const N: usize>(out: &mut String, rows: &[[String; N]]) {
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N - 1).map(|column| widest(column).min(MAX_COLUMN)).collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{}{GAP}", fit(cell, *width));
        }
        line.push_str(&row[N - 1]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(key: &str) -> ServiceRow {
        ServiceRow {
            service: key.to_owned(),
            mode: "act".to_owned(),
            action: "restart".to_owned(),
            target: format!("{key}.service"),
            budget_remaining: 4,
            budget_limit: 5,
            pause: None,
            gave_up: false,
            acting: false,
            refusal: None,
            last_action: None,
            last_result: None,
            decisions: Vec::new(),
        }
    }

    fn response(services: Vec<ServiceRow>) -> Response {
        Response {
            budget_remaining: 19,
            budget_limit: 20,
            services,
            ..Response::default()
        }
    }

    fn pause(until: Option<&str>, reason: &str) -> PauseRow {
        PauseRow {
            until: until.map(str::to_owned),
            by: "root".to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn services_are_listed_in_columns() {
        let busy = ServiceRow {
            refusal: Some("backoff".to_owned()),
            last_action: Some("2026-01-01T00:00:00Z".to_owned()),
            last_result: Some("success".to_owned()),
            ..service("shop")
        };
        assert_eq!(
            overview(&response(vec![service("api"), busy])),
            "budget of all services: 19 of 20 actions left in this hour\n\n\
             SERVICE  MODE  STATE             BUDGET  LAST ACTION                   TARGET\n\
             api      act   ready             4 of 5  -                             restart api.service\n\
             shop     act   refuses: backoff  4 of 5  2026-01-01T00:00:00Z success  restart shop.service\n"
        );
        let none = overview(&response(Vec::new()));
        assert!(
            none.ends_with("no service is healed: set heal.mode in the configuration\n"),
            "{none}"
        );
    }

    #[test]
    fn the_most_important_state_is_shown() {
        let gave_up = ServiceRow {
            gave_up: true,
            pause: Some(pause(None, "")),
            ..service("a")
        };
        assert_eq!(state(&gave_up, false), "gave up");
        assert_eq!(state(&service("a"), true), "paused");
        let acting = ServiceRow {
            acting: true,
            ..service("a")
        };
        assert_eq!(state(&acting, false), "acting");
        let disabled = Response {
            disabled: true,
            pause: Some(pause(None, "")),
            ..response(Vec::new())
        };
        let text = overview(&disabled);
        assert!(
            text.contains("disabled by --no-heal\nall services: paused until you resume by root\n"),
            "{text}"
        );
    }

    #[test]
    fn decisions_are_listed_newest_first() {
        let row = |event: &str, check: Option<&str>| DecisionRow {
            at: "2026-01-01T00:00:00Z".to_owned(),
            event: event.to_owned(),
            detail: "restart".to_owned(),
            check: check.map(str::to_owned),
            runs: check.map(|_| 2),
            reason: check.map(|_| "timeout".to_owned()),
            evidence: check.map_or_else(String::new, |_| "no response\u{1b}[2J".to_owned()),
        };
        let api = ServiceRow {
            pause: Some(pause(Some("2026-01-01T01:00:00Z"), "upgrade")),
            decisions: vec![row("acted", None), row("acting", Some("http"))],
            ..service("api")
        };
        let text = details(&response(vec![api]));
        assert!(
            text.ends_with(
                "paused until 2026-01-01T01:00:00Z by root: upgrade\n\n\
                 TIME                  DECISION  DETAIL   CAUSE                    EVIDENCE\n\
                 2026-01-01T00:00:00Z  acted     restart\n\
                 2026-01-01T00:00:00Z  acting    restart  http (timeout, runs: 2)  no response [2J\n"
            ),
            "{text}"
        );
        let none = details(&response(vec![service("api")]));
        assert!(none.ends_with("\nno decisions yet\n"), "{none}");
    }

    #[test]
    fn a_change_is_one_line() {
        let api = ServiceRow {
            pause: Some(pause(Some("2026-01-01T01:00:00Z"), "")),
            ..service("api")
        };
        assert_eq!(
            paused(&response(vec![api]), Some("api")),
            "api: healing is paused until 2026-01-01T01:00:00Z by root\n"
        );
        let all = Response {
            pause: Some(pause(None, "upgrade")),
            ..response(Vec::new())
        };
        assert_eq!(
            paused(&all, None),
            "all services: healing is paused until you resume by root: upgrade\n"
        );
        assert_eq!(resumed(Some("api")), "api: healing continues\n");
        assert_eq!(resumed(None), "all services: healing continues\n");
    }
}
