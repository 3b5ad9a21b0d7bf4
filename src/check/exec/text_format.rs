//! Samples in Prometheus's text format (version 0.0.4). Comments and timestamps are ignored.

use super::value::{Value, Values};

/// Reads an output. The error names the first line that is not a sample.
///
/// # Errors
/// A line is neither empty, a comment nor a sample.
pub fn parse(output: &str) -> Result<Values, String> {
    let mut values = Values::default();
    for (index, line) in output.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match sample(line) {
            Some(value) => values.push(value),
            None => {
                return Err(format!(
                    "line {} of the output is not a sample: {line}",
                    index + 1
                ));
            }
        }
    }
    Ok(values)
}

/// Reads `NAME{LABELS} NUMBER [TIMESTAMP]`.
fn sample(line: &str) -> Option<Value> {
    let name_end = line
        .find(|character: char| !(character.is_ascii_alphanumeric() || matches!(character, '_' | ':')))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(name_end);
    if !name.starts_with(|character: char| character.is_ascii_alphabetic() || matches!(character, '_' | ':'))
    {
        return None;
    }
    let rest = rest.trim_start();
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(after) => {
            let end = end_of_labels(after)?;
            (
                after[..end].trim().trim_end_matches(',').to_owned(),
                &after[end + 1..],
            )
        }
        None => (String::new(), rest),
    };
    let mut fields = rest.split_ascii_whitespace();
    let number = number(fields.next()?)?;
    if let Some(timestamp) = fields.next() {
        timestamp.parse::<i64>().ok()?;
    }
    fields.next().is_none().then(|| Value {
        name: name.to_owned(),
        unit: String::new(),
        labels,
        number,
    })
}

/// The position of the brace that closes the labels. Values in quotes may contain braces.
fn end_of_labels(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (position, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '}' if !is_quoted => return Some(position),
            _ => {}
        }
    }
    None
}

fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        _ => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let output = "# HELP queue_depth Depth.\n# TYPE queue_depth gauge\n\nqueue_depth{queue=\"a}\\\"b\", host=\"h\",} 3 \
                      1700000000000\nup 1\nlimit +Inf\n";
        let values = parse(output).unwrap().values;
        let shown: Vec<String> = values
            .iter()
            .map(|value| format!("{}{{{}}} {}", value.name, value.labels, value.number))
            .collect();
        assert_eq!(
            shown,
            [
                "queue_depth{queue=\"a}\\\"b\", host=\"h\"} 3",
                "up{} 1",
                "limit{} inf"
            ]
        );
    }

    #[test]
    fn the_first_invalid_line_is_named() {
        for line in ["9a 1", "a", "a{b=\"c\" 1", "a 1 2 3", "a x", "a 1 x", "<html>"] {
            let error = parse(&format!("ok 1\n{line}\n")).unwrap_err();
            assert_eq!(error, format!("line 2 of the output is not a sample: {line}"));
        }
    }
}
