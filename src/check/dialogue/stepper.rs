//! The dialogue itself, without a connection: it is given what the server sent, and says what to do next. Lines are as
//! blackbox_exporter reads them: without their line feed and a carriage return before it, and what the server sent last counts
//! as a line without any.

use std::ops::Range;

use super::fault::Fault;
use super::quote::Hidden;
use crate::config::budget::{Budget, Exhausted};
use crate::config::dialogue::{Expect, Step, Steps};
use crate::model::truncate;

/// The longest line, in bytes; blackbox_exporter's limit, too.
pub const MAX_LINE_BYTES: usize = 64 << 10;
/// The most lines of a run that are passed over.
pub const MAX_LINES: usize = 10_000;
/// The most lines that a journal is told of at once.
const MAX_HEARD: usize = 32;
/// The most bytes of a line to send, after groups were put in.
pub const MAX_SENT_BYTES: usize = 64 << 10;
/// The longest value of a label, in bytes.
const MAX_LABEL_BYTES: usize = 256;

/// What to do next.
#[derive(Clone, PartialEq, Eq)]
pub enum Action {
    /// Read, and hand over what came.
    Read,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Begin TLS.
    StartTls,
    /// These values of labels were found, by the step of this number.
    Found(usize, Vec<String>),
    /// All steps are done.
    End,
}

/// Where a dialogue is.
#[derive(Debug)]
pub struct Stepper {
    steps: Steps,
    hidden: Hidden,
    /// The step of this number is being done.
    at: usize,
    part: Part,
    /// What came and is not looked at yet.
    buffer: Vec<u8>,
    /// How much of the buffer was searched for the end of a line.
    searched: usize,
    is_closed: bool,
    /// Of the line that matched in this step.
    expanded: Option<Expanded>,
    /// Lines that came in this step, and in the run; the last one, quoted.
    lines: usize,
    all_lines: usize,
    last: Option<String>,
    heard: Vec<String>,
}

/// The part of a step that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Expect,
    Found,
    Send,
    StartTls,
}

/// What a step says of the line that matched.
#[derive(Debug, Default)]
struct Expanded {
    send: Vec<u8>,
    labels: Vec<String>,
}

impl Stepper {
    /// At the beginning of these steps.
    pub fn new(steps: &Steps) -> Self {
        Self {
            steps: steps.clone(),
            hidden: Hidden::of(steps),
            at: 0,
            part: Part::Expect,
            buffer: Vec::new(),
            searched: 0,
            is_closed: false,
            expanded: None,
            lines: 0,
            all_lines: 0,
            last: None,
            heard: Vec::new(),
        }
    }

    /// Takes what the server sent.
    pub fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes note that the server closed the connection.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// How many bytes the next step judges, at most.
    pub fn weight(&self) -> usize {
        let has_line = || self.buffer[self.searched.min(self.buffer.len())..].contains(&b'\n');
        match self.is_closed || has_line() {
            true => self.buffer.len(),
            false => 0,
        }
    }

    /// The number of the current step.
    pub fn number(&self) -> usize {
        self.at
    }

    /// What is waited for.
    pub fn waiting(&self) -> String {
        match self.steps.get(self.at).and_then(|step| step.expect.as_ref()) {
            Some(Expect::Line(pattern)) => format!("waiting for a line that matches /{}/", pattern.as_str()),
            Some(Expect::Bytes(bytes)) => format!("waiting for {}", self.hidden.quote(bytes)),
            None => "waiting for nothing".to_owned(),
        }
    }

    /// What came instead so far.
    pub fn instead(&self) -> String {
        match &self.last {
            Some(last) if self.lines == 1 => format!("one line came: {last}"),
            Some(last) => format!("{} lines came, the last was {last}", self.lines),
            None if self.buffer.is_empty() => "nothing came".to_owned(),
            None => format!("{} came, without a line feed", self.hidden.quote(&self.buffer)),
        }
    }

    /// What was heard since this was last asked, for a journal.
    pub fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut self.heard)
    }

    /// Drops what came before TLS began: whoever is on the way could have put it there (RFC 3207, section 4.2). How many
    /// bytes that were.
    pub fn forget(&mut self) -> usize {
        self.searched = 0;
        std::mem::take(&mut self.buffer).len()
    }

    /// What to do next; to be called again when that is done.
    ///
    /// # Errors
    /// Why the dialogue is not as it should be. Where the budget does not suffice, it can be called again with another one.
    pub fn advance(&mut self, budget: &Budget) -> Result<Action, Fault> {
        let steps = self.steps.clone();
        while let Some(step) = steps.get(self.at) {
            match self.part {
                Part::Expect => {
                    if !self.hear(step, budget)? {
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
                    let plain = || step.send.as_ref().map(|send| send.expose().as_bytes().to_vec());
                    let expanded = self.expanded.take().map(|expanded| expanded.send);
                    // Without a line that matched, `$` is nothing special.
                    let mut line = expanded.or_else(plain).unwrap_or_default();
                    if line.len() > MAX_SENT_BYTES {
                        return Err(Fault::TooLong);
                    }
                    if !line.is_empty() {
                        line.push(b'\n');
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

    /// Whether what the step waits for has come.
    fn hear(&mut self, step: &Step, budget: &Budget) -> Result<bool, Fault> {
        match &step.expect {
            None => Ok(true),
            Some(Expect::Bytes(expected)) => {
                let come = self.buffer.len().min(expected.len());
                if self.buffer[..come] != expected[..come] {
                    return Err(Fault::OtherBytes {
                        found: self.hidden.quote(&self.buffer[..come]),
                        expected: self.hidden.quote(expected),
                    });
                }
                if come < expected.len() {
                    return self.more();
                }
                self.buffer.drain(..come);
                self.searched = 0;
                self.tell(format!("heard {}", self.hidden.quote(expected)));
                Ok(true)
            }
            Some(Expect::Line(pattern)) => {
                let mut start = 0;
                let found = loop {
                    let Some((line, end)) = self.line(start)? else {
                        break None;
                    };
                    let line = &self.buffer[line];
                    let Ok(found) = pattern.captures(line, budget) else {
                        // The line was not looked at.
                        (self.lines, self.all_lines) = (self.lines - 1, self.all_lines - 1);
                        self.buffer.drain(..start);
                        self.searched = 0;
                        return Err(Fault::TooDear(Exhausted));
                    };
                    if let Some(captures) = found {
                        let expand = |template: &str| {
                            let mut text = Vec::new();
                            captures.expand(template.as_bytes(), &mut text);
                            text
                        };
                        let send = step.send.as_ref().map(|send| expand(send.expose()));
                        let labels = step.labels.iter().map(|(_, value)| label(&expand(value)));
                        break Some((
                            end,
                            Expanded {
                                send: send.unwrap_or_default(),
                                labels: labels.collect(),
                            },
                            self.hidden.quote(line),
                        ));
                    }
                    let quoted = self.hidden.quote(line);
                    self.tell(format!("heard {quoted}"));
                    self.last = Some(quoted);
                    start = end;
                };
                if let Some((end, expanded, line)) = found {
                    self.buffer.drain(..end);
                    self.searched = 0;
                    self.expanded = Some(expanded);
                    self.tell(format!("heard {line}, which matches /{}/", pattern.as_str()));
                    return Ok(true);
                }
                self.buffer.drain(..start);
                self.searched = self.buffer.len();
                if self.is_closed && self.last.is_some() {
                    return Err(Fault::NoMatch {
                        pattern: pattern.as_str().to_owned(),
                        instead: self.instead(),
                    });
                }
                self.more()
            }
        }
    }

    fn tell(&mut self, note: String) {
        if self.heard.len() < MAX_HEARD {
            self.heard.push(note);
        }
    }

    /// More is to be read, if there can be more.
    fn more(&self) -> Result<bool, Fault> {
        match self.is_closed {
            true => Err(Fault::Closed {
                waiting: self.waiting(),
                instead: self.instead(),
                is_line: matches!(self.steps[self.at].expect, Some(Expect::Line(_))),
            }),
            false => Ok(false),
        }
    }

    /// The line that begins at `start` of the buffer, without its end, and where the next one begins.
    fn line(&mut self, start: usize) -> Result<Option<(Range<usize>, usize)>, Fault> {
        let from = self.searched.max(start);
        let feed = self.buffer[from..].iter().position(|byte| *byte == b'\n');
        let (end, next) = match feed {
            Some(feed) => (from + feed, from + feed + 1),
            None if self.is_closed && start < self.buffer.len() => (self.buffer.len(), self.buffer.len()),
            None => (self.buffer.len(), start),
        };
        if end - start > MAX_LINE_BYTES {
            return Err(Fault::TooMuch(format!(
                "a line of more than {MAX_LINE_BYTES} bytes that begins with {}",
                self.hidden.quote(&self.buffer[start..])
            )));
        }
        if next == start {
            return Ok(None);
        }
        self.lines += 1;
        self.all_lines += 1;
        if self.all_lines > MAX_LINES {
            return Err(Fault::TooMuch(format!("more than {MAX_LINES} lines")));
        }
        let is_return = end > start && self.buffer[end - 1] == b'\r';
        Ok(Some((start..end - usize::from(is_return), next)))
    }
}

/// The value of a label: bounded text.
fn label(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    truncate(&mut text, MAX_LABEL_BYTES);
    text
}

#[cfg(test)]
mod tests;
