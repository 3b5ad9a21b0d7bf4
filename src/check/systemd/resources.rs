//! What the unit's control group uses.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::check::cgroup::{Cgroups, GroupPath, LimitProblem, Meter, Subject, families};
use crate::check::unit_watch::{Subscription, Unit};
use crate::config::systemd::{BusAddress, SystemdSettings};
use crate::model::{Family, Sample};

families!(USE, "upkeep_systemd_unit", "unit", &["unit"]);

/// How often systemd is queried for the control group of a unit that runs but whose group does not exist.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The resources of one unit.
#[derive(Debug)]
pub(super) struct UnitResources {
    meter: Meter,
    /// The control group as systemd reported it, and as a path.
    group: Option<(Arc<str>, GroupPath)>,
    /// The start of the unit and its number of restarts at the last run.
    start: (u64, u32),
    refreshed_at: Option<Instant>,
}

/// Whether the unit's resources can be measured: a systemd that is reached over TCP runs on another machine, whose control groups are not
/// those of this one.
pub(super) fn is_measured(settings: &SystemdSettings) -> bool {
    let is_remote = matches!(&settings.bus, BusAddress::Address(address) if !address.starts_with("unix:"));
    settings.resources.is_measured && !is_remote
}

impl UnitResources {
    /// Resources of the unit that a check with these settings watches. Its group is one of `cgroups`.
    pub fn new(settings: &SystemdSettings, cgroups: &Cgroups) -> Self {
        Self {
            meter: Meter::new(cgroups, &settings.resources.limits),
            group: None,
            start: (0, 0),
            refreshed_at: None,
        }
    }

    /// Reads what the unit uses, if that is due. Waits for it at most this long.
    pub async fn update(&mut self, unit: &Unit, subscription: &Subscription, wait: Duration) {
        let now = Instant::now();
        self.set_group(unit.control_group.as_ref());
        let restarts = unit.service.as_ref().map_or(0, |service| service.restarts);
        let start = (unit.active_enter, restarts);
        if std::mem::replace(&mut self.start, start) != start {
            self.meter.renew();
        }
        match &self.group {
            _ if !unit.is_started() => self.meter.stop(),
            Some((_, path)) => {
                if self.meter.is_due(now) && !self.meter.read(path, now, wait).await {
                    self.refresh(subscription, now);
                }
            }
            None => self.meter.record(None, now),
        }
        self.meter
            .count_kills(u64::from(unit.oom_results), unit.is_oom_killed, unit.is_started());
    }

    fn set_group(&mut self, reported: Option<&Arc<str>>) {
        let known = self.group.as_ref().map(|(text, _)| text);
        if known != reported {
            let path = reported.and_then(|text| Some((text.clone(), GroupPath::parse(text)?)));
            self.group = path;
            self.meter.renew();
        }
    }

    fn refresh(&mut self, subscription: &Subscription, now: Instant) {
        if self.refreshed_at.is_none_or(|at| at + REFRESH_INTERVAL <= now) {
            self.refreshed_at = Some(now);
            subscription.refresh();
        }
    }

    /// Adds the samples.
    pub fn push(&self, unit: &str, samples: &mut Vec<Sample>) {
        self.meter.push(&USE, Some(unit), samples);
    }

    /// The problem of a unit that runs and reaches a limit.
    pub fn judge(&mut self, unit: &Unit, settings: &SystemdSettings) -> Option<LimitProblem> {
        unit.running_since()?;
        let subject = Subject {
            name: &settings.unit,
            advice: &format!("systemctl status {}", settings.unit),
        };
        self.meter
            .judge(&settings.resources.limits, subject, Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::CheckContext;
    use crate::config::KindSettings;
    use crate::config::tests_support::check;

    #[tokio::test(start_paused = true)]
    async fn limits_of_a_unit_without_a_control_group_can_not_be_compared() {
        let keys = "kind: systemd, unit: a.target, memory_below: 1GB, bus_address: 'unix:path=/nonexistent'";
        let KindSettings::Systemd(settings) = check(keys).kind else {
            panic!("not a systemd check");
        };
        let context = CheckContext::new("/proc".into());
        let subscription = context.units.subscribe(&settings.bus, &settings.unit);
        let mut resources = UnitResources::new(&settings, &context.cgroups);
        let mut unit = Unit::default();
        unit.apply_row("loaded", "active", "active");
        unit.active_enter = 1;
        for is_long in [false, true] {
            resources.update(&unit, &subscription, Duration::ZERO).await;
            let problem = resources.judge(&unit, &settings);
            assert_eq!(
                matches!(problem, Some(LimitProblem::NotComparable(_))),
                is_long,
                "{problem:?}"
            );
            tokio::time::advance(Duration::from_secs(90)).await;
        }
    }
}
