//! Formats values as Go's package fmt does.

use jiff::Timestamp;

use super::value::{NANOSECONDS, Value};

/// The widest field of a format.
const MAX_WIDTH: usize = 256;

/// A value as `{{...}}` shows it.
pub fn display(value: &Value<'_>) -> String {
    match value {
        // The parser rejects `{{.}}`.
        Value::Process(_) => String::new(),
        Value::Text(text) => text.clone().into_owned(),
        Value::Number(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Time(nanoseconds) => time(*nanoseconds),
        Value::List(items) => format!("[{}]", items.join(" ")),
        Value::Map(entries) => {
            let entries = entries.iter().map(|(name, text)| format!("{name}:{text}"));
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        Value::Absent => "<no value>".to_owned(),
    }
}

/// `print`: spaces between operands of which neither is a text.
pub fn print(values: &[Value<'_>]) -> String {
    let mut text = String::new();
    let mut was_text = true;
    for (position, value) in values.iter().enumerate() {
        let is_text = matches!(value, Value::Text(_));
        if position > 0 && !is_text && !was_text {
            text.push(' ');
        }
        text.push_str(&display(value));
        was_text = is_text;
    }
    text
}

/// `println`: spaces between all operands, and a line feed.
pub fn print_line(values: &[Value<'_>]) -> String {
    let texts: Vec<String> = values.iter().map(display).collect();
    texts.join(" ") + "\n"
}

/// `printf` with the verbs `%s`, `%v`, `%d` and `%q`, a width, and the flags `-` and `0`. `None` for anything else.
pub fn printf(format: &str, values: &[Value<'_>]) -> Option<String> {
    let mut text = String::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some((literal, after)) = rest.split_once('%') {
        text.push_str(literal);
        let flags = after.find(|c| c != '-' && c != '0').unwrap_or(after.len());
        let digits = after[flags..].find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let (is_left, has_zeros) = (after[..flags].contains('-'), after[..flags].contains('0'));
        let width: usize = after[flags..flags + digits].parse().unwrap_or(0);
        let verb = after[flags + digits..].chars().next()?;
        rest = &after[flags + digits + verb.len_utf8()..];
        if verb == '%' {
            text.push('%');
            continue;
        }
        let value = values.next()?;
        let shown = match (verb, value) {
            ('v', _) | ('s', Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Time(_)) => {
                display(value)
            }
            ('d', Value::Number(number)) => number.to_string(),
            ('q', Value::Text(text)) => serde_json::Value::from(&**text).to_string(),
            _ => return None,
        };
        let missing = width.min(MAX_WIDTH).saturating_sub(shown.chars().count());
        match (is_left, has_zeros) {
            (true, _) => text.extend([shown, " ".repeat(missing)]),
            (false, true) => text.extend(["0".repeat(missing), shown]),
            (false, false) => text.extend([" ".repeat(missing), shown]),
        }
    }
    text.push_str(rest);
    values.next().is_none().then_some(text)
}

/// A time as Go shows it: `2006-01-02 15:04:05.5 +0000 UTC`.
fn time(nanoseconds: i64) -> String {
    let second = nanoseconds.div_euclid(NANOSECONDS);
    let date = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    let decimals = format!("{:09}", nanoseconds.rem_euclid(NANOSECONDS));
    let decimals = match decimals.trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    format!("{}{decimals} +0000 UTC", date.strftime("%Y-%m-%d %H:%M:%S"))
}
