//! How many series a configuration makes.

use super::table::{self, Fill};
use crate::check::families;
use crate::config::Config;
use crate::model::{CheckKind, Condition, Family, MetricType, Scope, Status};
use crate::store::{LAGS, RESPONSE_TIMES};

/// Series of a histogram with these bounds: a bucket each, the infinite one, sum and count.
const fn histogram_series(bounds: &[f64]) -> u64 {
    bounds.len() as u64 + 3
}

/// How many series the exporter makes of a configuration, at most: what is absent for the moment is counted too.
pub fn series_count(config: &Config) -> u64 {
    let of_exporter = common(Scope::Exporter, None);
    let of_service = common(Scope::Service, None);
    let of_kinds = CheckKind::ALL.map(|kind| {
        let own: u64 = families(kind).iter().map(|family| per_subject(family)).sum();
        (kind, common(Scope::Check, Some(kind)) + own)
    });
    let of_kind = |kind| {
        of_kinds
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or(0, |(_, count)| *count)
    };
    let services = config.services.iter().map(|service| {
        let checks = service.checks.iter().map(|check| of_kind(check.kind.kind()));
        of_service + checks.sum::<u64>()
    });
    of_exporter + services.sum::<u64>()
}

/// Series of the common families of a scope, for one exporter, service or check (of `kind`).
fn common(scope: Scope, kind: Option<CheckKind>) -> u64 {
    let is_timed = kind.is_some_and(CheckKind::is_timed);
    table::entries()
        .iter()
        .filter(|entry| entry.family.scope == scope && !matches!(entry.fill, Fill::Samples))
        .filter(|entry| is_timed || !needs_response_time(entry.family))
        .map(|entry| per_subject(entry.family))
        .sum()
}

fn needs_response_time(family: &Family) -> bool {
    family.scope == Scope::Check
        && (family.metric_type == MetricType::Histogram || family.labels.contains(&"threshold"))
}

/// Series that one exporter, service or check has of a family.
fn per_subject(family: &Family) -> u64 {
    match (family.metric_type, family.scope) {
        (MetricType::Histogram, Scope::Exporter) => histogram_series(LAGS),
        (MetricType::Histogram, Scope::Service | Scope::Check) => histogram_series(RESPONSE_TIMES),
        _ => family
            .labels
            .iter()
            .map(|label| values_at_once(label).unwrap_or(1))
            .product(),
    }
}

/// How many values of a label one subject has series for at the same time.
fn values_at_once(label: &str) -> Option<u64> {
    match label {
        "status" => Some(Status::ALL.len() as u64),
        "condition" => Some(Condition::ALL.len() as u64),
        // degraded, down
        "threshold" => Some(2),
        // resolve, connect, tls, processing, transfer
        "phase" => Some(5),
        // active, reloading, refreshing, inactive, failed, activating, deactivating, maintenance
        "state" => Some(8),
        // master, replica, sentinel
        "role" => Some(3),
        // Few, as a rule; 64 and 32 at most.
        "db" | "master" => Some(1),
        "name" | "server" | "version" | "revision" | "kind" | "target" | "reason" | "unit" => Some(1),
        // A few queues that the configuration names; workers as they come, 100 at most.
        "queue" | "worker" => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_values_of_every_label_is_known() {
        for family in table::entries().iter().map(|entry| entry.family) {
            for label in family.labels {
                assert!(
                    values_at_once(label).is_some(),
                    "{}: add the label {label} to values_at_once",
                    family.name
                );
            }
        }
    }

    #[test]
    fn an_empty_configuration_has_the_series_of_the_exporter() {
        // build info, clock, two of the reload, the state, runs in flight, seven of the process, the lag
        assert_eq!(series_count(&Config::default()), 6 + 7 + 13);
    }
}
