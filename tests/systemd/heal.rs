//! The loop of healing with real units.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};
use upkeep_exporter::check::systemd::SystemdCheck;
use upkeep_exporter::config::heal::{Backoff, HealMode, HealSettings};
use upkeep_exporter::config::systemd::BusAddress;
use upkeep_exporter::config::{Config, Service, Target, parse};
use upkeep_exporter::heal::policy::Refusal;
use upkeep_exporter::heal::record::HealEvent;
use upkeep_exporter::heal::{HealSetup, Healer, ServiceHealView, SystemControl};
use upkeep_exporter::model::{Clock, Conclusion, Outcome, Problem, Reason, SystemClock};
use upkeep_exporter::store::{Run, Store};

use crate::common::systemd::Machine;
use crate::support::{context, run, settings};

/// How long a test waits on a busy machine before it fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs a command in the machine without blocking the runtime.
async fn inside(machine: &'static Machine, command: impl Into<String>) -> String {
    let command = command.into();
    let output = tokio::task::spawn_blocking(move || {
        let output = machine.try_run(&command);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    });
    output.await.unwrap()
}

/// A service with a unit, its check, and a healer with short times.
struct Stage {
    machine: &'static Machine,
    unit: &'static str,
    clock: Arc<SystemClock>,
    store: Arc<Store>,
    healer: Healer,
    check: SystemdCheck,
    _dir: tempfile::TempDir,
}

/// A configuration with the service `api`.
fn config(machine: &Machine, unit: &str, mode: HealMode) -> Config {
    let text = format!(
        "services: [{{ key: api, systemd: {unit}, recheck_interval: 200ms, heal: {{ mode: act }} }}]"
    );
    let mut config = parse(&text, "test.yml").unwrap().config;
    let service = &config.services[0];
    let heal = HealSettings {
        mode,
        target: Some(Target::Unit {
            name: unit.to_owned(),
            bus: BusAddress::Address(machine.bus_address()),
        }),
        backoff: Backoff {
            min: Duration::from_secs(1),
            max: Duration::from_secs(2),
        },
        start_grace: Duration::from_secs(2),
        verify_for: Duration::from_secs(2),
        ..service.heal.clone().unwrap()
    };
    config.services[0] = Arc::new(Service {
        heal: Some(heal),
        ..Service::clone(service)
    });
    config
}

impl Stage {
    fn new(unit: &'static str, mode: HealMode, text: &str) -> Self {
        Self::on(Machine::shared(), unit, mode, text)
    }

    fn on(machine: &'static Machine, unit: &'static str, mode: HealMode, text: &str) -> Self {
        machine.write_unit(unit, text);
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(SystemClock::new());
        let (store, _) = Store::open(clock.clone(), None).unwrap();
        let config = config(machine, unit, mode);
        store.apply(&config);
        let healer = Healer::start(
            &Handle::current(),
            HealSetup {
                store: store.clone(),
                clock: clock.clone(),
                control: Arc::new(SystemControl::default()),
                state_dir: Some(dir.path().to_owned()),
                // Without pressure files: this machine is busy with other tests.
                procfs: PathBuf::from("/nonexistent"),
                lost: Arc::default(),
                is_disabled: false,
            },
        );
        healer.apply(&config);
        let mut settings = settings(&machine.bus_address(), unit);
        settings.start_grace = Duration::ZERO;
        Self {
            machine,
            unit,
            clock,
            store,
            healer,
            check: SystemdCheck::new(&settings, &context()),
            _dir: dir,
        }
    }

    async fn inside(&self, command: &str) -> String {
        inside(self.machine, command.replace("UNIT", self.unit)).await
    }

    fn record(&self, conclusion: Conclusion) {
        let now = self.clock.now();
        let outcome = Outcome {
            conclusion,
            ..Outcome::default()
        };
        let (_, handle, _) = self.store.handles().remove(0);
        self.store.record(
            handle,
            Run {
                started: now,
                ended: now,
            },
            outcome,
            0,
        );
    }

    /// Runs the check of the unit four times a second, until the view is as wanted.
    async fn until(&mut self, what: &str, is_wanted: impl Fn(&ServiceHealView) -> bool) -> ServiceHealView {
        let began = Instant::now();
        loop {
            let ran = run(&mut self.check).await;
            self.record(ran.result.map_or_else(Conclusion::from, |()| Conclusion::Success));
            let view = self.view();
            if is_wanted(&view) {
                return view;
            }
            assert!(began.elapsed() < PATIENCE, "waiting until {what}: {view:#?}");
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Like [`Self::until`], with runs that fail because the port is closed.
    async fn until_refused(&self, what: &str, is_wanted: impl Fn(&ServiceHealView) -> bool) {
        let began = Instant::now();
        while !is_wanted(&self.view()) {
            self.record(Conclusion::Failure(Problem::new(
                Reason::Refused,
                "connecting: refused",
            )));
            assert!(
                began.elapsed() < PATIENCE,
                "waiting until {what}: {:#?}",
                self.view()
            );
            sleep(Duration::from_millis(250)).await;
        }
    }

    async fn until_refusal(&mut self, refusal: Refusal) {
        let view = self
            .until(refusal.as_str(), |view| view.refusal == Some(refusal))
            .await;
        assert!(!has(&view, HealEvent::Acting), "{view:#?}");
        // It stays so.
        for _ in 0..3 {
            sleep(Duration::from_secs(1)).await;
            let view = self.until("the next run", |_| true).await;
            assert!(!has(&view, HealEvent::Acting), "{view:#?}");
        }
    }

    fn view(&self) -> ServiceHealView {
        self.healer.view().services.remove(0)
    }
}

fn has(view: &ServiceHealView, event: HealEvent) -> bool {
    view.records.iter().any(|(_, record)| record.event == event)
}

const SLEEP: &str = "[Service]\nExecStart=/bin/sleep infinity\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_unit_is_restarted() {
    let mut stage = Stage::new("heal-crash.service", HealMode::Act, SLEEP);
    stage.inside("systemctl start UNIT").await;
    stage.until("it is up", |view| view.refusal.is_none()).await;
    stage.inside("systemctl kill --signal=KILL UNIT").await;
    let view = stage
        .until("it is healed", |view| has(view, HealEvent::Helped))
        .await;
    assert_eq!(stage.inside("systemctl is-active UNIT").await, "active");
    assert_eq!(view.actions[&HealEvent::Acted], 1);
    let events: Vec<HealEvent> = view
        .records
        .iter()
        .rev()
        .map(|(_, record)| record.event)
        .collect();
    assert_eq!(events, [HealEvent::Acting, HealEvent::Acted, HealEvent::Helped]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_does_nothing_to_a_crashed_unit() {
    let mut stage = Stage::new("heal-dry.service", HealMode::DryRun, SLEEP);
    stage.inside("systemctl start UNIT").await;
    stage.until("it is up", |view| view.refusal.is_none()).await;
    stage.inside("systemctl kill --signal=KILL UNIT").await;
    let count = |view: &ServiceHealView| view.actions.get(&HealEvent::DryRun).copied().unwrap_or(0);
    let view = stage
        .until("it would be healed twice", |view| count(view) >= 2)
        .await;
    assert!(!has(&view, HealEvent::Acting), "{view:#?}");
    assert_eq!(stage.inside("systemctl is-active UNIT").await, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_dies_at_once_is_restarted_twice() {
    let text = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sh -c 'echo >>/run/heal-dies; sleep 0.1; exit 1'\n";
    let mut stage = Stage::new("heal-dies.service", HealMode::Act, text);
    stage.inside("systemctl start UNIT").await;
    let view = stage.until("healing gives up", |view| view.has_given_up).await;
    assert!(
        has(&view, HealEvent::GaveUp) && view.refusal == Some(Refusal::GaveUp),
        "{view:#?}"
    );
    for _ in 0..5 {
        sleep(Duration::from_secs(1)).await;
        stage.until("the next run", |_| true).await;
    }
    assert_eq!(
        stage.inside("wc -l </run/heal-dies").await,
        "3",
        "the first start, and two restarts"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_limit_is_respected() {
    let text = "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=2\n\
                [Service]\nExecStart=/bin/true\nRestart=always\nRestartSec=100ms\n";
    let mut stage = Stage::new("heal-limit.service", HealMode::Act, text);
    stage
        .inside("systemctl start UNIT; while ! systemctl is-failed UNIT; do sleep 0.1; done")
        .await;
    let result = stage.inside("systemctl show -p Result --value UNIT").await;
    assert_eq!(result, "start-limit-hit");
    stage.until_refusal(Refusal::StartLimit).await;
}

/// systemd keeps the result of the last failure when a unit that it restarts hits its start limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_limit_after_automatic_restarts_is_respected() {
    let text = "[Unit]\nStartLimitIntervalSec=600\nStartLimitBurst=3\n\
                [Service]\nExecStart=/bin/false\nRestart=on-failure\nRestartSec=100ms\n";
    let mut stage = Stage::new("heal-restarts.service", HealMode::Act, text);
    stage
        .inside("systemctl start UNIT; while ! systemctl is-failed UNIT; do sleep 0.1; done")
        .await;
    stage.until_refusal(Refusal::StartLimit).await;
    assert_eq!(
        stage.inside("systemctl show -p Result --value UNIT").await,
        "exit-code"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_masked_unit_is_left_alone() {
    let mut stage = Stage::new("heal-masked.service", HealMode::Act, SLEEP);
    stage
        .inside("systemctl start UNIT; systemctl kill --signal=KILL UNIT; sleep 0.3")
        .await;
    stage.inside("systemctl mask --runtime --force UNIT; rm /etc/systemd/system/UNIT; systemctl mask UNIT; systemctl daemon-reload").await;
    stage.until_refusal(Refusal::Masked).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_an_operator_stopped_is_left_alone() {
    let mut stage = Stage::new("heal-stopped.service", HealMode::Act, SLEEP);
    stage.inside("systemctl start UNIT; systemctl stop UNIT").await;
    stage.until_refusal(Refusal::Stopped).await;
}

/// Many programs exit with an error after SIGTERM. The unit has failed then, as after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_unit_that_exits_with_an_error_is_left_alone() {
    let text = "[Service]\nExecStart=/bin/sh -c 'trap \"exit 3\" TERM; while :; do sleep 0.1; done'\n";
    let mut stage = Stage::new("heal-term.service", HealMode::Act, text);
    stage
        .inside("systemctl start UNIT; sleep 0.5; systemctl stop UNIT")
        .await;
    assert_eq!(stage.inside("systemctl is-active UNIT").await, "failed");
    stage.until_refusal(Refusal::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_with_a_job_is_left_alone() {
    let text = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 20\n";
    let mut stage = Stage::new("heal-job.service", HealMode::Act, text);
    stage
        .inside("systemctl start UNIT; systemctl stop --no-block UNIT")
        .await;
    stage.until_refusal(Refusal::JobRunning).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_hangs_while_it_starts_is_left_to_systemd() {
    let text = "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep infinity\n";
    let mut stage = Stage::new("heal-activating.service", HealMode::Act, text);
    stage.inside("systemctl start --no-block UNIT; sleep 0.3").await;
    stage.until_refusal(Refusal::JobRunning).await;
    stage.inside("systemctl kill --signal=KILL UNIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_systemd_restarts_is_left_alone() {
    let text =
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=30\n";
    let mut stage = Stage::new("heal-auto.service", HealMode::Act, text);
    stage.inside("systemctl start UNIT").await;
    stage.until_refusal(Refusal::AutoRestart).await;
    stage.inside("systemctl stop UNIT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_ignores_sigterm_is_restarted() {
    let text =
        "[Service]\nTimeoutStopSec=2\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 0.1; done'\n";
    let stage = Stage::new("heal-ignores.service", HealMode::Act, text);
    stage.inside("systemctl start UNIT; sleep 2.5").await;
    let pid = stage.inside("systemctl show -p MainPID --value UNIT").await;
    stage
        .until_refused("it was restarted", |view| has(view, HealEvent::Acted))
        .await;
    assert_ne!(stage.inside("systemctl show -p MainPID --value UNIT").await, pid);
    assert_eq!(stage.inside("systemctl is-active UNIT").await, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_just_started_gets_its_time() {
    let stage = Stage::new("heal-grace.service", HealMode::Act, SLEEP);
    stage.inside("systemctl restart UNIT").await;
    stage
        .until_refused("it is in its grace", |view| {
            view.refusal == Some(Refusal::StartGrace)
        })
        .await;
    assert!(!has(&stage.view(), HealEvent::Acting));
    stage
        .until_refused("the grace is over", |view| has(view, HealEvent::Acted))
        .await;
}

/// systemd's own job and the time of the last start tell each exporter what the other one did.
#[tokio::test(flavor = "multi_thread")]
async fn two_exporters_restart_a_unit_once() {
    let text = "[Service]\nExecStartPre=/bin/sh -c 'echo >>/run/heal-two'\nExecStart=/bin/sleep infinity\n";
    let mut first = Stage::new("heal-two.service", HealMode::Act, text);
    let second = Stage::new("heal-two.service", HealMode::Act, text);
    first
        .inside("systemctl start UNIT; systemctl kill --signal=KILL UNIT; sleep 0.3")
        .await;
    // Both see the failure at the same time.
    for _ in 0..4 {
        for stage in [&first, &second] {
            stage.record(Conclusion::Failure(Problem::new(Reason::State, "it is failed")));
        }
        sleep(Duration::from_millis(300)).await;
    }
    first
        .until("it is up", |view| view.refusal.is_none() && !view.is_acting)
        .await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(
        first.inside("wc -l </run/heal-two").await,
        "2",
        "the first start, and one restart"
    );
    let acted = [&first, &second].map(|stage| has(&stage.view(), HealEvent::Acting));
    assert!(acted.contains(&true));
}

/// systemd executes itself again during a restart: the result may be lost, but healing goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_reexecution_of_systemd_during_a_restart_does_no_harm() {
    let text = "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 2\n";
    let mut stage = Stage::new("heal-reexec.service", HealMode::Act, text);
    stage.inside("systemctl start UNIT; sleep 2.5").await;
    stage
        .until_refused("an action is in progress", |view| view.is_acting)
        .await;
    stage.inside("systemctl daemon-reexec").await;
    stage
        .until_refused("the action has ended", |view| !view.is_acting)
        .await;
    stage
        .until("it helped", |view| has(view, HealEvent::Helped))
        .await;
    assert_eq!(stage.inside("systemctl is-active UNIT").await, "active");
}

/// The result of the restart is lost, but the unit is neither restarted again nor given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_gone_during_a_restart_does_no_harm() {
    let text = "[Service]\nExecStartPre=/bin/sh -c 'echo >>/run/heal-bus'\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 2\n";
    let machine = tokio::task::spawn_blocking(Machine::boot).await.unwrap();
    let machine: &'static Machine = Box::leak(Box::new(machine));
    let mut stage = Stage::on(machine, "heal-bus.service", HealMode::Act, text);
    stage.inside("systemctl start UNIT; sleep 2.5").await;
    stage
        .until_refused("an action is in progress", |view| view.is_acting)
        .await;
    stage.inside("systemctl stop dbus.socket dbus.service").await;
    stage
        .until_refused("the result is lost", |view| has(view, HealEvent::Failed))
        .await;
    // The port stays closed, but the state of the unit is unknown.
    stage
        .until_refused("the unit is unknown", |view| {
            view.refusal == Some(Refusal::TargetUnknown)
        })
        .await;
    // A check of the unit fails for a reason that a restart does not fix.
    stage
        .until("nothing is to be healed", |view| view.refusal.is_none())
        .await;
    stage.inside("systemctl start dbus.socket").await;
    for _ in 0..4 {
        sleep(Duration::from_secs(1)).await;
        stage.until("the next run", |_| true).await;
    }
    assert_eq!(stage.inside("systemctl is-active UNIT").await, "active");
    assert_eq!(
        stage.inside("wc -l </run/heal-bus").await,
        "2",
        "the first start, and one restart"
    );
    assert!(!stage.view().has_given_up);
}
