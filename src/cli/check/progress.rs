//! How far a round is, on a terminal's last line of standard error: shown where a round takes a while, erased afterwards.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::cli::show::clean;
use crate::cli::tell;

/// Rounds that end before show nothing: a line that only flashes up helps nobody.
const SHOWN_AFTER: Duration = Duration::from_millis(200);
/// How often the time in the line moves on.
const TICK: Duration = Duration::from_millis(200);
/// How many of those still under way are named; the line is cut at the width of the terminal anyway.
const NAMED: usize = 8;

/// The progress of one round.
pub struct Progress {
    bar: ProgressBar,
    waiting: BTreeSet<String>,
    shown_from: Instant,
    is_shown: bool,
}

impl Progress {
    /// Nothing has ended yet of what these are called.
    pub fn new(names: impl Iterator<Item = String>) -> Self {
        let waiting: BTreeSet<String> = names.map(|name| clean(&name)).collect();
        // What is not a terminal is never drawn on.
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

    /// What the future gives; the line appears meanwhile when it is time.
    pub async fn until<T>(&mut self, future: impl Future<Output = T>) -> T {
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
        self.bar.set_message(self.named());
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
    }

    fn named(&self) -> String {
        let mut named: Vec<&str> = self.waiting.iter().take(NAMED).map(String::as_str).collect();
        if self.waiting.len() > NAMED {
            named.push("\u{2026}");
        }
        named.join(", ")
    }

    /// Notes that this one has ended.
    pub fn ended(&mut self, name: &str) {
        self.waiting.remove(name);
        self.bar.inc(1);
        if self.is_shown {
            self.bar.set_message(self.named());
        }
    }

    /// Writes to standard error without garbling the line.
    pub fn print(&self, text: &str) {
        self.bar.suspend(|| tell(&text));
    }

    /// Erases the line.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    /// A round that is interrupted leaves no line behind either.
    fn drop(&mut self) {
        self.end();
    }
}
