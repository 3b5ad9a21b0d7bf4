//! The recipes of docs/HEARTBEATS.md, so that tests run what users copy.

use std::fs;
use std::path::Path;

/// Where the recipes expect the binary.
pub const BINARY: &str = "/usr/local/bin/upkeep_exporter";

/// The code block that contains this line.
///
/// # Panics
/// When there is not exactly one.
pub fn recipe(line: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/HEARTBEATS.md");
    let text = fs::read_to_string(page).expect("the page");
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for written in text.lines() {
        let indent = written.len() - written.trim_start().len();
        match &mut block {
            None if written.trim_start().starts_with("```") => block = Some((indent, String::new())),
            None => {}
            Some(_) if written.trim() == "```" => found.extend(block.take().map(|(_, text)| text)),
            Some((indent, text)) => {
                text.push_str(written.get(*indent..).unwrap_or_default());
                text.push('\n');
            }
        }
    }
    let contains = |block: &String| block.lines().any(|written| written == line);
    let mut matching = found.into_iter().filter(contains);
    let block = matching
        .next()
        .unwrap_or_else(|| panic!("no recipe contains {line}"));
    assert!(matching.next().is_none(), "several recipes contain {line}");
    block
}

/// The systemd unit or drop-in at this path, or another file whose recipe begins with its path.
pub fn recipe_of(path: &str) -> String {
    recipe(&format!("# {path}"))
}
