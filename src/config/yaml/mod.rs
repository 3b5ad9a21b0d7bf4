//! YAML as this exporter reads it: a text becomes a tree that knows the place of every value; pieces of the tree are
//! read into the written types. Nothing outside this module knows the YAML library.
//!
//! YAML 1.2's core schema applies where a type has to be guessed; where a text is expected, what is written is taken as
//! it stands, so that `y`, `on`, `007` and `1e3` stay what they look like.

mod access;
mod build;
mod de;
mod error;
mod fields;
mod mapping;
mod read;
mod scalar;
mod scan_error;
mod tree;

pub use build::{Problem, parse};
pub use de::from_node;
pub use error::Error;
pub use fields::fields;
pub use read::{Reading, is_plain_key, read};
pub use tree::{Entry, Mark, Node, Value};

/// The most values (scalars, lists, mappings, keys not counted) of one file, aliases and merge keys expanded.
pub const MAX_VALUES: usize = 1_000_000;

/// How deep lists and mappings may be nested, aliases expanded.
pub const MAX_DEPTH: usize = 64;

/// The most anchors of one file.
pub const MAX_ANCHORS: usize = 10_000;

/// The longest text of a key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
