//! The exposition formats.

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The classic text format, 0.0.4.
    Classic,
    /// Messages `io.prometheus.client.MetricFamily`, each with its length in front. Only this format has native histograms and the
    /// start times of counters.
    Protobuf,
}
