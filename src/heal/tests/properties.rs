//! No sequence of outcomes, clock jumps, restarts and reloads exceeds a budget or acts against a safeguard.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, down, key, running_for, settings, up};
use crate::config::heal::{HealMode, HealSettings};
use crate::heal::evidence::{Evidence, FailedRun, TargetEvidence, TargetState};
use crate::heal::history::History;
use crate::heal::policy::{Decision, STORM_COOL_DOWN, Totals, decide, is_storm, observe};
use crate::heal::{TimeAnchor, decode, encode};
use crate::model::{Moment, Reason, ServiceKey, Shortage, Status};

const SERVICES: usize = 4;
const BUDGET: usize = 3;
const TOTAL: usize = 6;
const HOUR: Duration = Duration::from_secs(3600);

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// A run of a service fails for this reason, or succeeds.
    Run(usize, Option<Reason>),
    /// A safeguard of a service begins or ends to hold.
    Safeguard(usize, usize, bool),
    /// The next actions are interrupted by the end of the exporter.
    Interrupts(bool),
    /// The exporter restarts, after the wall clock jumped by this many seconds.
    Restart(i64),
    /// The machine reboots, and its wall clock jumps by this many seconds.
    Reboot(i64),
    /// The mode of a service changes to dry-run and back, or the service is removed and added.
    Reload(usize, bool),
    Resume(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let reasons = [
        Reason::Refused,
        Reason::Timeout,
        Reason::Dns,
        Reason::Auth,
        Reason::State,
    ];
    let reason = proptest::sample::select(reasons.to_vec());
    let service = 0..SERVICES;
    prop_oneof![
        8 => (1..90_u64).prop_map(Step::Wait),
        1 => (90..5000_u64).prop_map(Step::Wait),
        16 => (service.clone(), proptest::option::weighted(0.8, reason)).prop_map(|(service, reason)| Step::Run(service, reason)),
        3 => (service.clone(), 0..SAFEGUARDS.len(), any::<bool>()).prop_map(|(service, safeguard, holds)| Step::Safeguard(service, safeguard, holds)),
        1 => any::<bool>().prop_map(Step::Interrupts),
        1 => (-100_000..100_000_i64).prop_map(Step::Restart),
        1 => (-100_000..100_000_i64).prop_map(Step::Reboot),
        1 => (service.clone(), any::<bool>()).prop_map(|(service, is_removed)| Step::Reload(service, is_removed)),
        1 => service.prop_map(Step::Resume),
    ]
}

type Safeguard = fn(&mut Evidence);

/// Safeguards that evidence turns on.
const SAFEGUARDS: [Safeguard; 13] = [
    |evidence| evidence.in_maintenance = true,
    |evidence| evidence.root = Some(key("root")),
    |evidence| evidence.machine.shortage = Some(Shortage::Time),
    |evidence| evidence.machine.pressure = Some("cpu"),
    |evidence| evidence.target = TargetEvidence::Failed("no bus".to_owned()),
    |evidence| target(evidence, |state| state.is_masked = true),
    |evidence| target(evidence, |state| state.has_job = true),
    |evidence| target(evidence, |state| state.is_auto_restarting = true),
    |evidence| target(evidence, |state| state.has_hit_start_limit = true),
    |evidence| target(evidence, |state| state.was_stopped = true),
    |evidence| target(evidence, |state| state.is_missing = true),
    |evidence| target(evidence, |state| state.running_for = Some(Duration::from_secs(1))),
    |evidence| (evidence.machine.down, evidence.machine.services) = (4, 4),
];

fn target(evidence: &mut Evidence, change: impl FnOnce(&mut TargetState)) {
    let mut state = running_for(9999);
    change(&mut state);
    evidence.target = TargetEvidence::Known(state);
}

/// A service as a naive observer sees it.
#[derive(Clone, Default)]
struct Observed {
    /// Failed runs in a row, newest first.
    runs: Vec<FailedRun>,
    is_up: bool,
    up_since: Option<Moment>,
    safeguards: Vec<usize>,
    is_dry: bool,
    /// The ends of its actions.
    actions: Vec<Moment>,
    /// Actions in a row without a minute of health after them.
    unhelpful: usize,
}

/// A machine with an exporter.
struct World {
    settings: HealSettings,
    now: Moment,
    /// The wall clock, relative to moments.
    wall: i64,
    boots: u32,
    booted: Moment,
    history: History,
    services: Vec<Observed>,
    interrupts: bool,
    last_storm: Option<Moment>,
}

impl World {
    fn new() -> Self {
        Self {
            settings: settings("budget: { per_service: 3 }"),
            now: at(100_000),
            wall: 0,
            boots: 0,
            booted: Moment::default(),
            history: History::default(),
            services: vec![Observed::default(); SERVICES],
            interrupts: false,
            last_storm: None,
        }
    }

    fn evidence(&self, service: usize) -> Evidence {
        let observed = &self.services[service];
        let mut evidence = if observed.is_up {
            up()
        } else {
            down(&[], Reason::Refused)
        };
        if observed.is_up {
            evidence.target = TargetEvidence::Known(running_for(9999));
        } else {
            evidence.failing[0].runs.clone_from(&observed.runs);
        }
        if observed.runs.is_empty() && !observed.is_up {
            evidence.status = Some(Status::Unknown);
        }
        for safeguard in &observed.safeguards {
            SAFEGUARDS[*safeguard](&mut evidence);
        }
        evidence
    }

    fn anchor(&self) -> TimeAnchor {
        let unix = self.now.as_nanos() + self.wall;
        let since_boot = self.now.as_nanos() - self.booted.as_nanos();
        TimeAnchor::new(&self.boots.to_string(), since_boot, unix, self.now)
    }

    fn restart(&mut self, before: &TimeAnchor) {
        let text = encode(&self.history, before, self.now).unwrap();
        self.history = decode(&text, &self.anchor(), self.now).unwrap();
        self.history.end_interrupted(self.now);
        for service in &mut self.services {
            // Runs of an earlier process are not known.
            service.runs.clear();
            service.is_up = false;
            service.up_since = None;
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Wait(seconds) => self.now = self.now + Duration::from_secs(seconds),
            Step::Run(service, reason) => {
                let now = self.now;
                let observed = &mut self.services[service];
                observed.is_up = reason.is_none();
                match reason {
                    Some(_) => {
                        observed.up_since = None;
                        observed.runs.insert(0, FailedRun { started: now, reason });
                        observed.runs.truncate(10);
                    }
                    None => {
                        observed.runs.clear();
                        observed.up_since.get_or_insert(now);
                    }
                }
                self.now = now + Duration::from_millis(10);
            }
            Step::Safeguard(service, safeguard, holds) => {
                let safeguards = &mut self.services[service].safeguards;
                safeguards.retain(|held| *held != safeguard);
                if holds {
                    safeguards.push(safeguard);
                }
            }
            Step::Interrupts(interrupts) => self.interrupts = interrupts,
            Step::Restart(jump) => {
                let before = self.anchor();
                self.wall += jump * 1_000_000_000;
                self.restart(&before);
            }
            Step::Reboot(jump) => {
                let before = self.anchor();
                self.boots += 1;
                self.booted = self.now;
                self.wall += jump * 1_000_000_000;
                self.restart(&before);
            }
            Step::Reload(service, true) => {
                let name = service.to_string();
                let is_kept = |key: &ServiceKey| key.as_str() != name;
                self.history.clean(is_kept, is_kept, self.now);
                // An hour after its last action, a removed service is forgotten.
                if !self.history.services.contains_key(&key(&name)) {
                    self.services[service].unhelpful = 0;
                }
            }
            Step::Reload(service, false) => self.services[service].is_dry ^= true,
            Step::Resume(service) => {
                self.history.service(&key(&service.to_string())).resume();
                self.services[service].unhelpful = 0;
            }
        }
        for service in 0..SERVICES {
            self.tick(service);
        }
    }

    fn tick(&mut self, service: usize) {
        let now = self.now;
        let evidence = self.evidence(service);
        if is_storm(&evidence) {
            self.history.last_storm = Some(now);
            self.last_storm = Some(now);
        }
        let observed = &mut self.services[service];
        let since = observed.up_since.max(observed.actions.last().copied());
        if observed.up_since.is_some()
            && since.is_some_and(|since| now.since(since) >= Duration::from_secs(60))
        {
            observed.unhelpful = 0;
        }
        let mut settings = self.settings.clone();
        if observed.is_dry {
            settings.mode = HealMode::DryRun;
        }
        let totals = Totals::new(&self.history, settings.mode, TOTAL as u32, now);
        let history = self.history.service(&key(&service.to_string()));
        observe(history, &settings, &evidence, now);
        match decide(history, &totals, &settings, &evidence, now) {
            Decision::DryRun(_) => history.record_dry_run(&settings, 0.5, now),
            Decision::Act(trigger) => {
                assert!(trigger.runs >= 2);
                history.begin(&settings, 0.5, now);
                if self.interrupts {
                    let anchor = self.anchor();
                    self.restart(&anchor);
                } else {
                    history.end(now);
                }
                self.assert_allowed(service, &evidence);
            }
            Decision::Nothing | Decision::QueryTarget | Decision::Refuse(..) => {}
        }
    }

    /// Checks an action that was just taken against what an observer knows.
    fn assert_allowed(&mut self, service: usize, evidence: &Evidence) {
        let now = self.now;
        let observed = &mut self.services[service];
        assert!(
            observed.safeguards.is_empty() && !observed.is_dry,
            "{:?}",
            observed.safeguards
        );
        assert_eq!(evidence.status, Some(Status::Down));
        assert!(
            self.last_storm
                .is_none_or(|storm| now.since(storm) >= STORM_COOL_DOWN)
        );
        if let Some(last) = observed.actions.last() {
            assert!(
                now.since(*last) >= Duration::from_secs(60),
                "{:?}",
                now.since(*last)
            );
        }
        observed.actions.push(now);
        observed.unhelpful += 1;
        assert!(observed.unhelpful <= 2, "it should have given up");
        let within = |observed: &Observed| {
            observed
                .actions
                .iter()
                .filter(|at| now.since(**at) < HOUR)
                .count()
        };
        assert!(within(observed) <= BUDGET);
        assert!(self.services.iter().map(within).sum::<usize>() <= TOTAL);
    }
}

proptest! {
    // Failures are not persisted: each one becomes a test.
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_exceeds_a_budget_or_acts_against_a_safeguard(steps in proptest::collection::vec(step(), 1..300)) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
    }
}

/// The property would also hold for a policy that never acts.
#[test]
fn a_service_that_keeps_failing_is_healed() {
    let mut world = World::new();
    for _ in 0..200 {
        for step in [
            Step::Run(0, Some(Reason::Refused)),
            Step::Run(0, Some(Reason::Refused)),
            Step::Run(0, None),
            Step::Wait(61),
            Step::Wait(61),
        ] {
            world.apply(&step);
        }
    }
    let actions = world.services[0].actions.len();
    // 200 failures in 7 hours, and 3 actions an hour.
    assert!((15..=24).contains(&actions), "{actions}");
}
