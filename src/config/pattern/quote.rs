//! Quotes parts of an expression in error messages.

use crate::model::visible;

/// The longest part of an expression that an error quotes, in bytes.
pub(super) const MAX_PART_BYTES: usize = 32;

/// Shortens a part of an expression for an error message.
pub(super) fn quote(part: &str) -> String {
    visible(part, MAX_PART_BYTES)
}
