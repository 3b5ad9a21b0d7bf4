//! Compares the writer with the encoder of prometheus-client, and both formats with each other.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family as Labelled;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit as RegistryUnit};

use super::*;
use crate::model::{Scope, Unit};

const BOUNDS: &[f64] = &[0.005, 1.0, 2.5];
const VALUE: &str = "plain \\ quoted \" line\n feed, \u{e4}";

static COUNTER: Family = Family {
    name: "a_seconds_total",
    metric_type: MetricType::Counter,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &["own"],
    help: "About a.",
};
static GAUGE: Family = Family {
    name: "b_bytes",
    metric_type: MetricType::Gauge,
    unit: Unit::Bytes,
    labels: &[],
    help: "About b.",
    ..COUNTER
};
static INFO: Family = Family {
    name: "c_info",
    metric_type: MetricType::Info,
    unit: Unit::None,
    labels: &["own"],
    help: "About c.",
    ..COUNTER
};
static HISTOGRAM: Family = Family {
    name: "d_seconds",
    metric_type: MetricType::Histogram,
    unit: Unit::Seconds,
    labels: &[],
    help: "About d.",
    ..COUNTER
};

fn written(format: Format) -> String {
    let labels = SharedLabels::new(&["service", "check"], &[VALUE, "c"]);
    let mut writer = Writer::new(format, 0);
    let mut series = writer.family(&COUNTER);
    series.shared_labels = Some(&labels);
    series.push_with(&[VALUE], 1.5);
    writer.family(&GAUGE).push(200_u64);
    let mut series = writer.family(&INFO);
    series.shared_labels = Some(&labels);
    series.push_with(&[VALUE], 1_u64);
    let histogram = HistogramView {
        bounds: BOUNDS,
        counts: vec![1, 0, 1, 1],
        sum: 12.004,
    };
    let mut series = writer.family(&HISTOGRAM);
    series.push_histogram(&histogram);
    series.shared_labels = Some(&labels);
    series.push_histogram(&histogram);
    writer.finish()
}

/// The same families as prometheus-client encodes them.
fn reference() -> String {
    type Set = Vec<(&'static str, &'static str)>;
    let (shared, own): (Set, Set) = (
        vec![("service", VALUE), ("check", "c")],
        vec![("service", VALUE), ("check", "c"), ("own", VALUE)],
    );
    let mut registry = Registry::default();
    // The registry adds the full stop to help texts.
    let counters = Labelled::<Set, Counter<f64, AtomicU64>>::default();
    counters.get_or_create(&own).inc_by(1.5);
    registry.register_with_unit("a", "About a", RegistryUnit::Seconds, counters);
    let gauge = Gauge::<u64, AtomicU64>::default();
    gauge.set(200);
    registry.register_with_unit("b", "About b", RegistryUnit::Bytes, gauge);
    registry.register("c", "About c", Info::new(own));
    let observe = |histogram: &Histogram| {
        for value in [0.004, 2.0, 10.0] {
            histogram.observe(value);
        }
    };
    let histogram = Histogram::new(BOUNDS.iter().copied());
    observe(&histogram);
    registry.register_with_unit("d", "About d", RegistryUnit::Seconds, histogram);
    let histograms =
        Labelled::<Set, Histogram>::new_with_constructor(|| Histogram::new(BOUNDS.iter().copied()));
    observe(&histograms.get_or_create(&shared));
    registry.register_with_unit("d", "About d", RegistryUnit::Seconds, histograms);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    // Here both histograms are of one family.
    let metadata = "# HELP d_seconds About d.\n# TYPE d_seconds histogram\n# UNIT d_seconds seconds\n";
    let last = text.rfind(metadata).unwrap();
    text.replace_range(last..last + metadata.len(), "");
    text
}

#[test]
fn openmetrics_is_as_prometheus_client_encodes_it() {
    assert_eq!(written(Format::OpenMetrics), reference());
}

#[test]
fn the_classic_format_differs_in_metadata_only() {
    let samples = |format| {
        let text = written(format);
        let lines = text.lines().filter(|line| !line.starts_with("# "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(samples(Format::Classic), samples(Format::OpenMetrics));
    let text = written(Format::Classic);
    let metadata: Vec<_> = text.lines().filter(|line| line.starts_with("# ")).collect();
    assert_eq!(
        metadata,
        [
            "# HELP a_seconds_total About a.",
            "# TYPE a_seconds_total counter",
            "# HELP b_bytes About b.",
            "# TYPE b_bytes gauge",
            "# HELP c_info About c.",
            "# TYPE c_info gauge",
            "# HELP d_seconds About d.",
            "# TYPE d_seconds histogram",
        ]
    );
}
