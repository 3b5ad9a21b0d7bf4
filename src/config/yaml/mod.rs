//! The YAML reader. [`parse`] turns a text into a tree that knows the position of every value; [`read()`] deserializes a part of
//! the tree into an option type. Nothing outside this module uses the YAML library.
//!
//! Plain scalars follow YAML 1.2's core schema. Where a text is expected, a scalar is taken literally, so that `y`, `on`, `007`
//! and `1e3` stay texts.
//!
//! The library is serde-saphyr, under the dependency name `serde_yaml`. This module uses its event parser (`granit_parser`)
//! instead of its serde deserializer, because that one stops at the first error and forgets positions afterwards: it could
//! not report every error of a file with its line and column, read a mapping into several types, or bound aliases.

mod access;
mod build;
mod bytes;
mod de;
mod error;
mod fields;
mod mapping;
mod parsed;
mod read;
mod scalar;
mod scan_error;
mod tree;

pub use build::Problem;
pub use de::from_node;
pub use error::Error;
pub use fields::fields;
pub use parsed::{parse, parse_further};
pub use read::{PartialRead, read};
pub use tree::{Entry, Mark, Node, Value};

/// The maximum number of values (scalars, lists and mappings, but not keys) of one file, with aliases and merge keys expanded.
pub const MAX_VALUES: usize = 1_000_000;

/// The deepest nesting of lists and mappings, with aliases expanded.
pub const MAX_DEPTH: usize = 64;

/// The maximum number of anchors of one file.
pub const MAX_ANCHORS: usize = 10_000;

/// The longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
