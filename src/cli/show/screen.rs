//! One round, or one after the other until somebody ends it, and what each leaves on standard output.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::report::Document;
use super::table::table;
use super::texts::clean;
use super::{Form, MAX_PAUSE, ShowFlags, now, rows};
use crate::cli::{UNKNOWN, WRONG_USAGE, tell};

/// Clears the screen and goes to its beginning; what was scrolled away stays.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Why a round has nothing to show.
#[derive(Debug)]
pub enum Failed {
    /// The command line asks for what there is not: no round will be better.
    Usage(String),
    /// Nothing is known; the next round may be better.
    Unknown(String),
}

/// Shows what `round` gives, again and again where the flags say so, and returns the last round's exit code.
///
/// # Errors
/// When standard output can't be written. A reader that went away is none.
pub async fn repeat(
    flags: &ShowFlags,
    mut round: impl AsyncFnMut() -> Result<Document, Failed>,
) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt()).context("listening to SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening to SIGTERM")?;
    let mut ticks = tokio::time::interval(flags.watch.unwrap_or(MAX_PAUSE));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut screen = Screen { flags, rounds: 0 };
    // Until a round has ended nothing is known.
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
            Ok(document) => {
                code = document.exit_code();
                match screen.show(&document) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
                    shown => shown.context("writing to standard output")?,
                }
            }
            Err(Failed::Usage(message)) => {
                tell(&message);
                return Ok(WRONG_USAGE.into());
            }
            Err(Failed::Unknown(message)) => {
                code = UNKNOWN;
                screen.clear().context("writing to standard output")?;
                tell(&clean(&message));
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
    fn show(&mut self, document: &Document) -> io::Result<()> {
        self.rounds += 1;
        let text = match self.flags.output {
            Form::Table => self.block(document),
            Form::Json if self.flags.watch.is_some() => serde_json::to_string(document)? + "\n",
            Form::Json => serde_json::to_string_pretty(document)? + "\n",
            Form::Csv => rows::rows(document, self.rounds == 1).map_err(io::Error::other)?,
        };
        write(&text)
    }

    /// The table; with a title where there are several, which are one screen or one block each.
    fn block(&self, document: &Document) -> String {
        let table = table(document, self.flags.look());
        let Some(pause) = self.flags.watch else {
            return table;
        };
        let title = format!(
            "{}, each {} s; Ctrl-C ends",
            document.generated_at,
            pause.as_secs_f64()
        );
        if self.flags.is_clearing() {
            format!("{CLEAR}{title}\n\n{table}")
        } else {
            let gap = if self.rounds > 1 { "\n" } else { "" };
            format!("{gap}{title}\n\n{table}")
        }
    }

    fn clear(&self) -> io::Result<()> {
        if self.flags.is_clearing() {
            write(&format!("{CLEAR}{}\n\n", now()))?;
        }
        Ok(())
    }
}

/// All at once, so that a screen does not flicker and a reader sees whole rounds.
fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
