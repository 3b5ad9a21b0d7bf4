//! The response of `/probe`: the samples of one run, in the classic text format, as blackbox_exporter returns them.

use super::format::Format;
use super::writer::Writer;
use crate::model::Sample;

/// An estimate of the length of a sample with its metadata, in bytes.
const SAMPLE_BYTES: usize = 160;

/// Renders the samples, families sorted by name.
pub fn probe_text(samples: &[Sample]) -> String {
    let mut sorted: Vec<&Sample> = samples.iter().collect();
    sorted.sort_by_key(|sample| sample.family.name);
    let mut writer = Writer::new(Format::Classic, samples.len() * SAMPLE_BYTES);
    for of_family in sorted.chunk_by(|a, b| a.family.name == b.family.name) {
        let mut series = writer.family(of_family[0].family);
        for sample in of_family {
            series.push_sample(sample);
        }
    }
    // The writer wrote text.
    String::from_utf8_lossy(&writer.finish()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Family;

    static A: Family = Family::probe("probe_a", &["x", "y"], "About a.");
    static ALSO_A: Family = Family::probe("probe_a", &["z"], "About a.");
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
            sample(&ALSO_A, &["2"], 1.0),
            sample(&A, &["2", "\0"], -62_135_596_800.0),
        ];
        assert_eq!(
            probe_text(&samples),
            "# HELP probe_a About a.\n# TYPE probe_a gauge\nprobe_a{x=\"1\",y=\"a\\\"\\\\\\nb\"} 3668918509\n\
             probe_a{z=\"2\"} 1\nprobe_a{x=\"2\",y=\"\u{fffd}\"} -62135596800\n\
             # HELP probe_b About b.\n# TYPE probe_b gauge\nprobe_b 1.5\n"
        );
    }
}
