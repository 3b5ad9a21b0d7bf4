//! The progress of a long command, on the last line of a terminal on standard error. It is erased at the end.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::exit::print_error;
use super::show::clean;

/// Shorter commands show no progress, because nobody could read it.
const SHOWN_AFTER: Duration = Duration::from_millis(200);
/// How often the line is updated.
const TICK: Duration = Duration::from_millis(200);
/// How many items in progress are named. The line is truncated to the width of the terminal anyway.
const NAMED: usize = 8;

/// The progress of one command.
pub struct Progress {
    bar: ProgressBar,
    shown_from: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The items in progress with their texts.
    waiting: BTreeMap<String, String>,
    is_shown: bool,
}

impl Progress {
    /// The progress of `total` items, such as "checks".
    pub fn new(noun: &str, total: usize) -> Self {
        // Nothing is drawn unless standard error is a terminal.
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        let template = format!("{{pos}} of {{len}} {noun}, {{elapsed}}: waiting for {{wide_msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Self {
            bar,
            shown_from: Instant::now() + SHOWN_AFTER,
            state: Mutex::default(),
        }
    }

    /// Waits for a future and shows the line when it is time.
    pub async fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let is_shown = self.state().is_shown;
        if !is_shown {
            tokio::select! {
                biased;
                result = &mut future => return result,
                () = tokio::time::sleep_until(self.shown_from) => self.show(),
            }
        }
        future.await
    }

    fn show(&self) {
        let mut state = self.state();
        state.is_shown = true;
        self.bar.set_message(state.texts());
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
    }

    /// Records that an item is in progress, or that its text has changed.
    pub fn record_start(&self, name: &str, text: &str) {
        let mut state = self.state();
        state.waiting.insert(name.to_owned(), clean(text));
        self.update(&state);
    }

    /// Records that an item has ended.
    pub fn record_end(&self, name: &str) {
        let mut state = self.state();
        state.waiting.remove(name);
        self.bar.inc(1);
        self.update(&state);
    }

    fn update(&self, state: &State) {
        if state.is_shown {
            self.bar.set_message(state.texts());
        }
    }

    /// Prints to standard error without garbling the line.
    pub fn print(&self, text: &str) {
        self.bar.suspend(|| print_error(&text));
    }

    /// Writes elsewhere without garbling the line.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    /// Erases the line.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn texts(&self) -> String {
        let mut texts: Vec<&str> = self.waiting.values().take(NAMED).map(String::as_str).collect();
        if self.waiting.len() > NAMED {
            texts.push("\u{2026}");
        }
        texts.join(", ")
    }
}

impl Drop for Progress {
    /// Also erases the line of an interrupted command.
    fn drop(&mut self) {
        self.clear();
    }
}
