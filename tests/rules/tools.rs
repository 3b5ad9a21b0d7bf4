//! Runs the programs that judge rules and notifications, and reads the YAML files they judge. Shared by two test programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A path inside the checkout.
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Standard output of `program`, which must end with code 0.
///
/// # Panics
/// If the program is missing (with how to install it) or fails (with what it printed).
pub fn run<A: AsRef<OsStr>>(program: &str, package: &str, args: &[A]) -> String {
    let output = Command::new(program).args(args).output().unwrap_or_else(|error| {
        panic!("cannot run {program}: {error}; install it: apt-get install {package}");
    });
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let shown: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {} failed:\n{stdout}{stderr}",
        shown.join(" ")
    );
    stdout
}

/// A file of the checkout as text.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// A YAML file as a tree.
pub fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&read(path))
        .unwrap_or_else(|error| panic!("cannot parse {}: {error}", path.display()))
}

/// The files of a folder whose names end so, sorted.
pub fn files(folder: &str, suffix: &str) -> Vec<PathBuf> {
    let folder = repo(folder);
    let entries = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory entry can be read").path())
        .filter(|path| path.is_file() && path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {suffix} file in {}", folder.display());
    found
}

/// The elements of a list that must be there.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} is no list in {value}"))
}

/// A text that must be there.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

/// Every alerting rule of the shipped rule files.
pub fn alerts() -> Vec<Value> {
    let groups = files("rules", ".yml")
        .iter()
        .flat_map(|path| list(&yaml(path), "groups").to_vec())
        .collect::<Vec<_>>();
    let rules = groups.iter().flat_map(|group| list(group, "rules").to_vec());
    rules.filter(|rule| rule.get("alert").is_some()).collect()
}
