//! Collects a report from Prometheus: from the recording rules of `rules/`, and from series of the exporters.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::document::{Period, Report, ServiceRow, Times, name_instances};
use super::incidents::{Incident, ranges};
use super::prometheus_api::{Labels, PrometheusApi};
use crate::cli::server_client::{RequestError, ServerClient};
use crate::cli::show::clean;

/// For how many days of services a query is: 50 services for a month. A query loads each minute of two series three times, and Prometheus allows
/// 50 million samples in a query.
const BATCH_DAYS: i64 = 50 * 31;
/// The resolution of statuses and incidents, in seconds.
const STEP: i64 = 60;
/// The longest range of one query for incidents, in seconds: Prometheus allows 11,000 points of a series.
const MAX_POINTS: i64 = 10_000 * STEP;
/// The resolution of response times: the last ones at these times are used.
const RESPONSE_STEP: &str = "5m";
/// How many incidents get their reason, the longest ones. Each needs a query.
const MAX_REASONS: usize = 50;

/// What identifies a service in all exporters: job, instance and key.
type Id = (String, String, String);
/// Selects the time of one status.
type TimesField = fn(&mut Times) -> &mut f64;

/// Queries of one report.
struct Queries<'c> {
    api: PrometheusApi<'c>,
    period: Period,
}

/// Collects the report.
///
/// # Errors
/// When a request fails, or Prometheus has no services.
pub async fn collect(client: &ServerClient, period: Period) -> Result<Report, RequestError> {
    let queries = Queries {
        api: PrometheusApi::new(client),
        period,
    };
    let mut services = queries.services().await?;
    if services.is_empty() {
        return Err(RequestError::new(format!(
            "{} has no series upkeep_service_info in this range: does it scrape the exporter?",
            client.shown()
        )));
    }
    let ids: Vec<Id> = services.keys().cloned().collect();
    let mut incidents = Vec::new();
    for batch in ids.chunks(period.batch(BATCH_DAYS)) {
        queries.add_times(&mut services, batch).await?;
        queries.add_responses(&mut services, batch).await?;
        incidents.extend(name_instances(queries.incidents(batch).await?, batch, &services));
    }
    queries.add_objectives(&mut services).await?;
    queries.add_reasons(&mut incidents).await?;
    let rows = services.into_values().collect();
    let incidents = incidents.into_iter().map(|(_, incident)| incident).collect();
    Ok(Report::new(client.shown().to_owned(), period, rows, incidents))
}

impl Queries<'_> {
    /// The services in the range, without figures.
    async fn services(&self) -> Result<BTreeMap<Id, ServiceRow>, RequestError> {
        let (from, to) = (self.period.from.as_second(), self.period.to.as_second());
        let series = self.api.series("upkeep_service_info", from, to).await?;
        let several = series
            .iter()
            .any(|labels| labels.get("instance") != series[0].get("instance"));
        Ok(series
            .into_iter()
            .map(|labels| {
                let label = |name: &str| clean(labels.get(name).map(String::as_str).unwrap_or_default());
                let row = ServiceRow {
                    key: label("service"),
                    name: label("name"),
                    group: label("group"),
                    instance: if several { label("instance") } else { String::new() },
                    ..ServiceRow::default()
                };
                (id(&labels), row)
            })
            .collect())
    }

    /// Adds how long the services had each status. Statuses are sampled once a minute, but the share of the time in which the service
    /// was down is exact: it is recorded from all samples.
    async fn add_times(
        &self,
        services: &mut BTreeMap<Id, ServiceRow>,
        batch: &[Id],
    ) -> Result<(), RequestError> {
        let select = selector(batch);
        let range = self.range();
        let counted = format!("unless on (job, instance, service) upkeep_service_maintenance{select} == 1");
        let sampled = |status: &str| {
            let select = select.replacen('{', &format!("{{status=\"{status}\","), 1);
            format!(
                "sum by (job, instance, service) (count_over_time((upkeep_service_status{select} == 1 {counted})[{range}:{STEP}s]))"
            )
        };
        let mut times: BTreeMap<Id, Times> = BTreeMap::new();
        let fields: [(&str, TimesField); 4] = [
            ("up", |times| &mut times.up),
            ("degraded", |times| &mut times.degraded),
            ("down", |times| &mut times.down),
            ("unknown", |times| &mut times.unknown),
        ];
        for (status, field) in fields {
            for (id, count) in self.instant(&sampled(status)).await? {
                *field(times.entry(id).or_default()) += count * f64::from(60);
            }
        }
        let maintenance = format!(
            "sum by (job, instance, service) (count_over_time((upkeep_service_maintenance{select} == 1)[{range}:{STEP}s]))"
        );
        for (id, count) in self.instant(&maintenance).await? {
            times.entry(id).or_default().maintenance += count * f64::from(60);
        }
        let uptime = format!(
            "avg by (job, instance, service) (avg_over_time(upkeep:service_up:avg5m{select}[{range}]))"
        );
        for (id, uptime) in self.instant(&uptime).await? {
            let times = times.entry(id).or_default();
            times.correct(uptime);
        }
        for (id, times) in times {
            if let Some(row) = services.get_mut(&id) {
                let known = times.up + times.degraded + times.down + times.unknown + times.maintenance;
                let no_data = (self.period.seconds() - known).max(0.0);
                row.times = Times { no_data, ..times };
            }
        }
        Ok(())
    }

    /// Adds the average and the longest of the response times, over the slowest check at each time.
    async fn add_responses(
        &self,
        services: &mut BTreeMap<Id, ServiceRow>,
        batch: &[Id],
    ) -> Result<(), RequestError> {
        let slowest = format!(
            "max by (job, instance, service) (upkeep_check_last_duration_seconds{})[{}:{RESPONSE_STEP}]",
            selector(batch),
            self.range()
        );
        for (id, seconds) in self.instant(&format!("avg_over_time({slowest})")).await? {
            if let Some(row) = services.get_mut(&id) {
                row.response_average_seconds = Some(seconds);
            }
        }
        for (id, seconds) in self.instant(&format!("max_over_time({slowest})")).await? {
            if let Some(row) = services.get_mut(&id) {
                row.response_maximum_seconds = Some(seconds);
            }
        }
        Ok(())
    }

    async fn add_objectives(&self, services: &mut BTreeMap<Id, ServiceRow>) -> Result<(), RequestError> {
        for (id, objective) in self.instant("upkeep_service_objective_ratio").await? {
            if let Some(row) = services.get_mut(&id) {
                row.objective_ratio = Some(objective);
            }
        }
        Ok(())
    }

    /// The outages of the services, with their ids. Outages in maintenance do not count.
    async fn incidents(&self, batch: &[Id]) -> Result<Vec<(Id, Incident)>, RequestError> {
        let select = selector(batch);
        let down = format!(
            "max by (job, instance, service) (upkeep_service_up{select} == 0 \
             unless on (job, instance, service) upkeep_service_maintenance{select} == 1)"
        );
        let (from, to) = (self.period.from.as_second(), self.period.to.as_second());
        let mut times: BTreeMap<(Id, Labels), Vec<i64>> = BTreeMap::new();
        let mut start = from;
        while start <= to {
            let end = to.min(start + MAX_POINTS);
            for series in self.api.range(&down, start, end, STEP).await? {
                #[allow(clippy::cast_possible_truncation, reason = "Unix times in seconds")]
                let points = series.values.iter().map(|(time, _)| *time as i64);
                times
                    .entry((id(&series.metric), series.metric.clone()))
                    .or_default()
                    .extend(points);
            }
            start = end + STEP;
        }
        let mut incidents = Vec::new();
        for ((id, _), times) in times {
            for (first, after) in ranges(times, STEP) {
                let is_over = after <= to;
                let end = after.min(to).max(first);
                #[allow(clippy::cast_precision_loss, reason = "a range has fewer than 2^52 seconds")]
                let seconds = (end - first) as f64;
                let incident = Incident {
                    service: clean(&id.2),
                    instance: String::new(),
                    from: timestamp(first),
                    to: is_over.then(|| timestamp(end)),
                    seconds,
                    reason: None,
                };
                incidents.push((id.clone(), incident));
            }
        }
        Ok(incidents)
    }

    /// Adds the reasons to the longest incidents.
    async fn add_reasons(&self, incidents: &mut [(Id, Incident)]) -> Result<(), RequestError> {
        incidents.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
        for (id, incident) in incidents.iter_mut().take(MAX_REASONS) {
            let query = format!("upkeep_check_problem_info{}", selector(std::slice::from_ref(id)));
            let found = self.api.instant(&query, incident.from.as_second()).await?;
            let mut reasons: Vec<String> = found
                .iter()
                .filter(|sample| self::id(&sample.metric) == *id)
                .filter_map(|sample| {
                    let check = sample.metric.get("check")?;
                    let reason = sample.metric.get("reason")?;
                    Some(clean(&format!("{check}: {reason}")))
                })
                .collect();
            reasons.sort_unstable();
            reasons.dedup();
            incident.reason = (!reasons.is_empty()).then(|| reasons.join(", "));
        }
        Ok(())
    }

    /// Evaluates a query at the end of the range, by service. Series without a number are left out.
    async fn instant(&self, query: &str) -> Result<Vec<(Id, f64)>, RequestError> {
        let samples = self.api.instant(query, self.period.to.as_second()).await?;
        Ok(samples
            .into_iter()
            .filter_map(|sample| Some((id(&sample.metric), sample.value.1.parse().ok()?)))
            .filter(|(_, value): &(Id, f64)| value.is_finite())
            .collect())
    }

    /// The length of the range in PromQL.
    fn range(&self) -> String {
        format!("{}s", self.period.to.as_second() - self.period.from.as_second())
    }
}

impl Times {
    /// Divides the counted time between down and not down as `uptime` says.
    fn correct(&mut self, uptime: f64) {
        let counted = self.up + self.degraded + self.down;
        let good = self.up + self.degraded;
        self.down = counted * (1.0 - uptime);
        if good > 0.0 {
            let scale = counted * uptime / good;
            self.up *= scale;
            self.degraded *= scale;
        } else {
            self.up = counted * uptime;
        }
    }
}

fn timestamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn id(labels: &Labels) -> Id {
    let label = |name| labels.get(name).cloned().unwrap_or_default();
    (label("job"), label("instance"), label("service"))
}

/// The selector of the services. Keys consist of letters, digits, `_`, `.` and `-`; of these, only the dot has a meaning in an expression.
/// A series that another key matches is of a service too.
fn selector(batch: &[Id]) -> String {
    let is_key = |text: &&str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    let keys: Vec<String> = batch
        .iter()
        .map(|(_, _, service)| service.as_str())
        .filter(is_key)
        .map(|key| key.replace('.', "[.]"))
        .collect();
    format!("{{service=~\"{}\"}}", keys.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_matches_exactly_its_keys() {
        let id = |key: &str| (String::new(), String::new(), key.to_owned());
        assert_eq!(
            selector(&[id("a.b"), id("c-d"), id("x\"y")]),
            "{service=~\"a[.]b|c-d\"}"
        );
    }

    #[test]
    fn the_recorded_uptime_corrects_sampled_times() {
        let mut times = Times {
            up: 90.0,
            degraded: 10.0,
            ..Times::default()
        };
        times.correct(0.99);
        assert!(
            (times.down - 1.0).abs() < 1e-9 && (times.degraded - 9.9).abs() < 1e-9,
            "{times:?}"
        );
        let mut times = Times {
            down: 100.0,
            ..Times::default()
        };
        times.correct(0.25);
        assert!(
            (times.up - 25.0).abs() < 1e-9 && (times.down - 75.0).abs() < 1e-9,
            "{times:?}"
        );
    }
}
