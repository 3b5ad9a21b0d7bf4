//! Compares runs without a lock file with `npm ls --all --json`.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use super::environments::{Copy, copy};
use super::support::{Found, manager, run};

/// The keys that ask the question of `npm ls --all`.
const KEYS: &str = "lockfile: none, transitive: true, extra: true";

/// What `npm ls` reports, as a run would name it.
fn npm_ls(root: &Path, more: &[&str]) -> Found {
    let output = manager("npm")
        .args(["ls", "--all", "--json"])
        .args(more)
        .current_dir(root)
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut found = Found::default();
    let shown = |path: &str| {
        let relative = path.strip_prefix(&format!("{}/", root.display())).unwrap_or(path);
        relative
            .strip_prefix("node_modules/")
            .unwrap_or(relative)
            .to_owned()
    };
    for problem in printed["problems"].as_array().into_iter().flatten() {
        let problem = problem.as_str().unwrap();
        let (state, rest) = problem.split_once(": ").unwrap();
        match state {
            "missing" => {
                let (package, _) = rest.split_once(", required by ").unwrap();
                let at = package[1..].find('@').unwrap() + 1;
                found.missing.insert(package[..at].to_owned());
            }
            "invalid" => {
                found.mismatched.insert(shown(rest.rsplit_once(' ').unwrap().1));
            }
            "extraneous" => {
                found.extra.insert(shown(rest.rsplit_once(' ').unwrap().1));
            }
            _ => panic!("{problem}"),
        }
    }
    found
}

/// A change of an environment, and what both must find. Where npm differs, its findings follow after a slash, with the reason in
/// `docs/DEPENDENCIES.md`.
type Case = (&'static str, &'static str, fn(&Copy), &'static str);

const CASES: &[Case] = &[
    ("plain", "healthy", |_| {}, ""),
    (
        "plain",
        "a package is deleted",
        |app| app.remove("node_modules/is-number"),
        "missing:is-number",
    ),
    (
        "plain",
        "a nested package is deleted, so that another version is found",
        |app| app.remove("node_modules/is-odd/node_modules/is-number"),
        "mismatched:is-number",
    ),
    (
        "plain",
        "another version is installed",
        |app| {
            app.edit(
                "node_modules/is-number/package.json",
                "\"version\": \"7",
                "\"version\": \"8",
            )
        },
        "mismatched:is-number",
    ),
    (
        "plain",
        "another nested version is installed",
        |app| {
            app.edit(
                "node_modules/is-odd/node_modules/is-number/package.json",
                "\"version\": \"6",
                "\"version\": \"5",
            );
        },
        "mismatched:is-odd/node_modules/is-number",
    ),
    (
        "plain",
        "another package is installed under an alias",
        |app| {
            app.edit(
                "node_modules/num/package.json",
                "\"name\": \"is-number\"",
                "\"name\": \"num\"",
            )
        },
        "mismatched:num / ",
    ),
    (
        "plain",
        "extra packages",
        |app| {
            app.add("node_modules/left", r#"{"name": "left", "version": "1.0.0"}"#);
            app.add(
                "node_modules/@s/right",
                r#"{"name": "@s/right", "version": "1.0.0"}"#,
            );
            app.add(
                "node_modules/left/node_modules/deep",
                r#"{"name": "deep", "version": "1.0.0"}"#,
            );
        },
        "extra:left extra:@s/right extra:left/node_modules/deep",
    ),
    (
        "plain",
        "an optional package is deleted",
        |app| app.remove("node_modules/ee-first"),
        "",
    ),
    (
        "plain",
        "an optional package has another version",
        |app| app.edit("node_modules/ee-first/package.json", "1.1.1", "1.0.0"),
        "mismatched:ee-first",
    ),
    (
        "plain",
        "a peer is not required any more, and deleted",
        |app| {
            app.edit("package.json", "\"once\": \"^1.4.0\",", "");
            app.remove("node_modules/once");
        },
        "missing:once extra:wrappy",
    ),
    (
        "plain",
        "a peer has another version",
        |app| {
            app.edit("package.json", "\"once\": \"^1.4.0\"", "\"once\": \"*\"");
            app.edit(
                "node_modules/once/package.json",
                "\"version\": \"1",
                "\"version\": \"2",
            );
        },
        "mismatched:once",
    ),
    (
        "plain",
        "an optional peer has another version",
        |app| {
            app.edit("package.json", "\"once\":", "\"other\": \"2\", \"once\":");
            app.add("node_modules/other", r#"{"name": "other", "version": "2.0.0"}"#);
        },
        "mismatched:other",
    ),
    (
        "plain",
        "a dependency of a dependency is deleted",
        |app| app.remove("node_modules/wrappy"),
        "missing:wrappy",
    ),
    (
        "plain",
        "a development package is deleted",
        |app| app.remove("node_modules/isarray"),
        "missing:isarray",
    ),
    (
        "plain",
        "everything is deleted",
        |app| app.remove("node_modules"),
        "missing:is-odd missing:is-number missing:num missing:once missing:peerer missing:isarray",
    ),
    (
        "plain",
        "package.json asks for another version",
        |app| app.edit("package.json", "\"is-number\": \"^7", "\"is-number\": \"^6"),
        "mismatched:is-number",
    ),
    (
        "plain",
        "an override replaces a range",
        |app| {
            app.edit(
                "package.json",
                "\"license\"",
                "\"overrides\": {\"is-number\": \"$is-number\"}, \"license\"",
            );
            app.remove("node_modules/is-odd/node_modules");
        },
        "",
    ),
    ("local", "healthy", |_| {}, ""),
    (
        "local",
        "the link to a workspace is deleted",
        |app| app.remove("node_modules/two"),
        "missing:two / missing:two extra:isarray",
    ),
    (
        "local",
        "a dependency of a workspace is deleted",
        |app| app.remove("node_modules/once"),
        "missing:once extra:wrappy",
    ),
    (
        "local",
        "a workspace has another version than another one needs",
        |app| app.edit("packages/two/package.json", "1.1.0", "2.0.0"),
        "mismatched:two",
    ),
    (
        "local",
        "a repository is deleted",
        |app| app.remove("node_modules/gitpkg"),
        "missing:gitpkg",
    ),
    (
        "local",
        "a link leads to another directory",
        |app| {
            app.remove("node_modules/lib");
            app.add("other", r#"{"name": "lib", "version": "1.0.0"}"#);
            symlink("../other", app.path.join("node_modules/lib")).unwrap();
        },
        "mismatched:lib",
    ),
];

#[test]
fn runs_agree_with_npm_ls() {
    let mut differences = Vec::new();
    for (environment, title, change, expected) in CASES {
        let app = copy("npm", environment);
        change(&app);
        let theirs = npm_ls(&app.path, &[]);
        let ours = run(&app.path, KEYS).found;
        let (expected, of_npm) = expected.split_once(" / ").unwrap_or((expected, expected));
        let expected = Found::parse(expected);
        if theirs != Found::parse(of_npm) || ours != expected {
            differences.push(format!(
                "{environment}, {title}:\n  npm {theirs:?}\n  we  {ours:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn production_omits_development_packages_as_npm_ls_does() {
    let app = copy("npm", "plain");
    app.remove("node_modules/isarray");
    assert_eq!(npm_ls(&app.path, &["--omit=dev"]), Found::default());
    let keys = format!("{KEYS}, production: true");
    assert_eq!(run(&app.path, &keys).found, Found::default());
    // Installed development packages are not extra.
    let app = copy("npm", "plain");
    assert_eq!(npm_ls(&app.path, &["--omit=dev"]), Found::default());
    assert_eq!(run(&app.path, &keys).found, Found::default());
}
