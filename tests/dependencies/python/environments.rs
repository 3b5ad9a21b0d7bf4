//! Requirement files and `pyproject.toml`, compared with `pip check` and `pip install --dry-run`.

mod cases;

use std::path::Path;

use self::cases::{CASES, Case};
use super::project::{Names, Project, names, text};

/// How many environments are made at the same time.
const WORKERS: usize = 4;

fn make(case: &Case) -> Project {
    let project = Project::new(&[]);
    if case.installed.iter().any(|package| package.contains("{dir}/lib")) {
        project.write_library("lib", "0.1", "\"six>=1.17\"");
    }
    if case.installed.iter().any(|package| package.contains("{dir}/git")) {
        make_repository(&project);
    }
    for (name, text) in case.files {
        project.write(name, text);
    }
    for package in case.installed {
        project.install(&[package]);
    }
    project
}

fn make_repository(project: &Project) {
    let git = |arguments: &[&str]| {
        let output = project
            .command(Path::new("/usr/bin/git"))
            .args(["-C", &project.path("git").display().to_string()])
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t",
                "-c",
                "init.defaultBranch=main",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    };
    for (version, tag) in [("0.1", "v1"), ("0.2", "v2")] {
        project.write_library("git", version, "\"six>=1.17\"");
        if version == "0.1" {
            git(&["init", "--quiet"]);
        }
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", tag]);
        git(&["tag", tag]);
    }
}

/// Compares the check with pip in one environment, then runs the command that the check advises.
async fn judge(case: &Case) {
    let project = make(case);
    let found = project.check_environment(case.keys).await;
    let expected: Names = case.expected.iter().map(ToString::to_string).collect();
    assert_eq!(found.findings, expected, "{}: {}", case.name, found.result);
    if !case.pip.is_empty() {
        let mut ours: Names = found.to_install();
        ours.extend(names(case.only_pip));
        ours.retain(|name| !case.only_check.contains(&name.as_str()));
        assert_eq!(
            project.pip_dry_run(case.pip),
            ours,
            "{}: pip install --dry-run",
            case.name
        );
    }
    let alone = project.check_environment("").await;
    assert_eq!(
        alone.to_install(),
        project.pip_check(),
        "{}: pip check",
        case.name
    );
    assert_eq!(
        found.fix.is_some(),
        !case.expected.is_empty(),
        "{}: {:?}",
        case.name,
        found.fix
    );
    if let Some(fix) = &found.fix {
        project.mend(fix);
        let found = project.check_environment(case.keys).await;
        assert!(
            found.findings.is_empty(),
            "{}: after {fix}: {}",
            case.name,
            found.result
        );
        assert!(found.satisfied > 0.0 || case.expected.iter().all(|it| it.starts_with("extra ")));
    }
}

#[test]
fn environments_agree_with_pip_and_are_mended() {
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                while let Some(case) = CASES.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    runtime.block_on(judge(case));
                }
            });
        }
    });
}

#[tokio::test]
async fn environments_of_venv_and_their_pip_are_used() {
    let project = Project::empty();
    let python = Path::new("/usr/bin/python3");
    let output = project
        .command(python)
        .args(["-m", "venv", "--without-pip", "--system-site-packages", ".venv"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    project.write("requirements.txt", "six==1.16.0\n");
    let keys = ", requirements: [\"{dir}/requirements.txt\"]";
    // The packages of the system count as well.
    let alone = project.check_environment("").await;
    assert_eq!(alone.to_install(), project.pip_check());
    assert!(alone.satisfied > 0.0, "{}", alone.result);
    project.install(&["six==1.17.0", "pip==26.3"]);
    let found = project.check_environment(keys).await;
    assert_eq!(found.to_install(), names(&["six"]));
    let fix = found.fix.unwrap();
    assert!(fix.contains(".venv/bin/python -m pip install -r "), "{fix}");
    project.mend(&fix);
    assert_eq!(project.check_environment(keys).await.result, "ok");
    // Those of the system are not extra.
    let found = project.check_environment(&format!("{keys}, extra: true")).await;
    assert_eq!(found.result, "ok");
}

#[tokio::test]
async fn a_project_behind_a_symbolic_link_is_the_same() {
    let project = Project::new(&["six==1.17.0"]);
    project.write_library("releases/1", "0.1", "\"six>=1.17\"");
    std::os::unix::fs::symlink("releases/1", project.path("current")).unwrap();
    project.install(&["-e {dir}/releases/1"]);
    for (file, line) in [
        ("current/requirements.txt", "-e .\n"),
        ("requirements.txt", "-e {dir}/current\n"),
        ("requirements.txt", "app @ file://{dir}/current\n"),
    ] {
        project.write(file, line);
        let keys = format!(", requirements: [\"{{dir}}/{file}\"]");
        let found = project.check_environment(&keys).await;
        let expected = if line.starts_with("-e") {
            "ok"
        } else {
            "assertion: "
        };
        assert!(found.result.starts_with(expected), "{line}: {}", found.result);
    }
}

#[tokio::test]
async fn repositories_are_found_without_their_name_or_address() {
    let project = Project::new(&["six==1.17.0"]);
    make_repository(&project);
    let keys = ", requirements: [\"{dir}/requirements.txt\"]";
    let python = project.path(".venv/bin/python");
    for (line, result) in [
        // pip records the directory of the clone.
        ("-e git+file://{dir}/git@v1#egg=app\n", "ok"),
        ("git+file://{dir}/git@v1\n", "ok"),
    ] {
        project.write("requirements.txt", line);
        let arguments = ["install", "--quiet", "--no-deps", "-r", "requirements.txt"].map(str::to_owned);
        let output = project.pip_of(&python, &arguments);
        assert!(output.status.success(), "{line}: {}", text(&output));
        assert_eq!(project.check_environment(keys).await.result, result, "{line}");
    }
    for (line, expected) in [
        ("git+file://{dir}/git@v2\n", "mismatched app".to_owned()),
        (
            "git+file://{dir}/other@v2\n",
            project.fill("missing {dir}/other@v2"),
        ),
        (
            "${NOWHERE}/lib\n",
            project.fill("unreadable {dir}/requirements.txt:1"),
        ),
    ] {
        project.write("requirements.txt", line);
        let found = project.check_environment(keys).await;
        assert_eq!(
            found.findings.into_iter().collect::<Vec<_>>(),
            [expected],
            "{line}"
        );
    }
}

#[tokio::test]
async fn the_interpreter_of_the_system_is_read() {
    let project = Project::empty();
    let python = Path::new("/usr/bin/python3");
    let found = project.check("interpreter: /usr/bin/python3").await;
    assert_eq!(found.to_install(), project.pip_check_of(python));
    assert!(found.satisfied > 0.0, "{}", found.result);
    project.write("requirements.txt", "upkeep-absent\n");
    let found = project
        .check("interpreter: /usr/bin/python3, requirements: [\"{dir}/requirements.txt\"]")
        .await;
    let fix = found.fix.unwrap();
    assert!(
        fix.starts_with("/usr/bin/python3 -m pip install --break-system-packages -r "),
        "{fix}"
    );
}

#[tokio::test]
async fn an_environment_that_lost_its_interpreter_is_missing() {
    let project = Project::new(&["six==1.17.0"]);
    std::fs::remove_file(project.path(".venv/bin/python")).unwrap();
    std::os::unix::fs::symlink("/usr/bin/python3.1", project.path(".venv/bin/python")).unwrap();
    let found = project.check_environment("").await;
    assert!(
        found.result.starts_with("missing: ") && found.result.ends_with("create the environment again"),
        "{}",
        found.result
    );
    let found = project.check("environment: \"{dir}/absent\"").await;
    assert!(
        found.result.starts_with("missing: there is no environment at "),
        "{}",
        found.result
    );
    let found = project.check("interpreter: \"{dir}/absent\"").await;
    assert!(
        found.result.starts_with("missing: there is no interpreter at "),
        "{}",
        found.result
    );
}
