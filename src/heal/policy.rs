//! Decides whether a service is healed. Pure: the same history, settings, evidence and time give the same decision.
//!
//! The order of the safeguards is the order of [`Refusal`]. The first one that holds is the reason for a refusal. Those that need the
//! state of the unit or container are last, so that it is queried only when nothing else prevents an action.

use std::fmt::Write as _;
use std::time::Duration;

use super::evidence::{Evidence, FailingCheck, TargetEvidence};
use super::history::{History, ServiceHistory};
use super::record::HealEvent;
use crate::config::heal::{HealAction, HealMode, HealSettings};
use crate::model::{CheckName, Moment, Reason, Status, words};

/// The number of services that must be down, in addition to being more than half of all, so that they count as a storm. In a
/// small file, two services often fail together.
pub const STORM_SERVICES: usize = 3;

/// How long nothing is healed after a storm. Services recover at different times.
pub const STORM_COOL_DOWN: Duration = Duration::from_secs(5 * 60);

words! {
    /// Why a service is not healed. The values of the label `reason`.
    Refusal {
        /// The flag `--no-heal` is set.
        Disabled = "disabled",
        /// A person paused healing.
        Paused = "paused",
        /// The service stores data, and `stateful` is not set.
        Stateful = "stateful",
        /// A maintenance window holds.
        Maintenance = "maintenance",
        /// A service that this one depends on is down.
        DependencyDown = "dependency_down",
        /// More than half of all services are down.
        Storm = "storm",
        /// A storm ended a short time ago.
        CoolDown = "cool_down",
        /// The exporter lacks CPU time, memory or descriptors.
        ExporterStarved = "exporter_starved",
        /// The machine lacks CPU time, memory or disk bandwidth.
        MachinePressure = "machine_pressure",
        /// Actions can't be saved, so a crash could make the exporter exceed a budget.
        History = "history",
        /// An action on this service, or on its unit or container, is in progress.
        InProgress = "in_progress",
        /// The last actions did not help.
        GaveUp = "gave_up",
        /// The result of the last action is not known yet.
        Verifying = "verifying",
        /// The last action was a short time ago.
        Backoff = "backoff",
        /// The budget of the service, or of its unit or container, is spent.
        Budget = "budget",
        /// The budget of all services is spent.
        TotalBudget = "total_budget",
        /// The state of the unit or container is unknown.
        TargetUnknown = "target_unknown",
        /// The unit or container does not exist.
        TargetMissing = "target_missing",
        /// The unit is masked.
        Masked = "masked",
        /// systemd or the engine is about to restart it.
        AutoRestart = "auto_restart",
        /// systemd is working on the unit, or an engine on the container.
        JobRunning = "job_running",
        /// systemd refuses to start the unit, because it was started too often.
        StartLimit = "start_limit",
        /// A person stopped it, or it ended without an error.
        Stopped = "stopped_by_operator",
        /// It started a short time ago.
        StartGrace = "start_grace",
        /// It runs already, and the action is to start it.
        AlreadyRunning = "already_running",
    }
}

/// A decision about a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is to be healed.
    Nothing,
    /// An action is due, unless the state of the unit or container forbids it. Query it, and decide again.
    QueryTarget,
    /// An action is due, but something forbids it.
    Refuse(Refusal, Trigger),
    /// An action is due, and would be taken if the mode were not dry-run.
    DryRun(Trigger),
    /// Act now.
    Act(Trigger),
}

impl Decision {
    /// What caused the decision.
    pub fn trigger(&self) -> Option<&Trigger> {
        match self {
            Self::Nothing | Self::QueryTarget => None,
            Self::Refuse(_, trigger) | Self::DryRun(trigger) | Self::Act(trigger) => Some(trigger),
        }
    }
}

/// What caused a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    /// The check that failed.
    pub check: CheckName,
    /// Its failed runs in a row since the last action.
    pub runs: usize,
    /// Why the last one failed.
    pub reason: Reason,
    /// The evidence for people: the message of the run, the state of the target, the service that is down.
    pub evidence: String,
}

/// The facts about all services that a decision depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// The flag `--no-heal` is set.
    pub is_disabled: bool,
    /// Whether actions can be saved.
    pub can_save: bool,
    /// The actions, or in a dry run the dry runs, on all services within the last hour.
    pub spent: u32,
    /// The budget of all services.
    pub budget: u32,
    /// The same for the services with the unit or container of this one.
    pub spent_on_target: u32,
    /// When a storm was last seen.
    pub last_storm: Option<Moment>,
    /// All services are paused.
    pub is_paused: bool,
}

impl Totals {
    /// The facts in `history` for a service in `mode`.
    pub fn new(history: &History, mode: HealMode, budget: u32, now: Moment) -> Self {
        let is_lost = history.lost_until.is_some_and(|until| now < until);
        Self {
            is_disabled: false,
            can_save: !is_lost,
            spent: history.spent(mode == HealMode::Act, now),
            budget,
            spent_on_target: 0,
            last_storm: history.last_storm,
            is_paused: history.pause.as_ref().is_some_and(|pause| pause.holds(now)),
        }
    }
}

/// Updates the history of a service with new evidence, before a decision. Returns what that shows about the last action.
pub fn observe(
    history: &mut ServiceHistory,
    settings: &HealSettings,
    evidence: &Evidence,
    now: Moment,
) -> Vec<HealEvent> {
    if is_held(evidence) {
        history.held = Some(now);
    }
    let checked = evidence.checked.map_or(now, |checked| checked.min(now));
    if let Some(event) = history.record_working(evidence.is_working(), settings, now, checked) {
        return vec![event];
    }
    let is_over = history.pending.is_some() && !history.is_acting() && !history.is_verifying(settings, now);
    if !is_over || find_trigger(history.counts_from.max(history.held), settings, evidence).is_none() {
        return Vec::new();
    }
    match history.record_unhelpful() {
        true => vec![HealEvent::DidNotHelp, HealEvent::GaveUp],
        false => vec![HealEvent::DidNotHelp],
    }
}

/// Decides about a service.
///
/// The failed runs of a check count since the last action, so one failed run after a restart does nothing. Those during maintenance,
/// an outage of a dependency or trouble of the machine cause refusals, but no action after it: the service may have recovered.
pub fn decide(
    history: &ServiceHistory,
    totals: &Totals,
    settings: &HealSettings,
    evidence: &Evidence,
    now: Moment,
) -> Decision {
    let Some(trigger) = find_trigger(history.counts_from, settings, evidence) else {
        return Decision::Nothing;
    };
    let refusal = refuse_by_history(history, totals, settings, evidence, now);
    if let Some(refusal) = refusal {
        return Decision::Refuse(refusal, trigger);
    }
    let Some(trigger) = find_trigger(history.counts_from.max(history.held), settings, evidence) else {
        return Decision::Nothing;
    };
    if evidence.is_root_unknown {
        return Decision::Nothing;
    }
    if settings.target.is_some()
        && matches!(evidence.target, TargetEvidence::NotQueried | TargetEvidence::None)
    {
        return Decision::QueryTarget;
    }
    match refuse_by_target(settings, &evidence.target) {
        None if settings.mode == HealMode::Act => Decision::Act(trigger),
        None => Decision::DryRun(trigger),
        Some(refusal) => Decision::Refuse(refusal, trigger),
    }
}

/// The failing check with the most runs after `from`, if they are enough.
fn find_trigger(from: Option<Moment>, settings: &HealSettings, evidence: &Evidence) -> Option<Trigger> {
    // A stale status is not a failure, and a check may fail a few times before the service counts as down.
    if evidence.status != Some(Status::Down) {
        return None;
    }
    let counted = evidence
        .failing
        .iter()
        .map(|check| (check, failed_runs(from, settings, check)));
    let (check, runs) = counted.max_by_key(|(_, runs)| *runs)?;
    let reason = check.runs.first()?.reason?;
    let is_enough = runs >= usize::try_from(settings.after).unwrap_or(usize::MAX) && runs > 0;
    is_enough.then(|| Trigger {
        check: check.name.clone(),
        runs,
        reason,
        evidence: describe(check, evidence),
    })
}

/// The latest failed runs of a check in a row that started after `from` and whose reasons an action may fix.
fn failed_runs(from: Option<Moment>, settings: &HealSettings, check: &FailingCheck) -> usize {
    let counts = |reason: Option<Reason>| reason.is_some_and(|reason| settings.reasons.contains(&reason));
    let runs = check.runs.iter();
    runs.take_while(|run| counts(run.reason) && from.is_none_or(|from| run.started > from))
        .count()
}

fn describe(check: &FailingCheck, evidence: &Evidence) -> String {
    let mut text = check.message.clone();
    // Writing to a string can't fail.
    let _ = match &evidence.target {
        TargetEvidence::Known(state) => write!(text, "; {}", state.text),
        TargetEvidence::Failed(error) => write!(text, "; {error}"),
        TargetEvidence::NotQueried | TargetEvidence::None => Ok(()),
    };
    let machine = &evidence.machine;
    if let Some(root) = &evidence.root {
        let _ = write!(text, "; {root} is down");
    }
    if is_storm(evidence) {
        let _ = write!(
            text,
            "; {} of {} services are down",
            machine.down, machine.services
        );
    }
    if let Some(shortage) = machine.shortage {
        let _ = write!(text, "; the exporter is short of {shortage}");
    }
    if let Some(pressure) = machine.pressure {
        let _ = write!(text, "; the machine is short of {pressure}");
    }
    text
}

/// Whether failed runs may have another cause than the service.
fn is_held(evidence: &Evidence) -> bool {
    let is_in_trouble = evidence.machine.shortage.is_some() || evidence.machine.pressure.is_some();
    evidence.in_maintenance || evidence.root.is_some() || is_in_trouble || is_storm(evidence)
}

/// Whether so many services are down that their common cause is probably the machine, the network or the exporter.
pub fn is_storm(evidence: &Evidence) -> bool {
    let machine = &evidence.machine;
    machine.down >= STORM_SERVICES && machine.down * 2 > machine.services
}

fn refuse_by_history(
    history: &ServiceHistory,
    totals: &Totals,
    settings: &HealSettings,
    evidence: &Evidence,
    now: Moment,
) -> Option<Refusal> {
    let is_paused = totals.is_paused || history.pause.as_ref().is_some_and(|pause| pause.holds(now));
    let is_real = settings.mode == HealMode::Act;
    let cool_down = totals
        .last_storm
        .is_some_and(|storm| now.since(storm) < STORM_COOL_DOWN);
    let spent = history.spent(is_real, now).max(totals.spent_on_target);
    let safeguards = [
        (totals.is_disabled, Refusal::Disabled),
        (is_paused, Refusal::Paused),
        (settings.stateful.is_some(), Refusal::Stateful),
        (evidence.in_maintenance, Refusal::Maintenance),
        (evidence.root.is_some(), Refusal::DependencyDown),
        (is_storm(evidence), Refusal::Storm),
        (cool_down, Refusal::CoolDown),
        (evidence.machine.shortage.is_some(), Refusal::ExporterStarved),
        (evidence.machine.pressure.is_some(), Refusal::MachinePressure),
        (is_real && !totals.can_save, Refusal::History),
        (
            history.is_acting() || evidence.is_target_busy,
            Refusal::InProgress,
        ),
        (history.has_given_up(), Refusal::GaveUp),
        (history.is_verifying(settings, now), Refusal::Verifying),
        (
            history.not_before(is_real).is_some_and(|until| now < until),
            Refusal::Backoff,
        ),
        (spent >= settings.budget, Refusal::Budget),
        (totals.spent >= totals.budget, Refusal::TotalBudget),
    ];
    let first = safeguards.into_iter().find(|(holds, _)| *holds);
    first.map(|(_, refusal)| refusal)
}

/// The safeguard that the state of the unit or container violates.
pub fn refuse_by_target(settings: &HealSettings, target: &TargetEvidence) -> Option<Refusal> {
    let state = match target {
        _ if settings.target.is_none() => return None,
        TargetEvidence::Known(state) => state,
        TargetEvidence::NotQueried | TargetEvidence::None | TargetEvidence::Failed(_) => {
            return Some(Refusal::TargetUnknown);
        }
    };
    let is_fresh = state.running_for.is_some_and(|time| time < settings.start_grace);
    let is_needless = settings.action == HealAction::Start && state.is_running;
    let safeguards = [
        (state.is_missing, Refusal::TargetMissing),
        (state.is_masked, Refusal::Masked),
        (state.is_auto_restarting, Refusal::AutoRestart),
        (state.has_job, Refusal::JobRunning),
        (state.has_hit_start_limit, Refusal::StartLimit),
        (state.was_stopped, Refusal::Stopped),
        (state.is_running && is_fresh, Refusal::StartGrace),
        (is_needless, Refusal::AlreadyRunning),
    ];
    let first = safeguards.into_iter().find(|(holds, _)| *holds);
    first.map(|(_, refusal)| refusal)
}
