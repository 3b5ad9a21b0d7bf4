//! Module files as people have them, for the real blackbox_exporter and for ours: both accept a file, or its first lines say
//! what the one that does not says about it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::servers::tool;

/// Whether a program accepts the file, and what it writes.
fn ran(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

fn theirs(file: &Path) -> (bool, String) {
    let name = "prometheus-blackbox-exporter";
    ran(Command::new(tool(name, name))
        .arg("--config.check")
        .arg(format!("--config.file={}", file.display())))
}

fn ours(file: &Path) -> (bool, String) {
    ran(Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
        .arg("check-config")
        .arg(file))
}

/// The files: ours, and the one that Debian's package brings.
fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/probe/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let debian = PathBuf::from("/etc/prometheus/blackbox.yml");
    assert!(
        debian.is_file(),
        "{} is missing: run `apt-get install prometheus-blackbox-exporter` as root",
        debian.display()
    );
    files.push(debian);
    files
}

#[test]
fn both_accept_a_file_or_it_says_who_does_not() {
    let document = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/BLACKBOX-DIFFERENCES.md"
    ))
    .unwrap();
    let mut wrong = Vec::new();
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let said = |who: &str| {
            let start = format!("# {who}: ");
            text.lines()
                .take_while(|line| line.starts_with('#'))
                .find_map(|line| line.strip_prefix(&start))
        };
        let (our_part, their_part) = (said("ours refuses"), said("theirs refuses"));
        for (who, part, (accepts, output)) in [
            ("ours", our_part, ours(&file)),
            ("theirs", their_part, theirs(&file)),
        ] {
            if accepts != part.is_none() || part.is_some_and(|part| !output.contains(part)) {
                wrong.push(format!(
                    "{name}, {who}: accepts: {accepts}, expected: {part:?}: {output}"
                ));
            }
        }
        // What only one of them refuses is a difference, which is documented with the file's name.
        let differs = our_part.is_some() != their_part.is_some();
        if differs && !document.contains(&format!("`{name}`")) {
            wrong.push(format!("{name} is not in docs/BLACKBOX-DIFFERENCES.md"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
