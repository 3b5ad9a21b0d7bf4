//! Collects a report from the history of a running exporter.

use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::document::{Period, Report, ServiceRow, Times};
use super::incidents::Incident;
use crate::cli::server_client::{RequestError, ServerClient};
use crate::cli::show::clean;

/// The lengths of the history's rows in seconds with their names, and the longest range of each: what the exporter keeps.
const STEPS: [(i64, &str, i64); 3] = [
    (300, "5m", 25 * 3_600),
    (3_600, "1h", 8 * 86_400),
    (86_400, "1d", i64::MAX),
];

/// A part of the document of `/api/status`.
#[derive(Deserialize)]
struct Status {
    services: BTreeMap<String, StatusService>,
}

#[derive(Deserialize)]
struct StatusService {
    name: Option<String>,
    group: Option<String>,
    objective_ratio: Option<f64>,
}

/// A part of the document of `/api/status/SERVICE/history`.
#[derive(Deserialize)]
struct History {
    rows: Vec<Row>,
    incidents: Vec<HistoryIncident>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    times: Times,
    responses: f64,
    response_average_seconds: Option<f64>,
    response_max_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct HistoryIncident {
    from: String,
    to: Option<String>,
    status: String,
    check: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    in_maintenance: bool,
}

/// Collects the report. The range starts with a whole row of the history.
///
/// # Errors
/// When a request fails.
pub async fn collect(client: &ServerClient, period: Period) -> Result<Report, RequestError> {
    let (period, step) = align(period);
    let status: Status = client
        .get_json("api/status", &[], "requesting the services")
        .await?;
    let mut services = Vec::new();
    let mut incidents = Vec::new();
    for (key, service) in status.services {
        let path = format!(
            "api/status/{}/history",
            utf8_percent_encode(&key, NON_ALPHANUMERIC)
        );
        let (from, to) = (
            period.from.as_second().to_string(),
            period.to.as_second().to_string(),
        );
        let query = [
            ("from", from.as_str()),
            ("to", &to),
            ("step", step),
            ("format", "json"),
        ];
        let history: History = client.get_json(&path, &query, "requesting the history").await?;
        let key = clean(&key);
        incidents.extend(
            history
                .incidents
                .iter()
                .filter_map(|incident| outage(&key, incident, period)),
        );
        let mut row = ServiceRow {
            name: clean(service.name.as_deref().unwrap_or(&key)),
            group: clean(service.group.as_deref().unwrap_or("default")),
            key,
            objective_ratio: service.objective_ratio,
            ..ServiceRow::default()
        };
        add_rows(&mut row, &history.rows);
        services.push(row);
    }
    Ok(Report::new(
        client.shown().to_owned(),
        period,
        services,
        incidents,
    ))
}

/// Moves the start to the start of a row, and returns the name of the length of the rows. Days are those of UTC.
fn align(period: Period) -> (Period, &'static str) {
    let (from, to) = (period.from.as_second(), period.to.as_second());
    let step = STEPS.iter().find(|(_, _, longest)| to - from <= *longest);
    let (length, name, _) = step.unwrap_or(&STEPS[STEPS.len() - 1]);
    let start = Timestamp::from_second(from - from.rem_euclid(*length));
    let period = Period {
        from: start.unwrap_or(period.from),
        to: period.to,
    };
    (period, name)
}

fn add_rows(service: &mut ServiceRow, rows: &[Row]) {
    let (mut responses, mut sum) = (0.0, 0.0);
    for row in rows {
        service.times.add(&row.times);
        responses += row.responses;
        sum += row.responses * row.response_average_seconds.unwrap_or_default();
        service.response_maximum_seconds = service
            .response_maximum_seconds
            .into_iter()
            .chain(row.response_max_seconds)
            .reduce(f64::max);
    }
    service.response_average_seconds = (responses > 0.0).then(|| sum / responses);
}

/// The part of an incident that is in the range. `None` if the service was not down, or in maintenance.
fn outage(service: &str, incident: &HistoryIncident, period: Period) -> Option<Incident> {
    if incident.status != "down" || incident.in_maintenance {
        return None;
    }
    let start: Timestamp = incident.from.parse().ok()?;
    let end: Option<Timestamp> = incident.to.as_deref().and_then(|to| to.parse().ok());
    let (from, until) = (start.max(period.from), end.unwrap_or(period.to).min(period.to));
    let reason = match (&incident.check, &incident.reason) {
        (Some(check), Some(reason)) => Some(format!("{check}: {reason}")),
        (None, reason) => reason.clone(),
        (Some(_), None) => None,
    };
    (from <= until).then(|| Incident {
        service: service.to_owned(),
        instance: String::new(),
        from,
        to: end,
        seconds: until.duration_since(from).as_secs_f64(),
        reason: reason.map(|reason| clean(&reason)),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_range_starts_with_a_whole_row() {
        let end: Timestamp = "2026-11-30T12:34:56Z".parse().unwrap();
        for (days, from, step) in [
            (1, "2026-11-29T12:30:00Z", "5m"),
            (7, "2026-11-23T12:00:00Z", "1h"),
            (30, "2026-10-31T00:00:00Z", "1d"),
        ] {
            let (period, name) = align(Period::until(end, Duration::from_secs(days * 86_400)));
            assert_eq!((period.from.to_string().as_str(), name), (from, step));
            assert_eq!(period.to, end);
        }
    }

    #[test]
    fn only_outages_count_and_only_within_the_range() {
        let end: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let period = Period::until(end, Duration::from_secs(3_600));
        let incident = |from: &str, to: Option<&str>, status: &str, in_maintenance| HistoryIncident {
            from: from.to_owned(),
            to: to.map(ToOwned::to_owned),
            status: status.to_owned(),
            check: Some("http".to_owned()),
            reason: Some("refused".to_owned()),
            in_maintenance,
        };
        let seconds = |incident| outage("a", &incident, period).map(|outage| outage.seconds);
        let early = "2026-11-30T10:00:00Z";
        let late = Some("2026-11-30T11:10:00Z");
        assert_eq!(seconds(incident(early, late, "down", false)), Some(600.0));
        assert_eq!(seconds(incident(early, None, "down", false)), Some(3_600.0));
        assert_eq!(seconds(incident(early, late, "degraded", false)), None);
        assert_eq!(seconds(incident(early, late, "down", true)), None);
        assert_eq!(
            seconds(incident(early, Some("2026-11-30T10:30:00Z"), "down", false)),
            None
        );
    }
}
