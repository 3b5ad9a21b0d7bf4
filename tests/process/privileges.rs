//! With few privileges. Each of these tests starts itself again as the user nobody: the outer half sets the stage, the
//! inner one plays.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use upkeep_exporter::check::Shared;

use crate::support::{Running, copy_program, real, run_once, run_until, unique};

/// Set for the inner half: what it needs to know.
const ROLE: &str = "UPKEEP_TEST_ROLE";

/// Runs the test called `name` as nobody, after `stage` was run in a mount namespace of its own.
fn again_as_nobody(name: &str, role: &str, stage: &str) {
    // The test binary may be where nobody can't reach.
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("test");
    copy_program(&std::env::current_exe().unwrap(), &binary);
    for path in [directory.path(), &binary] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let nobody =
        "exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all";
    let script = format!("{stage} && {nobody} \"$0\" --exact \"$1\" --nocapture --test-threads=1");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(&binary)
        .arg(name)
        .env(ROLE, role)
        .output()
        .unwrap_or_else(|error| panic!("starting unshare: {error}; install util-linux"));
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "as nobody (this needs root outside):\n{text}{errors}"
    );
}

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

#[tokio::test]
async fn hidden_processes_are_not_called_missing() {
    const NAME: &str = "privileges::hidden_processes_are_not_called_missing";
    let Some(role) = role() else {
        let word = unique();
        let _running = Running::sleeping(&word);
        run_until(json!({"match": word}), &real(), |ran| ran.result.is_ok()).await;
        for hidepid in [1, 2] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
            let path = directory.path().display();
            again_as_nobody(
                NAME,
                &format!("{word} {path}"),
                &format!("mount -t proc -o hidepid={hidepid} proc {path}"),
            );
        }
        return;
    };
    let (word, path) = role.split_once(' ').unwrap();
    let shared = Shared::new(path.into());
    let ran = run_once(json!({"match": word}), &shared).await;
    let (reason, message) = ran.failure();
    assert_eq!((reason, ran.count()), ("permission", Some(0.0)));
    assert!(message.contains("hidepid"), "{message}");

    // One's own are there.
    let own = unique();
    let _running = Running::sleeping(&own);
    run_until(json!({"match": own}), &shared, |ran| ran.count() == Some(1.0)).await;
}

#[tokio::test]
async fn what_may_not_be_read_is_told_or_absent_and_the_rest_is_there() {
    const NAME: &str = "privileges::what_may_not_be_read_is_told_or_absent_and_the_rest_is_there";
    let Some(word) = role() else {
        let word = unique();
        let _running = Running::sleeping(&word);
        run_until(json!({"match": word}), &real(), |ran| ran.result.is_ok()).await;
        again_as_nobody(NAME, &word, "true");
        return;
    };
    let ran = run_once(json!({"match": word, "user": "root"}), &real()).await;
    assert_eq!(ran.result, Ok(()));
    for name in [
        "process_max_fds",
        "process_threads",
        "process_resident_memory_bytes",
        "process_start_time_seconds",
    ] {
        assert!(ran.value(name) > Some(0.0), "{name}");
    }
    assert_ne!(
        ran.value("process_open_fds"),
        Some(0.0),
        "sleep has at least stderr"
    );

    let ran = run_once(json!({"match": word, "exe": "/usr/bin/sleep"}), &real()).await;
    let (reason, message) = ran.failure();
    assert_eq!((reason, ran.count()), ("permission", Some(0.0)));
    assert!(
        message.contains("1 can't be told") && message.contains("CAP_SYS_PTRACE"),
        "{message}"
    );
    assert!(!message.contains("hidepid"), "{message}");
}

#[tokio::test]
async fn a_proc_that_may_not_be_listed_is_told() {
    const NAME: &str = "privileges::a_proc_that_may_not_be_listed_is_told";
    let Some(path) = role() else {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
        again_as_nobody(NAME, directory.path().to_str().unwrap(), "true");
        return;
    };
    let ran = run_once(json!({"match": "x"}), &Shared::new(Path::new(&path).into())).await;
    assert_eq!(ran.failure().0, "permission", "{ran:?}");
    assert!(
        ran.failure()
            .1
            .contains(&format!("listing the processes in {path}: Permission denied")),
        "{ran:?}"
    );
}
