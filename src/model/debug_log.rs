//! The steps of one run with their times, for whoever wants to see what a check did: `check --debug`, `/probe?debug=true`.

use std::borrow::Cow;
use std::time::Duration;

use tokio::time::Instant;

use super::scrubber::Scrubber;
use super::text::{cut, is_unseen};

/// The most lines that a debug_log keeps; a run that redirects or asks on and on does not fill the memory.
const MAX_LINES: usize = 256;
/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 1024;

/// What a run did, step by step.
#[derive(Clone, Debug)]
pub struct DebugLog {
    started: Instant,
    lines: Vec<(Duration, String)>,
}

impl DebugLog {
    /// An empty debug_log of a run that starts now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            lines: Vec::new(),
        }
    }

    /// Notes a step, as one line of printable characters.
    pub fn push(&mut self, step: &str) {
        if self.lines.len() >= MAX_LINES {
            return;
        }
        let mut line: String = step
            .chars()
            .map(|character| if is_unseen(character) { ' ' } else { character })
            .collect();
        cut(&mut line, MAX_LINE_BYTES);
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
    fn a_journal_is_bounded_and_printable() {
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
