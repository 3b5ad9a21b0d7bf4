//! Locks of uv and Poetry, and `pylock.toml`, compared with what uv, Poetry and pip would install.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use super::project::{Names, Project, names, normalize, text, tools, wheels};

/// A project with an extra, a group, a dependency with a marker, and a build.
const PROJECT: &str = r#"[build-system]
requires = ["flit-core"]
build-backend = "flit_core.buildapi"

[project]
name = "app"
version = "0.1"
description = "x"
requires-python = "{python}"
dependencies = ["flask>=3", "tomli; python_version < '3.11'", "exceptiongroup; python_full_version >= '3.10.1'"]

[project.optional-dependencies]
net = ["requests[socks]"]

[dependency-groups]
dev = ["six==1.16.0"]
docs = [{ include-group = "dev" }, "attrs"]
"#;

/// One environment of the project.
#[derive(Clone, Copy, Default)]
struct Case {
    name: &'static str,
    /// Flags of `uv sync` that makes the environment.
    sync: &'static [&'static str],
    /// Packages to install and to remove afterwards.
    installed: &'static [&'static str],
    removed: &'static [&'static str],
    /// Keys of the check in addition to environment and lock.
    keys: &'static str,
    /// The same question for `uv sync --check`.
    check: &'static [&'static str],
    /// What both must find.
    expected: &'static [&'static str],
}

const fn case(name: &'static str) -> Case {
    Case {
        name,
        sync: &[],
        installed: &[],
        removed: &[],
        keys: "",
        check: &["--inexact"],
        expected: &[],
    }
}

const CASES: &[Case] = &[
    case("healthy"),
    Case {
        removed: &["itsdangerous", "blinker"],
        expected: &["missing itsdangerous", "missing blinker"],
        ..case("packages are missing")
    },
    Case {
        installed: &["click==8.1.6"],
        expected: &["mismatched click"],
        ..case("another version")
    },
    Case {
        removed: &["app"],
        expected: &["missing app"],
        ..case("the project itself is missing")
    },
    Case {
        sync: &["--no-editable"],
        check: &["--inexact", "--no-editable"],
        ..case("the project is installed as a copy")
    },
    Case {
        keys: ", groups: [docs]",
        check: &["--inexact", "--group", "docs"],
        expected: &["missing six", "missing attrs"],
        ..case("a group is missing")
    },
    Case {
        sync: &["--group", "docs", "--extra", "net"],
        keys: ", groups: [dev], extras: [net]",
        check: &["--inexact", "--group", "dev", "--extra", "net"],
        ..case("a group and an extra are installed")
    },
    Case {
        sync: &["--extra", "net"],
        removed: &["pysocks"],
        keys: ", extras: [net]",
        check: &["--inexact", "--extra", "net"],
        expected: &["missing pysocks"],
        ..case("a package of an extra is missing")
    },
    Case {
        installed: &["zipp==3.19.2"],
        ..case("an extra package does not matter")
    },
    Case {
        installed: &["zipp==3.19.2", "pip==26.3"],
        keys: ", extra: true",
        check: &[],
        expected: &["extra zipp"],
        ..case("an extra package matters")
    },
];

/// The minor version of the interpreter, as a specifier. Some wheels are for this one only.
fn own_version() -> String {
    let output = std::process::Command::new("/usr/bin/python3")
        .args([
            "-c",
            "import sys; print(f'=={sys.version_info.major}.{sys.version_info.minor}.*')",
        ])
        .output()
        .unwrap();
    text(&output).trim().to_owned()
}

/// A project with this lock and an environment.
fn make(case: &Case, lock: &str) -> Project {
    let project = Project::empty();
    project.write("pyproject.toml", &PROJECT.replace("{python}", &own_version()));
    project.write("app.py", "");
    project.write("uv.lock", lock);
    let mut arguments = vec![
        "sync",
        "--quiet",
        "--frozen",
        "--no-default-groups",
        "--python",
        "/usr/bin/python3",
    ];
    arguments.extend(case.sync);
    project.uv(&arguments);
    project.install(case.installed);
    if !case.removed.is_empty() {
        project.remove(case.removed);
    }
    project
}

fn lock() -> String {
    let project = Project::empty();
    project.write("pyproject.toml", &PROJECT.replace("{python}", &own_version()));
    project.write("app.py", "");
    project.uv(&["lock", "--quiet", "--python", "/usr/bin/python3"]);
    std::fs::read_to_string(project.path("uv.lock")).unwrap()
}

#[tokio::test]
async fn uv_locks_agree_with_uv_and_are_mended() {
    let lock = lock();
    for case in CASES {
        let project = make(case, &lock);
        let keys = format!(", requirements: [\"{{dir}}/uv.lock\"]{}", case.keys);
        let found = project.check_environment(&keys).await;
        let expected: Names = case.expected.iter().map(ToString::to_string).collect();
        assert_eq!(found.findings, expected, "{}: {}", case.name, found.result);
        let (is_satisfied, to_install) = project.uv_sync_check(case.check);
        assert_eq!(to_install, found.to_install(), "{}", case.name);
        assert_eq!(is_satisfied, expected.is_empty(), "{}", case.name);
        if let Some(fix) = &found.fix {
            project.mend(fix);
            let found = project.check_environment(&keys).await;
            assert_eq!(found.result, "ok", "{}: after {fix}", case.name);
        }
    }
}

#[tokio::test]
async fn pylock_agrees_with_pip() {
    let project = make(&CASES[0], &lock());
    project.uv(&[
        "export",
        "--quiet",
        "--frozen",
        "--no-default-groups",
        "--no-emit-project",
        "--format",
        "pylock.toml",
        "-o",
        "pylock.toml",
    ]);
    let keys = ", requirements: [\"{dir}/pylock.toml\"]";
    for (installed, removed, expected) in [
        (&[][..], &[][..], &[][..]),
        (
            &["click==8.1.6"],
            &["jinja2"],
            &["mismatched click", "missing jinja2"],
        ),
    ] {
        project.install(installed);
        if !removed.is_empty() {
            project.remove(removed);
        }
        let found = project.check_environment(keys).await;
        let expected: Names = expected.iter().map(ToString::to_string).collect();
        assert_eq!(found.findings, expected, "{}", found.result);
        assert_eq!(
            project.pip_dry_run("--no-deps -r {dir}/pylock.toml"),
            found.to_install()
        );
        if let Some(fix) = &found.fix {
            project.mend(fix);
            assert_eq!(project.check_environment(keys).await.result, "ok");
        }
    }
}

/// A server of the wheels in the form of the simple repository API (PEP 503).
struct Index {
    server: Child,
    url: String,
    _files: Project,
}

impl Index {
    fn start() -> Self {
        let files = Project::empty();
        for entry in std::fs::read_dir(wheels()).unwrap() {
            let path = entry.unwrap().path();
            let file_name = path.file_name().unwrap().to_str().unwrap();
            let name = normalize(file_name.split('-').next().unwrap());
            let directory = files.path(&format!("simple/{name}"));
            std::fs::create_dir_all(&directory).unwrap();
            std::os::unix::fs::symlink(&path, directory.join(file_name)).unwrap();
        }
        let mut server = files
            .command(Path::new("/usr/bin/python3"))
            .args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // "Serving HTTP on 127.0.0.1 port 12345 (http://127.0.0.1:12345/) ..."
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let start = line.find("http://").unwrap_or_else(|| panic!("{line}"));
        let url = line[start..].split(')').next().unwrap();
        Self {
            url: format!("{url}simple/"),
            server,
            _files: files,
        }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Runs a command with Poetry in the path. Returns what it printed.
fn with_poetry(project: &Project, command: &str) -> String {
    let tools = tools();
    let path = format!("{}:/usr/bin:/bin", tools.join("poetry/bin").display());
    let output = project
        .command(Path::new("/bin/sh"))
        .args(["-c", command])
        .env("PATH", path)
        .env("PYTHONPATH", tools.join("poetry"))
        .env("VIRTUAL_ENV", project.path(".venv"))
        .env("POETRY_CACHE_DIR", project.path("cache"))
        .output()
        .unwrap();
    let printed = text(&output);
    assert!(output.status.success(), "{command}: {printed}");
    printed
}

/// The packages that `poetry install --dry-run` would install.
fn poetry_dry_run(project: &Project, flags: &str) -> Names {
    let printed = with_poetry(
        project,
        &format!("poetry install --dry-run --no-ansi --no-root {flags}"),
    );
    let operations = printed.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let relevant = operations.filter(|line| !line.contains("Skipped"));
    relevant
        .map(|line| normalize(line.split(' ').nth(1).unwrap()))
        .collect()
}

#[tokio::test]
async fn poetry_locks_agree_with_poetry_and_are_mended() {
    let index = Index::start();
    let project = Project::new(&["click==8.1.6", "markupsafe==2.1.5", "six==1.17.0"]);
    let source = format!(
        "[[tool.poetry.source]]\nname = \"local\"\nurl = \"{}\"\npriority = \"primary\"\n",
        index.url
    );
    let no_build = PROJECT
        .split_once("\n\n")
        .unwrap()
        .1
        .replace("{python}", ">=3.9,<4");
    project.write("pyproject.toml", &format!("{no_build}\n{source}"));
    with_poetry(&project, "poetry lock --no-ansi");
    for (keys, flags) in [
        ("", "--only main"),
        (", groups: [dev], extras: [net]", "--only main,dev -E net"),
    ] {
        let keys = format!(", requirements: [\"{{dir}}/poetry.lock\"]{keys}");
        let found = project.check_environment(&keys).await;
        assert_eq!(
            poetry_dry_run(&project, flags),
            found.to_install(),
            "{}",
            found.result
        );
        assert!(
            found.to_install().is_superset(&names(&["click", "flask"])),
            "{}",
            found.result
        );
        assert_eq!(found.findings.contains("mismatched six"), keys.contains("dev"));
    }
    let keys = ", requirements: [\"{dir}/poetry.lock\"]";
    let fix = project.check_environment(keys).await.fix.unwrap();
    with_poetry(&project, &fix);
    assert_eq!(project.check_environment(keys).await.result, "ok", "after {fix}");
    assert_eq!(poetry_dry_run(&project, "--only main"), Names::new());
}
