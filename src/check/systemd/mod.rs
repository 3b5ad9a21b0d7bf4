//! The systemd check: compares the known state of a unit with the settings, and measures what the unit uses.

mod judge;
mod resources;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use self::resources::{USE, UnitResources};
use super::CheckContext;
use super::cgroup::{MAX_WAIT, conclude};
use super::unit_watch::{CALL_TIMEOUT, Starting, Subscription, Unit, UnitFacts};
use crate::config::systemd::{SystemdSettings, UnitState};
use crate::model::{Family, MetricType, Problem, Report, Sample, Scope, Unit as MetricUnit};
use crate::net::run_recorder::RunRecorder;

/// The families of systemd checks.
pub const FAMILIES: &[&Family] = &USE.with::<13>(&[&UNIT_STATE, &UNIT_RESTARTS, &UNIT_ACTIVE_ENTER]);

/// The state of the unit: one series per state.
pub static UNIT_STATE: Family = Family {
    name: "upkeep_systemd_unit_state",
    metric_type: MetricType::Gauge,
    unit: MetricUnit::None,
    scope: Scope::Check,
    labels: &["unit", "state"],
    help: "State of the systemd unit: 1 for the current state, 0 for the others. Absent while unknown.",
};

/// The unit's property NRestarts.
pub static UNIT_RESTARTS: Family = Family {
    name: "upkeep_systemd_unit_restarts_total",
    metric_type: MetricType::Counter,
    unit: MetricUnit::None,
    scope: Scope::Check,
    labels: &["unit"],
    help: "Automatic restarts of the service unit, as counted by systemd.",
};

/// When the unit last became active.
pub static UNIT_ACTIVE_ENTER: Family = Family {
    name: "upkeep_systemd_unit_active_enter_timestamp_seconds",
    metric_type: MetricType::Gauge,
    unit: MetricUnit::Seconds,
    scope: Scope::Check,
    labels: &["unit"],
    help: "Unix time when the systemd unit last became active.",
};

/// A systemd check.
#[derive(Debug)]
pub struct SystemdCheck {
    settings: SystemdSettings,
    subscription: Subscription,
    /// `None` if the settings turn it off.
    resources: Option<UnitResources>,
}

impl SystemdCheck {
    /// Creates a check with these settings.
    pub fn new(settings: &SystemdSettings, context: &CheckContext) -> Self {
        Self {
            subscription: context.units.subscribe(&settings.bus, &settings.unit),
            resources: resources::is_measured(settings)
                .then(|| UnitResources::new(settings, &context.cgroups)),
            settings: settings.clone(),
        }
    }

    /// Runs once: evaluates the state received by signals. If systemd has not responded yet, it waits until shortly before the
    /// run's deadline, but not longer than the timeout of a call.
    ///
    /// # Errors
    /// The problem that made the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let wait = within(report, CALL_TIMEOUT);
        report.step = "waiting for systemd's response over D-Bus".into();
        let facts = self.subscription.facts(wait).await?;
        let unit = &facts.unit;
        // systemd reports a unit that does not exist as inactive. Such a unit has no samples.
        let is_known = unit.exists() || unit.state() != Some(UnitState::Inactive);
        if is_known {
            push_samples(unit, &self.settings.unit, &mut report.samples);
        }
        report.running_since = unit.running_since();
        let mut limit = None;
        if let Some(resources) = &mut self.resources {
            let wait = within(report, MAX_WAIT);
            resources.update(unit, &self.subscription, wait).await;
            if is_known {
                resources.push(&self.settings.unit, &mut report.samples);
            }
            limit = resources.judge(unit, &self.settings);
        }
        let warning = judge::judge(unit, &self.settings, starting(&facts))?;
        report.warning = conclude(&self.settings.resources, warning, limit)?;
        Ok(())
    }

    /// Notified when the unit's state changes, and when the connection to systemd is lost or restored.
    pub fn wakeup(&self) -> Option<Arc<Notify>> {
        Some(self.subscription.changed.clone())
    }
}

/// The time until shortly before the deadline of the run, at most `limit`. The recorder only calculates it.
fn within(report: &mut Report, limit: Duration) -> Duration {
    let mut recorder = RunRecorder::new(report);
    recorder.end();
    recorder.within(limit)
}

/// The start in progress of an activating unit: by systemd's timestamps if they are usable, otherwise since the exporter first saw
/// it in this state.
fn starting(facts: &UnitFacts) -> Starting {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let now = u64::try_from(now.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000)
        .saturating_add(u64::try_from(now.tv_nsec / 1000).unwrap_or(0));
    let seen = facts
        .activating_since
        .map_or(Duration::ZERO, |since| since.elapsed());
    facts.unit.starting(now).unwrap_or(Starting {
        lasts: seen,
        not_active_for: seen,
        is_retry: false,
    })
}

fn push_samples(unit: &Unit, name: &str, samples: &mut Vec<Sample>) {
    let label = || Cow::Owned(name.to_owned());
    if let Some(current) = unit.state() {
        samples.extend(UnitState::ALL.iter().map(|state| Sample {
            family: &UNIT_STATE,
            labels: vec![label(), Cow::Borrowed(state.as_str())],
            value: f64::from(u8::from(*state == current)),
        }));
    }
    if let Some(service) = &unit.service {
        samples.push(Sample {
            family: &UNIT_RESTARTS,
            labels: vec![label()],
            value: f64::from(service.restarts),
        });
    }
    if unit.active_enter > 0 {
        samples.push(Sample {
            family: &UNIT_ACTIVE_ENTER,
            labels: vec![label()],
            value: Duration::from_micros(unit.active_enter).as_secs_f64(),
        });
    }
}
