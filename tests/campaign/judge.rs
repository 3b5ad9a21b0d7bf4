//! Judges whether the notifications fit the faults. Pure: from faults, outages and notifications to a verdict.
//!
//! All times are seconds since the start of the campaign.

use std::collections::BTreeMap;

use crate::plan::{OutageKind, Victim};
use crate::timing::Timing;

#[cfg(test)]
mod tests;

/// How a service fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// It responds with 503, or with a problem greeting.
    Status,
    /// It accepts connections and does not respond.
    Hang,
    /// Nothing listens on the port.
    Refuse,
    /// It resets every connection.
    Reset,
    /// It responds after 2 s, above the degraded threshold and below the down threshold.
    Slow,
    /// Its process was killed.
    Dead,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultLength {
    /// Shorter than any tolerance minus one recheck interval.
    Short,
    /// Long enough for a notification.
    Long,
}

impl FaultLength {
    /// The shortest long fault, in seconds.
    const LONG: f64 = 90.0;

    /// The class of a fault that lasts `seconds`.
    pub fn of(seconds: f64) -> Self {
        // A long fault that ends with the campaign may be slightly shorter.
        if seconds > Self::LONG - 1.0 {
            Self::Long
        } else {
            Self::Short
        }
    }
}

/// A service's tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// It pages.
    Critical,
    /// It does not page.
    Tolerant,
}

/// The alerts on conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alert {
    /// `UpkeepServiceDown`.
    Down,
    /// `UpkeepServiceDownTolerated`.
    DownTolerated,
    /// `UpkeepServiceDegraded`.
    Degraded,
    /// `UpkeepServiceSlow`.
    Slow,
}

impl Alert {
    /// The alert with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "UpkeepServiceDown" => Some(Self::Down),
            "UpkeepServiceDownTolerated" => Some(Self::DownTolerated),
            "UpkeepServiceDegraded" => Some(Self::Degraded),
            "UpkeepServiceSlow" => Some(Self::Slow),
            _ => None,
        }
    }
}

/// A failure of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub service: String,
    pub tier: Tier,
    pub kind: FaultKind,
    pub begun: f64,
    /// Infinite if the fault lasts until the end of the campaign.
    pub ended: f64,
}

impl Fault {
    /// The alert that must fire for it.
    pub fn expected(&self) -> Alert {
        match (self.kind, self.tier) {
            (FaultKind::Slow, _) => Alert::Degraded,
            (_, Tier::Critical) => Alert::Down,
            (_, Tier::Tolerant) => Alert::DownTolerated,
        }
    }

    /// Whether `alert` may fire for it. A service that is down is also degraded, and a service that hangs is also slow.
    fn allows(&self, alert: Alert) -> bool {
        alert == self.expected()
            || (self.kind != FaultKind::Slow && alert == Alert::Degraded)
            || (self.kind == FaultKind::Hang && alert == Alert::Slow)
    }

    pub fn lasts(&self) -> f64 {
        self.ended - self.begun
    }
}

/// A time in which the exporter or Prometheus was down, until it responded again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    pub victim: Victim,
    pub kind: OutageKind,
    pub begun: f64,
    pub ended: f64,
}

/// One alert about a service in a notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    pub at: f64,
    pub service: String,
    pub alert: Alert,
    /// Firing, or resolved.
    pub is_firing: bool,
}

/// A kind of problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// A fault lasted past its bound, and no notification arrived within the bound.
    Missed,
    /// A notification without a matching fault, or for a fault that was too short.
    False,
    /// A recovery notification during the fault.
    Early,
    /// A second notification for a fault.
    Repeated,
    /// The fault ended without a recovery notification.
    Unresolved,
}

/// One problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub problem: Problem,
    pub service: String,
    /// When the notification arrived or, if it is missing, when it should have arrived.
    pub at: f64,
    /// The fault it belongs to, if any.
    pub fault: Option<Fault>,
}

/// The results for faults of one kind and length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub faults: usize,
    /// Faults that required a notification.
    pub due: usize,
    /// Faults with a correct notification.
    pub notified: usize,
    pub problems: BTreeMap<Problem, usize>,
    /// Seconds from the fault to the first correct notification.
    pub delays: Vec<f64>,
}

/// The result of a campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub rows: BTreeMap<(FaultKind, FaultLength), Row>,
    pub findings: Vec<Finding>,
    /// Seconds from the fault to the page, of every `UpkeepServiceDown`; and of those without an outage.
    pub pages: Vec<f64>,
    pub undisturbed: Vec<f64>,
}

/// Judges a campaign whose notifications were recorded until `until`. Outages are in chronological order, and so are the faults
/// of every service. A fault begins only after the page of the previous fault has ended.
pub fn judge(
    timing: &Timing,
    faults: &[Fault],
    outages: &[Outage],
    notifications: &[Notification],
    until: f64,
) -> Verdict {
    let mut by_service: BTreeMap<&str, (Vec<&Fault>, Vec<&Notification>)> = BTreeMap::new();
    for fault in faults {
        by_service.entry(&fault.service).or_default().0.push(fault);
    }
    for one in notifications {
        by_service.entry(&one.service).or_default().1.push(one);
    }
    let mut verdict = Verdict::default();
    for (faults, notifications) in by_service.into_values() {
        let mut own: Vec<Vec<&Notification>> = vec![Vec::new(); faults.len()];
        for one in notifications {
            match find_fault(timing, &faults, one) {
                Some(number) => own[number].push(one),
                None if one.is_firing => verdict.add_finding(Problem::False, &one.service, one.at, None),
                // The recovery of an alert that is already a finding.
                None => {}
            }
        }
        for (fault, notifications) in faults.iter().zip(own) {
            verdict.judge_fault(timing, fault, outages, &notifications, until);
        }
    }
    verdict
}

/// The fault of a notification: the latest one that had begun. A notification that is too early for that fault belongs to the
/// previous one.
fn find_fault(timing: &Timing, faults: &[&Fault], notification: &Notification) -> Option<usize> {
    faults.iter().rposition(|fault| {
        let earliest = if notification.is_firing {
            timing.min_duration(notification.alert, fault.tier)
        } else {
            0.0
        };
        fault.begun + earliest <= notification.at
    })
}

impl Verdict {
    fn add_finding(&mut self, problem: Problem, service: &str, at: f64, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            *self.row(fault).problems.entry(problem).or_default() += 1;
        }
        self.findings.push(Finding {
            problem,
            service: service.to_owned(),
            at,
            fault: fault.cloned(),
        });
    }

    fn row(&mut self, fault: &Fault) -> &mut Row {
        self.rows
            .entry((fault.kind, FaultLength::of(fault.lasts())))
            .or_default()
    }

    /// Judges one fault and its notifications.
    fn judge_fault(
        &mut self,
        timing: &Timing,
        fault: &Fault,
        outages: &[Outage],
        notifications: &[&Notification],
        until: f64,
    ) {
        let mut firing: BTreeMap<Alert, bool> = BTreeMap::new();
        let mut first = None;
        for one in notifications {
            let before = firing.insert(one.alert, one.is_firing);
            let is_true =
                fault.allows(one.alert) && fault.lasts() >= timing.min_duration(one.alert, fault.tier);
            let problem = match (one.is_firing, before) {
                (true, _) if !is_true => Some(Problem::False),
                (true, Some(_)) => Some(Problem::Repeated),
                (true, None) => None,
                (false, _) if one.at < fault.ended => Some(Problem::Early),
                (false, _) => None,
            };
            if one.is_firing && is_true && one.alert == fault.expected() {
                first = first.or(Some(one.at));
            }
            if let Some(problem) = problem {
                self.add_finding(problem, &fault.service, one.at, Some(fault));
            }
        }
        let bound = timing.bound(fault, outages);
        // A fault that lasts until the end of the campaign counts until then.
        let is_due = fault.ended.min(until) >= bound;
        if is_due && first.is_none_or(|at| at > bound) {
            self.add_finding(Problem::Missed, &fault.service, bound, Some(fault));
        }
        let over = timing.recovery_bound(fault, outages);
        if over <= until && firing.values().any(|is_firing| *is_firing) {
            self.add_finding(Problem::Unresolved, &fault.service, over, Some(fault));
        }
        let row = self.row(fault);
        row.faults += 1;
        row.due += usize::from(is_due);
        let Some(at) = first else { return };
        let delay = at - fault.begun;
        row.notified += 1;
        row.delays.push(delay);
        if fault.expected() == Alert::Down {
            self.pages.push(delay);
            let is_disturbed =
                |outage: &Outage| outage.begun < at && outage.ended + timing.scrape > fault.begun;
            if !outages.iter().any(is_disturbed) {
                self.undisturbed.push(delay);
            }
        }
    }
}

/// The median; `None` if `values` is empty.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}
