//! The example of an AI application's platform, and the document that compares it with home-made health monitoring.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use upkeep_exporter::config::load;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_example_of_a_platform_loads_without_warnings() {
    let loaded = load(&root().join("config/platform.example.yml")).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, []);
    let checks: Vec<_> = loaded
        .config
        .services
        .iter()
        .flat_map(|service| &service.checks)
        .collect();
    let kinds: BTreeSet<&str> = checks.iter().map(|check| check.kind.kind().as_str()).collect();
    for kind in [
        "http", "systemd", "port", "postgres", "redis", "host", "python", "node", "provider",
    ] {
        assert!(kinds.contains(kind), "no {kind} check");
    }
    let http = checks
        .iter()
        .find(|check| check.kind.kind().as_str() == "http")
        .unwrap();
    assert_eq!(
        (http.interval, http.timeout),
        (Duration::from_secs(30), Duration::from_secs(10))
    );
    let depends = loaded
        .config
        .services
        .iter()
        .filter(|service| !service.depends_on.is_empty());
    assert_eq!(depends.count(), 3);
}

/// Every row of the table names tests, in the form `file::test`.
#[test]
fn the_tests_named_in_the_table_exist() {
    let text = fs::read_to_string(root().join("docs/MIGRATION-PLATFORM.md")).unwrap();
    let rows: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("| they have |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() >= 9, "{} rows", rows.len());
    for row in rows {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test in: {row}");
        for test in tests {
            let (file, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{test}"));
            let source =
                fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(
                source.contains(&format!("fn {name}(")),
                "{file} has no test {name}"
            );
        }
    }
}
