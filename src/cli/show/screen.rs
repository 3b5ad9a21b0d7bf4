//! Runs one round, or repeats rounds until interrupted, and prints each.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::csv::format_csv;
use super::flags::{Format, MAX_INTERVAL, ShowFlags};
use super::report::StatusReport;
use super::table::format_table;
use super::texts::{clean, now};
use crate::cli::exit::{UNKNOWN, WRONG_USAGE, print_error};

/// Clears the screen and moves the cursor to its beginning. The scrollback stays.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Why a round failed.
#[derive(Debug)]
pub enum RoundError {
    /// The command line is wrong, so every round would fail.
    Usage(String),
    /// The status is unknown; the next round may succeed.
    Unknown(String),
}

/// Prints the report of a round, repeatedly with `--watch`, and returns the exit code of the last round.
///
/// # Errors
/// When standard output can't be written. A closed pipe is not an error.
pub async fn repeat(
    flags: &ShowFlags,
    mut round: impl AsyncFnMut() -> Result<StatusReport, RoundError>,
) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening to SIGTERM")?;
    let mut ticks = tokio::time::interval(flags.watch.unwrap_or(MAX_INTERVAL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen { flags, rounds: 0 };
    // The status is unknown until the first round ends.
    let mut code = UNKNOWN;
    loop {
        let result = tokio::select! {
            biased;
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            result = async {
                ticks.tick().await;
                round().await
            } => result,
        };
        match result {
            Ok(report) => {
                code = report.exit_code();
                match screen.show(&report) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                    shown => shown.context("writing to standard output")?,
                }
            }
            Err(RoundError::Usage(message)) => {
                print_error(&message);
                return Ok(WRONG_USAGE.into());
            }
            Err(RoundError::Unknown(message)) => {
                code = UNKNOWN;
                screen.clear().context("writing to standard output")?;
                print_error(&clean(&message));
            }
        }
        if flags.watch.is_none() {
            break;
        }
    }
    Ok(code.into())
}

struct Screen<'f> {
    flags: &'f ShowFlags,
    rounds: u64,
}

impl Screen<'_> {
    fn show(&mut self, report: &StatusReport) -> io::Result<()> {
        self.rounds += 1;
        let text = match self.flags.output {
            Format::Table => self.table(report),
            Format::Json if self.flags.watch.is_some() => serde_json::to_string(report)? + "\n",
            Format::Json => serde_json::to_string_pretty(report)? + "\n",
            Format::Csv => format_csv(report, self.rounds == 1).map_err(io::Error::other)?,
        };
        write(&text)
    }

    /// The table. With `--watch` it has a title.
    fn table(&self, report: &StatusReport) -> String {
        let table = format_table(report, self.flags.look());
        let Some(interval) = self.flags.watch else {
            return table;
        };
        let title = format!(
            "{}, every {} s; press Ctrl-C to stop",
            report.generated_at,
            interval.as_secs_f64()
        );
        if self.flags.clears_screen() {
            format!("{CLEAR}{title}\n\n{table}")
        } else {
            let gap = if self.rounds > 1 { "\n" } else { "" };
            format!("{gap}{title}\n\n{table}")
        }
    }

    fn clear(&self) -> io::Result<()> {
        if self.flags.clears_screen() {
            write(&format!("{CLEAR}{}\n\n", now()))?;
        }
        Ok(())
    }
}

/// Writes all at once, so that the screen does not flicker and readers get whole rounds.
fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
