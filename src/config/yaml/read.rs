//! Reads a piece of the tree so that everything wrong in it is reported at once: what does not fit is reported, pruned,
//! and the rest is read again.

use serde::de::DeserializeOwned;

use super::de::from_node;
use super::tree::Node;
use crate::config::place::{Path, Place};

/// The most errors reported of one piece; a piece is a check, a service without its checks, or the like.
const MAX_ERRORS: usize = 20;

/// What was read of a piece.
#[derive(Debug)]
pub struct Reading<T> {
    /// The piece without what is faulty; `None` where nothing can be made of it.
    pub value: Option<T>,
    /// What was faulty, from the root of the document. What is missing there was written, though wrongly.
    pub faulty: Vec<Path>,
}

/// Whether a key may be quoted in a message: it has the form of a key, so that it is no secret in a wrong place.
pub fn is_plain_key(key: &str) -> bool {
    !key.is_empty()
        && key.len() <= 64
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'<'))
}

/// Reads `node`, which stands at `place`, as a `T`. What does not fit is reported.
pub fn read<T: DeserializeOwned>(node: &Node, place: &Place<'_>) -> Reading<T> {
    let mut node = node.clone();
    let mut faulty = Vec::new();
    while faulty.len() < MAX_ERRORS {
        let (steps, at_key, message) = match from_node(&node) {
            Ok(value) => {
                return Reading {
                    value: Some(value),
                    faulty,
                };
            }
            Err(error) => error.into_parts(),
        };
        let error_place = place.at(&steps);
        if at_key {
            error_place.error_at_key(message);
        } else {
            error_place.error(message);
        }
        faulty.push(error_place.path().clone());
        if steps.is_empty() {
            break;
        }
        node.prune(&steps);
    }
    Reading { value: None, faulty }
}
