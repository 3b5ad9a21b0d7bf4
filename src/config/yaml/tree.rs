//! The tree that a YAML text becomes. Every value knows its place; subtrees are shared, so an alias costs nothing.

use std::rc::Rc;

use serde_yaml::granit_parser::Marker;

use crate::config::place::{Path, Step};

/// A position in a text, line and column counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Mark {
    /// The parser's marker.
    pub(super) fn of(marker: &Marker) -> Self {
        Self {
            line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
            column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
        }
    }
}

/// A value and where it begins. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A scalar without quotes: its type depends on what is expected.
    Plain(Rc<str>),
    /// A scalar that can only be a text: quoted, a block scalar, or tagged `!!str`.
    Text(Rc<str>),
    /// A list.
    List(Rc<Vec<Node>>),
    /// A mapping, in the order of the text, without duplicates.
    Map(Rc<Vec<Entry>>),
    /// A faulty value that was reported: readers pass over it.
    Pruned,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Rc<str>,
    /// Where the key stands.
    pub mark: Mark,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// A value at `mark`.
    pub fn new(mark: Mark, value: Value) -> Self {
        Self { mark, value }
    }

    /// Whether it is written as nothing: empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(text) if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for messages. Never quotes a value: it may be a secret.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Plain(text) if super::scalar::number(text).is_some() => "a number",
            Value::Plain(text) if super::scalar::boolean(text).is_some() => "true or false",
            Value::Plain(_) | Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Pruned => "a faulty value",
        }
    }

    /// The entries, where it is a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items, where it is a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entry of `key`, where it is a mapping that has one.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| *entry.key == *key)
    }

    /// The value of `key`, where it is a mapping that has one.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The position of the value at `path` (or of its key), or else of the nearest value above it that exists.
    pub fn locate(&self, path: &Path, at_key: bool) -> Mark {
        let mut node = self;
        let mut mark = self.mark;
        for (position, step) in path.0.iter().enumerate() {
            let is_last = position + 1 == path.0.len();
            node = match step {
                Step::Key(key) => match node.entry(key) {
                    Some(entry) => {
                        mark = if at_key && is_last {
                            entry.mark
                        } else {
                            entry.value.mark
                        };
                        &entry.value
                    }
                    None => return mark,
                },
                Step::Index(index) => match node.items().and_then(|items| items.get(*index)) {
                    Some(item) => {
                        mark = item.mark;
                        item
                    }
                    None => return mark,
                },
            };
        }
        mark
    }

    /// Takes the value at `path` out of what readers see; indices of lists stay as they are. Other trees that share
    /// the value keep it.
    pub fn prune(&mut self, path: &[Step]) {
        let Some((step, rest)) = path.split_first() else {
            self.value = Value::Pruned;
            return;
        };
        let child = match (step, &mut self.value) {
            (Step::Key(key), Value::Map(entries)) => Rc::make_mut(entries)
                .iter_mut()
                .find(|entry| entry.key == *key)
                .map(|entry| &mut entry.value),
            (Step::Index(index), Value::List(items)) => Rc::make_mut(items).get_mut(*index),
            _ => None,
        };
        if let Some(child) = child {
            child.prune(rest);
        }
    }
}
