//! Process checks with few privileges. Each test starts itself again as the user nobody. The outer run prepares the
//! environment, the inner run does the checks.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use upkeep_exporter::check::CheckContext;

use crate::support::{Running, copy_program, real, run_once, run_until, unique};

/// The environment variable with the parameters of the inner run.
const PARAMETERS: &str = "UPKEEP_TEST_PARAMETERS";

/// Runs the test called `name` as nobody in a new mount namespace, after the shell command `setup`.
pub fn rerun_as_nobody(name: &str, parameters: &str, setup: &str) {
    // The user nobody may not be able to reach the test binary.
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("test");
    copy_program(&std::env::current_exe().unwrap(), &binary);
    for path in [directory.path(), &binary] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let nobody =
        "exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all";
    let script = format!("{setup} && {nobody} \"$0\" --exact \"$1\" --nocapture --test-threads=1");
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(&binary)
        .arg(name)
        .env(PARAMETERS, parameters)
        .output()
        .unwrap_or_else(|error| panic!("starting unshare: {error}; install util-linux"));
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "as nobody (this needs root outside):\n{text}{errors}"
    );
}

/// The parameters of the inner run; `None` in the outer run.
pub fn parameters() -> Option<String> {
    std::env::var(PARAMETERS).ok()
}

#[tokio::test]
async fn hidden_processes_are_not_reported_as_missing() {
    const NAME: &str = "privileges::hidden_processes_are_not_reported_as_missing";
    let Some(parameters) = parameters() else {
        let word = unique();
        let _running = Running::sleeping(&word);
        run_until(json!({"match": word}), &real(), |ran| ran.result.is_ok()).await;
        for hidepid in [1, 2] {
            let directory = tempfile::tempdir().unwrap();
            std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
            let path = directory.path().display();
            rerun_as_nobody(
                NAME,
                &format!("{word} {path}"),
                &format!("mount -t proc -o hidepid={hidepid} proc {path}"),
            );
        }
        return;
    };
    let (word, path) = parameters.split_once(' ').unwrap();
    let context = CheckContext::new(path.into());
    let ran = run_once(json!({"match": word}), &context).await;
    let (reason, message) = ran.failure();
    assert_eq!((reason, ran.count()), ("permission", Some(0.0)));
    assert!(message.contains("hidepid"), "{message}");

    // The user's own processes are visible.
    let own = unique();
    let _running = Running::sleeping(&own);
    run_until(json!({"match": own}), &context, |ran| ran.count() == Some(1.0)).await;
}

#[tokio::test]
async fn unreadable_values_are_reported_or_absent_and_the_rest_is_present() {
    const NAME: &str = "privileges::unreadable_values_are_reported_or_absent_and_the_rest_is_present";
    let Some(word) = parameters() else {
        let word = unique();
        let _running = Running::sleeping(&word);
        run_until(json!({"match": word}), &real(), |ran| ran.result.is_ok()).await;
        rerun_as_nobody(NAME, &word, "true");
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
        message.contains("1 more may match") && message.contains("CAP_SYS_PTRACE"),
        "{message}"
    );
    assert!(!message.contains("hidepid"), "{message}");
}

#[tokio::test]
async fn a_procfs_that_may_not_be_listed_is_reported() {
    const NAME: &str = "privileges::a_procfs_that_may_not_be_listed_is_reported";
    let Some(path) = parameters() else {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o700)).unwrap();
        rerun_as_nobody(NAME, directory.path().to_str().unwrap(), "true");
        return;
    };
    let ran = run_once(json!({"match": "x"}), &CheckContext::new(Path::new(&path).into())).await;
    assert_eq!(ran.failure().0, "permission", "{ran:?}");
    assert!(
        ran.failure()
            .1
            .contains(&format!("listing the processes in {path}: Permission denied")),
        "{ran:?}"
    );
}
