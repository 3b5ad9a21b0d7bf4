//! What happens to services and exporters over time, and which alerts must fire when, at any scrape interval.
//!
//! All times are seconds and all changes fall on multiples of 30, so that scrapes at 1, 15 and 30 s see them at the same
//! moment. An expectation covers every evaluation: its edges are asserted one by one, and the total by counting, so that an
//! alert that flickers in between is found.

use serde_json::{Value, json};

/// How long after the last change a timeline goes on.
const REST: u32 = 60;

/// For an alert or a series that goes on to the end of its timeline.
pub const NEVER: Edge = Edge::At(u32::MAX / 2);

/// Seconds between scrapes, and between evaluations.
#[derive(Clone, Copy)]
pub struct Pace {
    pub scrape: u32,
    pub evaluation: u32,
    /// See [`ranges_are_left_open`].
    pub left_open: bool,
}

/// The first evaluation that differs from the ones before it.
#[derive(Clone, Copy)]
pub enum Edge {
    /// At this moment or, if none falls on it, after it.
    At(u32),
    /// Strictly after this moment: a condition that lasted exactly as long as tolerated is no alert.
    After(u32),
    /// Ten minutes after the last scrape before this moment, at which the exporter stopped answering.
    HoldEnds(u32),
    /// At the first scrape at this moment or after it: what the exporter shows from this moment on.
    Seen(u32),
}

impl Edge {
    fn tick(self, pace: Pace) -> u32 {
        let step = pace.evaluation;
        match self {
            Self::At(t) => t.div_ceil(step) * step,
            Self::After(t) => (t / step + 1) * step,
            Self::HoldEnds(t) if pace.left_open => Self::At(t - pace.scrape + 600).tick(pace),
            Self::HoldEnds(t) => Self::After(t - pace.scrape + 600).tick(pace),
            Self::Seen(t) => Self::At(t.div_ceil(pace.scrape) * pace.scrape).tick(pace),
        }
    }
}

/// A series as the exporter would show it: from each moment on a value, or absent.
pub struct Series {
    name: String,
    steps: Vec<(u32, Option<f64>)>,
}

impl Series {
    /// promtool's notation: one word a scrape. What vanishes gets a staleness marker, as Prometheus writes it.
    fn notation(&self, pace: Pace, end: u32) -> String {
        let at = |t: u32| {
            self.steps
                .iter()
                .rev()
                .find(|(from, _)| *from <= t)
                .and_then(|(_, value)| *value)
        };
        let word = |t: u32| match at(t) {
            Some(value) => value.to_string(),
            None if t >= pace.scrape && at(t - pace.scrape).is_some() => "stale".to_owned(),
            None => "_".to_owned(),
        };
        let words: Vec<String> = (0..=end).step_by(pace.scrape as usize).map(word).collect();
        words.join(" ")
    }
}

/// promtool's ranges are open at their left end since 3.0: a sample as old as the range is long does not count any more.
pub fn ranges_are_left_open() -> bool {
    let version = super::promtool(&["--version".into()]);
    !version.contains("version 2.")
}

/// An alert that fires, or another series that exists, in these spans and at no other evaluation.
pub struct Expect {
    selector: String,
    spans: Vec<(Edge, Edge)>,
}

/// A timeline and what must come of it.
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

    /// `up` of the exporter on this machine.
    pub fn up(mut self, instance: &str, steps: &[(u32, Option<f64>)]) -> Self {
        let name = format!("up{{job=\"upkeep\",instance=\"{instance}\"}}");
        self.series.push(Series {
            name,
            steps: steps.to_vec(),
        });
        self
    }

    /// `up` of something else on this machine, with the same instance label, that answers all the time.
    pub fn other_job_up(mut self, instance: &str) -> Self {
        let name = format!("up{{job=\"node\",instance=\"{instance}\"}}");
        self.series.push(Series {
            name,
            steps: vec![(0, Some(1.0))],
        });
        self
    }

    /// Since-time and tolerance of a condition of the service `api`; `labels` are `instance`, `tier` and `condition`. Where
    /// the since-time is absent the tolerance is, because both come with the service. It is confirmed all the time.
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

    /// The same, and whether it is confirmed.
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

    /// Fires in these spans and at no other evaluation. `alert` may go on with label matchers: `UpkeepServiceDown,tier="..."`.
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

    /// Whether the rules about exporters are needed to judge it.
    pub fn needs_exporter_rules(&self) -> bool {
        self.expect
            .iter()
            .any(|expect| expect.selector.contains("UpkeepExporter"))
    }

    /// When nothing changes any more.
    fn end(&self, pace: Pace) -> u32 {
        let changes = self
            .series
            .iter()
            .flat_map(|series| series.steps.iter().map(|step| step.0));
        let edges = self
            .expect
            .iter()
            .flat_map(|expect| expect.spans.iter().flat_map(|span| [span.0, span.1]));
        let edges = edges
            .map(|edge| edge.tick(pace))
            .filter(|t| *t < NEVER.tick(pace));
        changes.chain(edges).max().unwrap_or_default() + REST
    }

    /// As one test of a promtool file.
    pub fn test(&self, pace: Pace) -> Value {
        let end = self.end(pace);
        let series: Vec<Value> = self
            .series
            .iter()
            .map(|s| json!({ "series": s.name, "values": s.notation(pace, end) }))
            .collect();
        let checks: Vec<Value> = self
            .expect
            .iter()
            .flat_map(|expect| expect.checks(pace, end))
            .collect();
        json!({
            "name": self.name,
            "interval": format!("{}s", pace.scrape),
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

    pub fn checks(&self, pace: Pace, end: u32) -> Vec<Value> {
        let spans: Vec<(u32, u32)> = self
            .spans
            .iter()
            .map(|(from, to)| (from.tick(pace), to.tick(pace)))
            .collect();
        let step = pace.evaluation;
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
