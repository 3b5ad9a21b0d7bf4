//! The progress of a long round, on the last line of a terminal on standard error. It is erased at the end.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::cli::exit::print_error;
use crate::cli::show::clean;

/// Shorter rounds show no progress, because nobody could read it.
const SHOWN_AFTER: Duration = Duration::from_millis(200);
/// How often the line is updated.
const TICK: Duration = Duration::from_millis(200);
/// How many running checks are named. The line is truncated to the width of the terminal anyway.
const NAMED: usize = 8;

/// The progress of one round.
pub struct Progress {
    bar: ProgressBar,
    waiting: BTreeSet<String>,
    shown_from: Instant,
    is_shown: bool,
}

impl Progress {
    /// The progress of a round with checks of these names.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let waiting: BTreeSet<String> = names.map(|name| clean(&name)).collect();
        // Nothing is drawn unless standard error is a terminal.
        let bar = ProgressBar::with_draw_target(Some(waiting.len() as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{pos} of {len} checks, {elapsed}: waiting for {wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        Self {
            bar,
            waiting,
            shown_from: Instant::now() + SHOWN_AFTER,
            is_shown: false,
        }
    }

    /// Waits for a future and shows the line when it is time.
    pub async fn wait_for<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        if !self.is_shown {
            tokio::select! {
                biased;
                result = &mut future => return result,
                () = tokio::time::sleep_until(self.shown_from) => self.show(),
            }
        }
        future.await
    }

    fn show(&mut self) {
        self.is_shown = true;
        self.bar.set_message(self.names());
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
    }

    fn names(&self) -> String {
        let mut names: Vec<&str> = self.waiting.iter().take(NAMED).map(String::as_str).collect();
        if self.waiting.len() > NAMED {
            names.push("\u{2026}");
        }
        names.join(", ")
    }

    /// Records that a check has ended.
    pub fn record_end(&mut self, name: &str) {
        self.waiting.remove(name);
        self.bar.inc(1);
        if self.is_shown {
            self.bar.set_message(self.names());
        }
    }

    /// Prints to standard error without garbling the line.
    pub fn print(&self, text: &str) {
        self.bar.suspend(|| print_error(&text));
    }

    /// Erases the line.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    /// Also erases the line of an interrupted round.
    fn drop(&mut self) {
        self.clear();
    }
}
