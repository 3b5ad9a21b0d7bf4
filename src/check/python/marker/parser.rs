//! The grammar of markers.

use super::{Comparison, Marker, Operand};
use crate::check::python::name::is_name_byte;

/// How deep parentheses may nest. Locks of large projects have three levels.
const MAX_DEPTH: usize = 50;
/// The longest marker in bytes. The longest ones of locks have about 2000.
const MAX_BYTES: usize = 16 << 10;

const VARIABLES: &[(&str, &str)] = &[
    ("python_version", "python_version"),
    ("python_full_version", "python_full_version"),
    ("os_name", "os_name"),
    ("sys_platform", "sys_platform"),
    ("platform_release", "platform_release"),
    ("platform_system", "platform_system"),
    ("platform_version", "platform_version"),
    ("platform_machine", "platform_machine"),
    ("platform_python_implementation", "platform_python_implementation"),
    ("implementation_name", "implementation_name"),
    ("implementation_version", "implementation_version"),
    ("extra", "extra"),
    ("extras", "extras"),
    ("dependency_groups", "dependency_groups"),
    // The deprecated names of PEP 345, which packaging still reads.
    ("os.name", "os_name"),
    ("sys.platform", "sys_platform"),
    ("platform.version", "platform_version"),
    ("platform.machine", "platform_machine"),
    ("platform.python_implementation", "platform_python_implementation"),
    ("python_implementation", "platform_python_implementation"),
];

/// The longer operators first, because the shorter ones are their beginnings.
const OPERATORS: &[&str] = &["===", "~=", "==", "!=", "<=", ">=", "<", ">"];

impl Marker {
    /// Parses a condition.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("the marker has more than {MAX_BYTES} bytes"));
        }
        let mut parser = Parser { rest: text, depth: 0 };
        let marker = parser.any()?;
        match parser.rest.trim_start() {
            "" => Ok(marker),
            _ => Err("the marker has text after its end".to_owned()),
        }
    }
}

/// A recursive descent parser of PEP 508's grammar.
struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn any(&mut self) -> Result<Marker, String> {
        let mut parts = vec![self.all()?];
        while self.take_word("or") {
            parts.push(self.all()?);
        }
        Ok(single(parts, Marker::Or))
    }

    fn all(&mut self) -> Result<Marker, String> {
        let mut parts = vec![self.item()?];
        while self.take_word("and") {
            parts.push(self.item()?);
        }
        Ok(single(parts, Marker::And))
    }

    fn item(&mut self) -> Result<Marker, String> {
        self.rest = self.rest.trim_start();
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                return Err(format!("the marker nests more than {MAX_DEPTH} parentheses"));
            }
            self.rest = rest;
            let inner = self.any()?;
            self.rest = self.rest.trim_start();
            self.rest = self
                .rest
                .strip_prefix(')')
                .ok_or("a parenthesis of the marker is not closed")?;
            self.depth -= 1;
            return Ok(inner);
        }
        let left = self.operand()?;
        let operator = self.operator()?;
        let right = self.operand()?;
        if matches!((&left, &right), (Operand::Variable(_), Operand::Variable(_))) {
            return Err("the marker compares two variables".to_owned());
        }
        Ok(Marker::Compare(Box::new(Comparison {
            left,
            operator,
            right,
        })))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.rest = self.rest.trim_start();
        let quote = self
            .rest
            .chars()
            .next()
            .filter(|first| matches!(first, '"' | '\''));
        if let Some(quote) = quote {
            let (text, rest) = self.rest[1..]
                .split_once(quote)
                .ok_or("a quote of the marker is not closed")?;
            self.rest = rest;
            return Ok(Operand::Text(text.to_owned()));
        }
        let end = self.rest.bytes().position(|byte| !is_name_byte(byte));
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        let found = VARIABLES.iter().find(|(name, _)| *name == word);
        let (_, variable) = found.ok_or("the marker has a variable that PEP 508 does not have")?;
        self.rest = rest;
        Ok(Operand::Variable(variable))
    }

    fn operator(&mut self) -> Result<&'static str, String> {
        self.rest = self.rest.trim_start();
        for operator in OPERATORS {
            if let Some(rest) = self.rest.strip_prefix(operator) {
                self.rest = rest;
                return Ok(operator);
            }
        }
        if self.take_word("in") {
            return Ok("in");
        }
        if self.take_word("not") && self.take_word("in") {
            return Ok("not in");
        }
        Err("the marker has no comparison where one is expected".to_owned())
    }

    /// Takes a word that ends there.
    fn take_word(&mut self, word: &str) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(word) {
            Some(rest) if !rest.bytes().next().is_some_and(is_name_byte) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }
}

fn single(mut parts: Vec<Marker>, join: impl FnOnce(Vec<Marker>) -> Marker) -> Marker {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        last => {
            parts.extend(last);
            join(parts)
        }
    }
}
