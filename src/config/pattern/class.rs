//! Character classes in RE2's syntax. They have no operators, and a bracket inside is a literal.

use super::escape::{self, Item};
use super::quote::quote;

/// Parses the class that `source` begins with. Returns it for the regex crate, and the rest of the source.
pub(super) fn parse(source: &str) -> Result<(Item, &str), String> {
    let missing = || format!("missing closing ]: {}", quote(source));
    let mut rest = source.strip_prefix('[').unwrap_or(source);
    let is_negated = rest.starts_with('^');
    rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut class = Item {
        text: String::new(),
        has_replacement: false,
    };
    let mut is_first = true;
    // A bracket in first position is a literal.
    while is_first || !rest.starts_with(']') {
        is_first = false;
        if rest.is_empty() {
            return Err(missing());
        }
        let (item, after) = item(rest, &missing)?;
        class.text.push_str(&item.text);
        class.has_replacement |= item.has_replacement;
        rest = after;
    }
    let text = match (is_negated, class.text.is_empty()) {
        (true, false) => format!("[^{}]", class.text),
        (false, false) => format!("[{}]", class.text),
        (true, true) => r"[\x{0}-\x{10FFFF}]".to_owned(),
        (false, true) => NOTHING.to_owned(),
    };
    let has_replacement = class.has_replacement != is_negated;
    Ok((
        Item {
            text,
            has_replacement,
        },
        &rest[1..],
    ))
}

/// A class that matches no character.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

fn item<'s>(rest: &'s str, missing: &dyn Fn() -> String) -> Result<(Item, &'s str), String> {
    if let Some((name, after)) = rest.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
        let class = escape::posix(name);
        let class = class.ok_or_else(|| format!("unknown character class [:{}:]", quote(name)))?;
        return Ok((class, after));
    }
    if let Some(escaped) = rest.strip_prefix('\\') {
        if let Some(letter @ ('p' | 'P')) = escaped.chars().next() {
            return escape::unicode(&escaped[1..], letter == 'P');
        }
        if let Some(class) = escaped.chars().next().and_then(escape::perl) {
            return Ok((class, &escaped[1..]));
        }
    }
    let (first, after) = character(rest, missing)?;
    // A dash in last position is a literal.
    let (last, after) = match after.strip_prefix('-') {
        Some(end) if !end.is_empty() && !end.starts_with(']') => character(end, missing)?,
        _ => (first, after),
    };
    if last < first {
        let range = &rest[..rest.len() - after.len()];
        return Err(format!("invalid character class range: {}", quote(range)));
    }
    Ok((Item::range(first, last), after))
}

fn character<'s>(rest: &'s str, missing: &dyn Fn() -> String) -> Result<(u32, &'s str), String> {
    if let Some(escaped) = rest.strip_prefix('\\') {
        return escape::character(escaped);
    }
    let mut letters = rest.chars();
    let letter = letters.next().ok_or_else(missing)?;
    Ok((u32::from(letter), letters.as_str()))
}
