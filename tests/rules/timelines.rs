//! Timelines of services and exporters, with the alerts that must fire, at any scrape interval.
//!
//! All times are seconds. All changes happen at multiples of 30, so that scrapes every 1, 15 and 30 s see them at the same time.
//! An expectation covers every evaluation. It asserts every edge, and the total number of evaluations, to find alerts that
//! flicker.

use serde_json::{Value, json};

/// Duration of a timeline after its last change.
const REST: u32 = 60;

/// The end of an alert or a series that lasts until the end of the timeline.
pub const NEVER: Edge = Edge::At(u32::MAX / 2);

/// Seconds between scrapes, and between evaluations.
#[derive(Clone, Copy)]
pub struct Intervals {
    pub scrape: u32,
    pub evaluation: u32,
    /// See [`ranges_are_left_open`].
    pub left_open: bool,
}

/// The first evaluation that differs from the ones before it.
#[derive(Clone, Copy)]
pub enum Edge {
    /// At this time or, without an evaluation at this time, the next one.
    At(u32),
    /// Strictly after this time: a condition that lasts exactly its tolerance does not fire.
    After(u32),
    /// Ten minutes after the last scrape before this time, at which the exporter stopped responding.
    HoldEnds(u32),
    /// At the first scrape at or after this time: the exporter serves the change from this time on.
    Seen(u32),
}

impl Edge {
    fn tick(self, intervals: Intervals) -> u32 {
        let step = intervals.evaluation;
        match self {
            Self::At(t) => t.div_ceil(step) * step,
            Self::After(t) => (t / step + 1) * step,
            Self::HoldEnds(t) if intervals.left_open => Self::At(t - intervals.scrape + 600).tick(intervals),
            Self::HoldEnds(t) => Self::After(t - intervals.scrape + 600).tick(intervals),
            Self::Seen(t) => Self::At(t.div_ceil(intervals.scrape) * intervals.scrape).tick(intervals),
        }
    }
}

/// A series as the exporter serves it: from every time on a value, or absent.
pub struct Series {
    name: String,
    steps: Vec<(u32, Option<f64>)>,
}

impl Series {
    /// The notation of promtool, with one word per scrape. A series that vanishes gets a staleness marker, as in Prometheus.
    fn notation(&self, intervals: Intervals, end: u32) -> String {
        let at = |t: u32| {
            self.steps
                .iter()
                .rev()
                .find(|(from, _)| *from <= t)
                .and_then(|(_, value)| *value)
        };
        let word = |t: u32| match at(t) {
            Some(value) => value.to_string(),
            None if t >= intervals.scrape && at(t - intervals.scrape).is_some() => "stale".to_owned(),
            None => "_".to_owned(),
        };
        let words: Vec<String> = (0..=end).step_by(intervals.scrape as usize).map(word).collect();
        words.join(" ")
    }
}

/// Whether ranges are left-open, as since promtool 3.0: a sample exactly as old as the range does not count.
pub fn ranges_are_left_open() -> bool {
    let version = super::promtool(&["--version".into()]);
    !version.contains("version 2.")
}

/// An alert that fires, or another series that exists, in these spans and at no other evaluation.
pub struct Expect {
    selector: String,
    spans: Vec<(Edge, Edge)>,
}

/// A timeline with its expected alerts and series.
pub struct Timeline {
    name: &'static str,
    series: Vec<Series>,
    expect: Vec<Expect>,
}

impl Timeline {
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            series: Vec::new(),
            expect: Vec::new(),
        }
    }

    /// Adds `up` of the exporter on this machine.
    pub fn up(mut self, instance: &str, steps: &[(u32, Option<f64>)]) -> Self {
        let name = format!("up{{job=\"upkeep\",instance=\"{instance}\"}}");
        self.series.push(Series {
            name,
            steps: steps.to_vec(),
        });
        self
    }

    /// Adds `up` of another job on this machine, with the same instance label, which is always 1.
    pub fn other_job_up(mut self, instance: &str) -> Self {
        let name = format!("up{{job=\"node\",instance=\"{instance}\"}}");
        self.series.push(Series {
            name,
            steps: vec![(0, Some(1.0))],
        });
        self
    }

    /// Adds since-time and tolerance of a condition of the service `api`, which is always confirmed. `labels` are `instance`, `tier`
    /// and `condition`. If the since-time is absent, the tolerance is absent too, because the service has both or none.
    pub fn condition(
        self,
        labels: [&str; 3],
        since: &[(u32, Option<f64>)],
        tolerance: &[(u32, f64)],
    ) -> Self {
        let confirmed = since
            .iter()
            .map(|(from, since)| (*from, since.map(|since| f64::from(u8::from(since > 0.0)))));
        let confirmed: Vec<_> = confirmed.collect();
        self.evidence(labels, since, tolerance, &confirmed)
    }

    /// Like [`Self::condition`], with the times at which the condition is confirmed.
    pub fn evidence(
        mut self,
        labels: [&str; 3],
        since: &[(u32, Option<f64>)],
        tolerance: &[(u32, f64)],
        confirmed: &[(u32, Option<f64>)],
    ) -> Self {
        let [instance, tier, condition] = labels;
        let labels = format!(
            "job=\"upkeep\",instance=\"{instance}\",service=\"api\",group=\"g\",tier=\"{tier}\",condition=\"{condition}\""
        );
        let present = |t: u32| {
            since
                .iter()
                .rev()
                .find(|(from, _)| *from <= t)
                .is_some_and(|(_, value)| value.is_some())
        };
        let tolerated = |t: u32| {
            tolerance
                .iter()
                .rev()
                .find(|(from, _)| *from <= t)
                .map(|(_, value)| *value)
        };
        let mut moments: Vec<u32> = since
            .iter()
            .map(|s| s.0)
            .chain(tolerance.iter().map(|s| s.0))
            .collect();
        moments.sort_unstable();
        let steps = moments
            .iter()
            .map(|t| (*t, tolerated(*t).filter(|_| present(*t))))
            .collect();
        let name = format!("upkeep_service_condition_tolerance_seconds{{{labels}}}");
        self.series.push(Series { name, steps });
        let name = format!("upkeep_service_condition_since_timestamp_seconds{{{labels}}}");
        self.series.push(Series {
            name,
            steps: since.to_vec(),
        });
        let name = format!("upkeep_service_condition_confirmed{{{labels}}}");
        self.series.push(Series {
            name,
            steps: confirmed.to_vec(),
        });
        self
    }

    /// Fires in these spans and at no other evaluation. `alert` may have label matchers appended: `UpkeepServiceDown,tier="..."`.
    pub fn fires(self, alert: &str, spans: &[(Edge, Edge)]) -> Self {
        let (name, matchers) = alert.split_once(',').unwrap_or((alert, ""));
        let selector = format!("ALERTS{{alertname=\"{name}\",alertstate=\"firing\",{matchers}}}");
        self.exists(&selector, spans)
    }

    /// This recorded series exists in these spans and at no other evaluation.
    pub fn exists(mut self, selector: &str, spans: &[(Edge, Edge)]) -> Self {
        self.expect.push(Expect::new(selector, spans.to_vec()));
        self
    }

    /// Never fires.
    pub fn silent(self, alert: &str) -> Self {
        self.fires(alert, &[])
    }

    /// Whether the expectations need the rules on exporters.
    pub fn needs_exporter_rules(&self) -> bool {
        self.expect
            .iter()
            .any(|expect| expect.selector.contains("UpkeepExporter"))
    }

    /// The end of the timeline, after all changes.
    fn end(&self, intervals: Intervals) -> u32 {
        let changes = self
            .series
            .iter()
            .flat_map(|series| series.steps.iter().map(|step| step.0));
        let edges = self
            .expect
            .iter()
            .flat_map(|expect| expect.spans.iter().flat_map(|span| [span.0, span.1]));
        let edges = edges
            .map(|edge| edge.tick(intervals))
            .filter(|t| *t < NEVER.tick(intervals));
        changes.chain(edges).max().unwrap_or_default() + REST
    }

    /// Renders one test of a promtool file.
    pub fn test(&self, intervals: Intervals) -> Value {
        let end = self.end(intervals);
        let series: Vec<Value> = self
            .series
            .iter()
            .map(|s| json!({ "series": s.name, "values": s.notation(intervals, end) }))
            .collect();
        let checks: Vec<Value> = self
            .expect
            .iter()
            .flat_map(|expect| expect.checks(intervals, end))
            .collect();
        json!({
            "name": self.name,
            "interval": format!("{}s", intervals.scrape),
            "input_series": series,
            "promql_expr_test": checks,
        })
    }
}

impl Expect {
    pub fn new(selector: &str, spans: Vec<(Edge, Edge)>) -> Self {
        Self {
            selector: selector.to_owned(),
            spans,
        }
    }

    pub fn checks(&self, intervals: Intervals, end: u32) -> Vec<Value> {
        let spans: Vec<(u32, u32)> = self
            .spans
            .iter()
            .map(|(from, to)| (from.tick(intervals), to.tick(intervals)))
            .collect();
        let step = intervals.evaluation;
        let fires = |t: u32| spans.iter().any(|(from, to)| (*from..*to).contains(&t));
        let last = end / step * step;
        let mut moments: Vec<u32> = spans
            .iter()
            .flat_map(|(from, to)| [*from - step, *from, *to - step, *to])
            .collect();
        moments.extend([0, last]);
        moments.retain(|t| *t <= last);
        let edges = moments.iter().map(|t| {
            let samples = json!([{ "labels": "{}", "value": u32::from(fires(*t)) }]);
            json!({ "expr": format!("count({}) or vector(0)", self.selector), "eval_time": format!("{t}s"), "exp_samples": samples })
        });
        let total = (0..=last).step_by(step as usize).filter(|t| fires(*t)).count();
        let count = json!({
            "expr": format!("sum(count_over_time({}[{}s])) or vector(0)", self.selector, end + step),
            "eval_time": format!("{last}s"),
            "exp_samples": [{ "labels": "{}", "value": total }],
        });
        edges.chain([count]).collect()
    }
}
