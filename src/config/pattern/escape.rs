//! Escapes and named classes of RE2's syntax, translated to the text of a class of the regex crate.

use regex::Regex;

use super::quote::quote;

/// The code point to which Go decodes a byte that is not UTF-8. While matching, such bytes are replaced by `re2::INVALID`.
pub(super) const REPLACEMENT: u32 = 0xFFFD;
/// The highest code point.
const MAX: u32 = 0x10_FFFF;

/// A part of a class: the text between the brackets, and whether it contains U+FFFD.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub text: String,
    pub has_replacement: bool,
}

impl Item {
    /// The code points `first` to `last`. Surrogates match nothing, since UTF-8 never decodes to them.
    pub fn range(first: u32, last: u32) -> Self {
        let surrogate = |code: u32| (0xD800..=0xDFFF).contains(&code);
        let first = if surrogate(first) { 0xE000 } else { first };
        let last = if surrogate(last) { 0xD7FF } else { last };
        let text = match first <= last {
            true if first == last => format!("\\x{{{first:X}}}"),
            true => format!("\\x{{{first:X}}}-\\x{{{last:X}}}"),
            false => String::new(),
        };
        Self {
            text,
            has_replacement: (first..=last).contains(&REPLACEMENT),
        }
    }

    /// Everything outside of this item, as a nested class: case folding then comes before the negation, as in RE2.
    fn negate(self) -> Self {
        let text = match self.text.is_empty() {
            true => Self::range(0, MAX).text,
            false => format!("[^{}]", self.text),
        };
        Self {
            text,
            has_replacement: !self.has_replacement,
        }
    }

    fn negate_if(self, is_negated: bool) -> Self {
        if is_negated { self.negate() } else { self }
    }

    fn ascii(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            has_replacement: false,
        }
    }
}

/// `\d`, `\s`, `\w` and their negations. They are ASCII; `\s` does not contain the vertical tab.
pub(super) fn perl(letter: char) -> Option<Item> {
    let text = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        's' => r"\t\n\f\r\x20",
        'w' => "0-9A-Za-z_",
        _ => return None,
    };
    Some(Item::ascii(text).negate_if(letter.is_ascii_uppercase()))
}

/// POSIX classes such as `[:alpha:]`, by the name between the colons.
pub(super) fn posix(name: &str) -> Option<Item> {
    let (name, is_negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let text = match name {
        "alnum" => "0-9A-Za-z",
        "alpha" => "A-Za-z",
        "ascii" => r"\x00-\x7F",
        "blank" => r"\t\x20",
        "cntrl" => r"\x00-\x1F\x7F",
        "digit" => "0-9",
        "graph" => r"\x21-\x7E",
        "lower" => "a-z",
        "print" => r"\x20-\x7E",
        "punct" => r"\x21-\x2F\x3A-\x40\x5B-\x60\x7B-\x7E",
        "space" => r"\t\n\x0B\f\r\x20",
        "upper" => "A-Z",
        "word" => "0-9A-Za-z_",
        "xdigit" => "0-9A-Fa-f",
        _ => return None,
    };
    Some(Item::ascii(text).negate_if(is_negated))
}

/// Parses the part after `\p` (or `\P`, which is negated): a letter, or a name in braces.
pub(super) fn unicode(rest: &str, is_negated: bool) -> Result<(Item, &str), String> {
    let (name, after) = match rest.strip_prefix('{') {
        Some(braced) => braced
            .split_once('}')
            .ok_or_else(|| format!("missing closing brace: \\p{}", quote(rest)))?,
        None => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
    };
    let (name, is_negated) = match name.strip_prefix('^') {
        Some(name) => (name, !is_negated),
        None => (name, is_negated),
    };
    Ok((property(name)?.negate_if(is_negated), after))
}

/// The names that Go knows: categories of one or two letters, scripts, and Any.
fn property(name: &str) -> Result<Item, String> {
    const CATEGORIES: &str = " C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs ";
    let text = match name {
        "Any" => return Ok(Item::range(0, MAX)),
        // Go's C does not contain unassigned code points, and surrogates are never decoded.
        "C" => r"\p{gc=Cc}\p{gc=Cf}\p{gc=Co}".to_owned(),
        "Cs" => String::new(),
        _ if name.len() <= 2 && CATEGORIES.contains(&format!(" {name} ")) => format!("\\p{{gc={name}}}"),
        _ => {
            // The regex crate also accepts other cases of a script's name and the prefix "Is"; Go does not.
            let is_name = name.len() > 2
                && name.starts_with(|c: char| c.is_ascii_uppercase())
                && !name.starts_with("Is")
                && name.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
            let text = format!("\\p{{sc={name}}}");
            if !is_name || Regex::new(&text).is_err() {
                return Err(format!("unknown Unicode category or script \"{}\"", quote(name)));
            }
            text
        }
    };
    Ok(Item {
        text,
        has_replacement: matches!(name, "S" | "So" | "Common"),
    })
}

/// Parses the character of an escape. `rest` follows the backslash.
pub(super) fn character(rest: &str) -> Result<(u32, &str), String> {
    let mut letters = rest.chars();
    let Some(letter) = letters.next() else {
        return Err("trailing backslash".to_owned());
    };
    let after = letters.as_str();
    let code = match letter {
        '1'..='7' if !after.starts_with(|c| matches!(c, '0'..='7')) => {
            return Err(format!("backreferences are not supported: \\{letter}"));
        }
        '0'..='7' => {
            let is_octal = |byte: &u8| matches!(byte, b'0'..=b'7');
            let digits = rest.bytes().take(3).take_while(|byte| is_octal(byte)).count();
            let (octal, after) = rest.split_at(digits);
            return Ok((u32::from_str_radix(octal, 8).unwrap_or_default(), after));
        }
        'x' => return hexadecimal(after).ok_or_else(|| unknown(rest)),
        'a' => 0x07,
        'f' => 0x0C,
        'n' => 0x0A,
        'r' => 0x0D,
        't' => 0x09,
        'v' => 0x0B,
        'C' => return Err("single bytes are not supported: \\C".to_owned()),
        _ if letter.is_ascii() && !letter.is_ascii_alphanumeric() => u32::from(letter),
        _ => return Err(unknown(rest)),
    };
    Ok((code, after))
}

/// `41`, or `{41}` with any number of digits.
fn hexadecimal(rest: &str) -> Option<(u32, &str)> {
    let (digits, after) = match rest.strip_prefix('{') {
        Some(braced) => braced.split_once('}')?,
        None => rest.split_at_checked(2)?,
    };
    let is_hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = u32::from_str_radix(digits, 16).ok()?;
    (is_hexadecimal && code <= MAX).then_some((code, after))
}

fn unknown(rest: &str) -> String {
    format!("unknown escape sequence: \\{}", quote(rest))
}
