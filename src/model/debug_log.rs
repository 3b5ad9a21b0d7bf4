//! The steps of one run with their times, for `check --debug` and `/probe?debug=true`.

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use super::scrubber::Scrubber;
use super::text::{is_invisible, truncate};

/// The maximum number of lines. It bounds the memory of a run with very many steps.
const MAX_LINES: usize = 256;
/// The maximum length of a line, in bytes.
const MAX_LINE_BYTES: usize = 1024;

/// The steps of a run.
#[derive(Clone, Debug)]
pub struct DebugLog {
    started: Instant,
    lines: Vec<(Duration, String)>,
}

impl DebugLog {
    /// An empty log of a run that starts now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            lines: Vec::new(),
        }
    }

    /// Adds a step as one line of visible characters.
    pub fn push(&mut self, step: &str) {
        if self.lines.len() >= MAX_LINES {
            return;
        }
        let mut line: String = step
            .chars()
            .map(|character| if is_invisible(character) { ' ' } else { character })
            .collect();
        truncate(&mut line, MAX_LINE_BYTES);
        self.lines.push((self.started.elapsed(), line));
    }

    /// Hides secrets in the lines.
    pub fn scrub(&mut self, scrubber: &Scrubber) {
        for (_, line) in &mut self.lines {
            if let Cow::Owned(scrubbed) = scrubber.scrub(line) {
                *line = scrubbed;
            }
        }
    }

    /// The lines, each with the time since the start of the run.
    pub fn lines(&self) -> &[(Duration, String)] {
        &self.lines
    }
}

impl Default for DebugLog {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debug_log_is_bounded_and_printable() {
        let mut debug_log = DebugLog::new();
        debug_log.push("a\r\n\u{1b}b");
        debug_log.push(&"é".repeat(MAX_LINE_BYTES));
        for _ in 0..2 * MAX_LINES {
            debug_log.push("x");
        }
        let lines = debug_log.lines();
        assert_eq!((lines.len(), lines[0].1.as_str()), (MAX_LINES, "a   b"));
        assert!(lines[1].1.len() <= MAX_LINE_BYTES);
    }
}
