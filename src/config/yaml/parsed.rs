//! Parses texts to trees.

use super::build::{Builder, Problem};
use super::tree::Node;

/// The tree of a text, and what is wrong with the text.
#[derive(Debug)]
pub struct Parsed {
    /// The tree. `None` if the text is empty, or if the problems prevent parsing it to its end. Other problems, such as duplicate
    /// keys, come with a tree, so that the rest of the file can be resolved too.
    pub root: Option<Node>,
    /// The problems.
    pub problems: Vec<Problem>,
    /// The number of values in this text and in those before it, with aliases expanded.
    pub values: usize,
}

/// Parses a text. `values` is the number of values in the texts that were parsed before it: the limit is for all of them.
pub fn parse_further(text: &str, values: usize) -> Parsed {
    let mut builder = Builder::default();
    builder.values = values;
    builder.is_further = values > 0;
    let is_complete = builder.run(text).is_ok();
    Parsed {
        root: builder.root.take().filter(|_| is_complete),
        problems: builder.problems,
        values: builder.values,
    }
}

/// Parses a single text.
pub fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    let parsed = parse_further(text, 0);
    (parsed.root, parsed.problems)
}
