//! Tests that run themselves again in a child process, so that their output can be checked.

use std::process::Command;

/// Set in the child process.
const CHILD: &str = "UPKEEP_TEST_CHILD";

/// Runs the test `name` again in a child process, which must succeed. Returns what it printed to standard error. In the child
/// process, returns `None`.
pub fn stderr_of_child(name: &str) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}");
    Some(printed)
}
