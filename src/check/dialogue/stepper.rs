//! The dialogue as a state machine without a connection. It takes the received bytes and returns the next action. Lines are
//! split as in blackbox_exporter: without the line feed and a carriage return before it. The rest at the end of the connection
//! counts as a line.

mod expanded;
mod framing;
mod messages;

use std::ops::Range;

use super::error::DialogueError;
use super::quote::Redactor;
use crate::config::budget::{Budget, Exhausted};
use crate::config::dialogue::{Expect, Step, Steps};

use self::expanded::Expanded;
pub use self::framing::{Framing, MAX_MESSAGE_BYTES};

/// The maximum length of a line, in bytes. Also blackbox_exporter's limit.
pub const MAX_LINE_BYTES: usize = 64 << 10;
/// How many lines a run may receive.
pub const MAX_LINES: usize = 10_000;
/// How many lines are added to the debug log at once.
const MAX_LOG_LINES: usize = 32;
/// The maximum length of a line to send, with groups inserted, in bytes.
const MAX_SENT_BYTES: usize = 64 << 10;

/// The next action.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Read, and pass what was received to [`Stepper::receive`].
    Read,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Start TLS.
    StartTls,
    /// Record these label values, extracted by the step of this number.
    Found(usize, Vec<String>),
    /// All steps are done.
    End,
}

/// The state of a dialogue.
#[derive(Debug)]
pub struct Stepper {
    steps: Steps,
    framing: Framing,
    redactor: Redactor,
    /// The number of the current step.
    at: usize,
    part: Part,
    /// Received bytes that were not evaluated yet.
    buffer: Vec<u8>,
    /// Whether the buffer is a message, which may be empty.
    has_message: bool,
    /// How much of the buffer was searched for a line feed.
    searched: usize,
    is_closed: bool,
    /// The templates of this step, expanded with the line that matched.
    expanded: Option<Expanded>,
    /// How many lines were received in this step and in the run, and the last one, quoted.
    lines: usize,
    all_lines: usize,
    last: Option<String>,
    log: Vec<String>,
}

/// The part of a step that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Expect,
    Found,
    Send,
    StartTls,
}

impl Stepper {
    /// Starts with the first of these steps.
    pub fn new(steps: &Steps, framing: Framing) -> Self {
        Self {
            steps: steps.clone(),
            framing,
            redactor: Redactor::new(steps),
            at: 0,
            part: Part::Expect,
            buffer: Vec::new(),
            has_message: false,
            searched: 0,
            is_closed: false,
            expanded: None,
            lines: 0,
            all_lines: 0,
            last: None,
            log: Vec::new(),
        }
    }

    /// Adds bytes received from the server, or one message.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.has_message = self.framing == Framing::Messages;
    }

    /// Records that the server closed the connection.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// How many bytes the next call of [`Self::advance`] evaluates at most.
    pub fn pending_bytes(&self) -> usize {
        let has_line = || self.buffer[self.searched.min(self.buffer.len())..].contains(&b'\n');
        match self.is_closed || self.has_message || has_line() {
            true => self.buffer.len(),
            false => 0,
        }
    }

    /// The number of the current step.
    pub fn number(&self) -> usize {
        self.at
    }

    /// Describes what the current step waits for.
    pub fn expectation(&self) -> String {
        match self.steps.get(self.at).and_then(|step| step.expect.as_ref()) {
            Some(Expect::Line(pattern)) => format!(
                "waiting for a {} that matches /{}/",
                self.framing.unit(),
                pattern.as_str()
            ),
            Some(Expect::Bytes(bytes)) => format!("waiting for {}", self.redactor.quote(bytes)),
            None => "waiting for nothing".to_owned(),
        }
    }

    /// Describes what was received in the current step so far.
    pub fn received(&self) -> String {
        match &self.last {
            Some(last) if self.lines == 1 => format!("received one line: {last}"),
            Some(last) => format!("received {} lines, the last was {last}", self.lines),
            None if self.buffer.is_empty() => "received nothing".to_owned(),
            None => format!(
                "received {} without a line feed",
                self.redactor.quote(&self.buffer)
            ),
        }
    }

    /// Takes the lines for the debug log since the last call.
    pub fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Discards the bytes received before TLS: an attacker could have inserted them (RFC 3207, section 4.2). Returns their
    /// number.
    pub fn discard_input(&mut self) -> usize {
        self.searched = 0;
        std::mem::take(&mut self.buffer).len()
    }

    /// Returns the next action. Call it again when that is done.
    ///
    /// # Errors
    /// Why the dialogue failed. After [`DialogueError::BudgetExhausted`], it can be called again with another budget.
    pub fn advance(&mut self, budget: &Budget) -> Result<Action, DialogueError> {
        let steps = self.steps.clone();
        while let Some(step) = steps.get(self.at) {
            match self.part {
                Part::Expect => {
                    if !self.expect(step, budget)? {
                        return Ok(Action::Read);
                    }
                    self.part = Part::Found;
                }
                Part::Found => {
                    self.part = Part::Send;
                    if let Some(expanded) = &mut self.expanded
                        && !expanded.labels.is_empty()
                    {
                        return Ok(Action::Found(self.at, std::mem::take(&mut expanded.labels)));
                    }
                }
                Part::Send => {
                    self.part = Part::StartTls;
                    let plain = || step.send.as_ref().map(|send| send.expose().to_vec());
                    let expanded = self.expanded.take().map(|expanded| expanded.send);
                    // `$` is special only in a step that expects a line.
                    let mut line = expanded.or_else(plain).unwrap_or_default();
                    if line.len() > MAX_SENT_BYTES {
                        return Err(DialogueError::TooLong(MAX_SENT_BYTES));
                    }
                    if !line.is_empty() {
                        if self.framing == Framing::Lines {
                            line.push(b'\n');
                        }
                        return Ok(Action::Send(line));
                    }
                }
                Part::StartTls => {
                    self.part = Part::Expect;
                    self.at += 1;
                    (self.lines, self.last) = (0, None);
                    if step.starttls {
                        return Ok(Action::StartTls);
                    }
                }
            }
        }
        Ok(Action::End)
    }

    /// Whether the step has received what it expects.
    fn expect(&mut self, step: &Step, budget: &Budget) -> Result<bool, DialogueError> {
        match &step.expect {
            None => Ok(true),
            Some(Expect::Bytes(expected)) => {
                let length = self.buffer.len().min(expected.len());
                if self.buffer[..length] != expected[..length] {
                    return Err(DialogueError::OtherBytes {
                        found: self.redactor.quote(&self.buffer[..length]),
                        expected: self.redactor.quote(expected),
                    });
                }
                if length < expected.len() {
                    return self.wait_for_more();
                }
                self.buffer.drain(..length);
                self.searched = 0;
                self.log(format!("received {}", self.redactor.quote(expected)));
                Ok(true)
            }
            Some(Expect::Line(pattern)) if self.framing == Framing::Messages => {
                self.expect_message(step, pattern, budget)
            }
            Some(Expect::Line(pattern)) => {
                let mut start = 0;
                let found = loop {
                    let Some((line, end)) = self.next_line(start)? else {
                        break None;
                    };
                    let line = &self.buffer[line];
                    let Ok(found) = pattern.captures(line, budget) else {
                        // The line was not evaluated.
                        (self.lines, self.all_lines) = (self.lines - 1, self.all_lines - 1);
                        self.buffer.drain(..start);
                        self.searched = 0;
                        return Err(DialogueError::BudgetExhausted(Exhausted));
                    };
                    if let Some(captures) = found {
                        let expanded = Expanded::new(step, &captures);
                        break Some((end, expanded, self.redactor.quote(line)));
                    }
                    let quoted = self.redactor.quote(line);
                    self.log(format!("received {quoted}"));
                    self.last = Some(quoted);
                    start = end;
                };
                if let Some((end, expanded, line)) = found {
                    self.buffer.drain(..end);
                    self.searched = 0;
                    self.expanded = Some(expanded);
                    self.log(format!("received {line}, which matches /{}/", pattern.as_str()));
                    return Ok(true);
                }
                self.buffer.drain(..start);
                self.searched = self.buffer.len();
                if self.is_closed && self.last.is_some() {
                    return Err(DialogueError::NoMatch {
                        pattern: pattern.as_str().to_owned(),
                        received: self.received(),
                    });
                }
                self.wait_for_more()
            }
        }
    }

    fn log(&mut self, note: String) {
        if self.log.len() < MAX_LOG_LINES {
            self.log.push(note);
        }
    }

    /// Returns that more must be read. Fails if the connection is closed.
    fn wait_for_more(&self) -> Result<bool, DialogueError> {
        match self.is_closed {
            true => Err(DialogueError::Closed {
                expectation: self.expectation(),
                received: self.received(),
                is_line: matches!(self.steps[self.at].expect, Some(Expect::Line(_))),
            }),
            false => Ok(false),
        }
    }

    /// Finds the line that begins at `start` of the buffer. Returns its range without the line end, and the start of the next
    /// line.
    fn next_line(&mut self, start: usize) -> Result<Option<(Range<usize>, usize)>, DialogueError> {
        let from = self.searched.max(start);
        let feed = self.buffer[from..].iter().position(|byte| *byte == b'\n');
        let (end, next) = match feed {
            Some(feed) => (from + feed, from + feed + 1),
            None if self.is_closed && start < self.buffer.len() => (self.buffer.len(), self.buffer.len()),
            None => (self.buffer.len(), start),
        };
        if end - start > MAX_LINE_BYTES {
            return Err(DialogueError::TooMuch(format!(
                "a line of more than {MAX_LINE_BYTES} bytes that begins with {}",
                self.redactor.quote(&self.buffer[start..])
            )));
        }
        if next == start {
            return Ok(None);
        }
        self.lines += 1;
        self.all_lines += 1;
        if self.all_lines > MAX_LINES {
            return Err(DialogueError::TooMuch(format!("more than {MAX_LINES} lines")));
        }
        let is_return = end > start && self.buffer[end - 1] == b'\r';
        Ok(Some((start..end - usize::from(is_return), next)))
    }
}

#[cfg(test)]
mod tests;
