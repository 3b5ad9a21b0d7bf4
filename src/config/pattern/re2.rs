//! Translates RE2's syntax, as Go's package regexp reads it, to the syntax of the regex crate. Anything that can't keep its
//! meaning is an error. Sources: <https://github.com/google/re2/wiki/Syntax> and Go's regexp/syntax.
//!
//! Every literal is escaped, so that operators that only the regex crate has can't appear. Only non-capturing groups are
//! added, so groups keep their numbers.

use std::fmt::Write;

use super::class;
use super::escape::{self, Item};
use super::quote::quote;

/// The byte that replaces every byte that is not UTF-8 while matching. It never occurs in UTF-8.
pub(super) const INVALID: u8 = 0xFF;

/// The highest number of repetitions.
const MAX_REPEAT: u32 = 1000;

/// An expression for the regex crate.
pub(super) struct Translated {
    pub text: String,
    /// Whether it can match bytes that are not UTF-8.
    pub matches_invalid: bool,
}

/// Translates an expression.
pub(super) fn translate(source: &str) -> Result<Translated, String> {
    let mut translator = Translator {
        rest: source,
        text: String::new(),
        matches_invalid: false,
        flags: [false; 4],
        groups: Vec::new(),
        before: Before::Nothing,
    };
    while !translator.rest.is_empty() {
        translator.step()?;
    }
    match translator.groups.is_empty() {
        true => Ok(Translated {
            text: translator.text,
            matches_invalid: translator.matches_invalid,
        }),
        false => Err("unclosed group".to_owned()),
    }
}

/// The expression that matches this text literally.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// The letters of the flags.
const FLAGS: [char; 4] = ['i', 'm', 's', 'U'];

/// The part before a repetition operator.
#[derive(Clone, Copy)]
enum Before<'s> {
    Nothing,
    Something,
    /// A repetition, with the source from its operator on.
    Repetition(&'s str),
}

struct Translator<'s> {
    rest: &'s str,
    text: String,
    matches_invalid: bool,
    flags: [bool; 4],
    /// For each open group, the flags to restore after it.
    groups: Vec<[bool; 4]>,
    before: Before<'s>,
}

impl<'s> Translator<'s> {
    fn step(&mut self) -> Result<(), String> {
        let from = self.rest;
        let mut letters = from.chars();
        let Some(letter) = letters.next() else {
            return Ok(());
        };
        match letter {
            '[' => {
                let (item, rest) = class::parse(from)?;
                self.rest = rest;
                self.push(&item);
                return Ok(());
            }
            '(' if from.starts_with("(?") => return self.group(),
            '\\' => return self.escape(),
            '*' | '+' | '?' => {
                self.rest = letters.as_str();
                return self.repetition(from, &letter.to_string());
            }
            '{' => {
                if let Some((operator, rest)) = counted_repetition(from)? {
                    self.rest = rest;
                    return self.repetition(from, &operator);
                }
            }
            _ => {}
        }
        self.rest = letters.as_str();
        match letter {
            '(' => self.open("("),
            ')' => {
                self.flags = self.groups.pop().ok_or("unopened group")?;
                self.put(")");
            }
            '|' => {
                self.text.push('|');
                self.before = Before::Nothing;
            }
            '^' => self.put("(?:^)"),
            '$' => self.put("(?:$)"),
            '.' => self.push(&Item {
                text: ".".to_owned(),
                has_replacement: true,
            }),
            other => self.character(u32::from(other)),
        }
        Ok(())
    }

    /// Appends a part that can be repeated.
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.before = Before::Something;
    }

    /// Appends a class. Go treats each byte that is not UTF-8 as U+FFFD.
    fn push(&mut self, class: &Item) {
        match class.has_replacement {
            true => {
                self.matches_invalid = true;
                self.put(&format!("(?:{}|(?-u:\\x{INVALID:X}))", class.text));
            }
            false => self.put(&class.text),
        }
    }

    fn character(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(letter) if letter.is_ascii_alphanumeric() => self.put(letter.encode_utf8(&mut [0; 4])),
            Some(_) => self.push(&Item::range(code, code)),
            // A surrogate.
            None => self.put(class::NOTHING),
        }
    }

    fn open(&mut self, text: &str) {
        self.groups.push(self.flags);
        self.text.push_str(text);
        self.before = Before::Nothing;
    }

    /// Parses `(?`: a named group, flags of a group, or flags for the rest.
    fn group(&mut self) -> Result<(), String> {
        let inner = &self.rest[2..];
        if let Some(named) = inner.strip_prefix("P<").or_else(|| short_named_group(inner)) {
            let (name, rest) = named
                .split_once('>')
                .ok_or_else(|| format!("unclosed group name: {}", quote(self.rest)))?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !name.chars().all(is_word) || !name.starts_with(|c: char| !c.is_ascii_digit()) {
                return Err(format!(
                    "invalid group name \"{}\": write letters, digits and _, and no digit first",
                    quote(name)
                ));
            }
            self.rest = rest;
            self.open(&format!("(?P<{name}>"));
            return Ok(());
        }
        let unknown = || format!("this kind of group is not supported: {}", quote(self.rest));
        let (mut flags, mut sets, mut is_open_ended) = (self.flags, true, false);
        for (index, letter) in inner.char_indices() {
            let flag = FLAGS.iter().position(|flag| *flag == letter);
            match (letter, flag) {
                (_, Some(flag)) => {
                    flags[flag] = sets;
                    is_open_ended = false;
                }
                ('-', _) if sets => (sets, is_open_ended) = (false, true),
                (':' | ')', _) if !is_open_ended => {
                    self.rest = &inner[index + 1..];
                    match letter {
                        ':' => self.open(&format!("(?{}:", render_flags(flags))),
                        _ => {
                            let _ = write!(self.text, "(?{})", render_flags(flags));
                            self.before = Before::Nothing;
                        }
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => return Err(unknown()),
            }
        }
        Err(unknown())
    }

    fn escape(&mut self) -> Result<(), String> {
        let escaped = &self.rest[1..];
        let Some(letter) = escaped.chars().next() else {
            return Err("trailing backslash".to_owned());
        };
        if let Some(item) = escape::perl(letter) {
            self.rest = &escaped[1..];
            self.push(&Item {
                text: format!("[{}]", item.text),
                ..item
            });
            return Ok(());
        }
        let anchor = match letter {
            'A' => r"(?:\A)",
            'z' => r"(?:\z)",
            'b' => r"(?-u:\b)",
            'B' => r"(?-u:\B)",
            'Q' => {
                let (quoted, rest) = escaped[1..].split_once("\\E").unwrap_or((&escaped[1..], ""));
                self.rest = rest;
                if let (Before::Repetition(_), true) = (self.before, quoted.is_empty()) {
                    self.before = Before::Something;
                }
                for letter in quoted.chars() {
                    self.character(u32::from(letter));
                }
                return Ok(());
            }
            'p' | 'P' => {
                let (item, rest) = escape::unicode(&escaped[1..], letter == 'P')?;
                self.rest = rest;
                let text = match item.text.is_empty() {
                    true => class::NOTHING.to_owned(),
                    false => format!("[{}]", item.text),
                };
                self.push(&Item { text, ..item });
                return Ok(());
            }
            _ => {
                let (code, rest) = escape::character(escaped)?;
                self.rest = rest;
                self.character(code);
                return Ok(());
            }
        };
        self.rest = &escaped[1..];
        self.put(anchor);
        Ok(())
    }

    /// Appends a repetition operator that began at `from`. A `?` after it makes the repetition lazy.
    fn repetition(&mut self, from: &'s str, operator: &str) -> Result<(), String> {
        let lazy = self.rest.strip_prefix('?');
        let rest = lazy.unwrap_or(self.rest);
        let written = |from: &'s str| quote(&from[..from.len() - rest.len()]);
        match self.before {
            Before::Something => {}
            Before::Nothing => return Err(format!("nothing to repeat before {}", written(from))),
            Before::Repetition(first) => {
                return Err(format!("nested repetition without a group: {}", written(first)));
            }
        }
        self.text.push_str(operator);
        self.text.push_str(if lazy.is_some() { "?" } else { "" });
        self.rest = rest;
        self.before = Before::Repetition(from);
        Ok(())
    }
}

/// Strips the `<` of a named group's newer syntax. Look-behind is not a named group.
fn short_named_group(inner: &str) -> Option<&str> {
    inner
        .strip_prefix('<')
        .filter(|name| !name.starts_with(['=', '!']))
}

/// All flags with their state. The regex crate allows each flag only once.
fn render_flags(flags: [bool; 4]) -> String {
    let letters = |state: bool| {
        let flags = FLAGS.into_iter().zip(flags);
        flags
            .filter(move |(_, is_set)| *is_set == state)
            .map(|(letter, _)| letter)
    };
    let mut text: String = letters(true).collect();
    if letters(false).next().is_some() {
        text.push('-');
        text.extend(letters(false));
    }
    text
}

/// Parses `{n}`, `{n,}` or `{n,m}`. Returns it with the rest of the source, or `None` for other braces, which are literals.
fn counted_repetition(source: &str) -> Result<Option<(String, &str)>, String> {
    let Some((inner, rest)) = source.strip_prefix('{').and_then(|inner| inner.split_once('}')) else {
        return Ok(None);
    };
    let (least, most) = match inner.split_once(',') {
        Some((least, most)) => (least, Some(most)),
        None => (inner, None),
    };
    let is_number = |text: &str| {
        let has_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        has_digits && (text.len() == 1 || !text.starts_with('0'))
    };
    if !is_number(least) || !most.is_none_or(|most| most.is_empty() || is_number(most)) {
        return Ok(None);
    }
    let number = |text: &str| text.parse().unwrap_or(u32::MAX);
    let upper = most.filter(|most| !most.is_empty()).map_or(number(least), number);
    if number(least) > MAX_REPEAT || upper > MAX_REPEAT || number(least) > upper {
        return Err(format!(
            "invalid repetition {{{}}}: write numbers up to {MAX_REPEAT}, the lower number first",
            quote(inner)
        ));
    }
    Ok(Some((format!("{{{inner}}}"), rest)))
}
