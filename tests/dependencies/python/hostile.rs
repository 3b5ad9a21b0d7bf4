//! Files and directories that are broken, huge, endless or unreadable: each has its reason within the deadline.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::make_pipe;

use super::project::Project;

/// Each obstacle must be found within this time.
const PROMPT: Duration = Duration::from_secs(10);

/// Breaks the environment in a directory.
type Damage = fn(&Path);

/// A project with a healthy environment that no tool made.
fn project() -> Project {
    let project = Project::empty();
    write_environment(&project, ".venv");
    project
}

fn write_environment(project: &Project, name: &str) {
    project.write(
        &format!("{name}/pyvenv.cfg"),
        "home = /usr/bin\nversion = 3.11.2\n",
    );
    let site = format!("{name}/lib/python3.11/site-packages");
    project.write(
        &format!("{site}/six-1.17.0.dist-info/METADATA"),
        "Name: six\nVersion: 1.17.0\n\n",
    );
    std::fs::create_dir(project.path(&format!("{name}/bin"))).unwrap();
    project.write(&format!("{name}/interpreter/python3.11"), "");
    let interpreter = project.path(&format!("{name}/interpreter/python3.11"));
    symlink(interpreter, project.path(&format!("{name}/bin/python"))).unwrap();
}

/// Checks a requirement file. Returns the result.
async fn result(project: &Project, file: &str) -> String {
    let started = Instant::now();
    let keys = format!(", requirements: [\"{{dir}}/{file}\"]");
    let found = project.check_environment(&keys).await;
    assert!(started.elapsed() < PROMPT, "{file}: {:?}", started.elapsed());
    found.result
}

#[track_caller]
fn assert_result(result: &str, reason: &str, text: &str) {
    assert!(result.starts_with(&format!("{reason}: ")), "{result}");
    assert!(result.contains(text), "{result}");
}

#[tokio::test]
async fn files_that_can_not_be_used_have_their_reason() {
    let project = project();
    project.write("cycle.txt", "six\n-r sub/again.txt\n");
    project.write("sub/again.txt", "-r ../cycle.txt\n");
    project.write("self.txt", "-r self.txt\n");
    symlink(project.path("loop.txt"), project.path("loop.txt")).unwrap();
    make_pipe(&project.path("pipe.txt"));
    std::fs::create_dir(project.path("directory.txt")).unwrap();
    std::fs::write(project.path("huge.txt"), "six\n".repeat(50 * 1024 * 1024 / 4)).unwrap();
    std::fs::write(project.path("lines.txt"), "six\n".repeat(1024 * 1024)).unwrap();
    std::fs::write(project.path("binary.txt"), [0xff, 0, 1, 2]).unwrap();
    project.write("url.txt", "-r https://index.test/requirements.txt\n");
    project.write("bad.txt", "six\nflask=1\n");
    for depth in 0..30 {
        project.write(
            &format!("deep{depth}.txt"),
            &format!("-r deep{}.txt\n", depth + 1),
        );
    }
    for (file, reason, text) in [
        ("cycle.txt", "protocol", "sub/again.txt includes"),
        ("self.txt", "protocol", "which includes it"),
        ("loop.txt", "unreachable", "symbolic links"),
        ("pipe.txt", "protocol", "not a regular file"),
        ("directory.txt", "protocol", "not a regular file"),
        ("huge.txt", "limit", "longer than 8388608 bytes"),
        ("lines.txt", "limit", "more than 50000 requirements"),
        ("binary.txt", "protocol", "not UTF-8"),
        ("url.txt", "protocol", "is not on this machine"),
        ("bad.txt", "protocol", "bad.txt:2"),
        ("deep0.txt", "limit", "levels"),
        ("absent.txt", "missing", "absent.txt"),
    ] {
        assert_result(&result(&project, file).await, reason, text);
    }
}

#[tokio::test]
async fn broken_locks_have_their_reason() {
    let project = project();
    let nested = "[".repeat(1_000_000);
    let many = "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = { registry = \"x\" }\n".repeat(10_000);
    for (file, text, reason, expected) in [
        ("uv.lock", "version = 1\n[[package\n", "protocol", "line 2"),
        ("uv.lock", "version = 9\n", "protocol", "only version 1"),
        ("uv.lock", &format!("version = {nested}"), "protocol", "line 1"),
        ("poetry.lock", "", "protocol", "metadata"),
        (
            "pylock.toml",
            "lock-version = \"9\"\npackages = []\n",
            "protocol",
            "only version 1",
        ),
        (
            "pyproject.toml",
            "[project]\ndependencies = 3\n",
            "protocol",
            "line 2",
        ),
        (
            "pyproject.toml",
            "[tool.poetry]\n",
            "protocol",
            "set requirements to poetry.lock",
        ),
    ] {
        std::fs::write(project.path(file), text).unwrap();
        assert_result(&result(&project, file).await, reason, expected);
    }
    // It requires nothing, so all of its packages are ignored.
    std::fs::write(project.path("uv.lock"), format!("version = 1\n{many}")).unwrap();
    assert_eq!(result(&project, "uv.lock").await, "ok");
}

#[tokio::test]
async fn broken_environments_have_their_reason() {
    let project = project();
    let cases: [(&str, &str, Damage); 6] = [
        ("unreachable", "symbolic links", |environment| {
            let link = environment.join("lib");
            std::fs::remove_dir_all(&link).unwrap();
            symlink(&link, &link).unwrap();
        }),
        ("missing", "has no lib/python3.11", |environment| {
            std::fs::rename(
                environment.join("lib/python3.11"),
                environment.join("lib/python3.10"),
            )
            .unwrap();
        }),
        ("missing", "has no site-packages", |environment| {
            std::fs::remove_dir_all(environment.join("lib/python3.11/site-packages")).unwrap();
        }),
        ("protocol", "not a regular file", |environment| {
            let file = environment.join("pyvenv.cfg");
            std::fs::remove_file(&file).unwrap();
            make_pipe(&file);
        }),
        ("protocol", "not a regular file", |environment| {
            let file = environment.join("lib/python3.11/site-packages/six-1.17.0.dist-info/METADATA");
            std::fs::remove_file(&file).unwrap();
            make_pipe(&file);
        }),
        ("limit", "longer than", |environment| {
            let file = environment.join("lib/python3.11/site-packages/six-1.17.0.dist-info/METADATA");
            std::fs::write(file, "Requires-Dist: x\n".repeat(600_000)).unwrap();
        }),
    ];
    for (number, (reason, text, damage)) in cases.iter().enumerate() {
        let name = format!("env{number}");
        write_environment(&project, &name);
        damage(&project.path(&name));
        let started = Instant::now();
        let found = project.check(&format!("environment: \"{{dir}}/{name}\"")).await;
        assert!(started.elapsed() < PROMPT, "{name}: {:?}", started.elapsed());
        assert_result(&found.result, reason, text);
    }
}

/// The environment variable with the directory of the inner run.
const DIRECTORY: &str = "UPKEEP_TEST_DIRECTORY";

#[tokio::test]
async fn an_unreadable_directory_is_a_lack_of_permission() {
    const NAME: &str = "python::hostile::an_unreadable_directory_is_a_lack_of_permission";
    if let Ok(directory) = std::env::var(DIRECTORY) {
        let project = Project::empty();
        let found = project
            .check(&format!("environment: \"{directory}/.venv\""))
            .await;
        return assert_result(&found.result, "permission", "site-packages");
    }
    let project = project();
    // The user nobody may not be able to reach the test binary.
    let binary = project.path("test");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    for (path, mode) in [
        (project.path(""), 0o755),
        (project.path(".venv/lib/python3.11/site-packages"), 0o700),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let output = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--inh-caps=-all",
            "--bounding-set=-all",
        ])
        .arg(&binary)
        .args(["--exact", NAME, "--nocapture"])
        .env(DIRECTORY, project.root())
        .output()
        .unwrap();
    let printed = super::project::text(&output);
    assert!(
        output.status.success() && printed.contains("1 passed"),
        "as nobody (this needs root outside): {printed}"
    );
}
