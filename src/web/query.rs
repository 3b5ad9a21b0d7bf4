//! The query of a request: each parameter known, given once, and rightly encoded, or it is said what is wrong.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The most characters of a client's text that an answer repeats.
const MAX_QUOTED: usize = 80;

/// The values of the parameters `known` in the query of a request, in that order.
///
/// # Errors
/// What is wrong, for a 400.
pub(super) fn parameters<const N: usize>(
    query: Option<&str>,
    known: [&str; N],
) -> Result<[Option<String>; N], String> {
    let mut values = [const { None }; N];
    for (position, value) in pairs(query, &known)? {
        if let (Some(slot), Some(name)) = (values.get_mut(position), known.get(position))
            && slot.replace(value).is_some()
        {
            return Err(format!("the query parameter {name} is given twice"));
        }
    }
    Ok(values)
}

/// The parameters in the query of a request as they come, each as its place among `known` and its value.
///
/// # Errors
/// What is wrong, for a 400.
pub(super) fn pairs(query: Option<&str>, known: &[&str]) -> Result<Vec<(usize, String)>, String> {
    let mut pairs = Vec::new();
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
    {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Forms write a space so (URL Standard, application/x-www-form-urlencoded); in a path it is a plus.
        let (name, value) = (name.replace('+', " "), value.replace('+', " "));
        let name = decoded(&name)?;
        let Some(position) = known.iter().position(|known| *known == name) else {
            let known = match known.len() {
                0 => "there are none here".to_owned(),
                _ => format!("known here: {}", known.join(", ")),
            };
            return Err(format!("unknown query parameter {}; {known}", quoted(&name)));
        };
        pairs.push((position, decoded(&value)?.into_owned()));
    }
    Ok(pairs)
}

/// A part of a path or a query without its percent-encoding.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decoded(text: &str) -> Result<Cow<'_, str>, String> {
    let is_encoded_wrongly = text.split('%').skip(1).any(|rest| {
        let digits = rest.as_bytes().get(..2);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if is_encoded_wrongly {
        return Err(format!(
            "{} is malformed: after % come two hexadecimal digits",
            quoted(text)
        ));
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| format!("{} is malformed: it is not UTF-8", quoted(text)))
}

/// A client's text for a message: quoted, printable and short.
pub(super) fn quoted(text: &str) -> String {
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
    fn parameters_come_in_the_order_of_the_names() {
        let both = |query| parameters(Some(query), ["a", "b"]);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(both(""), Ok([None, None]));
        assert_eq!(both("b=1&a=2&"), Ok([some("2"), some("1")]));
        assert_eq!(both("a"), Ok([some(""), None]));
        assert_eq!(both("a=x=y%26+z%C3%A9"), Ok([some("x=y& zé"), None]));
        assert_eq!(both("%61=1"), Ok([some("1"), None]));
        assert_eq!(parameters(None, []), Ok([]));
    }

    #[test]
    fn a_plus_is_a_space_in_queries_only() {
        assert_eq!(parameters(Some("a=x+y"), ["a"]), Ok([Some("x y".to_owned())]));
        assert_eq!(decoded("x+y").unwrap(), "x+y");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (query, message) in [
            ("c=1", r#"unknown query parameter "c"; known here: a, b"#),
            ("a=1&a=1", "the query parameter a is given twice"),
            ("a=%", r#""%" is malformed: after % come two hexadecimal digits"#),
            (
                "a=%2",
                r#""%2" is malformed: after % come two hexadecimal digits"#,
            ),
            (
                "a=%é0",
                r#""%é0" is malformed: after % come two hexadecimal digits"#,
            ),
            ("a=%FF", r#""%FF" is malformed: it is not UTF-8"#),
        ] {
            assert_eq!(parameters(Some(query), ["a", "b"]), Err(message.to_owned()));
        }
        let message = parameters(Some("c"), []).unwrap_err();
        assert_eq!(message, r#"unknown query parameter "c"; there are none here"#);
        let long = "\u{1b}".repeat(1000);
        let message = parameters(Some(&long), ["a"]).unwrap_err();
        assert!(message.len() < 1000 && !message.contains('\u{1b}'), "{message}");
    }
}
