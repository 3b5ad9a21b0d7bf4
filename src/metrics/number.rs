//! Numbers of series.

use std::fmt::Write;

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
        // Writing to a string can't fail.
        let _ = match self {
            Self::Unsigned(value) => write!(text, "{value}"),
            Self::Signed(value) => write!(text, "{value}"),
            // Unlike `Display`, `Debug` writes very large and very small numbers with an exponent.
            Self::Float(value) => write!(text, "{value:?}"),
        };
    }
}

impl Number {
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
}
