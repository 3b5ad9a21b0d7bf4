//! Tests the rules of ARCHITECTURE.md: which parts may use which, headers and sizes of files, and names of kinds.

#![allow(clippy::unwrap_used)]

#[path = "architecture/circles.rs"]
mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use upkeep_exporter::model::CheckKind;

/// Which parts a part may use. Data flows in one direction: config, schedule, check, store, metrics, web.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("config", &["model"]),
    ("net", &["config", "model"]),
    ("heartbeat", &["config", "model", "state_dir"]),
    (
        "check",
        &["config", "heartbeat", "model", "net", "state_dir", "supervise"],
    ),
    ("actuator", &["config", "model", "net"]),
    ("manage", &["actuator", "config", "model"]),
    ("runner", &["check", "config", "model", "net"]),
    ("verdict", &["model"]),
    ("store", &["config", "model", "state_dir", "verdict"]),
    (
        "heal",
        &[
            "actuator",
            "config",
            "model",
            "net",
            "state_dir",
            "store",
            "supervise",
        ],
    ),
    ("history", &["config", "model", "state_dir", "store"]),
    (
        "schedule",
        &["check", "config", "log_throttle", "model", "runner", "store"],
    ),
    ("metrics", &["check", "config", "heal", "model", "store"]),
    ("status", &["config", "metrics", "model", "store"]),
    (
        "probe",
        &[
            "check",
            "config",
            "net",
            "metrics",
            "model",
            "runner",
            "slots",
            "log_throttle",
        ],
    ),
    (
        "process_groups",
        &["check", "config", "log_throttle", "metrics", "model", "net"],
    ),
    (
        "web",
        &[
            "actuator",
            "config",
            "heartbeat",
            "history",
            "manage",
            "metrics",
            "model",
            "slots",
            "probe",
            "process_groups",
            "log_throttle",
            "socket_file",
            "status",
            "store",
        ],
    ),
    ("maintenance", &["config", "model", "state_dir", "store"]),
    ("control", &["heal", "maintenance", "socket_file"]),
    ("notify", &[]),
    ("slots", &[]),
    ("socket_file", &[]),
    ("state_dir", &[]),
    ("supervise", &[]),
    ("log_throttle", &[]),
    ("log", &[]),
    ("discover", &["check", "config", "model", "net"]),
    (
        "reload",
        &["config", "discover", "metrics", "notify", "store", "web"],
    ),
    (
        "cli",
        &[
            "actuator",
            "check",
            "config",
            "control",
            "discover",
            "heal",
            "log",
            "maintenance",
            "manage",
            "model",
            "net",
            "reload",
            "runner",
            "schedule",
            "socket_file",
            "status",
            "store",
            "supervise",
            "web",
            "lib",
        ],
    ),
    (
        "lib",
        &[
            "check",
            "config",
            "control",
            "discover",
            "heal",
            "heartbeat",
            "history",
            "log",
            "maintenance",
            "metrics",
            "model",
            "notify",
            "probe",
            "process_groups",
            "reload",
            "schedule",
            "status",
            "store",
            "web",
        ],
    ),
    ("main", &["cli"]),
];

/// The maximum length of a file in lines, without the tests at its end.
const MAX_LINES: usize = 350;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(below: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(below)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    assert!(found.len() > 3, "no sources found below {below}");
    found
}

/// The text of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn is_test_file(path: &Path) -> bool {
    path.components().any(|part| {
        part.as_os_str()
            .to_str()
            .is_some_and(|name| name.starts_with("tests"))
    })
}

/// The part of a file below `src`: the folder or file directly below it.
fn part_of(path: &Path) -> String {
    let below = path.strip_prefix("src").unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The parts that a text uses with `crate::` or, in the binary, with the name of the library.
fn parts_used(text: &str) -> BTreeSet<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut used = BTreeSet::new();
    for marker in ["crate::", "upkeep_exporter::"] {
        for (position, _) in code.match_indices(marker) {
            let tail = &code[position + marker.len()..];
            if let Some(group) = tail.strip_prefix('{') {
                let group = group.split('}').next().unwrap_or_default();
                used.extend(
                    group
                        .split(',')
                        .filter_map(|item| item.trim().split("::").next())
                        .map(str::to_owned),
                );
                continue;
            }
            let end = tail
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(tail.len());
            used.insert(tail[..end].to_owned());
        }
    }
    used
}

#[test]
fn parts_use_only_what_the_design_allows() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let parts: BTreeSet<&str> = allowed.keys().copied().collect();
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let part = part_of(&path);
        let Some(may_use) = allowed.get(part.as_str()) else {
            panic!(
                "{}: the part `{part}` is not in the table of tests/architecture.rs",
                path.display()
            );
        };
        for used in parts_used(without_tests(&text)) {
            // Items of the library root (`run` and its arguments) count as `lib`.
            let used = if parts.contains(used.as_str()) {
                used
            } else {
                "lib".to_owned()
            };
            if used != part && !may_use.contains(&used.as_str()) {
                wrong.push(format!("{}: `{part}` may not use `{used}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_of_parts_has_no_cycle() {
    let mut left: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    while !left.is_empty() {
        let free: Vec<&str> = left
            .iter()
            .filter(|(_, uses)| uses.iter().all(|used| !left.contains_key(used)))
            .map(|(part, _)| *part)
            .collect();
        assert!(
            !free.is_empty(),
            "these parts use each other in a circle: {:?}",
            left.keys()
        );
        left.retain(|part, _| !free.contains(part));
    }
}

#[test]
fn every_file_has_a_header() {
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        assert!(
            text.starts_with("//! "),
            "{} must start with a `//!` header that says what it is for",
            path.display()
        );
    }
}

#[test]
fn files_stay_small() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let lines = without_tests(&text).lines().count();
        if lines > MAX_LINES && !is_test_file(&path) {
            wrong.push(format!(
                "{}: {lines} lines without tests, more than {MAX_LINES}: split it",
                path.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Facts about a kind belong to the kind (`config::KindFacts`), so that a new kind needs no change in these parts.
#[test]
fn scheduler_store_verdict_and_metrics_name_no_kind() {
    let parts = ["metrics", "runner", "schedule", "store", "verdict"];
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        if !parts.contains(&part_of(&path).as_str()) || is_test_file(&path) {
            continue;
        }
        let lines = without_tests(&text).lines();
        let code = lines.filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for kind in CheckKind::ALL {
                for name in [format!("CheckKind::{kind:?}"), format!("KindSettings::{kind:?}")] {
                    if line.contains(&name) {
                        wrong.push(format!("{}: {name}", path.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn there_are_no_open_tasks() {
    // Joined here, so that the test does not find itself.
    let marks = [
        "TO".to_owned() + "DO",
        "FIX".to_owned() + "ME",
        "#[ig".to_owned() + "nore",
        "unimple".to_owned() + "mented!",
    ];
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        for mark in &marks {
            assert!(!text.contains(mark.as_str()), "{}: {mark}", path.display());
        }
    }
}

#[test]
fn a_kind_has_one_name_everywhere() {
    let read =
        |path: &str| fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let example = read("config/upkeep.example.yml");
    let schema = read("config/upkeep.schema.json");
    let reference = read("docs/CONFIGURATION.md");
    let table = read("src/model/kind.rs");
    for kind in CheckKind::ALL {
        let name = kind.as_str();
        let variant = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        assert_eq!(format!("{kind:?}"), variant, "the variant of {name}");
        for folder in ["check", "config"] {
            let file = root().join(format!("src/{folder}/{name}.rs"));
            let module = root().join(format!("src/{folder}/{name}/mod.rs"));
            assert!(file.exists() || module.exists(), "{} is missing", file.display());
        }
        for (what, text, wanted) in [
            ("config/upkeep.example.yml", &example, format!("kind: {name}")),
            ("config/upkeep.schema.json", &schema, format!("\"{name}\"")),
            ("docs/CONFIGURATION.md", &reference, format!("`{name}`")),
            (
                "src/model/kind.rs",
                &table,
                format!("{variant}Options {variant}Settings {variant}Check;"),
            ),
        ] {
            assert!(text.contains(&wanted), "{what} does not mention {wanted}");
        }
    }
}
