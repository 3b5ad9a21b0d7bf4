//! Errors of deserializing a tree. They know their path, and never quote a value: it may be a secret.

use std::fmt;
use std::rc::Rc;

use serde::de::{self, Unexpected};

use super::tree::Node;
use crate::config::place::Step;
use crate::config::suggest;

/// A tree does not match a type.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    /// The steps to the value, in reverse order.
    steps: Vec<Step>,
    at_key: bool,
    message: String,
}

impl Error {
    pub(super) fn new(message: impl fmt::Display) -> Self {
        Self(Box::new(Inner {
            steps: Vec::new(),
            at_key: false,
            message: message.to_string(),
        }))
    }

    pub(super) fn expected(what: impl fmt::Display, node: &Node) -> Self {
        Self::new(format_args!("expected {what}, found {}", node.describe()))
    }

    pub(super) fn under(mut self, step: Step) -> Self {
        self.0.steps.push(step);
        self
    }

    pub(super) fn at_key(mut self, key: &Rc<str>) -> Self {
        self.0.at_key = true;
        self.under(Step::Key(key.clone()))
    }

    /// The path from the deserialized value, whether the error is about the key there, and the message.
    pub fn into_parts(self) -> (Vec<Step>, bool, String) {
        let Inner {
            mut steps,
            at_key,
            message,
        } = *self.0;
        steps.reverse();
        (steps, at_key, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "a text",
        };
        Self::new(format_args!("expected {expected}, found {found}"))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(format_args!("expected {expected}"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(suggest::unknown_key(field, expected.iter().copied()))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(suggest::unknown("value", variant, expected.iter().copied()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format_args!("{field} is missing"))
    }
}
