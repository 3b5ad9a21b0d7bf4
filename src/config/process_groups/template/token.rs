//! Splits a template into texts and actions, and an action into tokens.

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Part<'s> {
    /// A literal text.
    Text(&'s str),
    /// The tokens between `{{` and `}}`.
    Action(Vec<Token>),
}

/// A token of an action.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// `.`
    Dot,
    /// `.A.B`; `is_attached` if there is no space before it.
    Fields { names: Vec<String>, is_attached: bool },
    /// `$`
    Root,
    /// A word: a keyword, a function or a constant.
    Word(String),
    /// A quoted text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)`
    Close,
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Splits a template. Comments disappear.
pub fn split(source: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = source;
    let mut is_trimmed = false;
    loop {
        let (text, after) = match rest.split_once("{{") {
            Some((text, after)) => (text, Some(after)),
            None => (rest, None),
        };
        let text = if is_trimmed {
            text.trim_start_matches(SPACE)
        } else {
            text
        };
        let Some(after) = after else {
            parts.push(Part::Text(text));
            break;
        };
        let (action, trims_before) = match after.strip_prefix('-') {
            Some(action) if action.starts_with(SPACE) => (action, true),
            _ => (after, false),
        };
        parts.push(Part::Text(if trims_before {
            text.trim_end_matches(SPACE)
        } else {
            text
        }));
        let comment = action.trim_start_matches(SPACE);
        if comment.starts_with("/*") {
            let (_, end) = comment.split_once("*/").ok_or("unclosed comment")?;
            (rest, is_trimmed) = close(end)?;
            continue;
        }
        let mut tokens = Vec::new();
        (rest, is_trimmed) = tokenize(action, &mut tokens)?;
        parts.push(Part::Action(tokens));
    }
    parts.retain(|part| *part != Part::Text(""));
    Ok(parts)
}

/// Reads the end of an action. Returns the text after it, and whether its leading space is trimmed.
fn close(text: &str) -> Result<(&str, bool), String> {
    let trimmed = text.trim_start_matches(SPACE);
    if let Some(rest) = trimmed.strip_prefix("-}}").filter(|_| trimmed.len() < text.len()) {
        return Ok((rest, true));
    }
    let rest = trimmed
        .strip_prefix("}}")
        .ok_or("text after a comment: close it with }}")?;
    Ok((rest, false))
}

fn tokenize<'s>(action: &'s str, tokens: &mut Vec<Token>) -> Result<(&'s str, bool), String> {
    let mut rest = action;
    loop {
        if let Ok(end) = close(rest) {
            return Ok(end);
        }
        let trimmed = rest.trim_start_matches(SPACE);
        let is_attached = trimmed.len() == rest.len();
        let first = trimmed
            .chars()
            .next()
            .ok_or("unclosed action: write }} at its end")?;
        let token;
        (token, rest) = match first {
            '|' => (Token::Pipe, &trimmed[1..]),
            '(' => (Token::Open, &trimmed[1..]),
            ')' => (Token::Close, &trimmed[1..]),
            '$' => {
                let after = &trimmed[1..];
                if after.starts_with(is_word) {
                    return Err(format!("variables such as ${} are not supported", word(after).0));
                }
                (Token::Root, after)
            }
            '.' => fields(trimmed, is_attached)?,
            '"' | '`' => quoted(trimmed)?,
            first if first.is_ascii_digit() || first == '-' || first == '+' => {
                let length = 1 + trimmed[1..]
                    .find(|c: char| !is_word(c) && c != '.')
                    .unwrap_or(trimmed.len() - 1);
                let (text, rest) = trimmed.split_at(length);
                let number = text
                    .parse()
                    .map_err(|_| format!("{text:?} is not a whole number"))?;
                (Token::Number(number), rest)
            }
            first if is_word(first) => {
                let (word, rest) = word(trimmed);
                (Token::Word(word.to_owned()), rest)
            }
            other => return Err(format!("{other:?} is not supported in an action")),
        };
        tokens.push(token);
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !is_word(c)).unwrap_or(text.len()))
}

/// Reads `.` or `.A.B`.
fn fields(text: &str, is_attached: bool) -> Result<(Token, &str), String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(after) = rest.strip_prefix('.') {
        let (name, next) = word(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        rest = next;
    }
    match names.is_empty() {
        true => Ok((Token::Dot, &text[1..])),
        false if rest.starts_with('.') => Err(format!(
            "a name is missing after {}",
            &text[..text.len() - rest.len() + 1]
        )),
        false => Ok((Token::Fields { names, is_attached }, rest)),
    }
}

/// Reads a text in double quotes, with Go's escapes, or in backquotes.
fn quoted(text: &str) -> Result<(Token, &str), String> {
    if let Some(raw) = text.strip_prefix('`') {
        let (content, rest) = raw.split_once('`').ok_or("unclosed text: write ` at its end")?;
        return Ok((Token::Text(content.to_owned()), rest));
    }
    let mut content = String::new();
    let mut letters = text[1..].char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((Token::Text(content), &text[at + 2..])),
            '\\' => content.push(match letters.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, 'r')) => '\r',
                Some((_, escaped @ ('"' | '\\' | '\''))) => escaped,
                _ => return Err("this escape is not supported: write the text in backquotes".to_owned()),
            }),
            other => content.push(other),
        }
    }
    Err("unclosed text: write \" at its end".to_owned())
}
