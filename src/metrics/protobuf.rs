//! Encodes metrics as `io.prometheus.client.MetricFamily` messages, each with its length in front.
//!
//! The messages are written field by field: a family of 10,000 checks would otherwise be built in memory as 10,000 messages with
//! their own labels. The labels that the series of a check share are encoded once per scrape.

use super::names::unit_name;
use super::number::Number;
use crate::model::{Family, MetricType};
use crate::store::{HistogramView, NativeView};

/// The types of fields on the wire (Protocol Buffers, "Encoding").
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

/// The encoded families, and the messages that are not complete yet.
#[derive(Debug, Default)]
pub struct Protobuf {
    complete: Vec<u8>,
    /// The current family.
    family: Vec<u8>,
    /// The labels of the current metric that others do not share.
    labels: Vec<u8>,
    /// The value of the current metric.
    value: Vec<u8>,
    /// A part of the value.
    part: Vec<u8>,
}

impl Protobuf {
    /// Creates an encoder. `capacity` is an estimate of the size of the result in bytes.
    pub fn new(capacity: usize) -> Self {
        Self {
            complete: Vec::with_capacity(capacity),
            ..Self::default()
        }
    }

    /// Starts a family.
    pub fn start_family(&mut self, family: &Family) {
        self.end_family();
        let metric_type = match family.metric_type {
            MetricType::Counter => 0,
            // There is no type info.
            MetricType::Gauge | MetricType::Info => 1,
            MetricType::Histogram => 4,
        };
        put_bytes(&mut self.family, 1, family.name.as_bytes());
        put_bytes(&mut self.family, 2, family.help.as_bytes());
        put_number(&mut self.family, 3, metric_type);
        if let Some(unit) = unit_name(family.unit) {
            put_bytes(&mut self.family, 5, unit.as_bytes());
        }
    }

    /// Adds a metric with the labels of `shared` (encoded by [`put_label`]) and those of `labels`. `start` is when a counter started
    /// to count, in Unix time.
    pub fn push_number<'l>(
        &mut self,
        metric_type: MetricType,
        shared: &[u8],
        labels: impl Iterator<Item = (&'l str, &'l str)>,
        value: Number,
        start: Option<f64>,
    ) {
        self.labels.clear();
        for (name, value) in labels {
            put_label(&mut self.labels, name, value);
        }
        self.value.clear();
        put_double(&mut self.value, 1, value.to_double());
        let field = match metric_type {
            MetricType::Counter => {
                self.put_start(3, start);
                3
            }
            MetricType::Gauge | MetricType::Histogram | MetricType::Info => 2,
        };
        self.push_metric(shared, field);
    }

    /// Adds a histogram with its classic buckets, and with its native ones if it has some.
    pub fn push_histogram(&mut self, shared: &[u8], histogram: &HistogramView) {
        self.labels.clear();
        self.value.clear();
        put_number(&mut self.value, 1, histogram.count());
        put_double(&mut self.value, 2, histogram.sum + 0.0);
        let mut count = 0;
        // The last bucket, up to infinity, is implied by the number of observations.
        for (bound, in_bucket) in histogram.bounds.iter().zip(&histogram.counts) {
            count += in_bucket;
            self.part.clear();
            put_number(&mut self.part, 1, count);
            put_double(&mut self.part, 2, *bound);
            put_bytes(&mut self.value, 3, &self.part);
        }
        if let Some(native) = &histogram.native {
            self.put_native(native);
        }
        self.put_start(15, Some(histogram.start));
        self.push_metric(shared, 7);
    }

    /// Ends the last family, and returns all of them.
    pub fn finish(mut self) -> Vec<u8> {
        self.end_family();
        self.complete
    }

    /// The families that ended.
    pub fn complete(&self) -> &[u8] {
        &self.complete
    }

    /// Removes the families that ended.
    pub fn remove_complete(&mut self) {
        self.complete.clear();
    }

    /// Ends the current family. If it has at least `length` bytes, passes it on to `sink` after the families before it, instead of copying
    /// it.
    pub fn end_family_into(&mut self, length: usize, sink: &mut dyn FnMut(&[u8])) {
        if self.family.len() < length {
            return self.end_family();
        }
        put_varint(&mut self.complete, self.family.len() as u64);
        for part in [&mut self.complete, &mut self.family] {
            sink(part);
            part.clear();
        }
    }

    fn end_family(&mut self) {
        if !self.family.is_empty() {
            put_varint(&mut self.complete, self.family.len() as u64);
            self.complete.append(&mut self.family);
        }
    }

    /// Adds the current metric to the family. The field of the value in the message `Metric` depends on its type.
    fn push_metric(&mut self, shared: &[u8], field: u32) {
        // The key of the value has one byte.
        let value = 1 + varint_length(self.value.len() as u64) + self.value.len();
        let length = shared.len() + self.labels.len() + value;
        put_key(&mut self.family, 4, Wire::Bytes);
        put_varint(&mut self.family, length as u64);
        self.family.extend_from_slice(shared);
        self.family.extend_from_slice(&self.labels);
        put_bytes(&mut self.family, field, &self.value);
    }

    /// Adds a `google.protobuf.Timestamp` to the value.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a Unix time after 1970"
    )]
    fn put_start(&mut self, field: u32, start: Option<f64>) {
        let Some(start) = start.filter(|start| *start > 0.0) else {
            return;
        };
        self.part.clear();
        put_number(&mut self.part, 1, start.trunc() as u64);
        put_number(&mut self.part, 2, (start.fract() * 1e9) as u64);
        put_bytes(&mut self.value, field, &self.part);
    }

    /// Adds the native buckets: spans of adjacent buckets, and the difference of each count to the one before.
    fn put_native(&mut self, native: &NativeView) {
        put_number(&mut self.value, 5, zigzag(native.schema.into()));
        // A histogram without a zero threshold, zeros and spans counts as classic.
        put_double(&mut self.value, 6, native.zero_threshold);
        put_number(&mut self.value, 7, native.zeros);
        let mut next = 0;
        for span in native.buckets.chunk_by(|a, b| b.0 == a.0 + 1) {
            let first = span[0].0;
            self.part.clear();
            put_number(&mut self.part, 1, zigzag((first - next).into()));
            put_number(&mut self.part, 2, span.len() as u64);
            put_bytes(&mut self.value, 12, &self.part);
            next = first + i32::try_from(span.len()).unwrap_or(i32::MAX);
        }
        self.part.clear();
        let mut before = 0;
        for (_, count) in &native.buckets {
            put_varint(&mut self.part, zigzag(count.wrapping_sub(before).cast_signed()));
            before = *count;
        }
        put_bytes(&mut self.value, 13, &self.part);
    }
}

/// Appends a label of a metric. NUL is replaced, as in the text formats.
pub fn put_label(buffer: &mut Vec<u8>, name: &str, value: &str) {
    let replaced;
    let value = match value.contains('\0') {
        false => value,
        true => {
            replaced = value.replace('\0', "\u{fffd}");
            &replaced
        }
    };
    // Both fields have a key of one byte.
    let length = [name, value].map(|text| 1 + varint_length(text.len() as u64) + text.len());
    put_key(buffer, 1, Wire::Bytes);
    put_varint(buffer, length.iter().sum::<usize>() as u64);
    put_bytes(buffer, 1, name.as_bytes());
    put_bytes(buffer, 2, value.as_bytes());
}

fn put_key(buffer: &mut Vec<u8>, field: u32, wire: Wire) {
    put_varint(buffer, u64::from(field << 3 | wire as u32));
}

fn put_number(buffer: &mut Vec<u8>, field: u32, value: u64) {
    put_key(buffer, field, Wire::Varint);
    put_varint(buffer, value);
}

fn put_double(buffer: &mut Vec<u8>, field: u32, value: f64) {
    put_key(buffer, field, Wire::Fixed64);
    buffer.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(buffer: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_key(buffer, field, Wire::Bytes);
    put_varint(buffer, bytes.len() as u64);
    buffer.extend_from_slice(bytes);
}

fn put_varint(buffer: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        #[allow(clippy::cast_possible_truncation, reason = "seven bits and a flag")]
        buffer.push(value as u8 | 0x80);
        value >>= 7;
    }
    #[allow(clippy::cast_possible_truncation, reason = "less than 0x80")]
    buffer.push(value as u8);
}

/// The number of bytes of a varint.
const fn varint_length(value: u64) -> usize {
    match value {
        0 => 1,
        value => (value.ilog2() / 7 + 1) as usize,
    }
}

/// Encodes a signed number such that small absolute values are short.
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
