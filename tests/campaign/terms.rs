//! When a fault is told at the latest: what the settings of exporter, Prometheus and Alertmanager amount to, and what outages add.

use crate::judge::{Alert, Fault, Kind, Outage, Tier};
use crate::plan::{Blow, Victim};

/// How soon an exporter that was started runs each check, in seconds (the scheduler spreads the first runs over 5 s).
const FIRST_RUNS: f64 = 5.0;
/// How soon a change is on the disk, so that a kill does not lose it: a second, and one for the disk.
const SAVED_WITHIN: f64 = 2.0;
/// How soon a Prometheus that was started has its targets: its discovery and its scrape manager take turns of 5 s each.
const TARGETS_KNOWN: f64 = 10.0;
/// How soon a Prometheus that was started sends an alert that it sent before it knew the Alertmanager, which loses it: discovery
/// as above, and the minute until an alert is sent again (`--rules.alert.resend-delay`).
const SENT_AGAIN: f64 = 60.0;
/// How soon Alertmanager takes an alert as over that Prometheus does not send any more: Prometheus says so with each alert, four
/// times what it takes to send it again (a minute).
const EXPIRES: f64 = 240.0;

/// The settings, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub interval: f64,
    pub recheck: f64,
    /// A run's deadline.
    pub deadline: f64,
    pub scrape: f64,
    pub evaluation: f64,
    /// `group_wait` of what wakes somebody, and of the rest.
    pub page_wait: f64,
    pub group_wait: f64,
    pub group_interval: f64,
    /// What a busy machine may add.
    pub slack: f64,
    /// Prometheus failed to hand alerts to Alertmanager, which it says itself. It sends each alert again after a minute.
    pub has_lost_alerts: bool,
}

impl Terms {
    /// How long a condition may last (the exporter's defaults).
    fn tolerance(alert: Alert, tier: Tier) -> f64 {
        match (alert, tier) {
            (Alert::Down, _) => 30.0,
            (Alert::Degraded, Tier::Critical) => 60.0,
            (Alert::DownTolerated | Alert::Slow, _) | (Alert::Degraded, Tier::Tolerant) => 120.0,
        }
    }

    /// The shortest fault that may be told: runs have to see it for the tolerance less one recheck interval.
    pub fn shortest(&self, alert: Alert, tier: Tier) -> f64 {
        Self::tolerance(alert, tier) - self.recheck
    }

    /// When a fault is told at the latest, if it lasts that long.
    pub fn bound(&self, fault: &Fault, outages: &[Outage]) -> f64 {
        let alert = fault.expected();
        // A run that sees a hanging target takes until its deadline; others end at once.
        let run = if fault.kind == Kind::Hang {
            self.deadline
        } else {
            0.0
        };

        // The next run sees it, and the condition counts from that run's start. A kill before that run has ended, and what it
        // found is on the disk, loses it.
        let mut since = fault.begun + self.interval;
        for outage in of(Victim::Exporter, outages) {
            if outage.begun < since + run + SAVED_WITHIN && outage.ended > fault.begun {
                since = since.max(outage.ended + FIRST_RUNS);
            }
        }
        // The first run that ends past the shortest fault confirms it. Runs end one step apart, so one comes within a step;
        // where the exporter is away then, the first one after that.
        let step = self.recheck.max(run);
        let mut confirmed = since + self.shortest(alert, fault.tier) + step;
        for outage in of(Victim::Exporter, outages) {
            if outage.begun < confirmed && outage.ended > since {
                confirmed = confirmed.max(outage.ended + FIRST_RUNS + run);
            }
        }
        let mut evaluated = self.evaluated(confirmed, since + Self::tolerance(alert, fault.tier), outages);
        for outage in of(Victim::Prometheus, outages) {
            let known = outage.ended + TARGETS_KNOWN;
            if outage.blow != Blow::Frozen && outage.begun < evaluated && known > confirmed {
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

    /// When a recovery is told at the latest.
    pub fn recovery_bound(&self, fault: &Fault, outages: &[Outage]) -> f64 {
        // A run that is under way ends, and two succeed.
        let two = 2.0 * self.interval;
        let mut clear = fault.ended + self.deadline + two;
        for outage in of(Victim::Exporter, outages) {
            if outage.begun < clear && outage.ended > fault.ended {
                clear = clear.max(outage.ended + FIRST_RUNS + two);
            }
        }
        let mut told = self.evaluated(clear, clear, outages);
        for outage in of(Victim::Prometheus, outages) {
            // A Prometheus that starts does not know that the alert fired, so it does not say that it is over.
            if outage.blow != Blow::Frozen && outage.begun < told && outage.ended > fault.ended {
                told = told.max(outage.begun + EXPIRES);
            }
        }
        told + self.group_interval + self.slack
    }

    /// When the rules have seen at the latest what the exporter shows from `shown` on, not before `earliest`.
    fn evaluated(&self, shown: f64, earliest: f64, outages: &[Outage]) -> f64 {
        // A scrape brings it. Where either side is away when one is due, the first one after that does.
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

/// The outages of one of the two, in their order.
fn of(victim: Victim, outages: &[Outage]) -> impl Iterator<Item = &Outage> {
    outages.iter().filter(move |outage| outage.victim == victim)
}

/// What a start adds before the first scrape.
fn started(outage: &Outage) -> f64 {
    match (outage.victim, outage.blow) {
        (Victim::Prometheus, Blow::Killed | Blow::Terminated) => TARGETS_KNOWN,
        (Victim::Prometheus, Blow::Frozen) | (Victim::Exporter, _) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
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

    fn fault(kind: Kind, tier: Tier) -> Fault {
        Fault {
            service: "api".to_owned(),
            tier,
            kind,
            begun: 100.0,
            ended: 300.0,
        }
    }

    fn outage(victim: Victim, blow: Blow, begun: f64, ended: f64) -> Outage {
        Outage {
            victim,
            blow,
            begun,
            ended,
        }
    }

    #[test]
    fn without_outages() {
        for (kind, tier, after) in [
            // A run, 25 s and a step, a scrape, an evaluation, the group, the slack.
            (Kind::Refuse, Tier::Critical, 5.0 + 30.0 + 15.0 + 5.0 + 1.0 + 4.0),
            // Its runs end ten seconds apart.
            (Kind::Hang, Tier::Critical, 5.0 + 35.0 + 15.0 + 5.0 + 1.0 + 4.0),
            (Kind::Slow, Tier::Critical, 5.0 + 60.0 + 15.0 + 5.0 + 10.0 + 4.0),
            (Kind::Dead, Tier::Tolerant, 5.0 + 120.0 + 15.0 + 5.0 + 10.0 + 4.0),
        ] {
            let bound = TERMS.bound(&fault(kind, tier), &[]);
            assert_eq!(bound, 100.0 + after, "{kind:?} {tier:?}");
        }
        let losing = Terms {
            has_lost_alerts: true,
            ..TERMS
        };
        let bound = losing.bound(&fault(Kind::Refuse, Tier::Critical), &[]);
        assert_eq!(bound, 160.0 + 60.0, "sent again a minute later");
        let over = TERMS.recovery_bound(&fault(Kind::Refuse, Tier::Critical), &[]);
        assert_eq!(over, 300.0 + 20.0 + 15.0 + 5.0 + 30.0 + 4.0);
    }

    #[test]
    fn an_outage_delays_what_was_due_in_it() {
        use Blow::{Frozen, Killed};
        use Victim::{Exporter, Prometheus};
        let undisturbed = 160.0;
        for (outages, bound) in [
            // Long over, and too late.
            (vec![outage(Exporter, Killed, 60.0, 80.0)], undisturbed),
            (vec![outage(Prometheus, Killed, 170.0, 180.0)], undisturbed),
            // While the first run was due: the condition counts from the first run after it, at 120.
            (
                vec![outage(Exporter, Killed, 95.0, 115.0)],
                120.0 + 30.0 + 15.0 + 5.0 + 5.0,
            ),
            // Before the condition was on the disk.
            (
                vec![outage(Exporter, Killed, 106.0, 115.0)],
                120.0 + 30.0 + 15.0 + 5.0 + 5.0,
            ),
            // Between the first run and the confirming one: it changes nothing.
            (vec![outage(Exporter, Killed, 110.0, 125.0)], undisturbed),
            // While the confirming run was due: at 150 the first run after it, and a scrape.
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
            // One is reached only because of the other.
            (
                vec![
                    outage(Prometheus, Frozen, 140.0, 155.0),
                    outage(Exporter, Killed, 165.0, 175.0),
                ],
                175.0 + 15.0 + 5.0 + 5.0,
            ),
        ] {
            let found = TERMS.bound(&fault(Kind::Refuse, Tier::Critical), &outages);
            assert_eq!(found, bound, "{outages:?}");
        }
    }

    #[test]
    fn a_kill_loses_the_run_that_is_under_way() {
        let hanging = fault(Kind::Hang, Tier::Critical);
        let outages = [outage(Victim::Exporter, Blow::Killed, 112.0, 120.0)];
        // From 125 on: three runs of 10 s until 155, and a step more at worst.
        let bound = 125.0 + 35.0 + 15.0 + 5.0 + 1.0 + 4.0;
        assert_eq!(TERMS.bound(&hanging, &outages), bound);
    }

    #[test]
    fn a_recovery_waits_for_outages_too() {
        let fault = fault(Kind::Refuse, Tier::Critical);
        let outages = [outage(Victim::Exporter, Blow::Killed, 310.0, 330.0)];
        let over = TERMS.recovery_bound(&fault, &outages);
        assert_eq!(over, 330.0 + 15.0 + 15.0 + 5.0 + 30.0 + 4.0);
        let frozen = [outage(Victim::Prometheus, Blow::Frozen, 330.0, 340.0)];
        let over = TERMS.recovery_bound(&fault, &frozen);
        assert_eq!(over, 340.0 + 15.0 + 5.0 + 30.0 + 4.0);
        // Started again, it has forgotten the alert.
        let killed = [outage(Victim::Prometheus, Blow::Killed, 330.0, 340.0)];
        let over = TERMS.recovery_bound(&fault, &killed);
        assert_eq!(over, 330.0 + 240.0 + 30.0 + 4.0);
    }
}
