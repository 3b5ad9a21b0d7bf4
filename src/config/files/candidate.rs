//! A file while the configuration is resolved: its current content, and its last valid content.

use std::sync::Arc;

use super::discover::{FileText, Text};
use super::document::{Document, may_have_limits};
use super::memory::{Content, Memory};
use super::merge::Part;
use crate::config::diagnostic::Diagnostic;
use crate::config::load::file_error;

/// What is used of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The current content.
    Current,
    /// The last valid content.
    Last,
    /// Nothing: there is no valid content.
    Nothing,
}

/// A file while the configuration is resolved.
pub struct Candidate<'a> {
    pub text: &'a FileText,
    /// The current content; `None` if it can't be read.
    pub document: Option<Document>,
    /// The last valid content.
    pub last: Option<Arc<Content>>,
    /// The tree of the last valid content, if that has global keys.
    pub last_document: Option<Document>,
    pub used: Use,
    /// Whether the current content has errors that do not depend on other files.
    pub is_broken: bool,
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
}

impl Candidate<'_> {
    /// Uses the last valid content instead of the current one.
    pub fn replace(&mut self) {
        self.used = match self.last {
            Some(_) => Use::Last,
            None => Use::Nothing,
        };
    }

    pub fn part(&self) -> Part<'_> {
        match (self.used, &self.document, &self.last) {
            (Use::Current, Some(document), _) => Part::Current(document),
            (Use::Last, _, Some(last)) => Part::Last(last, self.last_document.as_ref()),
            _ => Part::Nothing,
        }
    }

    /// Which of several files with the same name is used: the lowest. A file in use has precedence over a new one.
    pub fn precedence(&self) -> u8 {
        match self.used {
            Use::Last => 0,
            Use::Current if self.is_broken => 3,
            Use::Current if self.last.is_none() => 2,
            _ => 1,
        }
    }

    /// Whether nothing is used of it, although it may have global keys.
    pub fn may_hide_globals(&self) -> bool {
        if self.used != Use::Nothing {
            return false;
        }
        match (&self.document, &self.text.text) {
            (Some(document), _) if document.is_readable() => document.has_limits(),
            (_, Text::Bytes(bytes)) => may_have_limits(bytes),
            _ => true,
        }
    }
}

/// The candidates of `files`. Those that can't be read start with their last valid content.
pub fn candidates<'a>(files: &'a [FileText], memory: &Memory) -> Vec<Candidate<'a>> {
    let mut values = 0;
    let mut candidates = Vec::with_capacity(files.len());
    for file in files {
        let last = memory.files.get(&file.path).cloned();
        let globals = last.as_ref().and_then(|last| last.globals.as_ref());
        let mut candidate = Candidate {
            text: file,
            document: None,
            last_document: globals.map(|bytes| Document::parse(bytes, &file.name, &mut 0)),
            last,
            used: Use::Current,
            is_broken: false,
            errors: Vec::new(),
            warnings: Vec::new(),
        };
        match &file.text {
            Text::Bytes(bytes) => {
                let mut document = Document::parse(bytes, &file.name, &mut values);
                let found = std::mem::take(&mut document.found);
                let (errors, warnings) = found.into_iter().partition(|found| found.is_error);
                (candidate.errors, candidate.warnings) = (errors, warnings);
                candidate.document = Some(document);
            }
            Text::Unreadable(message) => candidate.errors = file_error(&file.name, message).errors,
            Text::Unknown => {}
        }
        candidate.is_broken = !candidate.errors.is_empty();
        if !candidate.document.as_ref().is_some_and(Document::is_readable) {
            candidate.replace();
        }
        candidates.push(candidate);
    }
    candidates
}
