//! The exec check: runs a program and judges its exit status and output.

mod families;
mod nagios;
mod text_format;
mod value;

pub use self::families::FAMILIES;

use std::sync::Arc;

use tokio::sync::Semaphore;

use self::value::Values;
use super::CheckContext;
use super::programs::{MAX_ERROR_TAIL, Programs};
use crate::config::exec::{ExecFormat, ExecSettings};
use crate::model::{Finding, Problem, Reason, Report, Sample, Shortage};
use crate::supervise::{Ended, Output};

/// An exec check. Every run starts the program.
#[derive(Debug)]
pub struct ExecCheck {
    settings: ExecSettings,
    programs: Programs,
    /// One program at a time: after a run is cancelled, its program may not have ended yet.
    turn: Arc<Semaphore>,
}

impl ExecCheck {
    /// A check with these settings.
    pub fn new(settings: &ExecSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            programs: context.programs.clone(),
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        for secret in &self.settings.secrets {
            // The run hides it.
            let _ = secret.expose();
        }
        let output = self.programs.run(&self.settings, &self.turn, report).await?;
        let Ended::Exited(status) = output.ended else {
            // Other ends are problems of the run.
            return Ok(());
        };
        report.samples.push(Sample {
            family: &families::EXIT_STATUS,
            labels: Vec::new(),
            value: f64::from(status),
        });
        judge(&self.settings, status, &output, report)
    }
}

fn judge(settings: &ExecSettings, status: i32, output: &Output, report: &mut Report) -> Result<(), Problem> {
    let text = String::from_utf8_lossy(&output.output);
    match settings.format {
        ExecFormat::Nagios => {
            let read = nagios::parse(&text);
            push(read.values, report);
            let message = describe(settings, &read.text, output);
            match status {
                0 => Ok(()),
                1 => {
                    report.warning = Some(Problem::new(Reason::Status, message));
                    Ok(())
                }
                2 => Err(Problem::new(Reason::Status, message)),
                3 => Err(Problem::from_shortage(Shortage::Undecided, message)),
                _ => Err(Problem::new(
                    Reason::Protocol,
                    format_args!("exit status {status}, but plugins exit with 0 to 3: {message}"),
                )),
            }
        }
        ExecFormat::ExitCode => succeed(settings, status, &text, output),
        ExecFormat::Prometheus => {
            // The output is not the message, because it has metrics.
            succeed(settings, status, "", output)?;
            let values = text_format::parse(&text).map_err(|error| {
                Problem::new(
                    Reason::Protocol,
                    format_args!("{}: {error}", settings.program.display()),
                )
            })?;
            push(values, report);
            Ok(())
        }
    }
}

fn succeed(settings: &ExecSettings, status: i32, text: &str, output: &Output) -> Result<(), Problem> {
    match status {
        0 => Ok(()),
        _ => Err(Problem::new(
            Reason::Status,
            format_args!(
                "exit status {status}: {}",
                describe(settings, text.lines().next().unwrap_or_default(), output)
            ),
        )),
    }
}

/// What the program says: a line of its output, or else the last line of its errors.
fn describe(settings: &ExecSettings, text: &str, output: &Output) -> String {
    let tail = &output.error_tail;
    let errors = String::from_utf8_lossy(match tail.len() < MAX_ERROR_TAIL {
        true => &tail[..],
        // The tail may begin within a secret, whose end would not be recognized.
        false => {
            let word = tail.iter().position(u8::is_ascii_whitespace);
            word.map_or(&[][..], |end| &tail[end..])
        }
    });
    let last = || errors.lines().rev().map(str::trim).find(|line| !line.is_empty());
    match Some(text.trim()).filter(|text| !text.is_empty()).or_else(last) {
        Some(text) => text.to_owned(),
        None => format!("{} printed no message", settings.program.display()),
    }
}

fn push(values: Values, report: &mut Report) {
    if values.omitted > 0 {
        report.findings.push(Finding {
            subject: "output".to_owned(),
            state: "omitted",
            detail: format!(
                "{} values were omitted: invalid, too long, duplicates or too many",
                values.omitted
            ),
            fix: None,
        });
    }
    report
        .samples
        .extend(values.values.into_iter().map(|value| Sample {
            family: &families::VALUE,
            labels: vec![value.name.into(), value.unit.into(), value.labels.into()],
            value: value.number,
        }));
}

/// Reads an output in both formats that have values, as a run does. Returns the texts of their series. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(output: &str) -> (Vec<String>, Result<Vec<String>, String>) {
    let series = |values: Values| -> Vec<String> {
        let values = values.values.into_iter();
        values
            .map(|value| value.name + &value.unit + &value.labels)
            .collect()
    };
    let nagios = nagios::parse(output).values;
    assert!(
        nagios.values.iter().all(|value| value.number.is_finite()),
        "{nagios:?}"
    );
    (series(nagios), text_format::parse(output).map(series))
}

#[cfg(test)]
mod tests;
