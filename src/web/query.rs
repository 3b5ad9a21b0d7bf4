//! Parses the query of a request. Unknown, repeated and malformed parameters are errors.

use std::borrow::Cow;

use crate::model::{PercentError, form_decode, percent_decode};

/// The maximum number of characters of a client's text that an error message repeats.
const MAX_QUOTED: usize = 80;

/// Parses a query. Returns the values of the parameters `known`, in that order.
///
/// # Errors
/// The message of a 400.
pub(super) fn parse<const N: usize>(
    query: Option<&str>,
    known: [&str; N],
) -> Result<[Option<String>; N], String> {
    let mut values = [const { None }; N];
    for (position, value) in parse_pairs(query, &known)? {
        if let (Some(slot), Some(name)) = (values.get_mut(position), known.get(position))
            && slot.replace(value).is_some()
        {
            return Err(format!("the query parameter {name} is given twice"));
        }
    }
    Ok(values)
}

/// Parses a query whose parameters may be repeated. Returns each parameter as its index in `known` and its value.
///
/// # Errors
/// The message of a 400.
pub(super) fn parse_pairs(query: Option<&str>, known: &[&str]) -> Result<Vec<(usize, String)>, String> {
    let mut pairs = Vec::new();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = form_decode(name).map_err(|error| malformed(name, error))?;
        let Some(position) = known.iter().position(|known| *known == name) else {
            let known = match known.len() {
                0 => "this endpoint has none".to_owned(),
                _ => format!("supported: {}", known.join(", ")),
            };
            return Err(format!("unknown query parameter {}; {known}", quote(&name)));
        };
        let value = form_decode(value).map_err(|error| malformed(value, error))?;
        pairs.push((position, value.into_owned()));
    }
    Ok(pairs)
}

/// Percent-decodes a part of a path or a query.
///
/// # Errors
/// The message of a 400.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    percent_decode(text).map_err(|error| malformed(text, error))
}

fn malformed(text: &str, error: PercentError) -> String {
    format!("{} is malformed: {error}", quote(text))
}

/// Quotes a client's text for a message: printable and short.
pub(super) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_QUOTED).collect();
    if shown.len() < text.len() {
        shown.push('\u{2026}');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_in_the_order_of_the_known_names() {
        let both = |query| parse(Some(query), ["a", "b"]);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(both(""), Ok([None, None]));
        assert_eq!(both("b=1&a=2&"), Ok([some("2"), some("1")]));
        assert_eq!(both("a"), Ok([some(""), None]));
        assert_eq!(both("a=x=y%26+z%C3%A9"), Ok([some("x=y& zé"), None]));
        assert_eq!(both("%61=1"), Ok([some("1"), None]));
        assert_eq!(parse(None, []), Ok([]));
    }

    #[test]
    fn a_plus_is_a_space_in_queries_only() {
        assert_eq!(parse(Some("a=x+y"), ["a"]), Ok([Some("x y".to_owned())]));
        assert_eq!(decode("x+y").unwrap(), "x+y");
    }

    #[test]
    fn errors_name_the_parameter_and_the_problem() {
        for (query, message) in [
            ("c=1", r#"unknown query parameter "c"; supported: a, b"#),
            ("a=1&a=1", "the query parameter a is given twice"),
            (
                "a=%",
                r#""%" is malformed: % must be followed by two hexadecimal digits; write a percent sign as %25"#,
            ),
            (
                "a=%2",
                r#""%2" is malformed: % must be followed by two hexadecimal digits; write a percent sign as %25"#,
            ),
            (
                "a=%é0",
                r#""%é0" is malformed: % must be followed by two hexadecimal digits; write a percent sign as %25"#,
            ),
            ("a=%FF", r#""%FF" is malformed: the decoded text is not UTF-8"#),
        ] {
            assert_eq!(parse(Some(query), ["a", "b"]), Err(message.to_owned()));
        }
        let message = parse(Some("c"), []).unwrap_err();
        assert_eq!(message, r#"unknown query parameter "c"; this endpoint has none"#);
        let long = "\u{1b}".repeat(1000);
        let message = parse(Some(&long), ["a"]).unwrap_err();
        assert!(message.len() < 1000 && !message.contains('\u{1b}'), "{message}");
    }
}
