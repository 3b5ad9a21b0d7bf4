//! Runs promtool and amtool, and reads the YAML files that they check. Shared by several test programs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A path inside the checkout.
pub fn repo(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs `program`, which must exit with code 0, and returns its standard output.
///
/// # Panics
/// If the program is not installed (with the package to install) or fails (with its output).
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

/// Reads a file as text.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

/// Parses a YAML file.
pub fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&read(path))
        .unwrap_or_else(|error| panic!("cannot parse {}: {error}", path.display()))
}

/// The files of a folder with this suffix, sorted.
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

/// The elements of a list that must exist.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key]
        .as_array()
        .unwrap_or_else(|| panic!("{key} is not a list in {value}"))
}

/// A string that must exist.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("{key} is not a string in {value}"))
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
