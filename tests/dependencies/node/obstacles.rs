//! Files that can't be used: each has its reason, soon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, mknodat};
use upkeep_exporter::model::Reason;

use super::environments::Copy;
use super::environments::empty;
use super::support::{Found, run, succeed};

/// The longest time that a run may take.
const SOON: Duration = Duration::from_secs(5);

/// A project with one package.
fn project() -> Copy {
    let app = empty();
    app.add("", r#"{"name": "app", "dependencies": {"a": "^1.0.0"}}"#);
    app.add("node_modules/a", r#"{"name": "a", "version": "1.2.0"}"#);
    app
}

/// Checks what a run finds, its reason and a part of its message.
#[track_caller]
fn assert_problem(directory: &Path, keys: &str, expected: &str, reason: Reason, part: &str) {
    let started = Instant::now();
    let run = run(directory, keys);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert_eq!(run.found, Found::parse(expected));
    let problem = run.result.unwrap_err();
    assert_eq!(problem.reason, reason, "{problem}");
    assert!(problem.message().contains(part), "{problem}");
}

#[test]
fn a_small_project_is_healthy() {
    let app = project();
    let run = run(&app.path, "extra: true, transitive: true");
    assert_eq!(run.result, Ok(()));
    assert_eq!(
        (run.count("satisfied"), run.count("extra")),
        (Some(1.0), Some(0.0))
    );
    assert!(run.report.findings.is_empty());
}

#[test]
fn long_files_are_not_read() {
    let long = " ".repeat(50 << 20);
    for name in ["package-lock.json", "pnpm-lock.yaml", "yarn.lock"] {
        let app = project();
        fs::write(app.path.join(name), &long).unwrap();
        let expected = format!("unreadable:{name}");
        assert_problem(
            &app.path,
            "",
            &expected,
            Reason::Limit,
            "longer than 20971520 bytes",
        );
    }
    let app = project();
    fs::write(app.path.join("node_modules/a/package.json"), &long).unwrap();
    assert_problem(
        &app.path,
        "",
        "unreadable:a",
        Reason::Limit,
        "longer than 20971520 bytes",
    );
    let app = project();
    fs::write(app.path.join("package.json"), &long).unwrap();
    assert_problem(
        &app.path,
        "",
        "unreadable:package.json",
        Reason::Limit,
        "longer than 20971520 bytes",
    );
}

#[test]
fn long_lock_files_of_one_kind_of_text_end_in_time() {
    // Much text, many entries, and deep nesting. A debug build is too slow for the largest files.
    let texts = [
        ("package-lock.json", "[".repeat(1 << 20)),
        (
            "package-lock.json",
            format!("{{\"packages\": {{{}", "\"a\": {}, ".repeat(100_000)),
        ),
        ("yarn.lock", "a@1:\n".repeat(500_000)),
        ("pnpm-lock.yaml", "[".repeat(200_000)),
        ("pnpm-lock.yaml", "a: &a [*a, *a]\n".repeat(1 << 10)),
    ];
    for (name, text) in texts {
        let app = project();
        fs::write(app.path.join(name), text).unwrap();
        let started = Instant::now();
        let run = run(&app.path, "");
        assert!(started.elapsed() < SOON * 2, "{name}: {:?}", started.elapsed());
        assert!(
            name == "yarn.lock" || run.found.unreadable.contains(name),
            "{name}: {:?}",
            run.found
        );
    }
}

#[test]
fn broken_files_say_where() {
    for (name, text, part) in [
        (
            "package-lock.json",
            "{\"packages\": {\n<<<<<<< HEAD",
            "key must be a string at line 2 column 1",
        ),
        (
            "npm-shrinkwrap.json",
            "{}",
            "neither packages nor dependencies found",
        ),
        (
            "yarn.lock",
            "a@1:\n  version \"1\"\n<<<<<<< HEAD\n",
            "line 3: unresolved merge conflict",
        ),
        (
            "yarn.lock",
            "__metadata:\n  version: 8\n",
            "yarn 2 or later, which is not supported",
        ),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\nimporters: [", "line 2"),
        (
            "pnpm-lock.yaml",
            "lockfileVersion: '12.0'\n",
            "lockfileVersion 12.0 is not supported",
        ),
        ("bun.lock", "{}", "bun.lock is not supported"),
    ] {
        let app = project();
        fs::write(app.path.join(name), text).unwrap();
        assert_problem(
            &app.path,
            "",
            &format!("unreadable:{name}"),
            Reason::Protocol,
            part,
        );
        assert_eq!(run(&app.path, "").fix(), None, "no command mends {name}");
        // package.json is compared all the same.
        app.remove("node_modules/a");
        let expected = format!("unreadable:{name} missing:a");
        assert_problem(
            &app.path,
            "",
            &expected,
            Reason::Missing,
            "a (wanted ^1.0.0 (package.json))",
        );
        assert_eq!(run(&app.path, "lockfile: none").found, Found::parse("missing:a"));
    }
}

#[test]
fn files_of_other_kinds_are_not_read() {
    for name in ["package-lock.json", "node_modules/a/package.json", "package.json"] {
        let app = project();
        let _ = fs::remove_file(app.path.join(name));
        mknodat(CWD, app.path.join(name), FileType::Fifo, 0o600.into(), 0).unwrap();
        let subject = if name.starts_with("node_modules") {
            "a"
        } else {
            name
        };
        let expected = format!("unreadable:{subject}");
        assert_problem(&app.path, "", &expected, Reason::Protocol, "not a regular file");
    }
}

#[test]
fn loops_of_links_end() {
    let app = project();
    app.remove("node_modules/a");
    symlink("a", app.path.join("node_modules/a")).unwrap();
    assert_problem(
        &app.path,
        "",
        "unreadable:a",
        Reason::Unreachable,
        "symbolic links",
    );
    // A package that contains the project.
    let app = project();
    symlink("../..", app.path.join("node_modules/a/node_modules")).unwrap();
    symlink("..", app.path.join("node_modules/b")).unwrap();
    let run = run(&app.path, "extra: true, transitive: true");
    assert!(
        run.found.missing.is_empty() && run.found.unreadable.is_empty(),
        "{:?}",
        run.found
    );
}

#[test]
fn a_missing_project_has_its_reason() {
    let app = empty();
    let keys = "transitive: true";
    assert_problem(
        &app.path,
        keys,
        "unreadable:package.json",
        Reason::Missing,
        "package.json not found",
    );
    let absent = app.path.join("absent");
    let subject = format!("unreadable:{}", absent.display());
    assert_problem(&absent, keys, &subject, Reason::Missing, "No such file");
    let app = project();
    app.remove("node_modules");
    fs::write(app.path.join(".pnp.cjs"), "").unwrap();
    assert_problem(
        &app.path,
        keys,
        "unreadable:.pnp.cjs",
        Reason::Protocol,
        "Plug'n'Play is not supported",
    );
}

#[test]
fn names_that_lead_elsewhere_are_missing() {
    let app = project();
    app.add("elsewhere", r#"{"name": "x", "version": "1.0.0"}"#);
    app.add(
        "",
        r#"{"dependencies": {"../elsewhere": "1", "/etc": "1", "a/../..": "1", "@s/..": "*"}}"#,
    );
    let run = run(&app.path, "");
    assert_eq!(run.count("missing"), Some(4.0), "{:?}", run.found);
}

#[test]
fn a_directory_without_permission_has_its_reason() {
    let app = project();
    let parent = app.path.parent().unwrap();
    fs::set_permissions(parent, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(app.path.join("node_modules"), fs::Permissions::from_mode(0o0)).unwrap();
    let config = parent.join("upkeep.yml");
    fs::write(
        &config,
        format!(
            "services: [{{ key: s, checks: [{{ kind: node, directory: \"{}\" }}] }}]",
            app.path.display()
        ),
    )
    .unwrap();
    // root may read everything.
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        command.arg(reachable_exporter(parent));
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"))
    };
    let output = command
        .args(["check", "-o", "json", "--config.file"])
        .arg(&config)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.contains("\"permission\"") && printed.contains("Permission denied"),
        "{output:?}"
    );
    fs::set_permissions(app.path.join("node_modules"), fs::Permissions::from_mode(0o755)).unwrap();
}

/// The exporter where other users can execute it.
fn reachable_exporter(directory: &Path) -> std::path::PathBuf {
    let copy = directory.join("upkeep_exporter");
    let source = env!("CARGO_BIN_EXE_upkeep_exporter");
    if fs::hard_link(source, &copy).is_err() {
        succeed(Command::new("cp").arg(source).arg(&copy));
    }
    copy
}
