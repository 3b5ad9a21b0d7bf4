//! What `/metrics` says: against golden files, strict parsers and the reference implementations.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../common/mod.rs"]
mod common;
mod parser;
mod prometheus;
mod property;
mod rendering;

use std::path::Path;

use common::snapshots;
use upkeep_exporter::metrics::{OwnProcess, markdown, to_classic, to_openmetrics};
use upkeep_exporter::store::Snapshot;

/// The exporter's own process as golden files have it.
fn own_process() -> OwnProcess {
    OwnProcess {
        cpu_seconds: 1.25,
        resident_bytes: 20 << 20,
        virtual_bytes: 100 << 20,
        open_fds: 12,
        max_fds: Some(1024),
        threads: 3,
        start_time: 1_699_990_000.5,
    }
}

fn openmetrics(snapshot: Snapshot) -> String {
    to_openmetrics(snapshot, Some(own_process()), 0).unwrap()
}

/// Compares with a file of the project, or with `UPDATE=1` in the environment writes it.
fn assert_file(path: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap_or_default();
    for (number, (known, new)) in known.lines().zip(text.lines()).enumerate() {
        let line = number + 1;
        assert_eq!(
            known,
            new,
            "{}:{line} differs; UPDATE=1 writes it anew",
            path.display()
        );
    }
    assert_eq!(
        known.len(),
        text.len(),
        "{} differs; UPDATE=1 writes it anew",
        path.display()
    );
}

#[test]
fn both_formats_are_as_in_the_golden_files() {
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let text = openmetrics(snapshots::every_status());
    let golden = text.replace(&version, "version=\"VERSION\"");
    assert_file("tests/golden/metrics.openmetrics.txt", &golden);
    assert_file("tests/golden/metrics.classic.txt", &to_classic(&golden));
}

#[test]
fn the_documentation_is_as_the_table() {
    assert_file("docs/METRICS.md", &markdown());
}
