//! What a run found, in detail: facts that are too many or too long for labels. The API, the status page and the command `check` show
//! them.

use std::borrow::Cow;

use super::scrubber::Scrubber;
use super::text::visible;

/// The maximum number of findings of a run. The others are only counted, because each check keeps those of its last run.
pub const MAX_FINDINGS: usize = 100;
/// The maximum length of a subject, in bytes. Package names have at most 214 (npm).
const MAX_SUBJECT_BYTES: usize = 256;
/// The maximum length of a detail or a command, in bytes.
const MAX_TEXT_BYTES: usize = 1024;

/// One fact that a run found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, such as a package.
    pub subject: String,
    /// One word of the kind, such as `missing`.
    pub state: &'static str,
    /// What was expected and what was found.
    pub detail: String,
    /// The command that fixes it, if there is one.
    pub fix: Option<String>,
}

/// The findings of one run. Empty findings allocate nothing, because most checks have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Option<Box<Content>>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    list: Vec<Finding>,
    omitted: usize,
    fix: Option<String>,
}

impl Findings {
    /// Adds a finding. Makes its texts visible and bounds them. From [`MAX_FINDINGS`] on, the finding is only counted.
    pub fn push(&mut self, finding: Finding) {
        let content = self.0.get_or_insert_default();
        if content.list.len() >= MAX_FINDINGS {
            content.omitted += 1;
            return;
        }
        content.list.push(Finding {
            subject: visible(&finding.subject, MAX_SUBJECT_BYTES),
            state: finding.state,
            detail: visible(&finding.detail, MAX_TEXT_BYTES),
            fix: finding.fix.map(|fix| visible(&fix, MAX_TEXT_BYTES)),
        });
    }

    /// Sets the command that fixes all findings at once.
    pub fn set_fix(&mut self, command: &str) {
        self.0.get_or_insert_default().fix = Some(visible(command, MAX_TEXT_BYTES));
    }

    /// The findings, in the order they were added.
    pub fn list(&self) -> &[Finding] {
        self.0.as_ref().map_or(&[], |content| &content.list)
    }

    /// How many findings were left out.
    pub fn omitted(&self) -> usize {
        self.0.as_ref().map_or(0, |content| content.omitted)
    }

    /// The command that fixes all findings at once, or the only finding.
    pub fn fix(&self) -> Option<&str> {
        let content = self.0.as_ref()?;
        match (&content.fix, &*content.list) {
            (Some(fix), _) => Some(fix),
            (None, [only]) if content.omitted == 0 => only.fix.as_deref(),
            (None, _) => None,
        }
    }

    /// Whether there are texts.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Hides secrets in the texts.
    pub fn scrub(&mut self, scrubber: &Scrubber) {
        let Some(content) = &mut self.0 else {
            return;
        };
        let scrub = |text: &mut String| {
            if let Cow::Owned(scrubbed) = scrubber.scrub(text) {
                *text = scrubbed;
            }
        };
        for finding in &mut content.list {
            scrub(&mut finding.subject);
            scrub(&mut finding.detail);
            finding.fix.as_mut().map(scrub);
        }
        content.fix.as_mut().map(scrub);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(subject: &str) -> Finding {
        Finding {
            subject: subject.into(),
            state: "missing",
            detail: "wanted 1.0".into(),
            fix: Some(format!("install {subject}")),
        }
    }

    #[test]
    fn findings_are_bounded_and_counted() {
        let mut findings = Findings::default();
        assert!(findings.is_empty());
        for number in 0..MAX_FINDINGS + 7 {
            findings.push(missing(&number.to_string()));
        }
        assert_eq!((findings.list().len(), findings.omitted()), (MAX_FINDINGS, 7));
        assert_eq!(findings.fix(), None);
        findings.set_fix("install all");
        assert_eq!(findings.fix(), Some("install all"));
    }

    #[test]
    fn texts_are_visible_and_bounded() {
        let mut findings = Findings::default();
        findings.push(missing(&format!("a\u{202e}\n{}", "é".repeat(1000))));
        let subject = &findings.list()[0].subject;
        assert!(subject.starts_with("a\\u{202e}\\né"), "{subject}");
        assert!(subject.len() <= MAX_SUBJECT_BYTES);
    }

    #[test]
    fn the_command_of_the_only_finding_fixes_all() {
        let mut findings = Findings::default();
        findings.push(missing("a"));
        assert_eq!(findings.fix(), Some("install a"));
        findings.push(missing("b"));
        assert_eq!(findings.fix(), None);
    }
}
