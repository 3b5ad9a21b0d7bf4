//! The tree of a YAML text. Every value knows its position. Subtrees are shared, so an alias costs nothing.

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
    /// Converts the parser's marker.
    pub(super) fn from_marker(marker: &Marker) -> Self {
        Self {
            line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
            column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
        }
    }
}

/// Bytes of a scalar that its text does not express.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bytes {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether the scalar is also a text, for keys that expect one.
    pub is_text: bool,
}

/// A value with its position. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Node {
    /// The start of the value.
    pub mark: Mark,
    /// The value.
    pub value: Value,
    /// The bytes of a scalar, if they are not those of its text.
    pub bytes: Option<Rc<Bytes>>,
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value {
    /// A scalar without quotes: its type depends on what is expected.
    Plain(Rc<str>),
    /// A scalar that is a text: quoted, a block scalar, or tagged `!!str`.
    Text(Rc<str>),
    /// A list.
    List(Rc<Vec<Node>>),
    /// A mapping, in the order of the text, without duplicates.
    Map(Rc<Vec<Entry>>),
    /// An invalid value that was reported. Readers ignore it.
    Pruned,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Rc<str>,
    /// The start of the key.
    pub mark: Mark,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A value at `mark`.
    pub fn new(mark: Mark, value: Value) -> Self {
        Self {
            mark,
            value,
            bytes: None,
        }
    }

    /// Whether it is null: empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(text) if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Whether it is a scalar of bytes that are not a text.
    pub fn is_binary(&self) -> bool {
        self.bytes.as_ref().is_some_and(|bytes| !bytes.is_text)
    }

    /// The type of the value, for messages. They never quote the value: it may be a secret.
    pub fn describe(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Plain(text) if super::scalar::number(text).is_some() => "a number",
            Value::Plain(text) if super::scalar::boolean(text).is_some() => "true or false",
            _ if self.is_binary() => "binary data",
            Value::Plain(_) | Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
            Value::Pruned => "an invalid value",
        }
    }

    /// The entries of a mapping.
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The items of a list.
    pub fn items(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entry of `key` in a mapping.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| *entry.key == *key)
    }

    /// The value of `key` in a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The position of the value at `path`, or of its key. If it does not exist, the position of the nearest value above it.
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

    /// Hides the value at `path` from readers. Indexes of lists do not change, and other trees that share the value keep it.
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
