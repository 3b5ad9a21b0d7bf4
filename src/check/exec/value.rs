//! Values from the output of a program.

use crate::config::exec::MAX_VALUES;
use crate::model::is_invisible;

/// The longest name, unit or list of labels, in bytes. Longer ones are omitted.
const MAX_TEXT_BYTES: usize = 200;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name, as the program writes it.
    pub name: String,
    /// Its base unit; empty for a plain number.
    pub unit: String,
    /// Its labels, as in the text format; empty without labels.
    pub labels: String,
    /// The number.
    pub number: f64,
}

/// The values of a run: the first ones, each series once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// The values.
    pub values: Vec<Value>,
    /// How many others were omitted.
    pub omitted: usize,
}

impl Values {
    /// Adds a value, if there is room for it and it is not a duplicate.
    pub fn push(&mut self, value: Value) {
        let Value {
            name, unit, labels, ..
        } = &value;
        let is_short = [name, unit, labels]
            .iter()
            .all(|text| text.len() <= MAX_TEXT_BYTES);
        let is_visible = ![name, unit, labels]
            .iter()
            .any(|text| text.contains(is_invisible));
        let is_full = self.values.len() >= usize::try_from(MAX_VALUES).unwrap_or(0);
        // Not if it is full: an output of 1 MB has 100,000 values.
        let is_known = || {
            self.values
                .iter()
                .any(|other| (&other.name, &other.unit, &other.labels) == (name, unit, labels))
        };
        if !is_full && is_short && is_visible && !name.is_empty() && !is_known() {
            self.values.push(value);
        } else {
            self.omitted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_is_kept_once_and_long_ones_are_omitted() {
        let value = |name: &str, number| Value {
            name: name.to_owned(),
            unit: String::new(),
            labels: String::new(),
            number,
        };
        let mut values = Values::default();
        for (name, number) in [
            ("a", 1.0),
            ("b", 2.0),
            ("a", 3.0),
            ("", 4.0),
            ("b\u{202e}c", 6.0),
            (&"x".repeat(201), 5.0),
        ] {
            values.push(value(name, number));
        }
        assert_eq!(values.values, [value("a", 1.0), value("b", 2.0)]);
        assert_eq!(values.omitted, 4);
        for number in 0..200_u8 {
            values.push(value(&number.to_string(), 0.0));
        }
        assert_eq!((values.values.len(), values.omitted), (100, 106));
    }
}
