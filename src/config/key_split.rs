//! Splits a mapping whose keys belong to several option types into one mapping per type.

use std::rc::Rc;

use super::place::{Path, Place};
use super::yaml::{Node, Value};
use super::{suggest, unsupported};

/// The maximum number of unknown keys reported of one mapping.
pub const MAX_UNKNOWN: usize = 20;

/// A mapping split by its keys.
#[derive(Debug)]
pub struct SplitMapping<const N: usize> {
    /// One mapping per key list, with the entries whose keys are in that list.
    pub parts: [Node; N],
    /// The unknown keys. They were reported.
    pub unknown: Vec<Path>,
}

/// Splits `node` by the lists of keys in `key_lists`. Returns `None` and reports an error if `node` is not a mapping.
pub fn split_by_keys<const N: usize>(
    node: &Node,
    place: &Place<'_>,
    key_lists: [&[&'static str]; N],
) -> Option<SplitMapping<N>> {
    let Some(entries) = node.entries() else {
        if !matches!(node.value, Value::Pruned) {
            place.error(format_args!(
                "expected a mapping (key: value), found {}",
                node.describe()
            ));
        }
        return None;
    };
    let mut parts = [const { Vec::new() }; N];
    let mut unknown = Vec::new();
    let mut more = 0;
    for entry in entries {
        match key_lists.iter().position(|keys| keys.contains(&&*entry.key)) {
            Some(part) => parts[part].push(entry.clone()),
            None if unknown.len() < MAX_UNKNOWN => {
                let message = unsupported::key(&entry.key).unwrap_or_else(|| {
                    let known = key_lists.iter().flat_map(|keys| keys.iter().copied());
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
        place.error(format_args!("{more} more unknown keys in this mapping"));
    }
    Some(SplitMapping {
        parts: parts.map(|entries| Node::new(node.mark, Value::Map(Rc::new(entries)))),
        unknown,
    })
}
