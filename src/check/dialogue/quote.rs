//! Quotes lines from a server for messages. Quotes are bounded. Texts that were sent to the server are redacted, because
//! they can be a password that the server sends back.

use std::borrow::Cow;

use crate::config::dialogue::Step;
use crate::model::is_invisible;

/// How many bytes of a line are shown.
const MAX_SHOWN_BYTES: usize = 120;
/// If a dialogue sends more bytes than this, lines are not shown, because searching every line for all of them takes long.
const MAX_REDACTED_BYTES: usize = 2 << 10;
/// Shorter words are not redacted: they are common and not secret.
const MIN_WORD_BYTES: usize = 4;
/// Words that are not secret, although dialogues send them.
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

/// Redacts the texts that a dialogue sends, and every word of them.
#[derive(Clone, Debug)]
pub struct Redactor {
    texts: Vec<String>,
    is_too_much: bool,
}

impl Redactor {
    /// Redacts the texts of these steps.
    pub fn new(steps: &[Step]) -> Self {
        let sent: Vec<Cow<'_, str>> = steps
            .iter()
            .filter_map(|step| step.send.as_ref())
            .map(|send| String::from_utf8_lossy(send.expose()))
            .collect();
        let mut texts: Vec<&str> = sent
            .iter()
            .map(|text| text.trim())
            .flat_map(|text| std::iter::once(text).chain(text.split_whitespace()))
            .filter(|text| text.len() >= MIN_WORD_BYTES && !COMMANDS.contains(text))
            .collect();
        // The longest first, because a text contains its words.
        texts.sort_by_key(|text| (std::cmp::Reverse(text.len()), *text));
        texts.dedup();
        Self {
            is_too_much: texts.iter().map(|text| text.len()).sum::<usize>() > MAX_REDACTED_BYTES,
            texts: texts.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Quotes a line for a message.
    pub fn quote(&self, line: &[u8]) -> String {
        if self.is_too_much {
            return format!("<{} bytes>", line.len());
        }
        // The end of the shown part can be half of a redacted text, so more is searched than shown.
        let longest = self.texts.first().map_or(0, String::len);
        let searched = &line[..line.len().min(MAX_SHOWN_BYTES + longest)];
        let mut text = String::from_utf8_lossy(searched).into_owned();
        for redacted in &self.texts {
            if text.contains(redacted.as_str()) {
                text = text.replace(redacted.as_str(), "<sent>");
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
                other if is_invisible(other) => shown.extend(other.escape_unicode()),
                other => shown.push(other),
            }
        }
        let is_cut = shown.len() > MAX_SHOWN_BYTES || searched.len() < line.len();
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
    use crate::config::secret::SecretBytes;

    fn steps(sent: &[&str]) -> Vec<Step> {
        let step = |text: &&str| Step {
            send: Some(SecretBytes::new(*text)),
            ..Step::default()
        };
        sent.iter().map(step).collect()
    }

    #[test]
    fn sent_texts_are_redacted() {
        let steps = steps(&["AUTH PLAIN AGEAaHVudGVyMg==\r", "hunter2", "EHLO prober\r", "x"]);
        let hidden = Redactor::new(&steps);
        for (line, shown) in [
            ("535 no such user", "\"535 no such user\""),
            ("500 AUTH PLAIN AGEAaHVudGVyMg== ?", "\"500 <sent> ?\""),
            ("500 AGEAaHVudGVyMg==", "\"500 <sent>\""),
            ("hunter2 is wrong", "\"<sent> is wrong\""),
            ("502 EHLO x unknown", "\"502 EHLO x unknown\""),
        ] {
            assert_eq!(hidden.quote(line.as_bytes()), shown);
        }
        // The secret is at the end of the shown part.
        for before in 90..130 {
            let line = format!("{}hunter2{}", "a".repeat(before), "b".repeat(500));
            let shown = hidden.quote(line.as_bytes());
            assert!(!shown.contains("hun") && shown.len() < 140, "{shown}");
        }
    }

    #[test]
    fn nothing_is_shown_if_the_dialogue_sends_too_much() {
        let sent = "word ".repeat(MAX_REDACTED_BYTES);
        let steps = steps(&[&sent]);
        assert_eq!(Redactor::new(&steps).quote(b"wor"), "<3 bytes>");
    }

    #[test]
    fn any_bytes_are_quoted_in_one_bounded_line() {
        let hidden = Redactor::new(&[]);
        assert_eq!(
            hidden.quote(b"a\t\x1b[31m\xff\r"),
            "\"a\\t\\u{1b}[31m\u{fffd}\\r\""
        );
        let shown = hidden.quote("é".repeat(1000).as_bytes());
        assert!(shown.len() < 140 && shown.ends_with("\"\u{2026}"), "{shown}");
    }
}
