//! `/api/status/{service}/history`: the past of a service as JSON and CSV.

use std::fmt::Write;
use std::sync::Arc;

use http::HeaderMap;
use http::header::ACCEPT;
use serde::Serialize;

use super::accept;
use super::api::{rendered, unknown_service};
use super::error_reply::ApiError;
use super::html::rfc3339;
use super::query::{parse, quote};
use super::reply::Reply;
use super::state::State;
use crate::history::{Incident, PastBucket, Range, Reader, Step};
use crate::model::{CheckName, PastStatus, PastTotals, Reason};

/// The maximum number of rows: all buckets of any length fit.
const MAX_ROWS: i64 = 1000;

/// The last second of the year 9999, the latest time in RFC 3339.
const MAX_TIME: i64 = 253_402_300_799;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HistoryQuery {
    range: Range,
    step: Step,
    is_csv: bool,
}

impl HistoryQuery {
    /// Parses a query at the Unix time `now`. `accepts_csv` is whether the client prefers CSV.
    ///
    /// # Errors
    /// The message of a 400.
    pub fn parse(query: Option<&str>, accepts_csv: bool, now: i64) -> Result<Self, String> {
        let [from, to, step, format] = parse(query, ["from", "to", "step", "format"])?;
        let is_csv = match format.as_deref() {
            None => accepts_csv,
            Some("csv") => true,
            Some("json") => false,
            Some(other) => return Err(format!("unknown format {}; supported: json, csv", quote(other))),
        };
        let step = step.map(|step| {
            Step::from_word(&step)
                .ok_or_else(|| format!("unknown step {}; supported: 5m, 1h, 1d", quote(&step)))
        });
        let step = step.transpose()?;
        let to = to.map_or(Ok(now), |to| parse_time("to", &to))?;
        let usual = match step {
            None | Some(Step::FiveMinutes) => 86_400,
            Some(Step::Hour) => 7 * 86_400,
            Some(Step::Day) => 90 * 86_400,
        };
        let from = from.map_or(Ok((to - usual).max(0)), |from| parse_time("from", &from))?;
        if from >= to {
            return Err("from must be before to".to_owned());
        }
        // The shortest length whose buckets are kept for so long.
        let is_kept = |step: &Step| now - from <= step.kept_seconds();
        let step = step.unwrap_or_else(|| Step::ALL.into_iter().find(is_kept).unwrap_or(Step::Day));
        let rows = (to.min(now) - from) / step.seconds();
        if rows > MAX_ROWS {
            let name = step.as_str();
            return Err(format!(
                "the range has {rows} rows of {name}, more than {MAX_ROWS}; use a larger step or a shorter range"
            ));
        }
        Ok(Self {
            range: Range { from, to },
            step,
            is_csv,
        })
    }
}

/// Parses a time: RFC 3339, or Unix seconds.
fn parse_time(name: &str, text: &str) -> Result<i64, String> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => Some(seconds),
        Err(_) => text
            .parse::<jiff::Timestamp>()
            .ok()
            .map(jiff::Timestamp::as_second),
    };
    seconds.filter(|seconds| (0..=MAX_TIME).contains(seconds)).ok_or_else(|| {
        format!(
            "{name}={} is not a time; use RFC 3339 such as 2026-01-31T12:00:00Z, or Unix seconds; write + as %2B",
            quote(text)
        )
    })
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    service: &'a str,
    from: String,
    to: String,
    step: &'static str,
    uptime_ratio: Option<f64>,
    rows: Vec<Row>,
    incidents: Vec<IncidentRow<'a>>,
}

#[derive(Serialize)]
struct Row {
    from: String,
    to: String,
    up_seconds: f64,
    degraded_seconds: f64,
    down_seconds: f64,
    unknown_seconds: f64,
    maintenance_seconds: f64,
    no_data_seconds: f64,
    uptime_ratio: Option<f64>,
    responses: u64,
    response_average_seconds: Option<f64>,
    response_max_seconds: Option<f64>,
}

#[derive(Serialize)]
struct IncidentRow<'a> {
    from: String,
    to: Option<String>,
    seconds: Option<f64>,
    status: &'static str,
    check: Option<&'a str>,
    reason: Option<&'static str>,
    in_maintenance: bool,
}

impl Row {
    #[allow(clippy::cast_precision_loss, reason = "Unix times and lengths are exact")]
    fn new(bucket: &PastBucket) -> Self {
        let totals = &bucket.totals;
        Self {
            from: rfc3339(bucket.from as f64),
            to: rfc3339(bucket.to as f64),
            up_seconds: totals.seconds(PastStatus::Up),
            degraded_seconds: totals.seconds(PastStatus::Degraded),
            down_seconds: totals.seconds(PastStatus::Down),
            unknown_seconds: totals.seconds(PastStatus::Unknown),
            maintenance_seconds: totals.seconds(PastStatus::Maintenance),
            no_data_seconds: totals.no_data_millis as f64 / 1e3,
            uptime_ratio: totals.uptime(),
            responses: totals.responses,
            response_average_seconds: totals.response_average(),
            response_max_seconds: totals.response_maximum(),
        }
    }
}

impl<'a> IncidentRow<'a> {
    fn new(incident: &'a Incident) -> Self {
        Self {
            from: rfc3339(incident.from),
            to: incident.until.map(rfc3339),
            seconds: incident.until.map(|until| (until - incident.from).max(0.0)),
            status: incident.status.as_str(),
            check: incident.check.as_ref().map(CheckName::as_str),
            reason: incident.reason.map(Reason::as_str),
            in_maintenance: incident.in_maintenance,
        }
    }
}

/// Replies with the history of a service.
pub(super) async fn history(
    state: &Arc<State>,
    key: String,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let accepted = headers.get_all(ACCEPT).into_iter();
    let accepts_csv = accept::prefers_csv(accepted.filter_map(|value| value.to_str().ok()));
    let query =
        HistoryQuery::parse(query, accepts_csv, state.history.now()).map_err(ApiError::bad_request)?;
    let content_type = match query.is_csv {
        true => "text/csv; charset=utf-8",
        false => "application/json",
    };
    let reader = state.history.clone();
    let name = format!("history {key} {query:?}");
    let reply = rendered(state, name, headers, content_type, move |snapshot| {
        let is_configured = snapshot
            .services
            .iter()
            .any(|view| view.service.key.as_str() == key);
        match (reader.buckets(&key, query.range, query.step), is_configured) {
            (Some(buckets), _) => render(&reader, &key, query, &buckets),
            // It was added a moment ago.
            (None, true) => render(&reader, &key, query, &[]),
            (None, false) => Err(unknown_service(&key, snapshot)),
        }
    });
    Ok(reply.await?.with("vary", "accept, accept-encoding"))
}

#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn render(
    reader: &Reader,
    key: &str,
    query: HistoryQuery,
    buckets: &[PastBucket],
) -> Result<Vec<u8>, ApiError> {
    if query.is_csv {
        return Ok(csv(buckets).into_bytes());
    }
    let mut totals = PastTotals::default();
    buckets.iter().for_each(|bucket| totals.add(&bucket.totals));
    let incidents = reader.incidents(key, query.range).unwrap_or_default();
    let document = Document {
        service: key,
        from: rfc3339(query.range.from as f64),
        to: rfc3339(query.range.to as f64),
        step: query.step.as_str(),
        uptime_ratio: totals.uptime(),
        rows: buckets.iter().map(Row::new).collect(),
        incidents: incidents.iter().map(IncidentRow::new).collect(),
    };
    serde_json::to_vec(&document).map_err(ApiError::internal)
}

/// Renders the rows as CSV (RFC 4180). No value needs quotes.
fn csv(buckets: &[PastBucket]) -> String {
    let mut text = "from,to,up_seconds,degraded_seconds,down_seconds,unknown_seconds,maintenance_seconds,no_data_seconds,\
                    uptime_ratio,responses,response_average_seconds,response_max_seconds\r\n"
        .to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for row in buckets.iter().map(Row::new) {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            row.from,
            row.to,
            row.up_seconds,
            row.degraded_seconds,
            row.down_seconds,
            row.unknown_seconds,
            row.maintenance_seconds,
            row.no_data_seconds,
            number(row.uptime_ratio),
            row.responses,
            number(row.response_average_seconds),
            number(row.response_max_seconds),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    fn parsed(query: &str) -> Result<(i64, i64, &'static str), String> {
        let query = HistoryQuery::parse(Some(query), false, NOW)?;
        Ok((query.range.from - NOW, query.range.to - NOW, query.step.as_str()))
    }

    #[test]
    fn the_step_depends_on_the_range() {
        let day = 86_400;
        for (query, expected) in [
            ("", (-day, 0, "5m")),
            ("step=1h", (-7 * day, 0, "1h")),
            ("step=1d", (-90 * day, 0, "1d")),
            ("from=1699990000", (-10_000, 0, "5m")),
            ("from=1699900000", (-100_000, 0, "1h")),
            ("from=2023-11-01T00:00:00Z", (-1_203_200, 0, "1d")),
            (
                "from=2023-11-14T23:00:00%2B01:00&to=1700000300",
                (-800, 300, "5m"),
            ),
            ("from=0&to=1000&step=5m", (-NOW, 1000 - NOW, "5m")),
        ] {
            assert_eq!(parsed(query), Ok(expected), "{query}");
        }
    }

    #[test]
    fn mistakes_are_errors() {
        for (query, part) in [
            ("step=10m", r#"unknown step "10m"; supported: 5m, 1h, 1d"#),
            ("format=xml", r#"unknown format "xml"; supported: json, csv"#),
            (
                "from=yesterday",
                r#"from="yesterday" is not a time; use RFC 3339 such as"#,
            ),
            ("to=-5", r#"to="-5" is not a time"#),
            ("to=999999999999", "is not a time"),
            ("from=2023-11-14T23:00:00+01:00", "write + as %2B"),
            ("from=1700000000&to=1700000000", "from must be before to"),
            (
                "from=0&step=5m",
                "the range has 5666666 rows of 5m, more than 1000; use a larger step",
            ),
            ("since=1", "supported: from, to, step, format"),
            ("step=1h&step=1h", "the query parameter step is given twice"),
        ] {
            let message = parsed(query).unwrap_err();
            assert!(message.contains(part), "{query}: {message}");
        }
    }
}
