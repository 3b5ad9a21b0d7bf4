//! Writes OpenMetrics 1.0, the classic text format (0.0.4) and Protocol Buffers from families, label values and numbers.
//!
//! `/metrics` and `/probe` both use it, `/probe` only for the classic format. The names of the types and the end mark come from prometheus-client, and a test compares
//! the output with that of its encoder. The encoder itself is not used, for these reasons:
//! - It can't write the classic format.
//! - It encodes all labels again for every series, and for every bucket of a histogram. Here the labels that the series of a
//!   check share are escaped once per scrape ([`SharedLabels`]).
//! - It writes NUL as it is, and the lexer of Prometheus reads NUL as the end of the input.
//! - Its Protocol Buffers need a compiler for them when the exporter is built.

use prometheus_client::encoding::text::encode_eof;
use prometheus_client::metrics::MetricType as TypeName;

use super::format::Format;
use super::labels::{SharedLabels, push_escaped, push_label};
use super::names::{metadata_name, unit_name};
use super::number::{Number, push_float};
use super::protobuf::Protobuf;
use crate::model::{Family, MetricType, Sample};
use crate::store::HistogramView;

/// Writes one exposition.
#[derive(Debug)]
pub(super) struct Writer {
    /// The text formats. Empty for Protocol Buffers.
    text: String,
    /// Protocol Buffers. Empty for the text formats.
    protobuf: Protobuf,
    format: Format,
}

impl Writer {
    /// Creates a writer. `capacity` is an estimate of the length of the exposition in bytes.
    pub fn new(format: Format, capacity: usize) -> Self {
        let (of_text, of_protobuf) = match format {
            Format::OpenMetrics | Format::Classic => (capacity, 0),
            Format::Protobuf => (0, capacity),
        };
        Self {
            text: String::with_capacity(of_text),
            protobuf: Protobuf::new(of_protobuf),
            format,
        }
    }

    /// Starts a family. Its metadata is written with its first series; a family without series is omitted.
    pub const fn family(&mut self, family: &'static Family) -> Series<'_> {
        Series {
            writer: self,
            family,
            shared_labels: None,
            start: None,
            has_metadata: false,
            buckets: Vec::new(),
        }
    }

    /// Ends the exposition and returns it.
    pub fn finish(mut self) -> Vec<u8> {
        match self.format {
            Format::OpenMetrics => {
                // Writing to a string can't fail.
                let _ = encode_eof(&mut self.text);
            }
            Format::Classic => {}
            Format::Protobuf => return self.protobuf.finish(),
        }
        self.text.into_bytes()
    }

    /// What is complete: lines, or families of Protocol Buffers.
    fn complete(&self) -> &[u8] {
        match self.format {
            Format::OpenMetrics | Format::Classic => self.text.as_bytes(),
            Format::Protobuf => self.protobuf.complete(),
        }
    }

    fn remove_complete(&mut self) {
        self.text.clear();
        self.protobuf.remove_complete();
    }

    fn push_metadata(&mut self, family: &Family) {
        if self.format == Format::Protobuf {
            return self.protobuf.start_family(family);
        }
        let is_classic = self.format == Format::Classic;
        let (name, type_name) = match family.metric_type {
            // The classic format has no type info, and its metadata has the names of the series.
            MetricType::Info if is_classic => (family.name, TypeName::Gauge),
            _ if is_classic => (family.name, type_name(family.metric_type)),
            _ => (metadata_name(family), type_name(family.metric_type)),
        };
        self.push_parts(&["# HELP ", name, " "]);
        push_escaped(&mut self.text, family.help, !is_classic);
        self.push_parts(&["\n# TYPE ", name, " ", type_name.as_str(), "\n"]);
        if let (Some(unit), false) = (unit_name(family.unit), is_classic) {
            self.push_parts(&["# UNIT ", name, " ", unit, "\n"]);
        }
    }

    fn push_parts(&mut self, parts: &[&str]) {
        for part in parts {
            self.text.push_str(part);
        }
    }
}

const fn type_name(metric_type: MetricType) -> TypeName {
    match metric_type {
        MetricType::Counter => TypeName::Counter,
        MetricType::Gauge => TypeName::Gauge,
        MetricType::Histogram => TypeName::Histogram,
        MetricType::Info => TypeName::Info,
    }
}

/// Writes the series of one family.
#[derive(Debug)]
pub(super) struct Series<'w> {
    writer: &'w mut Writer,
    family: &'static Family,
    /// The labels of the service or check whose series follow. `None` for series of the exporter itself.
    pub shared_labels: Option<&'w SharedLabels>,
    /// When the counters that follow started to count, in Unix time. `None` if that is not known.
    pub start: Option<f64>,
    has_metadata: bool,
    /// The starts of the lines of the family's buckets, with the end of the line before and the label `le`.
    buckets: Vec<String>,
}

impl<'w> Series<'w> {
    /// Starts the series of a service or check.
    pub const fn start_subject(&mut self, labels: &'w SharedLabels, start: Option<f64>) {
        (self.shared_labels, self.start) = (Some(labels), start);
    }

    /// Writes one value of a family that declares no labels.
    pub fn push(&mut self, value: impl Into<Number>) {
        self.push_with::<&str>(&[], value);
    }

    /// Writes a value, if there is one.
    pub fn push_some(&mut self, value: Option<impl Into<Number>>) {
        if let Some(value) = value {
            self.push(value);
        }
    }

    /// Writes one value with the values of the labels that the family declares, in that order.
    pub fn push_with<T: AsRef<str>>(&mut self, labels: &[T], value: impl Into<Number>) {
        self.push_line(self.family.labels, labels, value.into());
    }

    /// Writes a sample with the labels that its family declares. Families can share a name but differ in labels, such as
    /// `probe_expect_info`.
    pub fn push_sample(&mut self, sample: &Sample) {
        self.push_line(sample.family.labels, &sample.labels, sample.value.into());
    }

    fn push_line<T: AsRef<str>>(&mut self, names: &[&str], values: &[T], value: Number) {
        debug_assert_eq!(names.len(), values.len(), "{}", self.family.name);
        self.ensure_metadata();
        if self.writer.format == Format::Protobuf {
            let shared = self.shared_labels.map_or(&[][..], SharedLabels::as_bytes);
            let labels = names.iter().copied().zip(values.iter().map(AsRef::as_ref));
            let metric_type = self.family.metric_type;
            let protobuf = &mut self.writer.protobuf;
            return protobuf.push_number(metric_type, shared, labels, value, self.start);
        }
        let text = &mut self.writer.text;
        text.push_str(self.family.name);
        match self.shared_labels {
            Some(labels) if names.is_empty() => text.push_str(labels.in_braces()),
            labels => push_labels(text, labels.map(SharedLabels::as_str), names, values),
        }
        match self.family.metric_type {
            // OpenMetrics 1.0: the value of an info series is always 1.
            MetricType::Info => text.push('1'),
            _ => value.push_to(text),
        }
        text.push('\n');
    }

    /// Passes what is complete on to `sink`, and removes it, if it has at least `length` bytes.
    pub fn drain_from(&mut self, length: usize, sink: &mut dyn FnMut(&[u8])) {
        if self.writer.complete().len() >= length {
            sink(self.writer.complete());
            self.writer.remove_complete();
        }
    }

    /// Ends the family. In Protocol Buffers, passes it on to `sink` if it has at least `length` bytes.
    pub fn end(self, length: usize, sink: &mut dyn FnMut(&[u8])) {
        if self.has_metadata && self.writer.format == Format::Protobuf {
            self.writer.protobuf.end_family_into(length, sink);
        }
    }

    /// Writes one histogram. The family declares no labels, and all of its histograms have the same bounds.
    pub fn push_histogram(&mut self, histogram: &HistogramView) {
        self.ensure_metadata();
        if self.writer.format == Format::Protobuf {
            let shared = self.shared_labels.map_or(&[][..], SharedLabels::as_bytes);
            return self.writer.protobuf.push_histogram(shared, histogram);
        }
        self.push_histogram_name("", "_sum");
        // The sum of no values is -0 in Rust; adding 0 makes it 0.
        push_float(&mut self.writer.text, histogram.sum + 0.0);
        self.push_histogram_name("\n", "_count");
        Number::from(histogram.count()).push_to(&mut self.writer.text);
        if self.buckets.is_empty() {
            // The canonical form of OpenMetrics has a decimal point, as has Rust's `Debug`.
            let bounds = histogram.bounds.iter().map(|bound| format!("{bound:?}"));
            let bucket = |bound| format!("\n{}_bucket{{le=\"{bound}\"", self.family.name);
            self.buckets = bounds.chain(["+Inf".to_owned()]).map(bucket).collect();
        }
        let labels = self.shared_labels.map(SharedLabels::until_brace);
        let text = &mut self.writer.text;
        let mut count = 0;
        for (bucket, in_bucket) in self.buckets.iter().zip(&histogram.counts) {
            count += in_bucket;
            text.push_str(bucket);
            match labels {
                Some(labels) => {
                    text.push(',');
                    text.push_str(labels);
                }
                None => text.push_str("} "),
            }
            Number::from(count).push_to(text);
        }
        text.push('\n');
    }

    /// Starts a line of a histogram that is not about a bucket. `before` ends the line before.
    fn push_histogram_name(&mut self, before: &str, suffix: &str) {
        let labels = self.shared_labels.map_or(" ", SharedLabels::in_braces);
        self.writer
            .push_parts(&[before, self.family.name, suffix, labels]);
    }

    fn ensure_metadata(&mut self) {
        if !self.has_metadata {
            self.has_metadata = true;
            self.writer.push_metadata(self.family);
        }
    }
}

/// Appends the labels of a line in braces, and a space. Without labels, appends only the space.
fn push_labels<T: AsRef<str>>(text: &mut String, shared: Option<&str>, names: &[&str], values: &[T]) {
    let mut separator = '{';
    if let Some(shared) = shared {
        text.push(separator);
        text.push_str(shared);
        separator = ',';
    }
    for (name, value) in names.iter().zip(values) {
        text.push(separator);
        push_label(text, name, value.as_ref());
        separator = ',';
    }
    text.push_str(if separator == ',' { "} " } else { " " });
}

#[cfg(test)]
mod tests;
