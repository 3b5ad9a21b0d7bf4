//! One small invalid file per rule, each with a file of its exact errors. `UPDATE=1` rewrites those: review the diff.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use upkeep_exporter::config::parse_bytes;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad-config")
}

/// The names of the files with this extension.
fn names(extension: &str) -> BTreeSet<String> {
    let files = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_invalid_file_has_exactly_these_errors() {
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    for name in names("yml") {
        let bytes = fs::read(directory().join(format!("{name}.yml"))).unwrap();
        let golden = directory().join(format!("{name}.txt"));
        let found = match parse_bytes(&bytes, &format!("{name}.yml")) {
            Ok(_) => panic!("{name}.yml loads, but should not"),
            Err(error) => format!("{error}\n"),
        };
        if is_update {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{name}: found\n{found}expected\n{expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nUPDATE=1 accepts the found errors",
        wrong.join("\n")
    );
}

#[test]
fn every_file_has_its_errors_and_the_other_way_round() {
    assert_eq!(names("yml"), names("txt"));
    assert!(names("yml").len() >= 50);
}
