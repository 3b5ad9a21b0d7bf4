//! How a message shows a line that a server sent: in quotes, bounded, and without what was sent to the server before, which
//! may be a password that the server gives back.

use crate::config::dialogue::Step;
use crate::model::is_unseen;

/// The most bytes of a line that are shown.
const MAX_SHOWN_BYTES: usize = 120;
/// Where more is sent than this, lines are not shown: looking for all of it in each line would take long.
const MAX_HIDDEN_BYTES: usize = 2 << 10;
/// Shorter words are no secrets, and are common in what servers say.
const MIN_WORD_BYTES: usize = 4;
/// What servers repeat of a dialogue that is no secret.
const COMMANDS: [&str; 14] = [
    "AUTH",
    "AUTHENTICATE",
    "CAPABILITY",
    "EHLO",
    "HELO",
    "LOGIN",
    "NICK",
    "NOOP",
    "PASS",
    "PING",
    "PONG",
    "QUIT",
    "STARTTLS",
    "USER",
];

/// The texts of a dialogue that no message shows: what it sends, and each word of that.
#[derive(Clone, Debug)]
pub struct Hidden {
    texts: Vec<String>,
    is_too_much: bool,
}

impl Hidden {
    /// Those of these steps.
    pub fn of(steps: &[Step]) -> Self {
        let sent = steps
            .iter()
            .filter_map(|step| step.send.as_ref())
            .map(|send| send.expose().trim());
        let mut texts: Vec<&str> = sent
            .flat_map(|text| std::iter::once(text).chain(text.split_whitespace()))
            .filter(|text| text.len() >= MIN_WORD_BYTES && !COMMANDS.contains(text))
            .collect();
        // The longest first: a word of a text is part of it.
        texts.sort_by_key(|text| (std::cmp::Reverse(text.len()), *text));
        texts.dedup();
        Self {
            is_too_much: texts.iter().map(|text| text.len()).sum::<usize>() > MAX_HIDDEN_BYTES,
            texts: texts.into_iter().map(str::to_owned).collect(),
        }
    }

    /// A line as a message shows it.
    pub fn quote(&self, line: &[u8]) -> String {
        if self.is_too_much {
            return format!("<{} bytes>", line.len());
        }
        // What is cut off could be the half of a hidden text, so this looks at more than is shown.
        let longest = self.texts.first().map_or(0, String::len);
        let seen = &line[..line.len().min(MAX_SHOWN_BYTES + longest)];
        let mut text = String::from_utf8_lossy(seen).into_owned();
        for hidden in &self.texts {
            if text.contains(hidden.as_str()) {
                text = text.replace(hidden.as_str(), "<sent>");
            }
        }
        let mut shown = String::from("\"");
        for character in text.chars() {
            if shown.len() > MAX_SHOWN_BYTES {
                break;
            }
            match character {
                '\t' => shown.push_str("\\t"),
                '\r' => shown.push_str("\\r"),
                '\n' => shown.push_str("\\n"),
                other if is_unseen(other) => shown.extend(other.escape_unicode()),
                other => shown.push(other),
            }
        }
        let is_cut = shown.len() > MAX_SHOWN_BYTES || seen.len() < line.len();
        shown.push('"');
        if is_cut {
            shown.push('\u{2026}');
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn steps(sent: &[&str]) -> Vec<Step> {
        let step = |text: &&str| Step {
            send: Some(Secret::new(*text)),
            ..Step::default()
        };
        sent.iter().map(step).collect()
    }

    #[test]
    fn what_was_sent_is_not_shown() {
        let steps = steps(&["AUTH PLAIN AGEAaHVudGVyMg==\r", "hunter2", "EHLO prober\r", "x"]);
        let hidden = Hidden::of(&steps);
        for (line, shown) in [
            ("535 no such user", "\"535 no such user\""),
            ("500 AUTH PLAIN AGEAaHVudGVyMg== ?", "\"500 <sent> ?\""),
            ("500 AGEAaHVudGVyMg==", "\"500 <sent>\""),
            ("hunter2 is wrong", "\"<sent> is wrong\""),
            ("502 EHLO x unknown", "\"502 EHLO x unknown\""),
        ] {
            assert_eq!(hidden.quote(line.as_bytes()), shown);
        }
        // The secret stands where the line is cut.
        for before in 90..130 {
            let line = format!("{}hunter2{}", "a".repeat(before), "b".repeat(500));
            let shown = hidden.quote(line.as_bytes());
            assert!(!shown.contains("hun") && shown.len() < 140, "{shown}");
        }
    }

    #[test]
    fn where_very_much_is_sent_nothing_is_shown() {
        let sent = "word ".repeat(MAX_HIDDEN_BYTES);
        let steps = steps(&[&sent]);
        assert_eq!(Hidden::of(&steps).quote(b"wor"), "<3 bytes>");
    }

    #[test]
    fn any_bytes_are_shown_on_one_bounded_line() {
        let hidden = Hidden::of(&[]);
        assert_eq!(
            hidden.quote(b"a\t\x1b[31m\xff\r"),
            "\"a\\t\\u{1b}[31m\u{fffd}\\r\""
        );
        let shown = hidden.quote("é".repeat(1000).as_bytes());
        assert!(shown.len() < 140 && shown.ends_with("\"\u{2026}"), "{shown}");
    }
}
