//! The chart of a service's response times, with the thresholds.

use std::fmt::Write;
use std::time::Duration;

use maud::{Markup, html};

use super::past::{PastRange, local_time};
use super::text::{Text, format_latency};
use crate::history::PastBucket;
use crate::model::{PastTotals, Thresholds};
use crate::store::CheckView;

/// The height of the chart in its own units.
const HEIGHT: f64 = 100.0;

/// Thresholds so many times above all response times are named, but not drawn: they would flatten the chart.
const MAX_FACTOR: f64 = 4.0;

/// The maximum number of different thresholds that are drawn. Each has two lines.
const MAX_THRESHOLDS: usize = 3;

fn duration(seconds: f64) -> String {
    format_latency(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// The different thresholds of the checks with response times, each with the first of its checks.
fn thresholds(checks: &[CheckView]) -> Vec<(&str, Thresholds)> {
    let mut found: Vec<(&str, Thresholds)> = Vec::new();
    for check in checks
        .iter()
        .filter(|check| check.settings.kind.kind().is_timed())
    {
        let thresholds = check.settings.thresholds;
        if found.iter().all(|(_, known)| *known != thresholds) && found.len() < MAX_THRESHOLDS {
            found.push((check.settings.name.as_str(), thresholds));
        }
    }
    found
}

/// The end of the scale: 1, 2 or 5 times a power of ten, not below `most`.
fn scale_end(most: f64) -> f64 {
    let power = 10_f64.powf(most.max(1e-4).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    // A float may be just below the number that it stands for.
    let fits = |step: &&f64| power * **step >= most * (1.0 - 1e-9);
    power * steps.iter().find(fits).unwrap_or(&10.0)
}

/// Renders the chart. `buckets` are those of the range.
pub(super) fn chart(range: PastRange, buckets: &[PastBucket], checks: &[CheckView]) -> Markup {
    let mut totals = PastTotals::default();
    buckets.iter().for_each(|bucket| totals.add(&bucket.totals));
    let (Some(average), Some(most)) = (totals.response_average(), totals.response_maximum()) else {
        return html! { p.empty { "No response times in the last " (range.words()) "." } };
    };
    let thresholds = thresholds(checks);
    let lines = thresholds.iter().flat_map(|(check, thresholds)| {
        let degraded = ("degraded", *check, thresholds.degraded.as_secs_f64());
        [degraded, ("down", *check, thresholds.down.as_secs_f64())]
    });
    let (drawn, above): (Vec<_>, Vec<_>) = lines.partition(|(.., at)| *at <= most * MAX_FACTOR);
    let end = scale_end(drawn.iter().fold(most, |end, (.., at)| end.max(*at)));
    let y = |seconds: f64| HEIGHT - (seconds / end).min(1.0) * HEIGHT;
    let (maximum, line) = paths(buckets, y);
    let describe = |(status, check, at): &(&str, &str, f64)| {
        html! { (status) " at " (duration(*at)) @if thresholds.len() > 1 { " (" (Text(check)) ")" } }
    };
    html! {
        figure.chart {
            div.plot {
                div.scale aria-hidden="true" { span { (duration(end)) } span { (duration(end / 2.0)) } span { "0" } }
                svg role="img" viewBox={ "0 0 " (buckets.len()) " 100" } preserveAspectRatio="none" {
                    title { "Response times of the last " (range.words()) ": average " (duration(average)) ", maximum " (duration(most)) }
                    path.grid d={ "M0 0h" (buckets.len()) "M0 50h" (buckets.len()) "M0 100h" (buckets.len()) } {}
                    path.maximum d=(maximum) {}
                    path.average d=(line) {}
                    @for (status, _, at) in &drawn {
                        path.threshold.(status) d=(format!("M0 {:.1}h{}", y(*at), buckets.len())) {}
                    }
                }
                (ends(buckets))
            }
            figcaption {
                ul.legend {
                    li { i.average {} " average " (duration(average)) }
                    li { i.maximum {} " maximum " (duration(most)) }
                    @for line in &drawn { li { i.threshold.(line.0) {} " " (describe(line)) } }
                    @for line in &above { li { (describe(line)) ", above the chart" } }
                }
            }
        }
    }
}

/// The begin and the end of the range.
#[allow(clippy::cast_precision_loss, reason = "Unix times in seconds are exact")]
fn ends(buckets: &[PastBucket]) -> Markup {
    html! {
        div.ends {
            @if let Some(first) = buckets.first() { (local_time(first.from as f64)) }
            span { "now" }
        }
    }
}

/// The area of the maximums and the line of the averages. Both are interrupted where there is no response time.
#[allow(
    clippy::cast_precision_loss,
    reason = "there are at most a few hundred buckets"
)]
fn paths(buckets: &[PastBucket], y: impl Fn(f64) -> f64) -> (String, String) {
    let (mut maximum, mut line) = (String::new(), String::new());
    let mut was_drawn = false;
    for (position, bucket) in buckets.iter().enumerate() {
        let totals = &bucket.totals;
        let (Some(average), Some(most)) = (totals.response_average(), totals.response_maximum()) else {
            was_drawn = false;
            continue;
        };
        // Writing to a string does not fail.
        let _ = write!(maximum, "M{position} 100V{:.1}h1V100", y(most));
        let x = position as f64 + 0.5;
        let _ = match was_drawn {
            true => write!(line, "L{x} {:.1}", y(average)),
            // A line without a length shows as a dot.
            false => write!(line, "M{x} {:.1}h0", y(average)),
        };
        was_drawn = true;
    }
    (maximum, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_ends_with_a_round_number() {
        for (most, end) in [
            (0.013, 0.02),
            (0.5, 0.5),
            (0.2, 0.2),
            (0.51, 1.0),
            (3.0, 5.0),
            (70.0, 100.0),
            (0.0, 0.0001),
        ] {
            assert!(
                (scale_end(most) - end).abs() < end * 1e-6,
                "{most}: {}",
                scale_end(most)
            );
        }
    }

    #[test]
    fn a_gap_interrupts_the_line() {
        let bucket = |seconds: Option<f64>| PastBucket {
            from: 0,
            to: 300,
            totals: PastTotals {
                responses: seconds.is_some().into(),
                response_sum: seconds.unwrap_or_default(),
                response_max: seconds.unwrap_or_default(),
                ..PastTotals::default()
            },
        };
        let buckets = [
            bucket(Some(0.5)),
            bucket(Some(1.0)),
            bucket(None),
            bucket(Some(0.0)),
        ];
        let (maximum, line) = paths(&buckets, |seconds| 100.0 - seconds * 100.0);
        assert_eq!(line, "M0.5 50.0h0L1.5 0.0M3.5 100.0h0");
        assert_eq!(maximum, "M0 100V50.0h1V100M1 100V0.0h1V100M3 100V100.0h1V100");
    }
}
