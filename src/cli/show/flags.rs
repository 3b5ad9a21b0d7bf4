//! The flags for output.

use std::io::IsTerminal;
use std::time::Duration;

use clap::ValueEnum;

use super::table::Look;
use crate::config::duration;

/// The default interval of `--watch`, in seconds.
const DEFAULT_INTERVAL: &str = "5";
/// The minimum interval. A shorter one is probably a mistake, and would cause load.
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// The maximum interval: one day.
pub const MAX_INTERVAL: Duration = Duration::from_secs(86_400);

/// The flags of commands that show statuses.
#[derive(Debug, clap::Args)]
pub struct ShowFlags {
    /// Output format
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    pub output: Format,

    /// Repeat every SECONDS until Ctrl-C; the exit code is that of the last round [default: 5]
    #[arg(
        short,
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = DEFAULT_INTERVAL,
        value_parser = parse_interval,
        help_heading = "Output"
    )]
    pub watch: Option<Duration>,

    /// When to use colours in the table; auto: on a terminal, unless $NO_COLOR is set
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    color: Colour,
}

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table for people
    Table,
    /// One JSON document; with --watch, one per line
    Json,
    /// CSV (RFC 4180) with a header and one row per check
    Csv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let wrong =
        || format!("\"{text}\" is not a valid interval: write seconds, such as 30 or 0.5 (at least 0.1)");
    let interval = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?,
        Err(_) => duration::parse(text).map_err(|_| wrong())?,
    };
    (MIN_INTERVAL..=MAX_INTERVAL)
        .contains(&interval)
        .then_some(interval)
        .ok_or_else(wrong)
}

impl ShowFlags {
    /// The look of the table on standard output.
    pub fn look(&self) -> Look {
        let out = std::io::stdout();
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
        let terminal = || terminal_size::terminal_size_of(&out).map(|(width, _)| usize::from(width.0));
        let is_coloured = match self.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => !matches!(anstream::AutoStream::choice(&out), anstream::ColorChoice::Never),
        };
        Look {
            // `None` for programs: without wrapping, each message is one line.
            width: terminal().or_else(columns).filter(|width| *width > 0),
            is_coloured,
        }
    }

    /// A hint if an unknown service is a number, which was probably meant to be the interval.
    pub fn hint(&self, words: &[String]) -> String {
        let number = words.iter().find(|word| word.parse::<f64>().is_ok());
        match number.filter(|_| self.watch.is_some()) {
            Some(number) => format!("\nto set the interval, write --watch={number}"),
            None => String::new(),
        }
    }

    /// Whether each round replaces the previous one on the screen.
    pub fn clears_screen(&self) -> bool {
        self.watch.is_some() && self.output == Format::Table && std::io::stdout().is_terminal()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_seconds_or_a_duration() {
        assert_eq!(parse_interval("30"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_interval("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["", "0", "-1", "NaN", "inf", "1e99", "soon"] {
            assert!(
                parse_interval(wrong).unwrap_err().contains("such as 30"),
                "{wrong}"
            );
        }
    }
}
