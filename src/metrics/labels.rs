//! Labels of series, and how their values are escaped.

use super::format::Format;
use super::protobuf::put_label;

/// Labels that several series start with, already encoded.
#[derive(Debug)]
pub(super) enum SharedLabels {
    /// `{service="api",group="web"} `, as lines without further labels have them in front of the value.
    Text(String),
    /// The fields `label` of a message `Metric`.
    Protobuf(Vec<u8>),
}

impl SharedLabels {
    /// Encodes the labels. There are as many values as names.
    pub fn new(format: Format, names: &[&str], values: &[&str]) -> Self {
        debug_assert_eq!(names.len(), values.len());
        if format == Format::Protobuf {
            let mut bytes = Vec::new();
            for (name, value) in names.iter().zip(values) {
                put_label(&mut bytes, name, value);
            }
            return Self::Protobuf(bytes);
        }
        // Each label has four more characters, `{=""`, and the end has two.
        let length: usize = names.iter().chain(values).map(|text| text.len() + 2).sum();
        let mut text = String::with_capacity(length + 2);
        let mut separator = '{';
        for (name, value) in names.iter().zip(values) {
            text.push(separator);
            push_label(&mut text, name, value);
            separator = ',';
        }
        text.push_str("} ");
        Self::Text(text)
    }

    /// The labels with braces and a space, in the text formats.
    pub fn in_braces(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Protobuf(_) => "",
        }
    }

    /// The labels without the opening brace, in the text formats.
    pub fn until_brace(&self) -> &str {
        self.in_braces().get(1..).unwrap_or_default()
    }

    /// The labels without braces, in the text formats.
    pub fn as_str(&self) -> &str {
        self.until_brace().strip_suffix("} ").unwrap_or_default()
    }

    /// The labels of a message.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Text(_) => &[],
            Self::Protobuf(bytes) => bytes,
        }
    }
}

/// Appends one label: `name="value"`.
pub(super) fn push_label(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str("=\"");
    push_escaped(text, value, true);
    text.push('"');
}

/// Appends `value` with backslashes and line feeds escaped, and double quotes if `escapes_quotes`. Both formats escape quotes in
/// label values; in help texts, only OpenMetrics does. NUL can't be escaped, so it is replaced.
pub(super) fn push_escaped(text: &mut String, value: &str, escapes_quotes: bool) {
    // Without a branch for each byte, the compiler tests many bytes at once. Few values need more.
    let is_special = |byte| matches!(byte, b'\\' | b'\n' | b'"' | 0);
    if !value.bytes().fold(false, |found, byte| found | is_special(byte)) {
        return text.push_str(value);
    }
    let mut start = 0;
    for (position, byte) in value.bytes().enumerate() {
        let escaped = match byte {
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'"' if escapes_quotes => "\\\"",
            0 => "\u{fffd}",
            _ => continue,
        };
        text.push_str(&value[start..position]);
        text.push_str(escaped);
        start = position + 1;
    }
    text.push_str(&value[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_labels_are_escaped() {
        let labels = SharedLabels::new(Format::Classic, &["a", "b", "c"], &["x\\\"\n", "", "\0é"]);
        assert_eq!(labels.as_str(), "a=\"x\\\\\\\"\\n\",b=\"\",c=\"\u{fffd}é\"");
    }

    #[test]
    fn quotes_of_help_texts_are_escaped_on_request() {
        let escaped = |escapes_quotes| {
            let mut text = String::new();
            push_escaped(&mut text, "a \"b\"\n\\", escapes_quotes);
            text
        };
        assert_eq!(escaped(true), r#"a \"b\"\n\\"#);
        assert_eq!(escaped(false), r#"a "b"\n\\"#);
    }
}
