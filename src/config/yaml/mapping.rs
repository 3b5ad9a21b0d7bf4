//! A mapping that is being parsed: its entries so far, and the mappings that `<<` merges into it.

use std::collections::HashMap;
use std::rc::Rc;

use super::tree::{Entry, Mark, Node, Value};

/// From this many keys on, an index finds duplicates instead of a linear search.
const INDEX_FROM: usize = 16;

/// A mapping that is not complete yet.
#[derive(Default)]
pub struct Mapping {
    entries: Vec<Entry>,
    /// Positions in `entries` by key, once there are many.
    index: HashMap<Rc<str>, usize>,
    /// The key whose value comes next.
    pub key: Option<(Rc<str>, Mark)>,
    /// The values of `<<`.
    pub merges: Vec<Node>,
}

impl Mapping {
    /// The entry of a key.
    pub fn find(&self, key: &str) -> Option<&Entry> {
        if self.entries.len() < INDEX_FROM {
            return self.entries.iter().find(|entry| *entry.key == *key);
        }
        self.index.get(key).map(|position| &self.entries[*position])
    }

    /// Adds an entry with a new key.
    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
        if self.entries.len() == INDEX_FROM {
            self.index = self
                .entries
                .iter()
                .map(|entry| entry.key.clone())
                .zip(0..)
                .collect();
        } else if self.entries.len() > INDEX_FROM
            && let Some(last) = self.entries.last()
        {
            self.index.insert(last.key.clone(), self.entries.len() - 1);
        }
    }

    /// Merges the sources of `<<` into the entries. The mapping's own entries have precedence, then the first source
    /// (<https://yaml.org/type/merge.html>). Calls `report_invalid` for sources that can't be merged. The merged values were
    /// counted when their source was added.
    pub fn merge(mut self, mut report_invalid: impl FnMut(Mark)) -> Vec<Entry> {
        for source in std::mem::take(&mut self.merges) {
            let sources = match &source.value {
                Value::List(items) => items.to_vec(),
                _ => vec![source],
            };
            for source in sources {
                match &source.value {
                    Value::Map(entries) => {
                        for entry in entries.iter() {
                            if self.find(&entry.key).is_none() {
                                self.push(entry.clone());
                            }
                        }
                    }
                    Value::Pruned => {}
                    _ => report_invalid(source.mark),
                }
            }
        }
        self.entries
    }
}
