//! The report: what it says about services and groups. Pure; the sources are the exporter's history and Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::incidents::Incident;
use super::rfc3339;

/// The range of time of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// Its start.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub from: Timestamp,
    /// Its end.
    #[serde(serialize_with = "rfc3339::serialize")]
    pub to: Timestamp,
}

impl Period {
    /// The range of this length until `end`, in whole seconds.
    pub fn until(end: Timestamp, length: Duration) -> Self {
        let to = Timestamp::from_second(end.as_second()).unwrap_or(end);
        let from = to
            .saturating_sub(Duration::from_secs(length.as_secs()))
            .unwrap_or(to);
        Self { from, to }
    }

    /// How many services have so many days in the range together: 1 to 50.
    pub fn batch(&self, days: i64) -> usize {
        let length = (self.to.as_second() - self.from.as_second()) / 86_400 + 1;
        usize::try_from(days / length).unwrap_or(1).clamp(1, 50)
    }

    /// Its length in seconds.
    #[allow(clippy::cast_precision_loss, reason = "a range has fewer than 2^52 seconds")]
    pub fn seconds(&self) -> f64 {
        (self.to.as_second() - self.from.as_second()) as f64
    }
}

/// A report.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where the data is from: a URL.
    pub source: String,
    /// The range of time.
    #[serde(flatten)]
    pub period: Period,
    /// The groups, by name.
    pub groups: Vec<GroupRow>,
    /// The services, by group and key.
    pub services: Vec<ServiceRow>,
    /// The incidents, the latest first.
    pub incidents: Vec<Incident>,
}

/// How long a service had each status, in seconds. Time in maintenance counts as nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Up.
    #[serde(rename = "up_seconds")]
    pub up: f64,
    /// Degraded.
    #[serde(rename = "degraded_seconds")]
    pub degraded: f64,
    /// Down.
    #[serde(rename = "down_seconds")]
    pub down: f64,
    /// Unknown.
    #[serde(rename = "unknown_seconds")]
    pub unknown: f64,
    /// In maintenance.
    #[serde(rename = "maintenance_seconds")]
    pub maintenance: f64,
    /// Without data: not monitored.
    #[serde(rename = "no_data_seconds")]
    pub no_data: f64,
}

impl Times {
    /// Adds other times.
    pub fn add(&mut self, other: &Self) {
        self.up += other.up;
        self.degraded += other.degraded;
        self.down += other.down;
        self.unknown += other.unknown;
        self.maintenance += other.maintenance;
        self.no_data += other.no_data;
    }

    /// The time that counts for the uptime.
    fn counted(&self) -> f64 {
        self.up + self.degraded + self.down
    }

    /// The time in which the status was not known.
    fn not_known(&self) -> f64 {
        self.unknown + self.no_data
    }

    /// The share of the time in which the service was up or degraded. Time that is unknown, in maintenance or without data does not
    /// count. `None` if there is no other time.
    pub fn uptime(&self) -> Option<f64> {
        let counted = self.counted();
        (counted > 0.0).then(|| (self.up + self.degraded) / counted)
    }
}

/// A service.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ServiceRow {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// The exporter that monitors it; empty if the report is about one exporter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The share of the time in which it was up or degraded.
    pub uptime_ratio: Option<f64>,
    /// How long it had each status.
    #[serde(flatten)]
    pub times: Times,
    /// The number of outages.
    pub incidents: usize,
    /// The longest outage.
    pub longest_incident_seconds: Option<f64>,
    /// The average response time.
    pub response_average_seconds: Option<f64>,
    /// The longest response time.
    pub response_maximum_seconds: Option<f64>,
    /// The objective of its `slo`.
    pub objective_ratio: Option<f64>,
    /// The share of the error budget that is left; negative if more was spent.
    pub budget_left_ratio: Option<f64>,
}

/// A group.
#[derive(Debug, Serialize)]
pub struct GroupRow {
    /// Its name.
    pub name: String,
    /// The number of services.
    pub services: usize,
    /// The average of their uptimes.
    pub uptime_ratio: Option<f64>,
    /// The lowest of their uptimes.
    pub lowest_uptime_ratio: Option<f64>,
    /// The share of the time in which their statuses were known, so the part of the range that the uptimes are about. Time in maintenance
    /// does not count.
    pub known_ratio: Option<f64>,
    /// The number of outages.
    pub incidents: usize,
}

impl ServiceRow {
    /// Fills in what follows from the times, the objective and the incidents of the service.
    fn complete(&mut self, incidents: &[Incident]) {
        self.uptime_ratio = self.times.uptime();
        let own = || {
            let own = incidents.iter();
            own.filter(|incident| incident.service == self.key && incident.instance == self.instance)
        };
        let count = own().count();
        let longest = own().map(|incident| incident.seconds).reduce(f64::max);
        self.incidents = count;
        self.longest_incident_seconds = longest;
        self.budget_left_ratio = self
            .objective_ratio
            .zip(self.uptime_ratio)
            .filter(|(objective, _)| *objective < 1.0)
            .map(|(objective, uptime)| 1.0 - (1.0 - uptime) / (1.0 - objective));
    }
}

impl Report {
    /// A report on these services and incidents. Fills in what follows from them.
    pub fn new(
        source: String,
        period: Period,
        mut services: Vec<ServiceRow>,
        mut incidents: Vec<Incident>,
    ) -> Self {
        services.iter_mut().for_each(|row| row.complete(&incidents));
        services.sort_by(|a, b| (&a.group, &a.key, &a.instance).cmp(&(&b.group, &b.key, &b.instance)));
        incidents.sort_by(|a, b| b.from.cmp(&a.from).then_with(|| a.service.cmp(&b.service)));
        Self {
            source,
            period,
            groups: groups(&services),
            services,
            incidents,
        }
    }

    /// Removes the services that are not selected, with their incidents. `selected` is in the order of the services.
    pub fn retain(&mut self, selected: &[bool]) {
        let mut selected = selected.iter();
        self.services
            .retain(|_| selected.next().copied().unwrap_or_default());
        let services = &self.services;
        self.incidents.retain(|incident| {
            let mut services = services.iter();
            services.any(|row| row.key == incident.service && row.instance == incident.instance)
        });
        self.groups = groups(&self.services);
    }

    /// The services with the longest average response times, the slowest first.
    pub fn slowest(&self, count: usize) -> Vec<&ServiceRow> {
        let average = |row: &ServiceRow| row.response_average_seconds.unwrap_or_default();
        let mut rows: Vec<_> = self
            .services
            .iter()
            .filter(|row| row.response_average_seconds.is_some())
            .collect();
        rows.sort_by(|a, b| average(b).total_cmp(&average(a)));
        rows.truncate(count);
        rows
    }

    /// The services with an objective, the least budget first.
    pub fn budgets(&self) -> Vec<&ServiceRow> {
        let left = |row: &ServiceRow| row.budget_left_ratio.unwrap_or(f64::INFINITY);
        let mut rows: Vec<_> = self
            .services
            .iter()
            .filter(|row| row.objective_ratio.is_some())
            .collect();
        rows.sort_by(|a, b| left(a).total_cmp(&left(b)));
        rows
    }
}

#[allow(clippy::cast_precision_loss, reason = "there are fewer than 2^52 services")]
fn groups(services: &[ServiceRow]) -> Vec<GroupRow> {
    let mut groups: BTreeMap<&str, Vec<&ServiceRow>> = BTreeMap::new();
    for row in services {
        groups.entry(&row.group).or_default().push(row);
    }
    let group = |(name, rows): (&str, Vec<&ServiceRow>)| {
        let uptimes: Vec<f64> = rows.iter().filter_map(|row| row.uptime_ratio).collect();
        let known: f64 = rows.iter().map(|row| row.times.counted()).sum();
        let all = known + rows.iter().map(|row| row.times.not_known()).sum::<f64>();
        GroupRow {
            name: name.to_owned(),
            services: rows.len(),
            uptime_ratio: (!uptimes.is_empty()).then(|| uptimes.iter().sum::<f64>() / uptimes.len() as f64),
            lowest_uptime_ratio: uptimes.iter().copied().reduce(f64::min),
            known_ratio: (all > 0.0).then(|| known / all),
            incidents: rows.iter().map(|row| row.incidents).sum(),
        }
    };
    groups.into_iter().map(group).collect()
}

/// Gives each incident the instance of its service's row. Leaves out those of other services: a query selects by key, and several
/// exporters may have the same key.
pub fn name_instances<I: Ord>(
    found: Vec<(I, Incident)>,
    batch: &[I],
    services: &BTreeMap<I, ServiceRow>,
) -> Vec<(I, Incident)> {
    let mut named = Vec::new();
    for (id, mut incident) in found {
        if let (true, Some(row)) = (batch.contains(&id), services.get(&id)) {
            incident.instance.clone_from(&row.instance);
            named.push((id, incident));
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_range_is_queried_for_few_services() {
        let batch = |days: u64| {
            Period::until(Timestamp::UNIX_EPOCH, Duration::from_secs(days * 86_400)).batch(50 * 31)
        };
        assert_eq!([batch(1), batch(30), batch(90), batch(400)], [50, 50, 17, 3]);
    }

    #[test]
    fn outages_of_several_exporters_belong_to_their_services() {
        let row = |instance: &str| ServiceRow {
            key: "db".to_owned(),
            instance: instance.to_owned(),
            ..ServiceRow::default()
        };
        let services = BTreeMap::from([("a", row("a:1")), ("b", row("b:1"))]);
        let incident = Incident {
            service: "db".to_owned(),
            instance: String::new(),
            from: Timestamp::UNIX_EPOCH,
            to: None,
            seconds: 60.0,
            reason: None,
        };
        let found = || vec![("a", incident.clone()), ("b", incident.clone())];
        // Each batch has one of them, and both queries find both.
        let mut named = name_instances(found(), &["a"], &services);
        named.extend(name_instances(found(), &["b"], &services));
        let incidents: Vec<Incident> = named.into_iter().map(|(_, incident)| incident).collect();
        let period = Period {
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
        };
        let rows = services.into_values().collect();
        let mut report = Report::new(String::new(), period, rows, incidents);
        report.retain(&[true, true]);
        let counts: Vec<usize> = report.services.iter().map(|row| row.incidents).collect();
        assert_eq!((counts, report.incidents.len()), (vec![1, 1], 2));
    }
}
