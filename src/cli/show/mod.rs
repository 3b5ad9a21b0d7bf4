//! Showing statuses: the flags for it, and the three forms of output.

mod report;
mod rows;
mod screen;
mod table;
mod texts;

use std::io::IsTerminal;
use std::time::Duration;

use clap::ValueEnum;

pub use report::{CheckRow, Document, ServiceRow};
pub use screen::{Failed, repeat};
pub use texts::{clean, latency};

use table::Look;

use crate::config::duration;

/// How long from one round to the next where `--watch` does not say.
const DEFAULT_PAUSE: &str = "5";
/// The shortest pause: what is nearer to zero is a slip of the pen, and would be a load.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// The longest one: a day.
const MAX_PAUSE: Duration = Duration::from_secs(86_400);

/// The flags of what shows statuses.
#[derive(Debug, clap::Args)]
pub struct ShowFlags {
    /// The form of the output
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    output: Form,

    /// Repeat, each SECONDS from start to start, until Ctrl-C; the exit code is that of the last round [default: 5]
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_PAUSE,
        value_parser = pause,
        help_heading = "Output"
    )]
    watch: Option<Duration>,

    /// When to colour the table; auto: on a terminal, unless $NO_COLOR is set
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    color: Colour,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// One document; with --watch one a line
    Json,
    /// One row a check, with a header (RFC 4180)
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

fn pause(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is no pause: write seconds, such as 30 or 0.5 (at least 0.1)");
    let pause = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?,
        Err(_) => duration::parse(text).map_err(|_| wrong())?,
    };
    (MIN_PAUSE..=MAX_PAUSE)
        .contains(&pause)
        .then_some(pause)
        .ok_or_else(wrong)
}

impl ShowFlags {
    fn look(&self) -> Look {
        let out = std::io::stdout();
        // What a program reads is not wrapped: a message then is one line.
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
        let terminal = || terminal_size::terminal_size_of(&out).map(|(width, _)| usize::from(width.0));
        let is_coloured = match self.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !matches!(anstream::AutoStream::choice(&out), anstream::ColorChoice::Never),
        };
        Look {
            width: terminal().or_else(columns).filter(|width| *width > 0),
            is_coloured,
        }
    }

    /// What to say beside an unknown service that is a number: it was meant to be the pause.
    pub fn hint(&self, asked: &[String]) -> String {
        let number = asked.iter().find(|word| word.parse::<f64>().is_ok());
        match number.filter(|_| self.watch.is_some()) {
            Some(number) => format!("\nthe pause between rounds is written as --watch={number}"),
            None => String::new(),
        }
    }

    /// Whether each round takes the place of the one before on the screen.
    fn is_clearing(&self) -> bool {
        self.watch.is_some() && self.output == Form::Table && std::io::stdout().is_terminal()
    }
}

/// The time now: RFC 3339, UTC, whole milliseconds.
pub fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds() {
        assert_eq!(pause("30"), Ok(Duration::from_secs(30)));
        assert_eq!(pause("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(pause("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["", "0", "-1", "NaN", "inf", "1e99", "soon"] {
            assert!(pause(wrong).unwrap_err().contains("such as 30"), "{wrong}");
        }
    }

    #[test]
    fn the_time_is_rfc_3339() {
        let now = now();
        assert!(now.len() == 24 && now.ends_with('Z'), "{now}");
    }
}
