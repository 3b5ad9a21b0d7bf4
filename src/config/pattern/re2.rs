//! From RE2's syntax, as Go's package regexp reads it, to that of the regex crate: the same characters mean the same, or there is
//! an error that names what does not. Source: <https://github.com/google/re2/wiki/Syntax> and Go's regexp/syntax.
//!
//! Every character becomes an escape, so that no operator of the regex crate's own is left. Groups keep their numbers: what is
//! added are groups without.

use std::fmt::Write;

use super::escape::{self, Item};
use super::{class, cut};

/// The byte that stands for each byte that is no UTF-8 while matching: no UTF-8 has it.
pub(super) const INVALID: u8 = 0xFF;

/// The highest number of repetitions.
const MAX_REPEAT: u32 = 1000;

/// An expression for the regex crate.
pub(super) struct Translated {
    pub text: String,
    /// Whether it has to do with bytes that are no UTF-8.
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

/// The expression that matches this text.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_punctuation() {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted
}

/// The letters of the flags.
const FLAGS: [char; 4] = ['i', 'm', 's', 'U'];

/// What a repetition would repeat.
#[derive(Clone, Copy)]
enum Before<'s> {
    Nothing,
    Something,
    /// A repetition, with the text from its operator on.
    Repetition(&'s str),
}

struct Translator<'s> {
    rest: &'s str,
    text: String,
    matches_invalid: bool,
    flags: [bool; 4],
    /// The flags behind each group that is open.
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
                let (item, rest) = class::read(from)?;
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
                if let Some((operator, rest)) = counted(from)? {
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

    /// Something that can be repeated.
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.before = Before::Something;
    }

    /// A class or what is like one. Go takes bytes that are no UTF-8 for U+FFFD each.
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

    /// What follows `(?`: a named group, or flags, with a group or for what follows.
    fn group(&mut self) -> Result<(), String> {
        let inner = &self.rest[2..];
        if let Some(named) = inner.strip_prefix("P<").or_else(|| named_shortly(inner)) {
            let (name, rest) = named
                .split_once('>')
                .ok_or_else(|| format!("a group's name has no end: {}", cut(self.rest)))?;
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if !name.chars().all(is_word) || !name.starts_with(|c: char| !c.is_ascii_digit()) {
                return Err(format!(
                    "\"{}\" is no name of a group: write letters, digits and _, no digit first",
                    cut(name)
                ));
            }
            self.rest = rest;
            self.open(&format!("(?P<{name}>"));
            return Ok(());
        }
        let unknown = || format!("this kind of group is not supported: {}", cut(self.rest));
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
                        ':' => self.open(&format!("(?{}:", written(flags))),
                        _ => {
                            let _ = write!(self.text, "(?{})", written(flags));
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
            return Err("a backslash is last".to_owned());
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

    /// A repetition that began at `from`, of which the rest may begin with the ? that makes it prefer fewer.
    fn repetition(&mut self, from: &'s str, operator: &str) -> Result<(), String> {
        let lazy = self.rest.strip_prefix('?');
        let rest = lazy.unwrap_or(self.rest);
        let written = |from: &'s str| cut(&from[..from.len() - rest.len()]);
        match self.before {
            Before::Something => {}
            Before::Nothing => return Err(format!("{} has nothing to repeat", written(from))),
            Before::Repetition(first) => {
                return Err(format!(
                    "repetitions of repetitions need a group: {}",
                    written(first)
                ));
            }
        }
        self.text.push_str(operator);
        self.text.push_str(if lazy.is_some() { "?" } else { "" });
        self.rest = rest;
        self.before = Before::Repetition(from);
        Ok(())
    }
}

/// The newer form of a named group, and no look-behind.
fn named_shortly(inner: &str) -> Option<&str> {
    inner
        .strip_prefix('<')
        .filter(|name| !name.starts_with(['=', '!']))
}

/// All flags with their state: the regex crate allows each once.
fn written(flags: [bool; 4]) -> String {
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

/// `{n}`, `{n,}` or `{n,m}`, with what follows it. Other braces are none, but stand for themselves.
fn counted(source: &str) -> Result<Option<(String, &str)>, String> {
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
            "{{{}}} is no repetition: at most {MAX_REPEAT} times, and the lower number first",
            cut(inner)
        ));
    }
    Ok(Some((format!("{{{inner}}}"), rest)))
}
