//! Log output: logfmt or JSON on standard error. A separate thread writes it, so that a slow reader can't block the checks. If its
//! queue is full, lines are dropped.

mod limit;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use limit::LibraryLimit;
pub use limit::report_suppressed;

/// The maximum number of queued lines.
const QUEUED_LINES: usize = 10_000;

/// The minimum level of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Also the first status of each service, and events of clients and of the system bus
    Debug,
    /// Changes of status, and actions of operators
    Info,
    /// Possible problems
    Warn,
    /// Failures
    Error,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `ts=... level=info message="..." key=value`
    Logfmt,
    /// One JSON object per line
    Json,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

/// Starts logging. Dropping the guard flushes the log and stops it.
///
/// # Panics
/// When called twice in a process.
pub fn start(level: Level, format: Format) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUED_LINES)
        .lossy(true)
        .finish(std::io::stderr());
    let layer = match format {
        Format::Logfmt => tracing_logfmt::builder()
            .with_target(false)
            .with_span_name(false)
            .layer()
            .with_writer(writer)
            .boxed(),
        Format::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_writer(writer)
            .boxed(),
    };
    // Only warnings and errors of libraries are logged: their other lines would hide changes of status.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::WARN.min(level.into()))
        .with_target("upkeep_exporter", LevelFilter::from(level));
    tracing_subscriber::registry()
        .with(layer.with_filter(filter.and(LibraryLimit::default())))
        .init();
    guard
}
