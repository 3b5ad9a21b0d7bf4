//! The recipes of docs/HEARTBEATS.md, so that tests run what users copy.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::systemd::Machine;

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

/// Installs the binary in a machine, where the recipes expect it.
pub fn install_binary(machine: &Machine) {
    let built = Path::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    let shared = machine.shared_directory().join("upkeep_exporter");
    // The directory of the machine may be on another file system than the build.
    if fs::hard_link(built, &shared).is_err() {
        fs::copy(built, &shared).expect("a copy of the binary");
    }
    symlink("/run/shared/upkeep_exporter", machine.path(BINARY)).expect("a link to the binary");
}
