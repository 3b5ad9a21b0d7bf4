//! Log output: logfmt or JSON on standard error, written by a thread of its own, so that a reader that stalls can't
//! stall the checks. What does not fit in its queue is dropped rather than waited for.

mod limit;

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::FilterExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use limit::LibraryLimit;
pub use limit::report_left_out;

/// Lines that may wait to be written.
const QUEUED_LINES: usize = 10_000;

/// The least severe level that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Level {
    /// Also services that are up from the start, and what happens to clients and the bus.
    Debug,
    /// Changes and what an operator asked for.
    Info,
    /// What deserves a look.
    Warn,
    /// What does not work.
    Error,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `ts=... level=info message="..." key=value`
    Logfmt,
    /// One JSON object a line.
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

/// Starts logging. Lines are written until the guard is dropped, which flushes them.
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
    // Libraries write warnings and errors, and few of them: their chatter would bury a status change.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(LevelFilter::WARN.min(level.into()))
        .with_target("upkeep_exporter", LevelFilter::from(level));
    tracing_subscriber::registry()
        .with(layer.with_filter(filter.and(LibraryLimit::default())))
        .init();
    guard
}
