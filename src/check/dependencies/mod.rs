//! The shared part of checks that compare installed packages with requirements (`python`, `node`): the result of a comparison, its
//! metrics and its problem, and the thread that reads files.

mod comparison;
mod files;
mod read_error;
mod reader;
mod shell;

pub use comparison::{Comparison, DEPENDENCIES, Dependency, STATES, State};
pub use files::{Files, Limits};
pub use read_error::ReadError;
pub use reader::{Reader, Readers};
pub use shell::quote;
