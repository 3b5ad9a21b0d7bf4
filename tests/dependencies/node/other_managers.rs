//! Environments of pnpm and yarn, and the lock files of npm.

use std::collections::BTreeSet;
use std::fs;

use super::environments::{Copy, copy};
use super::support::{Found, manager, run, succeed};

type Case = (&'static str, &'static str, fn(&Copy), &'static str);

#[track_caller]
fn assert_found(name: &str, keys: &str, cases: &[Case]) {
    let mut differences = Vec::new();
    for (environment, title, change, expected) in cases {
        let app = copy(name, environment);
        change(&app);
        let found = run(&app.path, keys).found;
        let expected = Found::parse(expected);
        if found != expected {
            differences.push(format!(
                "{environment}, {title}:\n  found    {found:?}\n  expected {expected:?}"
            ));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn npm_lock_files_decide_versions() {
    assert_found(
        "npm",
        "extra: true",
        &[
            ("plain", "healthy", |_| {}, ""),
            (
                "plain",
                "a version that package.json allows, but the lock file does not",
                |app| app.edit("node_modules/is-number/package.json", "7.0.0", "7.1.0"),
                "mismatched:is-number",
            ),
            (
                "plain",
                "a nested package is deleted",
                |app| app.remove("node_modules/is-odd/node_modules"),
                "missing:is-odd/node_modules/is-number",
            ),
            (
                "plain",
                "an optional package is deleted",
                |app| app.remove("node_modules/ee-first"),
                "",
            ),
            (
                "plain",
                "a package file with the same version and other content was installed",
                |app| {
                    let lock = fs::read_to_string(app.path.join("package-lock.json")).unwrap();
                    let at = lock.find("\"node_modules/peerer\"").unwrap();
                    let hash = lock[at..].find("sha512-").unwrap() + at + "sha512-".len();
                    let changed = format!("{}AAAA{}", &lock[..hash], &lock[hash + 4..]);
                    fs::write(app.path.join("package-lock.json"), changed).unwrap();
                },
                "mismatched:peerer",
            ),
            ("local", "healthy", |_| {}, ""),
            (
                "local",
                "another commit is locked",
                |app| {
                    let lock = fs::read_to_string(app.path.join("package-lock.json")).unwrap();
                    let at = lock.find("gitpkg.git#").unwrap() + "gitpkg.git#".len();
                    let changed = format!("{}{}{}", &lock[..at], "a".repeat(40), &lock[at + 40..]);
                    fs::write(app.path.join("package-lock.json"), changed).unwrap();
                },
                "mismatched:gitpkg",
            ),
        ],
    );
}

#[test]
fn every_version_of_npm_lock_files_is_compared() {
    let app = copy("npm", "plain");
    for version in ["1", "2", "3"] {
        // Without node_modules, npm takes the versions from the old lock file.
        let made = copy("npm", "plain");
        made.remove("node_modules");
        succeed(
            manager("npm")
                .args(["install", "--package-lock-only", "--lockfile-version", version])
                .current_dir(&made.path),
        );
        let lock = made.path.join("package-lock.json");
        let text = fs::read_to_string(&lock).unwrap();
        assert!(
            text.contains(&format!("\"lockfileVersion\": {version}")),
            "{text}"
        );
        let keys = format!("extra: true, lockfile: \"{}\"", lock.display());
        let healthy = run(&app.path, &keys);
        assert_eq!(healthy.result, Ok(()), "lockfile version {version}");
        assert_eq!(
            healthy.count("satisfied"),
            Some(9.0),
            "lockfile version {version}"
        );
        let broken = copy("npm", "plain");
        broken.remove("node_modules/is-odd/node_modules");
        broken.edit("node_modules/num/package.json", "6.0.0", "6.0.1");
        let found = run(&broken.path, &keys).found;
        assert_eq!(
            found,
            Found::parse("missing:is-odd/node_modules/is-number mismatched:num"),
            "lockfile version {version}"
        );
    }
}

#[test]
fn pnpm_environments_are_compared() {
    assert_found(
        "pnpm",
        "extra: true",
        &[
            ("plain", "healthy", |_| {}, ""),
            (
                "plain",
                "a link is deleted",
                |app| app.remove("node_modules/num"),
                "missing:num",
            ),
            (
                "plain",
                "a package of the store is deleted",
                |app| app.remove("node_modules/.pnpm/wrappy@1.0.2"),
                "missing:wrappy",
            ),
            (
                "plain",
                "a package of the store has another version",
                |app| {
                    let path = "node_modules/.pnpm/is-number@6.0.0/node_modules/is-number/package.json";
                    app.edit(path, "\"version\": \"6", "\"version\": \"5");
                },
                "mismatched:num",
            ),
            (
                "plain",
                "extra packages",
                |app| {
                    app.add(
                        "node_modules/@s/left",
                        r#"{"name": "@s/left", "version": "1.0.0"}"#,
                    )
                },
                "extra:@s/left",
            ),
            (
                "plain",
                "an optional package is deleted",
                |app| app.remove("node_modules/ee-first"),
                "",
            ),
            (
                "plain",
                "everything is deleted",
                |app| app.remove("node_modules"),
                "missing:is-odd missing:is-number missing:num missing:once missing:peerer missing:isarray",
            ),
            ("local", "healthy", |_| {}, ""),
            (
                "local",
                "a dependency of a workspace is deleted",
                |app| app.remove("packages/two/node_modules/isarray"),
                "missing:isarray",
            ),
            (
                "local",
                "another commit is locked",
                |app| {
                    let lock = fs::read_to_string(app.path.join("pnpm-lock.yaml")).unwrap();
                    let at = lock.find("gitpkg.git#").unwrap() + "gitpkg.git#".len();
                    let changed = lock.replace(&lock[at..at + 40], &"a".repeat(40));
                    fs::write(app.path.join("pnpm-lock.yaml"), changed).unwrap();
                },
                "mismatched:gitpkg",
            ),
        ],
    );
}

#[test]
fn yarn_environments_are_compared() {
    assert_found(
        "yarn",
        "extra: true",
        &[
            ("plain", "healthy", |_| {}, ""),
            (
                "plain",
                "an optional package is deleted",
                |app| app.remove("node_modules/ee-first"),
                "",
            ),
            (
                "plain",
                "extra packages",
                |app| app.add("node_modules/left", r#"{"name": "left", "version": "1.0.0"}"#),
                "extra:left",
            ),
            ("local", "healthy", |_| {}, ""),
            (
                "local",
                "the link to a workspace is deleted",
                |app| app.remove("node_modules/two"),
                "missing:two",
            ),
            (
                "local",
                "another commit is locked",
                |app| {
                    let lock = fs::read_to_string(app.path.join("yarn.lock")).unwrap();
                    let at = lock.find("gitpkg.git#").unwrap() + "gitpkg.git#".len();
                    let changed = lock.replace(&lock[at..at + 40], &"a".repeat(40));
                    fs::write(app.path.join("yarn.lock"), changed).unwrap();
                },
                "mismatched:gitpkg",
            ),
        ],
    );
}

/// The names of packages that `yarn check --verify-tree` reports.
fn yarn_check(app: &Copy) -> BTreeSet<String> {
    let output = manager("yarn")
        .args(["check", "--verify-tree", "--json"])
        .current_dir(&app.path)
        .output()
        .unwrap();
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let mut names = BTreeSet::new();
    for line in printed.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        let text = event["data"].as_str().unwrap_or_default();
        if event["type"] == "error" && text.starts_with('"') {
            let quoted = text.split('"').nth(1).unwrap();
            names.insert(quoted.rsplit('#').next().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn runs_agree_with_yarn_check() {
    /// Changes a copy of the project.
    type Change = fn(&Copy);
    let cases: &[(&str, Change)] = &[
        ("healthy", |_| {}),
        ("deleted", |app| app.remove("node_modules/is-odd")),
        ("nested deleted", |app| app.remove("node_modules/wrappy")),
        ("another version", |app| {
            app.edit(
                "node_modules/once/package.json",
                "\"version\": \"1",
                "\"version\": \"2",
            );
        }),
    ];
    for (title, change) in cases {
        let app = copy("yarn", "plain");
        change(&app);
        let found = run(&app.path, "lockfile: none, transitive: true").found;
        let ours: BTreeSet<_> = found.missing.union(&found.mismatched).cloned().collect();
        let theirs = yarn_check(&app);
        assert_eq!(ours, theirs, "{title}");
    }
}

#[test]
fn a_project_of_a_workspace_is_compared_with_the_lock_file_above_it() {
    /// Changes a copy of the workspace.
    type Change = fn(&Copy);
    // In order: the manager, the lock file, a package of the project, and one of another project.
    let cases: &[(&str, &str, Change, Change)] = &[
        (
            "npm",
            "package-lock.json",
            |app| {
                app.edit(
                    "node_modules/isarray/package.json",
                    "\"version\": \"2",
                    "\"version\": \"1",
                )
            },
            |app| app.edit("packages/one/package.json", "^1.4.0", "^1.3.0"),
        ),
        (
            "pnpm",
            "pnpm-lock.yaml",
            |app| {
                let path = "packages/two/node_modules/isarray/package.json";
                app.edit(path, "\"version\": \"2", "\"version\": \"1");
            },
            |app| app.remove("packages/one/node_modules/once"),
        ),
    ];
    for (name, lock, change, change_other) in cases {
        let app = copy(name, "local");
        let project = app.path.join("packages/two");
        let keys = format!("lockfile: ../../{lock}");
        change_other(&app);
        let healthy = run(&project, &keys);
        assert_eq!(healthy.result, Ok(()), "{name}: {:?}", healthy.found);
        assert!(healthy.count("satisfied") > Some(0.0), "{name}");
        change(&app);
        let broken = run(&project, &keys);
        assert_eq!(broken.found, Found::parse("mismatched:isarray"), "{name}");
        let fix = broken.fix().unwrap();
        let directory = app.path.canonicalize().unwrap();
        let is_lock_used = fix.starts_with("npm ci ") || fix.contains(" --frozen-lockfile ");
        assert!(
            is_lock_used && fix.ends_with(&directory.display().to_string()),
            "{fix}"
        );
    }
}
