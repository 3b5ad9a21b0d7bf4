//! The classic text format (0.0.4), made out of our OpenMetrics text.
//!
//! Samples are the same in both; what differs is the metadata. There, OpenMetrics names a family without `_total` and
//! `_info`, knows the type info, and has units and an end mark. Timestamps and exemplars, which would differ too, do not
//! occur.

/// Converts an OpenMetrics text as [`super::to_openmetrics`] makes it.
pub fn to_classic(openmetrics: &str) -> String {
    let mut classic = String::with_capacity(openmetrics.len());
    let mut rest = openmetrics;
    let mut help = "";
    while !rest.is_empty() {
        let (samples, metadata) = rest.split_at(end_of_samples(rest));
        classic.push_str(samples);
        let (line, tail) = metadata.split_once('\n').unwrap_or((metadata, ""));
        rest = tail;
        if let Some(text) = line.strip_prefix("# HELP ") {
            help = text.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, metric_type)) =
            line.strip_prefix("# TYPE ").and_then(|text| text.split_once(' '))
        {
            push_metadata(&mut classic, name, metric_type, help);
        }
    }
    classic
}

/// Where the first line of metadata begins. A line break within a label's value is escaped, so each line is one thing.
fn end_of_samples(text: &str) -> usize {
    let mut from = 0;
    while let Some(found) = text[from..].find('#') {
        let position = from + found;
        if position == 0 || text.as_bytes()[position - 1] == b'\n' {
            return position;
        }
        from = position + 1;
    }
    text.len()
}

fn push_metadata(classic: &mut String, name: &str, metric_type: &str, help: &str) {
    let (suffix, metric_type) = match metric_type {
        "counter" => ("_total", "counter"),
        "info" => ("_info", "gauge"),
        "unknown" => ("", "untyped"),
        other => ("", other),
    };
    for part in ["# HELP ", name, suffix, " ", help, "\n"] {
        classic.push_str(part);
    }
    for part in ["# TYPE ", name, suffix, " ", metric_type, "\n"] {
        classic.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_renamed_and_samples_are_kept() {
        let openmetrics = concat!(
            "# HELP a_seconds Time.\n# TYPE a_seconds counter\n# UNIT a_seconds seconds\n",
            "a_seconds_total{x=\"#1\"} 1.5\n",
            "a_seconds_total{x=\"\\n# TYPE\"} 2\n",
            "# HELP b About.\n# TYPE b info\nb_info{y=\"\"} 1\n",
            "# HELP c Level.\n# TYPE c gauge\nc 3\n",
            "# EOF\n",
        );
        let classic = concat!(
            "# HELP a_seconds_total Time.\n# TYPE a_seconds_total counter\n",
            "a_seconds_total{x=\"#1\"} 1.5\n",
            "a_seconds_total{x=\"\\n# TYPE\"} 2\n",
            "# HELP b_info About.\n# TYPE b_info gauge\nb_info{y=\"\"} 1\n",
            "# HELP c Level.\n# TYPE c gauge\nc 3\n",
        );
        assert_eq!(to_classic(openmetrics), classic);
    }
}
