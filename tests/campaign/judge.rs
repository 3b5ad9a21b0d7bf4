//! Whether what was told fits what happened: pure, from faults, outages and notifications to a verdict.
//!
//! All times are seconds since the campaign began.

use std::collections::BTreeMap;

use crate::plan::{Blow, Victim};
use crate::terms::Terms;

#[cfg(test)]
mod tests;

/// What happens to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It answers 503, or another greeting than it should.
    Status,
    /// It accepts and says nothing.
    Hang,
    /// Nobody listens.
    Refuse,
    /// It resets every connection.
    Reset,
    /// It answers 2 s late, above the threshold for degraded and below that for down.
    Slow,
    /// Its process is gone.
    Dead,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Shorter than any tolerance, less one recheck interval.
    Short,
    /// Long enough to be told.
    Long,
}

impl Class {
    /// The shortest long fault, in seconds.
    const LONG: f64 = 90.0;

    /// Of a fault that lasts so many seconds.
    pub fn of(seconds: f64) -> Self {
        // A long fault that ends with the campaign may be a little shorter.
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
    /// It wakes somebody.
    Critical,
    /// It can wait.
    Tolerant,
}

/// The alerts about conditions.
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
    /// By its name.
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

/// Something that happened to a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub service: String,
    pub tier: Tier,
    pub kind: Kind,
    pub begun: f64,
    /// Infinite where it outlasts the campaign.
    pub ended: f64,
}

impl Fault {
    /// The alert that tells it.
    pub fn expected(&self) -> Alert {
        match (self.kind, self.tier) {
            (Kind::Slow, _) => Alert::Degraded,
            (_, Tier::Critical) => Alert::Down,
            (_, Tier::Tolerant) => Alert::DownTolerated,
        }
    }

    /// Whether an alert is true of it. What is down is not fully up either, and what hangs is slow.
    fn is_told_by(&self, alert: Alert) -> bool {
        alert == self.expected()
            || (self.kind != Kind::Slow && alert == Alert::Degraded)
            || (self.kind == Kind::Hang && alert == Alert::Slow)
    }

    pub fn lasts(&self) -> f64 {
        self.ended - self.begun
    }
}

/// A time in which the exporter or Prometheus did not work, until it answered again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outage {
    pub victim: Victim,
    pub blow: Blow,
    pub begun: f64,
    pub ended: f64,
}

/// One alert about a service in a notification.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub at: f64,
    pub service: String,
    pub alert: Alert,
    /// Else it tells the recovery.
    pub is_firing: bool,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// A fault lasted past its bound and was not told within it.
    Missed,
    /// Something was told that was not so, or not for long enough.
    False,
    /// A recovery was told while the fault went on.
    Early,
    /// A fault was told again.
    Repeated,
    /// What was told has ended, and that was never told.
    Unended,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub wrong: Wrong,
    pub service: String,
    /// When it was told; for what was not told, when it should have been.
    pub at: f64,
    /// The fault it belongs to, where there is one.
    pub fault: Option<Fault>,
}

/// What came of the faults of one kind and class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub faults: usize,
    /// That had to be told.
    pub due: usize,
    /// That were told, rightly.
    pub told: usize,
    pub wrongs: BTreeMap<Wrong, usize>,
    /// From the fault to the first notification, in seconds, of those told rightly.
    pub delays: Vec<f64>,
}

/// What came of a campaign.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    pub rows: BTreeMap<(Kind, Class), Row>,
    pub findings: Vec<Finding>,
    /// From the fault to the page, in seconds, of every `UpkeepServiceDown`; and of those that no outage disturbed.
    pub pages: Vec<f64>,
    pub undisturbed: Vec<f64>,
}

/// Judges a campaign of which the notifications were watched until `until`. Outages are in their order; so are the faults of
/// each service, and none of them begins before the page of the one before it has ended.
pub fn judge(terms: &Terms, faults: &[Fault], outages: &[Outage], told: &[Told], until: f64) -> Verdict {
    let mut by_service: BTreeMap<&str, (Vec<&Fault>, Vec<&Told>)> = BTreeMap::new();
    for fault in faults {
        by_service.entry(&fault.service).or_default().0.push(fault);
    }
    for one in told {
        by_service.entry(&one.service).or_default().1.push(one);
    }
    let mut verdict = Verdict::default();
    for (faults, told) in by_service.into_values() {
        let mut own: Vec<Vec<&Told>> = vec![Vec::new(); faults.len()];
        for one in told {
            match place(terms, &faults, one) {
                Some(number) => own[number].push(one),
                None if one.is_firing => verdict.find(Wrong::False, &one.service, one.at, None),
                // The end of what was found already.
                None => {}
            }
        }
        for (fault, told) in faults.iter().zip(own) {
            verdict.take(terms, fault, outages, &told, until);
        }
    }
    verdict
}

/// The fault that a notification is about: the latest one that had begun. What is told sooner than that fault may be told is
/// about the one before it.
fn place(terms: &Terms, faults: &[&Fault], told: &Told) -> Option<usize> {
    faults.iter().rposition(|fault| {
        let earliest = if told.is_firing {
            terms.shortest(told.alert, fault.tier)
        } else {
            0.0
        };
        fault.begun + earliest <= told.at
    })
}

impl Verdict {
    fn find(&mut self, wrong: Wrong, service: &str, at: f64, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            *self.row(fault).wrongs.entry(wrong).or_default() += 1;
        }
        self.findings.push(Finding {
            wrong,
            service: service.to_owned(),
            at,
            fault: fault.cloned(),
        });
    }

    fn row(&mut self, fault: &Fault) -> &mut Row {
        self.rows
            .entry((fault.kind, Class::of(fault.lasts())))
            .or_default()
    }

    /// Takes in one fault, and what was told of it.
    fn take(&mut self, terms: &Terms, fault: &Fault, outages: &[Outage], told: &[&Told], until: f64) {
        let mut firing: BTreeMap<Alert, bool> = BTreeMap::new();
        let mut first = None;
        for one in told {
            let wrong = |wrong| Some((wrong, one.at));
            let before = firing.insert(one.alert, one.is_firing);
            let is_true =
                fault.is_told_by(one.alert) && fault.lasts() >= terms.shortest(one.alert, fault.tier);
            let found = match (one.is_firing, before) {
                (true, _) if !is_true => wrong(Wrong::False),
                (true, Some(_)) => wrong(Wrong::Repeated),
                (true, None) => None,
                (false, _) if one.at < fault.ended => wrong(Wrong::Early),
                (false, _) => None,
            };
            if one.is_firing && is_true && one.alert == fault.expected() {
                first = first.or(Some(one.at));
            }
            if let Some((wrong, at)) = found {
                self.find(wrong, &fault.service, at, Some(fault));
            }
        }
        let bound = terms.bound(fault, outages);
        // One that goes on when the campaign ends was seen for as long as the campaign went on.
        let is_due = fault.ended.min(until) >= bound;
        if is_due && first.is_none_or(|at| at > bound) {
            self.find(Wrong::Missed, &fault.service, bound, Some(fault));
        }
        let over = terms.recovery_bound(fault, outages);
        if over <= until && firing.values().any(|is_firing| *is_firing) {
            self.find(Wrong::Unended, &fault.service, over, Some(fault));
        }
        let row = self.row(fault);
        row.faults += 1;
        row.due += usize::from(is_due);
        let Some(at) = first else { return };
        let delay = at - fault.begun;
        row.told += 1;
        row.delays.push(delay);
        if fault.expected() == Alert::Down {
            self.pages.push(delay);
            let is_disturbed =
                |outage: &Outage| outage.begun < at && outage.ended + terms.scrape > fault.begun;
            if !outages.iter().any(is_disturbed) {
                self.undisturbed.push(delay);
            }
        }
    }
}

/// The median; `None` of nothing.
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
