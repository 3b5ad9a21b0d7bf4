//! The answer to a request to `/probe`: the samples of one run in the classic text format, which is what blackbox_exporter
//! serves, whatever is asked for.

use std::fmt::Write;

use super::series::escape_into;
use crate::model::Sample;

/// Renders samples, families sorted by name. Gauges all, as in blackbox_exporter.
pub fn probe_text(samples: &[Sample]) -> String {
    let mut sorted: Vec<&Sample> = samples.iter().collect();
    sorted.sort_by_key(|sample| sample.family.name);
    let mut text = String::with_capacity(samples.len() * 160);
    let mut family = "";
    for sample in sorted {
        if sample.family.name != family {
            family = sample.family.name;
            for part in [
                "# HELP ",
                family,
                " ",
                sample.family.help,
                "\n# TYPE ",
                family,
                " gauge\n",
            ] {
                text.push_str(part);
            }
        }
        text.push_str(family);
        let mut separator = '{';
        for (name, value) in sample.family.labels.iter().zip(&sample.labels) {
            text.push(separator);
            separator = ',';
            text.push_str(name);
            text.push_str("=\"");
            escape_into(&mut text, value);
            text.push('"');
        }
        if separator == ',' {
            text.push('}');
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, " {}", sample.value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;

    static A: Family = Family::probe("probe_a", &["x", "y"], "About a.");
    static B: Family = Family::probe("probe_b", &[], "About b.");

    #[test]
    fn samples_are_grouped_sorted_and_escaped() {
        let sample = |family, labels: &[&'static str], value| Sample {
            family,
            labels: labels.iter().map(|label| (*label).into()).collect(),
            value,
        };
        let samples = [
            sample(&B, &[], 1.5),
            sample(&A, &["1", "a\"\\\nb"], 3_668_918_509.0),
            sample(&A, &["2", "\0"], -62_135_596_800.0),
        ];
        assert_eq!(
            probe_text(&samples),
            "# HELP probe_a About a.\n# TYPE probe_a gauge\nprobe_a{x=\"1\",y=\"a\\\"\\\\\\nb\"} 3668918509\n\
             probe_a{x=\"2\",y=\"\u{fffd}\"} -62135596800\n# HELP probe_b About b.\n# TYPE probe_b gauge\nprobe_b 1.5\n"
        );
    }
}
