//! Each safeguard prevents an action that is taken without it.

use std::time::Duration;

use super::{at, down, key, running_for, settings, up};
use crate::config::heal::{HealMode, HealSettings};
use crate::heal::evidence::{Evidence, FailedRun, TargetEvidence, TargetState};
use crate::heal::history::{Attempt, Pause, Pending, ServiceHistory};
use crate::heal::policy::{Decision, Refusal, Totals, decide, observe};
use crate::heal::record::HealEvent;
use crate::model::{Reason, Shortage, Status};

/// Everything that a decision depends on, at second 10,000.
struct Case {
    history: ServiceHistory,
    totals: Totals,
    settings: HealSettings,
    evidence: Evidence,
}

impl Case {
    /// An action is due.
    fn new() -> Self {
        Self {
            history: ServiceHistory::default(),
            totals: Totals {
                can_save: true,
                budget: 20,
                ..Totals::default()
            },
            settings: settings(""),
            evidence: down(&[9_999, 9_990], Reason::Refused),
        }
    }

    fn decide(&self) -> Decision {
        decide(
            &self.history,
            &self.totals,
            &self.settings,
            &self.evidence,
            at(10_000),
        )
    }

    fn refusal(&self) -> Option<Refusal> {
        match self.decide() {
            Decision::Refuse(refusal, _) => Some(refusal),
            _ => None,
        }
    }

    fn acts(&self) -> bool {
        matches!(self.decide(), Decision::Act(_))
    }

    fn target(&mut self, change: impl FnOnce(&mut TargetState)) {
        let mut state = running_for(3600);
        change(&mut state);
        self.evidence.target = TargetEvidence::Known(state);
    }
}

fn pause(until: Option<u64>) -> Pause {
    Pause {
        since: at(9_000),
        until: until.map(at),
        by: "root".to_owned(),
        comment: String::new(),
    }
}

/// Changes a case so that this safeguard holds, and no other.
fn break_it(refusal: Refusal, case: &mut Case) {
    let ended = |second| {
        Some(Pending {
            began: at(9_000),
            ended: Some(at(second)),
        })
    };
    match refusal {
        Refusal::Disabled => case.totals.is_disabled = true,
        Refusal::Paused => case.history.pause = Some(pause(Some(10_001))),
        Refusal::Stateful => case.settings.stateful = Some("redis".to_owned()),
        Refusal::Maintenance => case.evidence.in_maintenance = true,
        Refusal::DependencyDown => case.evidence.root = Some(key("db")),
        Refusal::Storm => (case.evidence.machine.down, case.evidence.machine.services) = (3, 5),
        Refusal::CoolDown => case.totals.last_storm = Some(at(9_701)),
        Refusal::ExporterStarved => case.evidence.machine.shortage = Some(Shortage::Time),
        Refusal::MachinePressure => case.evidence.machine.pressure = Some("memory"),
        Refusal::History => case.totals.can_save = false,
        Refusal::InProgress => {
            case.history.pending = Some(Pending {
                began: at(9_000),
                ended: None,
            })
        }
        Refusal::GaveUp => case.history.unhelpful = 2,
        Refusal::Verifying => case.history.pending = ended(9_941),
        Refusal::Backoff => case.history.backoff.not_before = Some(at(10_001)),
        Refusal::Budget => {
            let attempt = |second| Attempt {
                at: at(second),
                is_real: true,
            };
            case.history.attempts = (0..5).map(|number| attempt(6_401 + number)).collect();
        }
        Refusal::TotalBudget => case.totals.spent = 20,
        Refusal::TargetUnknown => case.evidence.target = TargetEvidence::Failed("no bus".to_owned()),
        Refusal::TargetMissing => case.target(|state| state.is_missing = true),
        Refusal::Masked => case.target(|state| state.is_masked = true),
        Refusal::AutoRestart => case.target(|state| state.is_auto_restarting = true),
        Refusal::JobRunning => case.target(|state| state.has_job = true),
        Refusal::StartLimit => case.target(|state| state.has_hit_start_limit = true),
        Refusal::Stopped => case.target(|state| state.was_stopped = true),
        Refusal::StartGrace => case.target(|state| state.running_for = Some(Duration::from_secs(44))),
        Refusal::AlreadyRunning => case.settings.action = crate::config::heal::HealAction::Start,
    }
}

#[test]
fn each_safeguard_prevents_an_action() {
    assert!(Case::new().acts());
    for refusal in Refusal::ALL {
        let mut case = Case::new();
        break_it(*refusal, &mut case);
        assert_eq!(case.refusal(), Some(*refusal), "{:?}", case.decide());
    }
}

#[test]
fn each_safeguard_prevents_what_a_dry_run_records() {
    for refusal in Refusal::ALL {
        let mut case = Case::new();
        case.settings.mode = HealMode::DryRun;
        assert!(matches!(case.decide(), Decision::DryRun(_)));
        break_it(*refusal, &mut case);
        match refusal {
            // A dry run needs no file, and real actions neither use up its budget nor delay it.
            Refusal::History | Refusal::Budget | Refusal::Backoff => {
                assert!(matches!(case.decide(), Decision::DryRun(_)), "{refusal}");
            }
            _ => assert_eq!(case.refusal(), Some(*refusal)),
        }
    }
}

/// The limits of the safeguards that depend on a time or a number.
#[test]
fn safeguards_end() {
    let acts = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        case.acts()
    };
    assert!(acts(&|case| case.history.pause = Some(pause(Some(10_000)))));
    assert!(!acts(&|case| case.history.pause = Some(pause(None))));
    assert!(!acts(&|case| case.totals.is_paused = true));
    assert!(acts(&|case| (
        case.evidence.machine.down,
        case.evidence.machine.services
    ) = (3, 6)));
    assert!(acts(&|case| (
        case.evidence.machine.down,
        case.evidence.machine.services
    ) = (2, 2)));
    assert!(acts(&|case| case.totals.last_storm = Some(at(9_700))));
    assert!(acts(&|case| case.history.unhelpful = 1));
    assert!(acts(&|case| case.history.backoff.not_before = Some(at(10_000))));
    assert!(acts(&|case| case.totals.spent = 19));
    assert!(acts(
        &|case| case.target(|state| state.running_for = Some(Duration::from_secs(45)))
    ));
    assert!(acts(&|case| {
        let attempt = |second| Attempt {
            at: at(second),
            is_real: true,
        };
        // The first one is an hour old.
        case.history.attempts = (0..5).map(|number| attempt(6_400 + number)).collect();
    }));
}

#[test]
fn only_enough_failed_runs_in_a_row_on_fixable_reasons_cause_an_action() {
    let decides = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        case.decide() != Decision::Nothing
    };
    assert!(
        !decides(&|case| case.evidence = down(&[9_999], Reason::Refused)),
        "one run"
    );
    assert!(
        !decides(&|case| case.evidence = down(&[], Reason::Refused)),
        "none"
    );
    for status in [Status::Up, Status::Degraded, Status::Unknown] {
        assert!(!decides(&|case| case.evidence.status = Some(status)), "{status}");
    }
    for reason in Reason::ALL {
        let is_fixable = crate::config::heal::DEFAULT_REASONS.contains(reason);
        let caused = decides(&|case| case.evidence = down(&[9_999, 9_990], *reason));
        assert_eq!(caused, is_fixable, "{reason}");
    }
    assert!(decides(&|case| {
        case.settings = settings("reasons: [status]");
        case.evidence = down(&[9_999, 9_990], Reason::Status);
    }));
    // A failure for another reason in between, and a run that was only slow.
    for other in [Some(Reason::Dns), None] {
        assert!(!decides(&|case| {
            case.evidence = down(&[9_999, 9_995, 9_990, 9_985], Reason::Refused);
            case.evidence.failing[0].runs[1] = FailedRun {
                started: at(9_995),
                reason: other,
            };
        }));
    }
}

#[test]
fn one_failed_run_after_an_action_does_nothing() {
    let mut case = Case::new();
    case.history.begin(&case.settings, 0.5, at(9_000));
    case.history.end(at(9_005));
    case.history.pending = None;
    case.evidence = down(&[9_999, 9_005, 9_004, 8_999], Reason::Refused);
    assert_eq!(case.decide(), Decision::Nothing);
    case.evidence = down(&[9_999, 9_006, 9_004], Reason::Refused);
    assert!(case.acts());
}

#[test]
fn the_target_is_queried_only_if_nothing_else_prevents_an_action() {
    let mut case = Case::new();
    case.evidence.target = TargetEvidence::NotQueried;
    assert_eq!(case.decide(), Decision::QueryTarget);
    case.evidence.in_maintenance = true;
    assert_eq!(case.refusal(), Some(Refusal::Maintenance));
    let mut case = Case::new();
    case.settings.target = None;
    case.evidence.target = TargetEvidence::NotQueried;
    assert!(case.acts());
}

#[test]
fn the_backoff_doubles_up_to_the_maximum_and_decays_while_the_service_is_up() {
    let settings = settings("");
    let mut history = ServiceHistory::default();
    let mut now = at(0);
    for expected in [30, 60, 120, 240, 480, 900, 900] {
        history.begin(&settings, 0.5, now);
        history.end(now);
        let wait = history.backoff.not_before.unwrap().since(now);
        assert_eq!(wait, Duration::from_secs(expected));
        now = now + Duration::from_secs(1000);
    }
    assert_eq!(history.backoff.level, 7);
    let mut see = |is_working, seconds| {
        let at = now + Duration::from_secs(seconds);
        history.record_working(is_working, &settings, at, at);
        history.backoff.level
    };
    see(true, 0);
    assert_eq!(see(true, 599), 7);
    assert_eq!(see(true, 1200), 5);
    see(false, 1201);
    see(true, 1202);
    assert_eq!(see(true, 1801), 5, "the ten minutes begin again");
}

#[test]
fn jitter_stays_within_the_limits_and_the_backoff_counts_from_the_end() {
    let settings = settings("");
    for (jitter, expected) in [(0.0, 48), (1.0, 72)] {
        let mut history = ServiceHistory::default();
        history.begin(&settings, jitter, at(0));
        assert!(history.backoff.not_before.unwrap() >= at(30));
        history.begin(&settings, jitter, at(100));
        history.end(at(190));
        assert_eq!(history.backoff.not_before, Some(at(190 + expected)));
    }
}

#[test]
fn an_action_helped_only_if_the_service_was_up_for_a_minute_after_it() {
    let mut case = Case::new();
    let settings = case.settings.clone();
    let see = |history: &mut ServiceHistory, evidence: &Evidence, second| {
        observe(history, &settings, evidence, at(second))
    };
    let history = &mut case.history;
    history.begin(&settings, 0.5, at(100));
    assert_eq!(see(history, &up(), 105), [], "it is still in progress");
    history.end(at(110));
    assert_eq!(see(history, &up(), 120), []);
    assert_eq!(see(history, &up(), 169), []);
    assert_eq!(see(history, &down(&[168], Reason::Refused), 169), [], "one run");
    assert_eq!(see(history, &up(), 171), []);
    assert_eq!(see(history, &up(), 230), []);
    let old = Evidence {
        checked: Some(at(230)),
        ..up()
    };
    assert_eq!(see(history, &old, 500), [], "no check has run since");
    assert_eq!(see(history, &up(), 500), [HealEvent::Helped]);
    assert_eq!(see(history, &up(), 1000), []);
}

#[test]
fn two_actions_in_a_row_that_did_not_help_end_healing_until_the_service_was_up() {
    let settings = settings("");
    let mut history = ServiceHistory::default();
    let mut now = 1000;
    for events in [
        vec![HealEvent::DidNotHelp],
        vec![HealEvent::DidNotHelp, HealEvent::GaveUp],
    ] {
        history.begin(&settings, 0.5, at(now));
        history.end(at(now + 5));
        let evidence = down(&[now + 30, now + 20], Reason::Refused);
        assert_eq!(observe(&mut history, &settings, &evidence, at(now + 64)), []);
        assert_eq!(observe(&mut history, &settings, &evidence, at(now + 65)), events);
        now += 1000;
    }
    assert!(history.has_given_up());
    // Up for less than a minute.
    observe(&mut history, &settings, &up(), at(now));
    observe(&mut history, &settings, &down(&[], Reason::Refused), at(now + 59));
    assert!(history.has_given_up());
    let mut resumed = history.clone();
    resumed.resume();
    assert!(!resumed.has_given_up());
    observe(&mut history, &settings, &up(), at(now + 60));
    observe(&mut history, &settings, &up(), at(now + 120));
    assert!(!history.has_given_up());
}

#[test]
fn a_trigger_has_its_evidence() {
    let mut case = Case::new();
    case.evidence.root = Some(key("db"));
    (case.evidence.machine.down, case.evidence.machine.services) = (4, 5);
    let decision = case.decide();
    let trigger = decision.trigger().unwrap();
    assert_eq!(
        (trigger.check.as_str(), trigger.runs, trigger.reason),
        ("http", 2, Reason::Refused)
    );
    assert_eq!(
        trigger.evidence,
        "connecting to 127.0.0.1:80: refused; api.service is active; db is down; 4 of 5 services are down"
    );
}
