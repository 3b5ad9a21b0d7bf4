//! Runs the commands that a run advises. Afterwards nothing is left to mend.

use std::os::unix::fs::symlink;

use super::environments::{Copy, copy};
use super::support::{Found, manager, run, succeed};

/// The package manager, the environment, the keys, a change, what the run finds, and the start of the command.
type Case = (
    &'static str,
    &'static str,
    &'static str,
    fn(&Copy),
    &'static str,
    &'static str,
);

const CASES: &[Case] = &[
    (
        "npm",
        "plain",
        "",
        |app| {
            app.remove("node_modules/is-number");
            app.edit(
                "node_modules/once/package.json",
                "\"version\": \"1.4",
                "\"version\": \"1.3",
            );
        },
        "missing:is-number mismatched:once",
        "npm ci --prefix ",
    ),
    (
        "npm",
        "plain",
        "extra: true",
        |app| app.add("node_modules/left", r#"{"name": "left", "version": "1.0.0"}"#),
        "extra:left",
        "npm prune --prefix ",
    ),
    (
        "npm",
        "plain",
        "production: true",
        |app| app.remove("node_modules/num"),
        "missing:num",
        "npm ci --prefix ",
    ),
    (
        "npm",
        "plain",
        "",
        |app| app.edit("package.json", "\"is-number\": \"^7", "\"is-number\": \"^6"),
        "mismatched:is-number",
        "npm install --prefix ",
    ),
    (
        "npm",
        "plain",
        "lockfile: none, transitive: true",
        |app| {
            app.remove("package-lock.json");
            app.remove("node_modules/wrappy");
        },
        "missing:wrappy",
        "npm install --prefix ",
    ),
    (
        "npm",
        "plain",
        "",
        |app| {
            app.remove("node_modules/once/package.json");
            std::fs::write(app.path.join("node_modules/once/package.json"), "{").unwrap();
        },
        "unreadable:once",
        "npm ci --prefix ",
    ),
    (
        "npm",
        "local",
        "transitive: true",
        |app| {
            app.remove("node_modules/two");
            app.remove("node_modules/gitpkg");
        },
        "missing:two missing:gitpkg",
        "npm ci --prefix ",
    ),
    (
        "pnpm",
        "plain",
        "",
        |app| app.remove("node_modules/.pnpm/is-number@6.0.0"),
        "mismatched:is-number missing:num",
        "pnpm install --frozen-lockfile --force --dir ",
    ),
    (
        "pnpm",
        "plain",
        "production: true",
        |app| {
            app.edit(
                "node_modules/is-odd/package.json",
                "\"version\": \"3",
                "\"version\": \"2",
            )
        },
        "mismatched:is-odd",
        "pnpm install --frozen-lockfile --force --dir ",
    ),
    (
        "pnpm",
        "plain",
        "",
        |app| app.edit("package.json", "\"is-number\": \"^7", "\"is-number\": \"^6"),
        "mismatched:is-number",
        "pnpm install --no-frozen-lockfile --force --dir ",
    ),
    (
        "pnpm",
        "local",
        "",
        |app| app.remove("packages/one/node_modules/two"),
        "missing:two",
        "pnpm install --frozen-lockfile --force --dir ",
    ),
    (
        "yarn",
        "plain",
        "",
        |app| {
            app.remove("node_modules/is-odd/node_modules/is-number");
            app.edit(
                "node_modules/once/package.json",
                "\"version\": \"1.4",
                "\"version\": \"1.3",
            );
        },
        "mismatched:is-number mismatched:once",
        "yarn install --frozen-lockfile --force --cwd ",
    ),
    (
        "yarn",
        "local",
        "extra: true",
        |app| {
            app.remove("node_modules/one");
            symlink("../packages/two", app.path.join("node_modules/one")).unwrap();
            app.add("node_modules/left", r#"{"name": "left", "version": "1.0.0"}"#);
        },
        "mismatched:one extra:left",
        "yarn install --frozen-lockfile --force --cwd ",
    ),
];

#[test]
fn the_advised_command_mends_everything() {
    let failures: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = CASES.iter().map(|case| scope.spawn(|| mend(case))).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap().err())
            .collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn mend((name, environment, keys, change, expected, start): &Case) -> Result<(), String> {
    let app = copy(name, environment);
    let title = format!("{name}, {environment}, {keys}, {expected}");
    let before = run(&app.path, keys);
    if before.found != Found::default() {
        return Err(format!("{title}: not healthy at first: {:?}", before.found));
    }
    change(&app);
    let broken = run(&app.path, keys);
    if broken.found != Found::parse(expected) {
        return Err(format!("{title}: found {:?}", broken.found));
    }
    let fix = broken.fix().unwrap_or_default();
    if !fix.starts_with(&format!("{start}{}", app.path.display())) {
        return Err(format!("{title}: {fix}"));
    }
    let all = broken
        .report
        .findings
        .list()
        .iter()
        .all(|finding| finding.fix.is_some());
    if !all {
        return Err(format!("{title}: a finding has no command"));
    }
    succeed(manager("sh").args(["-c", fix]).current_dir("/"));
    let mended = run(&app.path, keys);
    if mended.found != Found::default() {
        return Err(format!("{title}: {fix} leaves {:?}", mended.found));
    }
    Ok(())
}

#[test]
fn without_a_lock_file_each_package_has_its_own_command() {
    let app = copy("npm", "plain");
    app.remove("node_modules/is-number");
    app.remove("node_modules/num");
    let broken = run(&app.path, "lockfile: none");
    assert_eq!(broken.found, Found::parse("missing:is-number missing:num"));
    for finding in broken.report.findings.list() {
        let range = if finding.subject == "num" {
            "npm:is-number@^6.0.0"
        } else {
            "^7.0.0"
        };
        let request = format!("{}@{range}", finding.subject);
        let fix = finding.fix.as_deref().unwrap();
        let start = format!("npm install --no-save --prefix {} ", app.path.display());
        assert!(fix.starts_with(&start) && fix.contains(&request), "{fix}");
        succeed(manager("sh").args(["-c", fix]).current_dir("/"));
    }
    assert_eq!(run(&app.path, "lockfile: none").found, Found::default());
}
