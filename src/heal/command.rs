//! Runs the command of an action: without a shell, with a small environment, and with a deadline.

use std::time::Duration;

use crate::model::{ServiceKey, visible};
use crate::supervise::{Ended, Job, Output, Supervisor};

/// The size of the end of the standard error that is reported, in bytes.
const MAX_TAIL: usize = 200;

/// The longest standard error, in bytes. Reading more would take processor time from the checks.
const MAX_ERRORS: usize = 64 << 20;

/// Runs a program with its arguments. When it ends, and at the deadline, everything that it started is killed.
///
/// # Errors
/// Why it failed, with the end of its standard error.
pub async fn run(
    supervisor: &Supervisor,
    command: &[String],
    service: &ServiceKey,
    deadline: Duration,
) -> Result<(), String> {
    let Some(program) = command.first() else {
        return Err("the command is empty".to_owned());
    };
    let job = Job {
        command: command.iter().map(Into::into).collect(),
        environment: vec![("UPKEEP_SERVICE".to_owned(), service.as_str().into())],
        max_errors: MAX_ERRORS,
        max_error_tail: MAX_TAIL,
        ..Job::default()
    };
    match tokio::time::timeout(deadline, supervisor.run(&job, ())).await {
        Ok(Ok(output)) => judge(program, &output),
        Ok(Err(error)) => Err(format!("running {program}: {error}")),
        Err(_) => Err(format!(
            "{program} did not end within {} s, and was killed",
            deadline.as_secs()
        )),
    }
}

fn judge(program: &str, output: &Output) -> Result<(), String> {
    match &output.ended {
        Ended::Exited(0) => return Ok(()),
        error @ Ended::NotStarted(_) => return Err(format!("running {program}: {error}")),
        Ended::Exited(_) | Ended::Killed(_) => {}
    }
    let tail = String::from_utf8_lossy(&output.error_tail);
    let tail = visible(tail.trim(), 2 * MAX_TAIL);
    let ended = &output.ended;
    Err(match tail.is_empty() {
        true => format!("{program} failed: {ended}"),
        false => format!("{program} failed: {ended}: {tail}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_succeeds_or_fails_by_its_exit_status() {
        let judge = |ended, error_tail: &str| {
            let output = Output {
                ended,
                output: Vec::new(),
                error_tail: error_tail.into(),
            };
            judge("/bin/fix", &output)
        };
        assert_eq!(judge(Ended::Exited(0), "a warning"), Ok(()));
        let failed = |text: &str| Err(text.to_owned());
        assert_eq!(
            judge(Ended::Exited(3), "no such\u{1b} port\n"),
            failed("/bin/fix failed: exit status 3: no such\\u{1b} port")
        );
        assert_eq!(
            judge(Ended::Killed(11), ""),
            failed("/bin/fix failed: killed by signal 11")
        );
        assert_eq!(
            judge(Ended::NotStarted(2), ""),
            failed("running /bin/fix: No such file or directory (os error 2)")
        );
    }
}
