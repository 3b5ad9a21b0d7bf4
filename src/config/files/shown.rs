//! Shows the content in use of all files, for `/config`.

use std::fmt::Write as _;
use std::sync::Arc;

use super::candidate::{Candidate, Use};
use super::memory::Content;
use crate::config::redact::{CUT, MAX_BYTES};
use crate::config::settings::ShownConfig;

/// Combines the files to a stream of YAML documents. Each one starts with a comment with the name of the file. A single file is shown
/// without it.
pub fn combine(candidates: &[Candidate<'_>], contents: &[Option<Arc<Content>>]) -> ShownConfig {
    if let [Some(content)] = contents {
        return ShownConfig(Arc::clone(&content.shown));
    }
    let mut text = String::new();
    for (candidate, content) in candidates.iter().zip(contents) {
        let note = match candidate.used {
            Use::Current => "",
            Use::Last => " (last valid content)",
            Use::Nothing => " (no valid content)",
        };
        let _ = writeln!(text, "---\n# {}{note}", candidate.text.name);
        match content {
            // The last valid content of files may be from several loads, so each text may have the maximum length.
            Some(_) if text.len() > MAX_BYTES => text.push_str(CUT),
            Some(content) => text.push_str(&content.shown),
            None => {}
        }
    }
    ShownConfig(text.into())
}
