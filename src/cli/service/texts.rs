//! The lines about plans and results. All texts are safe for terminals.

use crate::actuator::{Action, Done};
use crate::cli::show::{clean, latency};
use crate::manage::{Plan, Step, StepResult};
use crate::model::{ServiceKey, Status};

use super::step::StepOutcome;

/// The lines of `--dry-run`.
pub fn plan_lines(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for (position, step) in plan.steps.iter().enumerate() {
        let after = names(
            step.after
                .iter()
                .map(|other| plan.steps[*other].service.key.as_str()),
        );
        let after = if after.is_empty() {
            after
        } else {
            format!(", after {after}")
        };
        lines.push(format!(
            "{}. {}: {}{after}",
            position + 1,
            step.service.key,
            what(plan.action, step)
        ));
        if !step.also_affects.is_empty() {
            let others = names(step.also_affects.iter().map(ServiceKey::as_str));
            lines.push(format!("   also affects {others}, which is not selected"));
        }
    }
    lines.iter().map(|line| clean(line)).collect()
}

/// What a step does.
fn what(action: Action, step: &Step) -> String {
    let targets = names(step.targets.iter().map(ToString::to_string));
    let shared = names(step.shared.iter().map(ToString::to_string));
    match (action, targets.is_empty(), shared.is_empty()) {
        (_, false, _) => format!("{action} {targets}"),
        (Action::Stop, true, true) => "nothing to stop".to_owned(),
        (Action::Stop, true, false) => format!("nothing more to stop ({shared} is stopped before)"),
        (_, true, true) => "only wait until it is up, because it has no unit or container".to_owned(),
        (_, true, false) => format!("only wait until it is up ({action} of {shared} is done before)"),
    }
}

fn names<T: AsRef<str>>(texts: impl Iterator<Item = T>) -> String {
    texts.fold(String::new(), |mut all, text| {
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(text.as_ref());
        all
    })
}

/// The lines about the end of a step: one about the service, and below it the reasons if it is not up.
pub fn result_lines(plan: &Plan, position: usize, result: &StepResult<StepOutcome>) -> Vec<String> {
    let step = &plan.steps[position];
    let key = &step.service.key;
    let lines = match result {
        StepResult::Skipped(by) => {
            let other = &plan.steps[*by].service.key;
            vec![format!("{key}: skipped, because {other} failed or was skipped")]
        }
        StepResult::Done(outcome) => {
            let took = latency(outcome.took.as_secs_f64());
            let mut lines = vec![format!("{key}: {} after {took}", headline(step, outcome))];
            lines.extend(reasons(outcome).into_iter().map(|line| format!("  {line}")));
            lines
        }
    };
    lines.iter().map(|line| clean(line)).collect()
}

fn headline(step: &Step, outcome: &StepOutcome) -> String {
    if !outcome.has_acted() {
        return format!("{} failed", outcome.action);
    }
    let changed = outcome
        .acted
        .iter()
        .filter(|(_, result)| *result == Ok(Done::Changed));
    let changed = names(changed.map(|(target, _)| target.to_string()));
    let done = match outcome.action {
        _ if step.targets.is_empty() => "nothing to do".to_owned(),
        Action::Start if changed.is_empty() => "already started".to_owned(),
        Action::Stop if changed.is_empty() => "already stopped".to_owned(),
        Action::Start => format!("started {changed}"),
        Action::Stop => format!("stopped {changed}"),
        Action::Restart => format!("restarted {changed}"),
    };
    match (outcome.action, outcome.status()) {
        (Action::Stop, _) => done,
        (_, Status::Up) => format!("{done}, up"),
        (_, Status::Unknown) => format!("{done}, but its status is still unknown"),
        (_, status) => format!("{done}, but still {status}"),
    }
}

/// Why a service is not up.
fn reasons(outcome: &StepOutcome) -> Vec<String> {
    if outcome.status() == Status::Up {
        return Vec::new();
    }
    let errors = outcome
        .acted
        .iter()
        .filter_map(|(_, result)| result.as_ref().err());
    let mut lines: Vec<String> = errors.map(ToString::to_string).collect();
    for check in outcome.row.iter().flat_map(|row| row.failing_checks()) {
        lines.push(check.describe());
    }
    if lines.is_empty() {
        lines.push("no check ended in time".to_owned());
    }
    lines.extend(outcome.journal.iter().cloned());
    lines
}

/// The last line: how many services succeeded.
pub fn summary(action: Action, results: &[StepResult<StepOutcome>]) -> String {
    let done = |wanted: &dyn Fn(Status) -> bool| {
        let outcomes = results.iter().filter_map(|result| match result {
            StepResult::Done(outcome) => Some(outcome.status()),
            StepResult::Skipped(_) => None,
        });
        outcomes.filter(|status| wanted(*status)).count()
    };
    let skipped = results
        .iter()
        .filter(|result| matches!(result, StepResult::Skipped(_)))
        .count();
    let good = if action == Action::Stop { "stopped" } else { "up" };
    let parts = [
        (done(&|status| status == Status::Up), good),
        (done(&|status| status == Status::Degraded), "degraded"),
        (
            done(&|status| matches!(status, Status::Down | Status::Unknown)),
            "failed",
        ),
        (skipped, "skipped"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts = names(parts.map(|(count, what)| format!("{count} {what}")));
    let noun = if results.len() == 1 { "service" } else { "services" };
    format!("{} {noun}: {parts}", results.len())
}
