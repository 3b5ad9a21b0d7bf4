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
use crate::store::NativeView;

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
    String::from_utf8(encoded(format)).unwrap()
}

fn encoded(format: Format) -> Vec<u8> {
    let labels = SharedLabels::new(format, &["service", "check"], &[VALUE, "c"]);
    let mut writer = Writer::new(format, 0);
    let mut series = writer.family(&COUNTER);
    series.shared_labels = Some(&labels);
    series.start = Some(1_700_000_000.25);
    series.push_with(&[VALUE], 1.5);
    writer.family(&GAUGE).push(200_u64);
    let mut series = writer.family(&INFO);
    series.shared_labels = Some(&labels);
    series.push_with(&[VALUE], 1_u64);
    let histogram = HistogramView {
        bounds: BOUNDS,
        counts: vec![1, 0, 1, 1],
        sum: 12.004,
        start: 1_700_000_001.0,
        native: Some(NativeView {
            schema: 3,
            zero_threshold: 1e-9,
            zeros: 1,
            buckets: vec![(-64, 1), (8, 1), (9, 3)],
        }),
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
fn a_family_without_series_is_omitted() {
    let mut writer = Writer::new(Format::OpenMetrics, 0);
    writer.family(&COUNTER);
    writer.family(&HISTOGRAM).push_some(None::<f64>);
    assert_eq!(writer.finish(), b"# EOF\n");
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

/// The messages of https://github.com/prometheus/client_model, with the fields that are used.
mod messages {
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct LabelPair {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub value: String,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Timestamp {
        #[prost(int64, tag = "1")]
        pub seconds: i64,
        #[prost(int32, tag = "2")]
        pub nanos: i32,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Gauge {
        #[prost(double, tag = "1")]
        pub value: f64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Counter {
        #[prost(double, tag = "1")]
        pub value: f64,
        #[prost(message, optional, tag = "3")]
        pub start: Option<Timestamp>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Bucket {
        #[prost(uint64, tag = "1")]
        pub cumulative_count: u64,
        #[prost(double, tag = "2")]
        pub upper_bound: f64,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Span {
        #[prost(sint32, tag = "1")]
        pub offset: i32,
        #[prost(uint32, tag = "2")]
        pub length: u32,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Histogram {
        #[prost(uint64, tag = "1")]
        pub count: u64,
        #[prost(double, tag = "2")]
        pub sum: f64,
        #[prost(message, repeated, tag = "3")]
        pub bucket: Vec<Bucket>,
        #[prost(sint32, tag = "5")]
        pub schema: i32,
        #[prost(double, tag = "6")]
        pub zero_threshold: f64,
        #[prost(uint64, tag = "7")]
        pub zero_count: u64,
        #[prost(message, repeated, tag = "12")]
        pub positive_span: Vec<Span>,
        #[prost(sint64, repeated, tag = "13")]
        pub positive_delta: Vec<i64>,
        #[prost(message, optional, tag = "15")]
        pub start: Option<Timestamp>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct Metric {
        #[prost(message, repeated, tag = "1")]
        pub label: Vec<LabelPair>,
        #[prost(message, optional, tag = "2")]
        pub gauge: Option<Gauge>,
        #[prost(message, optional, tag = "3")]
        pub counter: Option<Counter>,
        #[prost(message, optional, tag = "7")]
        pub histogram: Option<Histogram>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct MetricFamily {
        #[prost(string, tag = "1")]
        pub name: String,
        #[prost(string, tag = "2")]
        pub help: String,
        #[prost(int32, tag = "3")]
        pub metric_type: i32,
        #[prost(message, repeated, tag = "4")]
        pub metric: Vec<Metric>,
        #[prost(string, tag = "5")]
        pub unit: String,
    }
}

#[test]
fn protocol_buffers_are_decoded_as_they_were_meant() {
    use prost::Message;

    use self::messages::*;

    let encoded = encoded(Format::Protobuf);
    let mut rest = &encoded[..];
    let mut families = Vec::new();
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    let label = |name: &str, value: &str| LabelPair {
        name: name.to_owned(),
        value: value.to_owned(),
    };
    let shared = [label("service", VALUE), label("check", "c")];
    let all = [&shared[..], &[label("own", VALUE)]].concat();
    let family = |name: &str, help: &str, metric_type, unit: &str, metric| MetricFamily {
        name: name.to_owned(),
        help: help.to_owned(),
        metric_type,
        metric,
        unit: unit.to_owned(),
    };
    let start = |seconds, nanos| Some(Timestamp { seconds, nanos });
    let bucket = |cumulative_count, upper_bound| Bucket {
        cumulative_count,
        upper_bound,
    };
    let span = |offset, length| Span { offset, length };
    let counter = Metric {
        label: all.clone(),
        counter: Some(Counter {
            value: 1.5,
            start: start(1_700_000_000, 250_000_000),
        }),
        ..Metric::default()
    };
    let gauge = |label, value| Metric {
        label,
        gauge: Some(Gauge { value }),
        ..Metric::default()
    };
    let histogram = |label| Metric {
        label,
        histogram: Some(Histogram {
            count: 3,
            sum: 12.004,
            bucket: vec![bucket(1, 0.005), bucket(1, 1.0), bucket(2, 2.5)],
            schema: 3,
            zero_threshold: 1e-9,
            zero_count: 1,
            positive_span: vec![span(-64, 1), span(71, 2)],
            positive_delta: vec![1, 0, 2],
            start: start(1_700_000_001, 0),
        }),
        ..Metric::default()
    };
    let expected = [
        family("a_seconds_total", "About a.", 0, "seconds", vec![counter]),
        family("b_bytes", "About b.", 1, "bytes", vec![gauge(Vec::new(), 200.0)]),
        family("c_info", "About c.", 1, "", vec![gauge(all, 1.0)]),
        family(
            "d_seconds",
            "About d.",
            4,
            "seconds",
            vec![histogram(Vec::new()), histogram(shared.to_vec())],
        ),
    ];
    assert_eq!(families, expected);
}
