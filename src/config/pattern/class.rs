//! Classes in brackets in RE2's syntax. Nothing in them is an operator, and a bracket in them stands for itself.

use super::cut;
use super::escape::{self, Item};

/// Reads a class from its bracket on: the class for the regex crate, and what follows it.
pub(super) fn read(source: &str) -> Result<(Item, &str), String> {
    let missing = || format!("a closing ] is missing: {}", cut(source));
    let mut rest = source.strip_prefix('[').unwrap_or(source);
    let is_negated = rest.starts_with('^');
    rest = rest.strip_prefix('^').unwrap_or(rest);
    let mut class = Item {
        text: String::new(),
        has_replacement: false,
    };
    let mut is_first = true;
    // A bracket that comes first stands for itself.
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

/// A class that no character is in.
pub(super) const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

fn item<'s>(rest: &'s str, missing: &dyn Fn() -> String) -> Result<(Item, &'s str), String> {
    if let Some((name, after)) = rest.strip_prefix("[:").and_then(|named| named.split_once(":]")) {
        let class = escape::posix(name);
        let class = class.ok_or_else(|| format!("no class has the name [:{}:]", cut(name)))?;
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
    // A dash that comes last stands for itself.
    let (last, after) = match after.strip_prefix('-') {
        Some(end) if !end.is_empty() && !end.starts_with(']') => character(end, missing)?,
        _ => (first, after),
    };
    if last < first {
        let range = &rest[..rest.len() - after.len()];
        return Err(format!("the range {} ends before it begins", cut(range)));
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
