//! Writes the series of one family. Labels that many series share are escaped once.

use std::borrow::Cow;
use std::fmt::{self, Write};

use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabel,
    EncodeLabelSet, GaugeValueEncoder, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType as WireType;
use prometheus_client::registry::Unit as WireUnit;

use super::table::base_name;
use crate::model::{Family, MetricType, Unit};
use crate::store::HistogramView;

/// The labels of a scope with their values, ready to be written before a family's own.
#[derive(Debug)]
pub(super) struct Leading {
    /// All but the last value: `service="api",group="web",check`. It is written where the encoder takes a label's name,
    /// which it does not look into; so the values in it are escaped here.
    key: String,
    last: String,
}

impl Leading {
    /// Two labels and a last one.
    pub fn new(first: [(&str, &str); 2], last: (&str, &str)) -> Self {
        let mut key = String::new();
        for (name, value) in first {
            key.push_str(name);
            key.push_str("=\"");
            escape_into(&mut key, value);
            key.push_str("\",");
        }
        key.push_str(last.0);
        Self {
            key,
            last: without_nul(last.1).into_owned(),
        }
    }
}

/// Escapes a label's value as both formats want it.
pub(super) fn escape_into(text: &mut String, value: &str) {
    for character in without_nul(value).chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

/// Prometheus's lexer takes a NUL for the end of the input, and there is no escape for it.
fn without_nul(value: &str) -> Cow<'_, str> {
    match value.contains('\0') {
        true => value.replace('\0', "\u{fffd}").into(),
        false => value.into(),
    }
}

/// A value on its way out. Whole numbers are written without a fraction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    /// A whole number.
    Whole(u64),
    /// Any number.
    Float(f64),
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Whole(value.into())
    }
}

impl From<f64> for Number {
    // Between 0 and 2^53 the cast of a whole number is exact.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn from(value: f64) -> Self {
        if value.fract() == 0.0 && (0.0..9.0e15).contains(&value) {
            Self::Whole(value as u64)
        } else {
            Self::Float(value)
        }
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder) -> fmt::Result {
        match self {
            Self::Whole(value) => EncodeGaugeValue::encode(value, encoder),
            Self::Float(value) => EncodeGaugeValue::encode(value, encoder),
        }
    }
}

impl EncodeCounterValue for Number {
    fn encode(&self, encoder: &mut CounterValueEncoder) -> fmt::Result {
        match self {
            Self::Whole(value) => EncodeCounterValue::encode(value, encoder),
            Self::Float(value) => EncodeCounterValue::encode(value, encoder),
        }
    }
}

/// All labels of one series.
struct Labels<'a, T> {
    leading: Option<&'a Leading>,
    names: &'static [&'static str],
    values: &'a [T],
}

impl<T: AsRef<str>> EncodeLabelSet for Labels<'_, T> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> fmt::Result {
        if let Some(leading) = self.leading {
            (leading.key.as_str(), leading.last.as_str()).encode(encoder.encode_label())?;
        }
        for (name, value) in self.names.iter().zip(self.values) {
            let mut label = encoder.encode_label();
            let mut key = label.encode_label_key()?;
            key.write_str(name)?;
            let mut text = key.encode_label_value()?;
            text.write_str(&without_nul(value.as_ref()))?;
            text.finish()?;
        }
        Ok(())
    }
}

/// Takes the series of one family. The family is announced with its first series, so an empty one leaves no trace.
pub(super) struct Series<'a, 'b> {
    family: &'static Family,
    /// The labels of the service or check whose series are pushed; `None` for the exporter's own.
    pub leading: Option<&'a Leading>,
    encoder: Option<&'a mut DescriptorEncoder<'b>>,
    metric: Option<MetricEncoder<'a>>,
    buckets: Vec<(f64, u64)>,
}

impl<'a, 'b> Series<'a, 'b> {
    /// Nothing yet of `family`.
    pub fn new(family: &'static Family, encoder: &'a mut DescriptorEncoder<'b>) -> Self {
        Self {
            family,
            leading: None,
            encoder: Some(encoder),
            metric: None,
            buckets: Vec::new(),
        }
    }

    /// One value of a family without labels of its own.
    ///
    /// # Errors
    /// The writer's.
    pub fn push(&mut self, value: impl Into<Number>) -> fmt::Result {
        self.push_with::<&str>(&[], value)
    }

    /// One value, with the values of the family's own labels in the order of their declaration.
    ///
    /// # Errors
    /// The writer's.
    pub fn push_with<T: AsRef<str>>(&mut self, values: &[T], value: impl Into<Number>) -> fmt::Result {
        debug_assert_eq!(self.family.labels.len(), values.len(), "{}", self.family.name);
        let labels = Labels {
            leading: self.leading,
            names: self.family.labels,
            values,
        };
        let metric_type = self.family.metric_type;
        let Some(metric) = self.metric()? else {
            return Err(fmt::Error);
        };
        if metric_type == MetricType::Info {
            return metric.encode_info(&labels);
        }
        if labels.leading.is_some() || !labels.names.is_empty() {
            encode_number(&mut metric.encode_family(&labels)?, metric_type, value.into())
        } else {
            encode_number(metric, metric_type, value.into())
        }
    }

    /// One histogram; the family has no labels of its own.
    ///
    /// # Errors
    /// The writer's.
    pub fn push_histogram(&mut self, histogram: &HistogramView) -> fmt::Result {
        let mut buckets = std::mem::take(&mut self.buckets);
        buckets.clear();
        let bounds = histogram.bounds.iter().copied().chain([f64::INFINITY]);
        buckets.extend(bounds.zip(histogram.counts.iter().copied()));
        // The sum of nothing is -0 in Rust; adding 0 makes it 0.
        let (sum, count) = (histogram.sum + 0.0, histogram.count());
        let labels = Labels::<&str> {
            leading: self.leading,
            names: &[],
            values: &[],
        };
        let Some(metric) = self.metric()? else {
            return Err(fmt::Error);
        };
        if labels.leading.is_some() {
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        } else {
            metric.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        self.buckets = buckets;
        Ok(())
    }

    /// The encoder of the family, which is announced at the first call. It is always there.
    fn metric(&mut self) -> Result<Option<&mut MetricEncoder<'a>>, fmt::Error> {
        if let Some(encoder) = self.encoder.take() {
            let unit = match self.family.unit {
                Unit::None => None,
                Unit::Seconds => Some(&WireUnit::Seconds),
                Unit::Bytes => Some(&WireUnit::Bytes),
            };
            let wire_type = match self.family.metric_type {
                MetricType::Counter => WireType::Counter,
                MetricType::Gauge => WireType::Gauge,
                MetricType::Histogram => WireType::Histogram,
                MetricType::Info => WireType::Info,
            };
            let name = base_name(self.family);
            self.metric = Some(encoder.encode_descriptor(name, self.family.help, unit, wire_type)?);
        }
        Ok(self.metric.as_mut())
    }
}

fn encode_number(metric: &mut MetricEncoder<'_>, metric_type: MetricType, value: Number) -> fmt::Result {
    match metric_type {
        MetricType::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&value, None),
        _ => metric.encode_gauge(&value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_labels_are_escaped() {
        let leading = Leading::new([("a", "x\\\"\n"), ("b", "")], ("c", "\0é"));
        assert_eq!(leading.key, r#"a="x\\\"\n",b="",c"#);
        assert_eq!(leading.last, "\u{fffd}é");
    }

    #[test]
    fn whole_numbers_are_written_whole() {
        assert!(matches!(Number::from(200.0), Number::Whole(200)));
        for value in [0.5, -1.0, 1e18, f64::NAN, f64::INFINITY] {
            assert!(matches!(Number::from(value), Number::Float(_)), "{value}");
        }
    }
}
