//! The past of a service on its page: strips and numbers of four ranges, the response times and the incidents of one of them.

use maud::{Markup, html};

use super::chart::chart;
use super::parts::status_mark;
use super::past::{PastRange, class, describe, format_uptime, legend, local_time, path, runs, zone};
use super::text::{Text, format_age, format_latency, rfc3339};
use crate::history::{Incident, PastBucket, Range, Reader};
use crate::model::{PastStatus, PastTotals};
use crate::store::ServiceView;

/// The maximum number of incidents that the page shows. The API has all of them.
const MAX_INCIDENTS: usize = 50;

/// What the page shows about the past of a service.
pub(in crate::web) struct PastView {
    /// The range of the chart and the incidents.
    range: PastRange,
    /// The buckets of every range, in the order of `PastRange::ALL`.
    buckets: Vec<Vec<PastBucket>>,
    incidents: Vec<Incident>,
    now: i64,
}

impl PastView {
    /// Reads the past of a service. `None` if nothing is known about it.
    pub fn read(reader: &Reader, key: &str, range: PastRange) -> Option<Self> {
        let now = reader.now();
        let buckets = PastRange::ALL.into_iter().map(|range| {
            let step = range.step();
            reader.buckets(key, span(range, now), step)
        });
        Some(Self {
            range,
            buckets: buckets.collect::<Option<_>>()?,
            incidents: reader.incidents(key, span(range, now))?,
            now,
        })
    }
}

/// The time that a range shows: whole bars, of which the last one is in progress.
fn span(range: PastRange, now: i64) -> Range {
    let (size, count) = range.bars();
    let bar = range.step().seconds() * i64::try_from(size).unwrap_or(1);
    let last = now.div_euclid(bar);
    Range {
        from: (last + 1 - i64::try_from(count).unwrap_or(1)).max(0) * bar,
        to: now + 1,
    }
}

/// The totals of a range.
fn sum(buckets: &[PastBucket]) -> PastTotals {
    let mut totals = PastTotals::default();
    buckets.iter().for_each(|bucket| totals.add(&bucket.totals));
    totals
}

/// Renders the section.
pub(super) fn section(view: &ServiceView, past: &PastView) -> Markup {
    let key = view.service.key.as_str();
    let chosen = past
        .buckets
        .get(past.range as usize)
        .map_or(&[][..], Vec::as_slice);
    html! {
        section.history data-key="history" aria-labelledby="h-history" {
            h2 #h-history { "History" }
            div.scroll tabindex="0" role="region" aria-label="Uptime" {
                table.ranges {
                    thead { tr {
                        th scope="col" { "Last" } th scope="col" { "Status" }
                        th.number scope="col" { "Uptime" } th.number scope="col" { "Down" } th.number scope="col" { "Degraded" }
                        th.number scope="col" { "Response time" }
                    } }
                    tbody { @for (range, buckets) in PastRange::ALL.into_iter().zip(&past.buckets) { (range_row(range, buckets)) } }
                }
            }
            (legend())
            nav.filter aria-label="Range of the chart and the incidents" {
                ul { @for range in PastRange::ALL {
                    li { a href=(url(key, range)) aria-current=[(range == past.range).then_some("true")] { (range.words()) } }
                } }
            }
            h3 { "Response time" }
            (chart(past.range, chosen, &view.checks))
            h3 { "Incidents" }
            (incidents(past))
            (zone())
        }
    }
}

/// The URL of the page that shows a range.
fn url(key: &str, range: PastRange) -> String {
    match range {
        PastRange::Day => format!("/service/{key}"),
        _ => format!("/service/{key}?history={}", range.as_str()),
    }
}

/// Renders the strip and the numbers of a range.
fn range_row(range: PastRange, buckets: &[PastBucket]) -> Markup {
    let totals = sum(buckets);
    let age = |status| match totals.millis[status as usize] {
        0 => "\u{2013}".to_owned(),
        _ => format_age(totals.seconds(status)),
    };
    let time = |seconds: Option<f64>| {
        let time = seconds.and_then(|seconds| std::time::Duration::try_from_secs_f64(seconds).ok());
        time.map_or_else(|| "\u{2013}".to_owned(), format_latency)
    };
    html! {
        tr {
            th scope="row" { (range.words()) }
            td.strips { (strip(range, buckets, &totals)) }
            td.number { b { (format_uptime(&totals)) } }
            td.number { (age(PastStatus::Down)) }
            td.number { (age(PastStatus::Degraded)) }
            td.number { (time(totals.response_average())) " on average, at most " (time(totals.response_maximum())) }
        }
    }
}

/// Renders a strip whose bars say what they show.
#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn strip(range: PastRange, buckets: &[PastBucket], totals: &PastTotals) -> Markup {
    let (size, count) = range.bars();
    let bars: Vec<&[PastBucket]> = buckets.chunks(size).collect();
    let marks: Vec<_> = bars.iter().map(|bar| sum(bar).mark()).collect();
    let minute = |at: i64| {
        let full = rfc3339(at as f64);
        format!("{} {}", &full[..10], &full[11..16])
    };
    html! {
        svg.strip.large role="img" viewBox={ "0 0 " (count) " 40" } preserveAspectRatio="none" {
            title { "Last " (range.words()) ": " (describe(totals)) }
            @for run in runs(&marks) {
                @let buckets: Vec<PastBucket> = bars.iter().skip(run.first).take(run.count).flat_map(|bar| bar.iter().copied()).collect();
                                path class=(class(run.mark)) d=(path(&[&run])) {
                    @if let (Some(first), Some(last)) = (buckets.first(), buckets.last()) {
                        title { (minute(first.from)) " to " (minute(last.to)) " UTC: " (describe(&sum(&buckets))) }
                    }
                }
            }
        }
    }
}

/// Renders the incidents of the chosen range.
#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn incidents(past: &PastView) -> Markup {
    let hidden = past.incidents.len().saturating_sub(MAX_INCIDENTS);
    html! {
        @if past.incidents.is_empty() { p.empty { "None in the last " (past.range.words()) "." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Incidents" {
                table.incidents {
                    thead { tr {
                        th scope="col" { "Began" } th scope="col" { "Status" } th.number scope="col" { "Length" } th scope="col" { "Cause" }
                    } }
                    tbody { @for incident in past.incidents.iter().take(MAX_INCIDENTS) {
                        tr {
                            th scope="row" { (local_time(incident.from)) }
                            td { (status_mark(incident.status)) }
                            td.number {
                                (format_age(incident.until.unwrap_or(past.now as f64) - incident.from))
                                @if incident.until.is_none() { ", ongoing" }
                            }
                            td {
                                @if let Some(check) = &incident.check { (Text(check.as_str())) }
                                @if let Some(reason) = incident.reason { " " b { (reason.as_str()) } }
                                @if incident.in_maintenance { ", in maintenance" }
                            }
                        }
                    } }
                }
            }
            @if hidden > 0 { p.empty { "and " (hidden) " older ones" } }
        }
    }
}
