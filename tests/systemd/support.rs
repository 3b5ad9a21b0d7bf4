//! Creates checks and waits for their results.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::systemd::SystemdCheck;
use upkeep_exporter::config::resource_limits::ResourceSettings;
use upkeep_exporter::config::systemd::{BusAddress, Expect, SystemdSettings, UnitState};
use upkeep_exporter::model::{Problem, Reason, Report};

/// How long a test waits on a busy machine before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn context() -> CheckContext {
    CheckContext::new(PathBuf::from("/proc"))
}

pub fn settings(bus_address: &str, unit: &str) -> SystemdSettings {
    SystemdSettings {
        unit: unit.to_owned(),
        expect: Expect::Running,
        start_grace: Duration::from_secs(45),
        bus: BusAddress::Address(bus_address.to_owned()),
        resources: ResourceSettings::default(),
    }
}

pub fn check(bus_address: &str, unit: &str) -> SystemdCheck {
    SystemdCheck::new(&settings(bus_address, unit), &context())
}

pub fn check_expecting(bus_address: &str, unit: &str, states: &[UnitState]) -> SystemdCheck {
    let mut settings = settings(bus_address, unit);
    settings.expect = Expect::States(states.to_vec());
    SystemdCheck::new(&settings, &context())
}

/// The result of one run.
#[derive(Debug)]
pub struct Ran {
    pub result: Result<(), Problem>,
    pub report: Report,
}

impl Ran {
    pub fn is_up(&self) -> bool {
        self.result.is_ok() && self.report.warning.is_none()
    }

    pub fn is_degraded(&self) -> bool {
        self.result.is_ok() && self.report.warning.is_some()
    }

    /// Whether it failed with this reason and a message that contains `text`.
    pub fn is_failure(&self, reason: Reason, text: &str) -> bool {
        matches!(&self.result, Err(problem) if problem.reason == reason && problem.message().contains(text))
    }

    /// The value of the series of this family whose last label is `label`.
    pub fn value(&self, family: &str, label: &str) -> Option<f64> {
        let mut samples = self.report.samples.iter();
        samples
            .find(|sample| {
                sample.family.name == family && sample.labels.last().is_some_and(|last| last == label)
            })
            .map(|sample| sample.value)
    }

    /// The state whose series is 1.
    pub fn state(&self) -> Option<&str> {
        let mut samples = self.report.samples.iter();
        samples
            .find(|sample| sample.family.name == "upkeep_systemd_unit_state" && sample.value == 1.0)
            .and_then(|sample| sample.labels.last())
            .map(|label| &**label)
    }
}

pub async fn run(check: &mut SystemdCheck) -> Ran {
    let mut report = Report::default();
    let result = check.run(&mut report).await;
    Ran { result, report }
}

/// Runs the check whenever it is woken, until the result is as wanted.
pub async fn until(check: &mut SystemdCheck, what: &str, is_wanted: impl Fn(&Ran) -> bool) -> Ran {
    let wakeup = check.wakeup().expect("systemd checks have a wakeup");
    let began = Instant::now();
    loop {
        let ran = run(check).await;
        if is_wanted(&ran) {
            return ran;
        }
        let rest = PATIENCE.saturating_sub(began.elapsed());
        if timeout(rest, wakeup.notified()).await.is_err() {
            panic!("waiting until it {what}; last: {ran:?}");
        }
    }
}
