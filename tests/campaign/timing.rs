//! The latest time of a notification, from the settings of the exporter, Prometheus and the Alertmanager, and from outages.

use crate::judge::{Alert, Fault, FaultKind, Outage, Tier};
use crate::plan::{OutageKind, Victim};

/// Seconds until a new exporter has run every check (the scheduler spreads the first runs over 5 s).
const FIRST_RUNS: f64 = 5.0;
/// Seconds until a change is on disk and survives a kill: one for the interval, one for the disk.
const SAVED_WITHIN: f64 = 2.0;
/// Seconds until a new Prometheus has its targets: discovery and scrape manager run every 5 s each.
const TARGETS_KNOWN: f64 = 10.0;
/// Seconds until Prometheus sends an alert again (`--rules.alert.resend-delay`). A new Prometheus loses alerts that it sends before
/// it knows the Alertmanager.
const SENT_AGAIN: f64 = 60.0;
/// Seconds until an alert that Prometheus no longer sends expires in the Alertmanager: four times the resend delay of a minute.
const EXPIRES: f64 = 240.0;

/// The settings, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub interval: f64,
    pub recheck: f64,
    /// Deadline of a run.
    pub deadline: f64,
    pub scrape: f64,
    pub evaluation: f64,
    /// `group_wait` of alerts that page, and of the others.
    pub page_wait: f64,
    pub group_wait: f64,
    pub group_interval: f64,
    /// Extra time for a busy machine.
    pub slack: f64,
    /// Whether Prometheus reported that it failed to send alerts. It sends every alert again after a minute.
    pub has_lost_alerts: bool,
}

impl Timing {
    /// Tolerance of the condition (defaults of the exporter).
    fn tolerance(alert: Alert, tier: Tier) -> f64 {
        match (alert, tier) {
            (Alert::Down, _) => 30.0,
            (Alert::Degraded, Tier::Critical) => 60.0,
            (Alert::DownTolerated | Alert::Slow, _) | (Alert::Degraded, Tier::Tolerant) => 120.0,
        }
    }

    /// The shortest fault that may cause a notification: runs must see it for the tolerance minus one recheck interval.
    pub fn min_duration(&self, alert: Alert, tier: Tier) -> f64 {
        Self::tolerance(alert, tier) - self.recheck
    }

    /// The latest time of the notification for a fault, if the fault lasts that long.
    pub fn bound(&self, fault: &Fault, outages: &[Outage]) -> f64 {
        let alert = fault.expected();
        // A run of a hanging target ends at its deadline. Other runs end immediately.
        let run = if fault.kind == FaultKind::Hang {
            self.deadline
        } else {
            0.0
        };

        // The next run sees the fault, and the condition counts from the start of that run. A kill before its result is on disk
        // loses it.
        let mut since = fault.begun + self.interval;
        for outage in of(Victim::Exporter, outages) {
            if outage.begun < since + run + SAVED_WITHIN && outage.ended > fault.begun {
                since = since.max(outage.ended + FIRST_RUNS);
            }
        }
        // The first run that ends after the shortest fault confirms it. Runs end one step apart, so this takes at most one step. If
        // the exporter is down at that time, the first run after the outage confirms it.
        let step = self.recheck.max(run);
        let mut confirmed = since + self.min_duration(alert, fault.tier) + step;
        for outage in of(Victim::Exporter, outages) {
            if outage.begun < confirmed && outage.ended > since {
                confirmed = confirmed.max(outage.ended + FIRST_RUNS + run);
            }
        }
        let mut evaluated = self.evaluated(confirmed, since + Self::tolerance(alert, fault.tier), outages);
        for outage in of(Victim::Prometheus, outages) {
            let known = outage.ended + TARGETS_KNOWN;
            if outage.kind != OutageKind::Frozen && outage.begun < evaluated && known > confirmed {
                evaluated = evaluated.max(known + SENT_AGAIN);
            }
        }
        let wait = if alert == Alert::Down {
            self.page_wait
        } else {
            self.group_wait
        };
        let again = if self.has_lost_alerts { SENT_AGAIN } else { 0.0 };
        evaluated + wait + again + self.slack
    }

    /// The latest time of the recovery notification.
    pub fn recovery_bound(&self, fault: &Fault, outages: &[Outage]) -> f64 {
        // The run in progress ends, and two runs succeed.
        let two = 2.0 * self.interval;
        let mut clear = fault.ended + self.deadline + two;
        for outage in of(Victim::Exporter, outages) {
            if outage.begun < clear && outage.ended > fault.ended {
                clear = clear.max(outage.ended + FIRST_RUNS + two);
            }
        }
        let mut notified = self.evaluated(clear, clear, outages);
        for outage in of(Victim::Prometheus, outages) {
            // A new Prometheus does not know that the alert fired, so it does not send the recovery.
            if outage.kind != OutageKind::Frozen && outage.begun < notified && outage.ended > fault.ended {
                notified = notified.max(outage.begun + EXPIRES);
            }
        }
        notified + self.group_interval + self.slack
    }

    /// The latest time at which the rules see what the exporter serves from `shown` on, not before `earliest`.
    fn evaluated(&self, shown: f64, earliest: f64, outages: &[Outage]) -> f64 {
        // The next scrape transfers it. If either side is down at that time, the first scrape after the outage does.
        let mut scraped = shown + self.scrape;
        for outage in outages {
            if outage.begun < scraped && outage.ended > shown {
                scraped = scraped.max(outage.ended + self.scrape + started(outage));
            }
        }
        let from = scraped.max(earliest);
        let mut evaluated = from + self.evaluation;
        for outage in of(Victim::Prometheus, outages) {
            if outage.begun < evaluated && outage.ended > from {
                evaluated = evaluated.max(outage.ended + self.evaluation);
            }
        }
        evaluated
    }
}

/// The outages of the exporter or of Prometheus, in order.
fn of(victim: Victim, outages: &[Outage]) -> impl Iterator<Item = &Outage> {
    outages.iter().filter(move |outage| outage.victim == victim)
}

/// Additional time after a start, before the first scrape.
fn started(outage: &Outage) -> f64 {
    match (outage.victim, outage.kind) {
        (Victim::Prometheus, OutageKind::Killed | OutageKind::Terminated) => TARGETS_KNOWN,
        (Victim::Prometheus, OutageKind::Frozen) | (Victim::Exporter, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        interval: 5.0,
        recheck: 5.0,
        deadline: 10.0,
        scrape: 15.0,
        evaluation: 5.0,
        page_wait: 1.0,
        group_wait: 10.0,
        group_interval: 30.0,
        slack: 4.0,
        has_lost_alerts: false,
    };

    fn fault(kind: FaultKind, tier: Tier) -> Fault {
        Fault {
            service: "api".to_owned(),
            tier,
            kind,
            begun: 100.0,
            ended: 300.0,
        }
    }

    fn outage(victim: Victim, kind: OutageKind, begun: f64, ended: f64) -> Outage {
        Outage {
            victim,
            kind,
            begun,
            ended,
        }
    }

    #[test]
    fn without_outages() {
        for (kind, tier, after) in [
            // A run, 25 s and a step, a scrape, an evaluation, the group, the slack.
            (
                FaultKind::Refuse,
                Tier::Critical,
                5.0 + 30.0 + 15.0 + 5.0 + 1.0 + 4.0,
            ),
            // Its runs end ten seconds apart.
            (
                FaultKind::Hang,
                Tier::Critical,
                5.0 + 35.0 + 15.0 + 5.0 + 1.0 + 4.0,
            ),
            (
                FaultKind::Slow,
                Tier::Critical,
                5.0 + 60.0 + 15.0 + 5.0 + 10.0 + 4.0,
            ),
            (
                FaultKind::Dead,
                Tier::Tolerant,
                5.0 + 120.0 + 15.0 + 5.0 + 10.0 + 4.0,
            ),
        ] {
            let bound = TIMING.bound(&fault(kind, tier), &[]);
            assert_eq!(bound, 100.0 + after, "{kind:?} {tier:?}");
        }
        let losing = Timing {
            has_lost_alerts: true,
            ..TIMING
        };
        let bound = losing.bound(&fault(FaultKind::Refuse, Tier::Critical), &[]);
        assert_eq!(bound, 160.0 + 60.0, "sent again a minute later");
        let over = TIMING.recovery_bound(&fault(FaultKind::Refuse, Tier::Critical), &[]);
        assert_eq!(over, 300.0 + 20.0 + 15.0 + 5.0 + 30.0 + 4.0);
    }

    #[test]
    fn an_outage_delays_the_steps_that_are_due_in_it() {
        use OutageKind::{Frozen, Killed};
        use Victim::{Exporter, Prometheus};
        let undisturbed = 160.0;
        for (outages, bound) in [
            // Too early and too late to matter.
            (vec![outage(Exporter, Killed, 60.0, 80.0)], undisturbed),
            (vec![outage(Prometheus, Killed, 170.0, 180.0)], undisturbed),
            // While the first run was due: the condition counts from the first run after it, at 120.
            (
                vec![outage(Exporter, Killed, 95.0, 115.0)],
                120.0 + 30.0 + 15.0 + 5.0 + 5.0,
            ),
            // Before the condition was on disk.
            (
                vec![outage(Exporter, Killed, 106.0, 115.0)],
                120.0 + 30.0 + 15.0 + 5.0 + 5.0,
            ),
            // Between the first and the confirming run: no effect.
            (vec![outage(Exporter, Killed, 110.0, 125.0)], undisturbed),
            // While the confirming run was due: the first run after it is at 150, then a scrape.
            (
                vec![outage(Exporter, Frozen, 125.0, 145.0)],
                150.0 + 15.0 + 5.0 + 5.0,
            ),
            // While the scrape was due.
            (
                vec![outage(Prometheus, Frozen, 140.0, 155.0)],
                155.0 + 15.0 + 5.0 + 5.0,
            ),
            (
                vec![outage(Prometheus, Killed, 140.0, 155.0)],
                155.0 + 10.0 + 60.0 + 5.0,
            ),
            // While the evaluation was due.
            (vec![outage(Prometheus, Frozen, 151.0, 160.0)], 160.0 + 5.0 + 5.0),
            // The second outage matters only because of the first.
            (
                vec![
                    outage(Prometheus, Frozen, 140.0, 155.0),
                    outage(Exporter, Killed, 165.0, 175.0),
                ],
                175.0 + 15.0 + 5.0 + 5.0,
            ),
        ] {
            let found = TIMING.bound(&fault(FaultKind::Refuse, Tier::Critical), &outages);
            assert_eq!(found, bound, "{outages:?}");
        }
    }

    #[test]
    fn a_kill_loses_the_run_in_progress() {
        let hanging = fault(FaultKind::Hang, Tier::Critical);
        let outages = [outage(Victim::Exporter, OutageKind::Killed, 112.0, 120.0)];
        // From 125 on: three runs of 10 s until 155, and at most one step more.
        let bound = 125.0 + 35.0 + 15.0 + 5.0 + 1.0 + 4.0;
        assert_eq!(TIMING.bound(&hanging, &outages), bound);
    }

    #[test]
    fn a_recovery_waits_for_outages_too() {
        let fault = fault(FaultKind::Refuse, Tier::Critical);
        let outages = [outage(Victim::Exporter, OutageKind::Killed, 310.0, 330.0)];
        let over = TIMING.recovery_bound(&fault, &outages);
        assert_eq!(over, 330.0 + 15.0 + 15.0 + 5.0 + 30.0 + 4.0);
        let frozen = [outage(Victim::Prometheus, OutageKind::Frozen, 330.0, 340.0)];
        let over = TIMING.recovery_bound(&fault, &frozen);
        assert_eq!(over, 340.0 + 15.0 + 5.0 + 30.0 + 4.0);
        // After the restart it does not know the alert.
        let killed = [outage(Victim::Prometheus, OutageKind::Killed, 330.0, 340.0)];
        let over = TIMING.recovery_bound(&fault, &killed);
        assert_eq!(over, 330.0 + 240.0 + 30.0 + 4.0);
    }
}
