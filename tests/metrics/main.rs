//! Tests `/metrics` against golden files, strict parsers and the reference implementations.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../common/mod.rs"]
mod common;
mod parser;
mod prometheus;
mod property;
mod rendering;

use std::path::Path;

use common::snapshots;
use upkeep_exporter::metrics::{Exposition, Format, OwnProcess, markdown};
use upkeep_exporter::store::Snapshot;

/// The exporter's own process in golden files.
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

fn text(snapshot: Snapshot, format: Format) -> String {
    let exposition = Exposition::new(snapshots::input(snapshot), Some(own_process()));
    String::from_utf8(exposition.to_bytes(format, 0)).unwrap()
}

/// Compares `text` with a file of the repository. With `UPDATE=1` in the environment, writes the file first.
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
            "{}:{line} differs; UPDATE=1 updates it",
            path.display()
        );
    }
    assert_eq!(
        known.len(),
        text.len(),
        "{} differs; UPDATE=1 updates it",
        path.display()
    );
}

#[test]
fn both_formats_match_the_golden_files() {
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    for (format, name) in [(Format::OpenMetrics, "openmetrics"), (Format::Classic, "classic")] {
        let text = text(snapshots::every_status(), format);
        let golden = text.replace(&version, "version=\"VERSION\"");
        assert_file(&format!("tests/golden/metrics.{name}.txt"), &golden);
    }
}

#[test]
fn the_documentation_of_advice_matches_the_code() {
    assert_file("docs/ADVICE.md", &upkeep_exporter::status::advice_markdown());
}

#[test]
fn the_documentation_matches_the_table() {
    assert_file("docs/METRICS.md", &markdown());
}
