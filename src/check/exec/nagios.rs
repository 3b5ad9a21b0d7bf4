//! The output of Nagios plugins: a text, and performance data after `|` (Monitoring Plugins Development Guidelines, "Plugin Output for
//! Nagios" and "Performance data").

use super::value::{Value, Values};

/// Units of measurement, each with its base unit, and the factor to it.
/// Nagios does not define whether KB is 1000 or 1024 bytes; the plugins use 1024.
const UNITS: [(&str, &str, Scale); 20] = [
    ("", "", Scale::Multiply(1.0)),
    ("c", "", Scale::Multiply(1.0)),
    ("s", "seconds", Scale::Multiply(1.0)),
    ("ms", "seconds", Scale::Divide(1e3)),
    ("us", "seconds", Scale::Divide(1e6)),
    ("ns", "seconds", Scale::Divide(1e9)),
    ("%", "ratio", Scale::Divide(100.0)),
    ("B", "bytes", Scale::Multiply(1.0)),
    ("KB", "bytes", Scale::Multiply(1024.0)),
    ("MB", "bytes", Scale::Multiply(1_048_576.0)),
    ("GB", "bytes", Scale::Multiply(1_073_741_824.0)),
    ("TB", "bytes", Scale::Multiply(1_099_511_627_776.0)),
    ("PB", "bytes", Scale::Multiply(1_125_899_906_842_624.0)),
    ("KiB", "bytes", Scale::Multiply(1024.0)),
    ("MiB", "bytes", Scale::Multiply(1_048_576.0)),
    ("GiB", "bytes", Scale::Multiply(1_073_741_824.0)),
    ("TiB", "bytes", Scale::Multiply(1_099_511_627_776.0)),
    ("PiB", "bytes", Scale::Multiply(1_125_899_906_842_624.0)),
    ("kB", "bytes", Scale::Multiply(1000.0)),
    ("b", "bytes", Scale::Divide(8.0)),
];

/// How a number is converted to its base unit.
#[derive(Clone, Copy)]
enum Scale {
    Multiply(f64),
    /// Shorter numbers than with the reciprocal: 57 / 100 is 0.57, but 57 * 0.01 is not.
    Divide(f64),
}

impl Scale {
    fn apply(self, number: f64) -> f64 {
        match self {
            Self::Multiply(factor) => number * factor,
            Self::Divide(divisor) => number / divisor,
        }
    }
}

/// An output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// The first line without performance data.
    pub text: String,
    /// The performance data.
    pub values: Values,
}

/// Reads an output. The first line is `TEXT | PERFORMANCE DATA`. More lines of text may follow; after another `|`, everything is
/// performance data.
pub fn parse(output: &str) -> Output {
    let (first, rest) = output.split_once('\n').unwrap_or((output, ""));
    let (text, data) = first.split_once('|').unwrap_or((first, ""));
    let mut values = Values::default();
    read_data(data, &mut values);
    if let Some((_, data)) = rest.split_once('|') {
        read_data(data, &mut values);
    }
    Output {
        text: text.trim().to_owned(),
        values,
    }
}

/// Reads `'label'=value[unit];[warn];[crit];[min];[max]`, separated by spaces. Invalid items are omitted.
fn read_data(data: &str, values: &mut Values) {
    let mut rest = data.trim_start();
    while !rest.is_empty() {
        let (label, after) = label(rest);
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        let (item, next) = after.split_at(end);
        match item.strip_prefix('=').and_then(number) {
            // U: the plugin could not determine the value.
            _ if item == "=U" || item.starts_with("=U;") => {}
            Some((number, unit)) => values.push(Value {
                name: label,
                unit,
                labels: String::new(),
                number,
            }),
            None => values.omitted += 1,
        }
        rest = next.trim_start();
    }
}

/// The label at the start of an item, and what follows. In quotes, a doubled quote is a quote.
fn label(item: &str) -> (String, &str) {
    let Some(quoted) = item.strip_prefix('\'') else {
        let end = item
            .find(|character: char| character == '=' || character.is_whitespace())
            .unwrap_or(item.len());
        return (item[..end].to_owned(), &item[end..]);
    };
    let mut label = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((position, character)) = characters.next() {
        if character != '\'' {
            label.push(character);
        } else if characters.next_if(|(_, next)| *next == '\'').is_some() {
            label.push('\'');
        } else {
            return (label, &quoted[position + 1..]);
        }
    }
    (label, "")
}

/// The number in `value[unit];...`, in its base unit.
fn number(item: &str) -> Option<(f64, String)> {
    let item = item.split(';').next()?;
    let is_number =
        |character: char| character.is_ascii_digit() || matches!(character, '.' | ',' | '-' | '+');
    let mut end = item.find(|character| !is_number(character)).unwrap_or(item.len());
    // An exponent, as in 1e-05.
    if let Some(exponent) = item[end..].strip_prefix(['e', 'E'])
        && let digits = exponent.trim_start_matches(['-', '+'])
        && digits.starts_with(|character: char| character.is_ascii_digit())
    {
        let length = exponent
            .find(|character| !is_number(character))
            .unwrap_or(exponent.len());
        end += 1 + length;
    }
    // Some locales write a decimal comma.
    let number: f64 = item[..end].replace(',', ".").parse().ok()?;
    let unit = &item[end..];
    match UNITS.iter().find(|(name, _, _)| *name == unit) {
        Some((_, base, scale)) => Some((scale.apply(number), (*base).to_owned())),
        None => Some((number, unit.to_owned())),
    }
    .filter(|(number, _)| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(output: &str) -> Vec<(String, String, f64)> {
        let values = parse(output).values.values;
        values
            .into_iter()
            .map(|value| (value.name, value.unit, value.number))
            .collect()
    }

    fn value(name: &str, unit: &str, number: f64) -> (String, String, f64) {
        (name.to_owned(), unit.to_owned(), number)
    }

    #[test]
    fn the_text_ends_at_the_bar() {
        assert_eq!(parse("OK - fine | a=1\nmore").text, "OK - fine");
        assert_eq!(parse("PING OK\n").text, "PING OK");
        assert_eq!(parse(""), Output::default());
    }

    #[test]
    fn performance_data_of_real_plugins_is_read() {
        assert_eq!(
            values(
                "LOAD OK - total load average: 0.65, 0.45 |load1=0.650;15.000;30.000;0; load5=0.450;10.000;25.000;0; "
            ),
            [value("load1", "", 0.65), value("load5", "", 0.45)]
        );
        assert_eq!(
            values("DISK OK|/=4096MiB;;;0;8192 '/my disk'=50%;80;90"),
            [
                value("/", "bytes", 4_294_967_296.0),
                value("/my disk", "ratio", 0.5)
            ]
        );
        assert_eq!(
            values("PING OK|rta=43.000000ms;100.0;500.0;0.0 pl=57%;20;60;0"),
            [value("rta", "seconds", 0.043), value("pl", "ratio", 0.57)]
        );
        assert_eq!(
            values("HTTP OK|time=0.001234s;;;0.000000;10.000000 size=612B;;;0"),
            [value("time", "seconds", 0.001_234), value("size", "bytes", 612.0)]
        );
        assert_eq!(
            values("OK|a=1\nline 2\nline 3|b=2\nc=3"),
            [value("a", "", 1.0), value("b", "", 2.0), value("c", "", 3.0)]
        );
        assert_eq!(
            values("NTP OK|offset=-1.5e-05s;60;120; 'it''s'=3c jitter=U;1;2"),
            [value("offset", "seconds", -1.5e-5), value("it's", "", 3.0)]
        );
        assert_eq!(
            values("OK|t=20C h=1,5"),
            [value("t", "C", 20.0), value("h", "", 1.5)]
        );
    }

    #[test]
    fn invalid_items_are_counted() {
        let output = parse("OK| a b= =1 'open=1 c=x d=1.2.3 e=");
        assert_eq!(output.values.values, []);
        assert!(output.values.omitted > 0);
        let output = parse("OK|a=1 garbage b=2");
        assert_eq!(output.values.values.len(), 2);
        assert_eq!(output.values.omitted, 1);
    }
}
