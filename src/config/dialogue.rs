//! The dialogue of tcp, unix and websocket checks with a server: `query_response`. The options have the names and meanings of
//! blackbox_exporter's.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::bytes_text::BytesText;
use super::pattern::Pattern;
use super::place::{Invalid, Place, all};
use super::secret::SecretBytes;
use super::tls::{TlsOptions, TlsSettings};

/// The maximum number of steps of a dialogue.
const MAX_STEPS: usize = 256;
/// The maximum number of labels of a step.
const MAX_LABELS: usize = 16;
/// The maximum number of bytes that a step expects or sends.
pub const MAX_STEP_BYTES: usize = 64 << 10;

/// One step of a dialogue.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepOptions {
    /// Regular expression. Lines are read until one matches.
    pub expect: Option<String>,
    /// Bytes that must be received next, exactly.
    pub expect_bytes: Option<BytesText>,
    /// Labels of probe_expect_info, with values from the line that matched.
    pub labels: Option<Vec<LabelOptions>>,
    /// Line to send; a line feed is added. ${1} is the first group of expect. In double quotes, \xNN is a byte.
    pub send: Option<BytesText>,
    /// Start TLS on the connection.
    pub starttls: bool,
}

/// Shows no content, which may be secret.
impl std::fmt::Debug for StepOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StepOptions").finish_non_exhaustive()
    }
}

/// A label of probe_expect_info.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelOptions {
    /// Name of the label.
    pub name: String,
    /// Value of the label. ${1} is the first group of expect.
    pub value: String,
}

/// The steps of a dialogue. Cheap to clone.
pub type Steps = Arc<[Step]>;

/// One resolved step of a dialogue: receive, then send, then start TLS.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// The text to receive.
    pub expect: Option<Expect>,
    /// The labels, as names and templates of values.
    pub labels: Vec<(String, String)>,
    /// The bytes to send, which may be a password.
    pub send: Option<SecretBytes>,
    /// Whether to start TLS.
    pub starttls: bool,
}

/// The text to receive.
#[derive(Clone, Debug, PartialEq)]
pub enum Expect {
    /// A line that matches. Lines before it are ignored.
    Line(Pattern),
    /// Exactly these bytes.
    Bytes(Vec<u8>),
}

/// The resolved keys `query_response`, `tls` and `tls_config`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conversation {
    /// The steps; empty if the check only connects.
    pub steps: Steps,
    /// Whether TLS starts before the first step.
    pub is_tls_first: bool,
    /// The TLS settings; `None` without TLS.
    pub tls: Option<Arc<TlsSettings>>,
}

impl Conversation {
    /// Resolves the three keys of the mapping at `place`.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(
        place: &Place<'_>,
        written: Option<Vec<StepOptions>>,
        is_tls_first: bool,
        tls_config: Option<TlsOptions>,
    ) -> Result<Self, Invalid> {
        let at = place.field("query_response");
        let written = written.unwrap_or_default();
        let is_tls = is_tls_first || written.iter().any(|step| step.starttls);
        let tls_place = place.field("tls_config");
        if tls_config.is_some() && !is_tls {
            tls_place.warn("ignored without tls: true, or starttls: true in a step of query_response");
        }
        let tls = tls_config.unwrap_or_default().resolve(&tls_place);
        let steps = resolve_steps(&at, written, is_tls_first);
        Ok(Self {
            steps: steps?,
            is_tls_first,
            tls: Some(Arc::new(tls?)).filter(|_| is_tls),
        })
    }
}

/// Resolves the steps at `place`. `is_secured` is whether the connection uses TLS before the first step.
///
/// # Errors
/// Reported at their keys.
pub fn resolve_steps(
    place: &Place<'_>,
    written: Vec<StepOptions>,
    mut is_secured: bool,
) -> Result<Steps, Invalid> {
    if written.len() > MAX_STEPS {
        return Err(place.error(format_args!("more than {MAX_STEPS} steps: remove some")));
    }
    let steps = all(written.into_iter().enumerate().map(|(index, step)| {
        let at = place.index(index);
        let is_twice = step.starttls && std::mem::replace(&mut is_secured, true);
        let step = step.resolve(&at);
        match is_twice {
            true => Err(at
                .field("starttls")
                .error("the connection already uses TLS: remove starttls")),
            false => step,
        }
    }));
    Ok(steps?.into())
}

impl StepOptions {
    fn resolve(self, place: &Place<'_>) -> Result<Step, Invalid> {
        if self.expect.is_none() && self.expect_bytes.is_none() && self.send.is_none() && !self.starttls {
            place.warn("this step does nothing: add expect, expect_bytes, send or starttls: true");
        }
        let bounded = |key: &str, bytes: &[u8]| match bytes.len() > MAX_STEP_BYTES {
            true => Err(place
                .field(key)
                .error(format_args!("longer than {MAX_STEP_BYTES} bytes"))),
            false => Ok(()),
        };
        let not_empty = |text: Option<BytesText>| text.map(|text| text.0).filter(|bytes| !bytes.is_empty());
        let send = match not_empty(self.send) {
            Some(bytes) => bounded("send", &bytes).map(|()| Some(SecretBytes::new(bytes))),
            None => Ok(None),
        };
        let has_line = self.expect.is_some();
        let expect = match (self.expect, not_empty(self.expect_bytes)) {
            (Some(_), Some(_)) => Err(place
                .field("expect_bytes")
                .error("give one of expect and expect_bytes, not both")),
            (Some(source), None) => {
                let pattern = place.field("expect").compile_pattern(&source);
                pattern.map(|pattern| Some(Expect::Line(pattern)))
            }
            (None, Some(bytes)) => bounded("expect_bytes", &bytes).map(|()| Some(Expect::Bytes(bytes))),
            (None, None) => Ok(None),
        };
        let labels = labels(&place.field("labels"), self.labels.unwrap_or_default(), has_line);
        Ok(Step {
            expect: expect?,
            labels: labels?,
            send: send?,
            starttls: self.starttls,
        })
    }
}

fn labels(
    place: &Place<'_>,
    written: Vec<LabelOptions>,
    has_line: bool,
) -> Result<Vec<(String, String)>, Invalid> {
    if !written.is_empty() && !has_line {
        return Err(place.error("labels need expect in the same step"));
    }
    if written.len() > MAX_LABELS {
        return Err(place.error(format_args!("more than {MAX_LABELS} labels: remove some")));
    }
    let mut names = Vec::new();
    all(written.into_iter().enumerate().map(|(index, label)| {
        let at = place.index(index);
        if !is_label_name(&label.name) {
            return Err(at.field("name").error(format_args!(
                "\"{}\" is not a label name: write letters, digits and _, not beginning with a digit or __",
                label.name
            )));
        }
        if names.contains(&label.name) {
            return Err(at
                .field("name")
                .error(format_args!("duplicate label \"{}\": remove it", label.name)));
        }
        names.push(label.name.clone());
        if label.value.len() > MAX_STEP_BYTES {
            return Err(at
                .field("value")
                .error(format_args!("longer than {MAX_STEP_BYTES} bytes")));
        }
        Ok((label.name, label.value))
    }))
}

/// Whether Prometheus accepts the name of a label. Names that begin with `__` are reserved.
fn is_label_name(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.len() <= 128
        && name.starts_with(is_first)
        && !name.starts_with("__")
        && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::KindSettings;
    use crate::config::tests_support::{check, resolve_at_root};

    fn resolve(steps: Value, is_tls_first: bool) -> Result<Conversation, Vec<String>> {
        let written = serde_json::from_value(steps).unwrap();
        resolve_at_root(|root| Conversation::resolve(root, Some(written), is_tls_first, None))
    }

    #[test]
    fn a_step_receives_sends_and_starts_tls() {
        let conversation = resolve(
            json!([
                {"expect": "^220 (\\S+)", "send": "EHLO ${1}\r", "labels": [{"name": "host", "value": "${1}"}]},
                {"expect_bytes": "S", "starttls": true},
                {"send": ""},
            ]),
            false,
        )
        .unwrap();
        assert!(conversation.tls.is_some() && !conversation.is_tls_first);
        let [first, second, third] = &conversation.steps[..] else {
            panic!("{conversation:?}")
        };
        assert_eq!(first.send.as_ref().unwrap().expose(), b"EHLO ${1}\r");
        assert_eq!(first.labels, [("host".to_owned(), "${1}".to_owned())]);
        assert_eq!(second.expect, Some(Expect::Bytes(b"S".to_vec())));
        assert!(second.starttls);
        assert_eq!(*third, Step::default());
        assert!(
            !format!("{conversation:?}").contains("EHLO"),
            "the text to send may be secret"
        );
    }

    #[test]
    fn steps_send_and_expect_any_bytes() {
        let settings = check(
            r#"kind: tcp, address: "a:1", query_response: [{ send: !!binary 0hYv }, { send: "\xd2\x16/" }, { expect_bytes: "\xff" }]"#,
        );
        let KindSettings::Tcp(settings) = &settings.kind else {
            panic!("{settings:?}")
        };
        let [first, second, third] = &settings.conversation.steps[..] else {
            panic!("{settings:?}")
        };
        for step in [first, second] {
            assert_eq!(step.send.as_ref().unwrap().expose(), b"\xd2\x16/");
        }
        assert_eq!(third.expect, Some(Expect::Bytes(b"\xff".to_vec())));
    }

    #[test]
    fn errors_are_reported_at_their_steps() {
        let errors = resolve(
            json!([
                {},
                {"expect": "(", "send": "x"},
                {"expect": "a", "expect_bytes": "a"},
                {"send": "x", "labels": [{"name": "a", "value": "b"}]},
                {"expect": "x", "labels": [{"name": "1a"}, {"name": "__a"}, {"name": "b"}, {"name": "b"}]},
                {"starttls": true},
                {"starttls": true},
            ]),
            false,
        )
        .unwrap_err();
        assert_eq!(
            errors,
            [
                "query_response[0]: this step does nothing: add expect, expect_bytes, send or starttls: true",
                "query_response[1].expect: \"(\" is not a regular expression: unclosed group",
                "query_response[2].expect_bytes: give one of expect and expect_bytes, not both",
                "query_response[3].labels: labels need expect in the same step",
                "query_response[4].labels[0].name: \"1a\" is not a label name: write letters, digits and _, not \
                 beginning with a digit or __",
                "query_response[4].labels[1].name: \"__a\" is not a label name: write letters, digits and _, not \
                 beginning with a digit or __",
                "query_response[4].labels[3].name: duplicate label \"b\": remove it",
                "query_response[6].starttls: the connection already uses TLS: remove starttls",
            ]
        );
        let errors = resolve(json!([{"starttls": true}]), true).unwrap_err();
        assert_eq!(
            errors,
            ["query_response[0].starttls: the connection already uses TLS: remove starttls"]
        );
    }
}
