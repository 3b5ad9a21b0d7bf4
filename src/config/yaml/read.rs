//! Deserializes a part of the tree and reports all of its errors: each invalid value is reported and pruned, then the rest is
//! deserialized again.

use serde::de::DeserializeOwned;

use super::de::from_node;
use super::tree::Node;
use crate::config::place::{Path, Place};

/// The maximum number of errors reported of one part, such as a check, or a service without its checks.
const MAX_ERRORS: usize = 20;

/// A value without its invalid parts.
#[derive(Debug)]
pub struct PartialRead<T> {
    /// The value, or `None` if it is invalid as a whole.
    pub value: Option<T>,
    /// The paths of the invalid parts, from the root of the document. They were reported, so do not report them as missing.
    pub invalid: Vec<Path>,
}

/// Deserializes `node`, which is at `place`, as a `T`. Reports its errors.
pub fn read<T: DeserializeOwned>(node: &Node, place: &Place<'_>) -> PartialRead<T> {
    let mut node = node.clone();
    let mut invalid = Vec::new();
    while invalid.len() < MAX_ERRORS {
        let (steps, at_key, message) = match from_node(&node) {
            Ok(value) => {
                return PartialRead {
                    value: Some(value),
                    invalid,
                };
            }
            Err(error) => error.into_parts(),
        };
        let error_place = place.descend(&steps);
        if at_key {
            error_place.error_at_key(message);
        } else {
            error_place.error(message);
        }
        invalid.push(error_place.path().clone());
        if steps.is_empty() {
            break;
        }
        node.prune(&steps);
    }
    PartialRead { value: None, invalid }
}
