//! Predicts how many series a configuration has.

use super::row::Fill;
use super::{check, service, table};
use crate::check::families;
use crate::config::probe::TargetRefusal;
use crate::config::{Config, KindSettings};
use crate::heal::policy::Refusal;
use crate::model::{CheckKind, Condition, Family, MetricType, Scope, Status};
use crate::store::{LAGS, MAX_ROOTS, RESPONSE_TIMES};

/// The number of series of a histogram: one per bound, `+Inf`, sum and count.
const fn histogram_series(bounds: &[f64]) -> u64 {
    bounds.len() as u64 + 3
}

/// Returns the maximum number of series of a configuration of one file. Series that may be absent count too.
pub fn series_count(config: &Config) -> u64 {
    let of_exporter = common(Scope::Exporter, None);
    let of_service = common(Scope::Service, None);
    let commons = CheckKind::ALL.map(|kind| common(Scope::Check, Some(kind)));
    let of_check = |settings: &KindSettings| {
        let kind = settings.kind();
        let own = families(kind)
            .iter()
            .map(|family| per_subject(family, Some(settings)));
        commons[kind as usize] + own.sum::<u64>()
    };
    let services = config.services.iter().map(|service| {
        let checks = service
            .checks
            .iter()
            .map(|check| of_check(&check.kind) + u64::from(check.certificate.warn_before.is_some()));
        let roots = if service.depends_on.is_empty() {
            0
        } else {
            MAX_ROOTS as u64
        };
        let healing = service.heal.as_ref().map_or(0, |_| of_healing());
        let objective = service
            .objective
            .map_or(0, |_| service::OF_OBJECTIVES.len() as u64);
        of_service + roots + healing + objective + checks.sum::<u64>()
    });
    of_exporter + services.sum::<u64>()
}

/// The series that an exporter, a service or a check (of `kind`) has in the families that all kinds share.
fn common(scope: Scope, kind: Option<CheckKind>) -> u64 {
    let is_timed = kind.is_some_and(CheckKind::is_timed);
    table::entries()
        .iter()
        .filter(|entry| entry.family.scope == scope && !matches!(entry.fill, Fill::Samples | Fill::Heal(_)))
        .filter(|entry| entry.family.name != check::WARN_BEFORE)
        .filter(|entry| !service::OF_OBJECTIVES.contains(&entry.family.name))
        .filter(|entry| is_timed || !needs_response_time(entry.family))
        .map(|entry| per_subject(entry.family, None))
        .sum()
}

/// The series of a healed service in the families of healing.
fn of_healing() -> u64 {
    let entries = table::entries().iter();
    let entries = entries.filter(|entry| matches!(entry.fill, Fill::Heal(_)));
    entries.map(|entry| per_subject(entry.family, None)).sum()
}

fn needs_response_time(family: &Family) -> bool {
    family.scope == Scope::Check
        && (family.metric_type == MetricType::Histogram || family.labels.contains(&"threshold"))
}

/// The series that an exporter, a service or a check (with these settings) has in one family.
fn per_subject(family: &Family, settings: Option<&KindSettings>) -> u64 {
    match (family.metric_type, family.scope) {
        (MetricType::Histogram, Scope::Exporter) => histogram_series(LAGS),
        (MetricType::Histogram, Scope::Service | Scope::Check) => histogram_series(RESPONSE_TIMES),
        _ => family
            .labels
            .iter()
            .map(|label| values_at_once(family.scope, label, settings).unwrap_or(1))
            .product(),
    }
}

/// The maximum number of values of a label at the same time. `None` if unknown.
fn values_at_once(scope: Scope, label: &str, settings: Option<&KindSettings>) -> Option<u64> {
    if let Some(settings) = settings {
        return settings.values_at_once(label);
    }
    match label {
        "status" => Some(Status::ALL.len() as u64),
        "condition" => Some(Condition::ALL.len() as u64),
        // degraded, down
        "threshold" => Some(2),
        // The refusals of the guard, and too_many. The web configuration has fewer.
        "reason" if scope == Scope::Exporter => Some(TargetRefusal::ALL.len() as u64 + 1),
        // Only a service with dependencies has root causes; see `series_count`.
        "root" => Some(0),
        "reason" if scope == Scope::Service => Some(Refusal::ALL.len() as u64),
        // acted, failed, dry_run
        "result" => Some(3),
        "name" | "mode" | "action" | "version" | "revision" | "kind" | "target" | "reason" | "file" => {
            Some(1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads the example configuration, which has a check of every kind.
    fn example() -> Config {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/upkeep.example.yml");
        crate::config::load(path.as_ref()).unwrap().config
    }

    #[test]
    fn the_number_of_values_of_every_label_is_known() {
        for entry in table::entries() {
            let Family {
                name, scope, labels, ..
            } = entry.family;
            if !matches!(entry.fill, Fill::Samples) {
                let is_known = |label: &&str| values_at_once(*scope, label, None).is_some();
                assert!(labels.iter().all(is_known), "{name}");
            }
        }
        let config = example();
        let checks = config.services.iter().flat_map(|service| &service.checks);
        let mut kinds: Vec<CheckKind> = Vec::new();
        for settings in checks.map(|check| &check.kind) {
            kinds.push(settings.kind());
            for Family { name, labels, .. } in families(settings.kind()) {
                for label in *labels {
                    assert!(
                        values_at_once(Scope::Check, label, Some(settings)).is_some(),
                        "{name}: return the number of values of {label} in values_at_once of the kind's settings"
                    );
                }
            }
        }
        assert!(
            CheckKind::ALL.iter().all(|kind| kinds.contains(kind)),
            "{kinds:?}"
        );
    }

    #[test]
    fn an_empty_configuration_has_only_the_series_of_the_exporter() {
        // build info, clock, two of the reload, the configuration file, the state, the history, runs in flight, two of the status file, the web
        // configuration, the lost time; probes: made, failed, inconclusive, in progress, refused by reason; requests refused by reason; beats refused by reason; seven
        // of the process, the lag; two of the heal budget
        assert_eq!(series_count(&Config::default()), 12 + 4 + 6 + 6 + 6 + 7 + 13 + 2);
    }
}
