//! Ratios for people.

/// Formats a ratio in percent, without the sign, rounded down to so many decimals: only a complete one is `100`.
pub fn format_percent(ratio: f64, decimals: usize) -> String {
    let scale = 10_f64.powi(i32::try_from(decimals).unwrap_or(0));
    // A sum of floating-point numbers may be slightly below its value.
    let percent = (ratio * 100.0 * scale + 1e-6).floor() / scale;
    if percent >= 100.0 {
        "100".to_owned()
    } else {
        format!("{percent:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_ratio_is_100_percent() {
        for (ratio, two, three) in [
            (1.0, "100", "100"),
            (0.999_999, "99.99", "99.999"),
            (0.999, "99.90", "99.900"),
            (0.999_000_000_000_01, "99.90", "99.900"),
            (0.5, "50.00", "50.000"),
            (0.0, "0.00", "0.000"),
        ] {
            assert_eq!(
                (&*format_percent(ratio, 2), &*format_percent(ratio, 3)),
                (two, three)
            );
        }
        let sum = 0.1 + 0.7 + 0.1 + 0.099;
        assert_eq!(format_percent(sum, 3), "99.900", "{sum}");
    }
}
