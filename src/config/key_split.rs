//! Splits a mapping into the pieces of the types that share it.

use std::rc::Rc;

use super::place::{Path, Place};
use super::yaml::{Node, Value};
use super::{suggest, unsupported};

/// The most unknown keys reported of one mapping.
pub const MAX_UNKNOWN: usize = 20;

/// A mapping, split.
#[derive(Debug)]
pub struct Pieces<const N: usize> {
    /// One mapping a part, with the entries whose keys the part has.
    pub parts: [Node; N],
    /// The entries whose keys no part has. They were reported.
    pub unknown: Vec<Path>,
}

/// Splits a mapping by the keys that `parts` have. `None` where `node` is no mapping; that is reported too.
pub fn split<const N: usize>(
    node: &Node,
    place: &Place<'_>,
    parts: [&[&'static str]; N],
) -> Option<Pieces<N>> {
    let Some(entries) = node.entries() else {
        if !matches!(node.value, Value::Pruned) {
            place.error(format_args!(
                "expected a mapping (key: value), found {}",
                node.describe()
            ));
        }
        return None;
    };
    let mut pieces = [const { Vec::new() }; N];
    let mut unknown = Vec::new();
    let mut more = 0;
    for entry in entries {
        match parts.iter().position(|part| part.contains(&&*entry.key)) {
            Some(part) => pieces[part].push(entry.clone()),
            None if unknown.len() < MAX_UNKNOWN => {
                let message = unsupported::key(&entry.key).unwrap_or_else(|| {
                    let known = parts.iter().flat_map(|part| part.iter().copied());
                    suggest::unknown_key(&entry.key, known)
                });
                let place = place.field(&entry.key);
                place.error_at_key(message);
                unknown.push(place.path().clone());
            }
            None => more += 1,
        }
    }
    if more > 0 {
        place.error(format_args!("there are {more} more unknown keys here"));
    }
    Some(Pieces {
        parts: pieces.map(|entries| Node::new(node.mark, Value::Map(Rc::new(entries)))),
        unknown,
    })
}
