//! Runs the command of an action: without a shell, with a small environment, and with a deadline.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::model::{ServiceKey, visible};

/// The search path of commands.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The size of the end of the standard error that is reported, in bytes.
const MAX_TAIL: usize = 200;

/// How long the standard error is read after the command ended. A process that it started may keep it open.
const READ_REST: Duration = Duration::from_millis(200);

/// Runs a program with its arguments. At the deadline, it and the processes that it started are killed.
///
/// # Errors
/// Why it failed, with the end of its standard error.
pub async fn run(command: &[String], service: &ServiceKey, deadline: Duration) -> Result<(), String> {
    let [program, arguments @ ..] = command else {
        return Err("the command is empty".to_owned());
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", PATH)
        .env("UPKEEP_SERVICE", service.as_str())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("running {program}: {error}"))?;
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    let tail = Arc::new(Mutex::new(Vec::new()));
    let reading = child
        .stderr
        .take()
        .map(|stderr| tokio::spawn(read_tail(stderr, Arc::clone(&tail))));
    let result = tokio::time::timeout(deadline, child.wait()).await;
    let Ok(result) = result else {
        if let Some(group) = group {
            // Fails if everything has ended meanwhile.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait().await;
        return Err(format!(
            "{program} did not end within {} s, and was killed",
            deadline.as_secs()
        ));
    };
    if let Some(mut reading) = reading
        && tokio::time::timeout(READ_REST, &mut reading).await.is_err()
    {
        reading.abort();
    }
    let status = result.map_err(|error| format!("waiting for {program}: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
    Err(describe(program, status, &tail))
}

fn describe(program: &str, status: ExitStatus, tail: &[u8]) -> String {
    let tail = String::from_utf8_lossy(tail);
    let tail = visible(tail.trim(), 2 * MAX_TAIL);
    match tail.is_empty() {
        true => format!("{program} failed: {status}"),
        false => format!("{program} failed: {status}: {tail}"),
    }
}

/// Reads everything, and keeps the end of it in `tail`.
async fn read_tail(mut stream: impl AsyncRead + Unpin, tail: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&buffer[..count]);
        let surplus = tail.len().saturating_sub(MAX_TAIL);
        tail.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run_shell(script: &str, deadline: Duration) -> Result<(), String> {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&command, &ServiceKey::new("api"), deadline).await
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_command_succeeds_or_fails_by_its_exit_status() {
        assert_eq!(run_shell("exit 0", LONG).await, Ok(()));
        assert_eq!(
            run_shell("echo no such port >&2; exit 3", LONG).await,
            Err("/bin/sh failed: exit status: 3: no such port".to_owned())
        );
        let missing = run(&["/nonexistent".to_owned()], &ServiceKey::new("api"), LONG).await;
        assert!(
            missing
                .unwrap_err()
                .starts_with("running /nonexistent: No such file")
        );
    }

    #[tokio::test]
    async fn a_command_has_a_small_environment_and_no_shell() {
        assert_eq!(
            run_shell("test \"$UPKEEP_SERVICE\" = api && test -z \"$HOME$CARGO\"", LONG).await,
            Ok(())
        );
        let command = ["/usr/bin/test", "$(id)", "=", "$(id)"].map(str::to_owned);
        assert_eq!(run(&command, &ServiceKey::new("api"), LONG).await, Ok(()));
    }

    #[tokio::test]
    async fn a_command_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("mark");
        let script = format!("(sleep 2; touch {}) & sleep 600", mark.display());
        let error = run_shell(&script, Duration::from_millis(500)).await.unwrap_err();
        assert!(error.ends_with("and was killed"), "{error}");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(!mark.exists(), "its child still runs");
    }

    #[tokio::test]
    async fn output_is_bounded_and_a_daemon_does_not_delay_the_end() {
        let error = run_shell(
            "yes | head -c 1000000 >&2; echo the end >&2; sleep 5 >/dev/null & exit 1",
            LONG,
        );
        let error = error.await.unwrap_err();
        assert!(error.len() < 2000 && error.ends_with("the end"), "{error}");
    }
}
