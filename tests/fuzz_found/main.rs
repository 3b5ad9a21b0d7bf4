//! Replays inputs that `make fuzz` found, and those that it starts from, so that what held for them goes on to hold without
//! fuzzing. An input that broke a property belongs into `tests/fuzz-found/NAME/` before it is mended.

#![allow(clippy::unwrap_used)]

mod properties;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use properties::PROPERTIES;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The names of files or folders, without what follows a dot.
fn stems(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    files(folder).into_iter().map(stem).collect()
}

#[test]
fn what_was_found_holds() {
    let mut wrong = Vec::new();
    for (name, property) in PROPERTIES {
        let inputs = files(&format!("tests/fuzz-found/{name}"));
        assert!(
            inputs.len() >= 3,
            "{name}: inputs are missing in tests/fuzz-found/{name}"
        );
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            if panic::catch_unwind(AssertUnwindSafe(|| property(&bytes))).is_err() {
                wrong.push(input.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "what went wrong is above: {}", wrong.join(", "));
}

#[test]
fn faulty_files_do_not_panic_either() {
    for (folder, property) in [
        ("tests/bad-config", properties::config as fn(&[u8])),
        ("tests/bad-web-config", properties::web_config),
    ] {
        for file in files(folder) {
            property(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_property_is_fuzzed_and_every_folder_replayed() {
    let names: BTreeSet<String> = PROPERTIES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("fuzz/fuzz_targets"), names, "fuzz/fuzz_targets");
    assert_eq!(stems("tests/fuzz-found"), names, "tests/fuzz-found");
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let list = fs::read_to_string(root().join("fuzz/run.sh")).unwrap();
    for name in &names {
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "fuzz/Cargo.toml lacks {name}"
        );
        assert!(list.contains(name.as_str()), "fuzz/run.sh lacks {name}");
        let target = fs::read_to_string(root().join(format!("fuzz/fuzz_targets/{name}.rs"))).unwrap();
        assert!(
            target.contains(&format!("properties::{name}(input)")),
            "the target {name}"
        );
    }
}

/// The version of each package, in the order of a lock file, which is that of names.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let value = |line: Option<&str>, key: &str| {
        let line = line.unwrap().strip_prefix(key).unwrap();
        line.trim_matches(['"', ' ', '=']).to_owned()
    };
    let packages = text.split("[[package]]\n").skip(1).map(str::lines);
    packages
        .map(|mut lines| (value(lines.next(), "name"), value(lines.next(), "version")))
        .collect()
}

#[test]
fn the_targets_are_built_of_the_same_versions() {
    let (ours, theirs) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    let own = ["arbitrary", "libfuzzer-sys", "upkeep_exporter_fuzz"];
    let differing: Vec<_> = theirs
        .difference(&ours)
        .filter(|(name, _)| !own.contains(&name.as_str()))
        .collect();
    assert!(
        differing.is_empty(),
        "fuzz/Cargo.lock has other versions than Cargo.lock: {differing:?}; \
         cp Cargo.lock fuzz/ && cargo metadata --manifest-path fuzz/Cargo.toml >/dev/null mends it"
    );
}
