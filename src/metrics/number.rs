//! Numbers of series.

use std::fmt::Write;
use std::ops::Range;

/// Absolute values that `zmij` writes as `Debug` does, only faster. Both write smaller ones with an exponent, such as the time in which a
/// name in the cache is resolved.
const PLAIN: Range<f64> = 1e-4..1e15;
/// Absolute values below this one, which both write with an exponent. In between, only `Debug` does.
const TINY: f64 = 1e-5;
/// Whole numbers below this one are exact in a double (2^53 is larger).
const EXACT: f64 = 9.0e15;

/// The value of a series. Whole numbers are written without a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    /// A count.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// Any other number.
    Float(f64),
}

impl Number {
    /// Appends the shortest text that reads back as the same number.
    pub fn push_to(self, text: &mut String) {
        match self {
            Self::Unsigned(value) => text.push_str(itoa::Buffer::new().format(value)),
            Self::Signed(value) => text.push_str(itoa::Buffer::new().format(value)),
            Self::Float(value) => push_float(text, value),
        }
    }

    /// The nearest double.
    #[allow(clippy::cast_precision_loss, reason = "counts above 2^53 do not occur")]
    pub const fn to_double(self) -> f64 {
        match self {
            Self::Unsigned(value) => value as f64,
            Self::Signed(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// Appends the shortest text that reads back as the same number. Whole numbers have a fraction. A scrape of 10,000 checks has 100,000 of
/// them.
pub(super) fn push_float(text: &mut String, value: f64) {
    let size = value.abs();
    if PLAIN.contains(&size) || size < TINY {
        text.push_str(zmij::Buffer::new().format_finite(value));
    } else {
        // Unlike `Display`, `Debug` writes very large numbers with an exponent too. Writing to a string can't fail.
        let _ = write!(text, "{value:?}");
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Unsigned(value)
    }
}

impl From<bool> for Number {
    fn from(value: bool) -> Self {
        Self::Unsigned(value.into())
    }
}

impl From<f64> for Number {
    #[allow(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
    fn from(value: f64) -> Self {
        if value.fract() == 0.0 && value.abs() < EXACT {
            Self::Signed(value as i64)
        } else {
            Self::Float(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: impl Into<Number>) -> String {
        let mut text = String::new();
        value.into().push_to(&mut text);
        text
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        assert_eq!(written(200.0), "200");
        assert_eq!(written(-62_135_596_800.0), "-62135596800");
        assert_eq!(written(-0.0), "0");
        assert_eq!(written(true), "1");
        assert_eq!(written(u64::MAX), "18446744073709551615");
    }

    #[test]
    fn other_numbers_are_short_and_exact() {
        for (value, text) in [
            (0.002, "0.002"),
            (1_700_000_000.25, "1700000000.25"),
            (5e-324, "5e-324"),
            (-1.5e300, "-1.5e300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    /// Numbers of every size, about as many of each.
    fn any_size() -> impl Strategy<Value = f64> {
        let scaled = (-1.0..1.0_f64, -20..20_i32).prop_map(|(value, exponent)| value * 10_f64.powi(exponent));
        let decimals =
            (any::<i32>(), 0..10_i32).prop_map(|(value, digits)| f64::from(value) / 10_f64.powi(digits));
        prop_oneof![scaled, decimals, any::<f64>()]
    }

    proptest! {
        #[test]
        fn floats_are_written_as_debug_writes_them(value in any_size()) {
            let mut text = String::new();
            push_float(&mut text, value);
            let debug = format!("{value:?}");
            // A value in the middle of two equally short texts has two forms, such as 29530410697457.5625.
            let is_other_form = text.len() == debug.len() && text.parse() == Ok(value);
            prop_assert!(text == debug || is_other_form, "{text} instead of {debug}");
        }

        #[test]
        fn whole_numbers_are_written_as_display_writes_them(unsigned: u64, signed: i64) {
            prop_assert_eq!(written(unsigned), unsigned.to_string());
            let mut text = String::new();
            Number::Signed(signed).push_to(&mut text);
            prop_assert_eq!(text, signed.to_string());
        }
    }

    #[test]
    fn floats_at_the_limits_are_written_as_debug_writes_them() {
        for limit in [0.0, f64::MIN_POSITIVE, TINY, PLAIN.start, PLAIN.end, EXACT, 1e16] {
            for value in [limit.next_down(), limit, limit.next_up(), -limit] {
                let mut text = String::new();
                push_float(&mut text, value);
                assert_eq!(text, format!("{value:?}"));
            }
        }
    }
}
