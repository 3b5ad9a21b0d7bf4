//! The shipped schema is that of the option types, and the shipped and tested files conform to it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use upkeep_exporter::config::schema;
use upkeep_exporter::config::yaml::{self, Node};

use super::schema_keys::schema_keys;
use super::validate::validate;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_shipped_schema_is_that_of_the_types() {
    let path = root().join("config/upkeep.schema.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema::document()).unwrap());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == generated,
        "config/upkeep.schema.json is not up to date: UPDATE=1 cargo test --test config"
    );
}

/// Converts a tree to the value that an editor sees.
fn json(node: &Node) -> Value {
    yaml::from_node(node).unwrap()
}

/// The value of a file. For an editor, binary data is the text that is written.
fn tree(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap().replace("!!binary", "!!str");
    json(&yaml::parse(&text).0.unwrap())
}

#[test]
fn shipped_files_conform_to_the_schema() {
    for file in [
        "config/upkeep.example.yml",
        "config/heimdall.example.yml",
        "config/platform.example.yml",
        "config/default.yml",
    ] {
        assert_eq!(
            validate(&tree(&root().join(file))),
            Vec::<String>::new(),
            "{file}"
        );
    }
}

#[test]
fn valid_files_conform_to_the_schema() {
    for text in super::settings::VALID {
        let value = json(&yaml::parse(text).0.unwrap());
        assert_eq!(validate(&value), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn valid_modules_conform_to_the_schema() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("tests/probe/corpus")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if !text.contains("# ours refuses: ") {
            let errors = validate(&tree(&path));
            assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} files");
}

#[test]
fn the_schema_rejects_invalid_files() {
    for file in [
        "unknown-key-root",
        "unknown-key-service",
        "unknown-key-check",
        "key-form",
        "kind-unknown",
        "type-text",
        "modules",
    ] {
        let path = root().join(format!("tests/bad-config/{file}.yml"));
        assert_ne!(validate(&tree(&path)), Vec::<String>::new(), "{file}");
    }
}

#[test]
fn every_key_is_in_the_example_and_in_the_documentation() {
    let schema = schema::document();
    let names = schema_keys(&schema, &schema);
    assert!(names.len() > 80, "{names:?}");
    let example = fs::read_to_string(root().join("config/upkeep.example.yml")).unwrap();
    let documentation = fs::read_to_string(root().join("docs/CONFIGURATION.md")).unwrap();
    let is_key = |line: &str, name: &str| {
        let words = line.split(['{', ',', '#', '-', '[']).map(str::trim_start);
        words
            .into_iter()
            .any(|word| word.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
    };
    for name in names {
        assert!(
            example.lines().any(|line| is_key(line, &name)),
            "the example does not show {name}"
        );
        assert!(
            documentation.contains(&format!("`{name}`")),
            "docs/CONFIGURATION.md does not explain {name}"
        );
    }
}
