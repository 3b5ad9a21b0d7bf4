//! The templates of a step, with the groups of its expression inserted.

use crate::config::dialogue::Step;
use crate::config::pattern::Groups;
use crate::model::truncate;

/// The maximum length of a label value, in bytes.
const MAX_LABEL_BYTES: usize = 256;

/// The templates of a step, expanded with the text that matched.
#[derive(Debug, Default)]
pub struct Expanded {
    /// The bytes to send.
    pub send: Vec<u8>,
    /// The label values.
    pub labels: Vec<String>,
}

impl Expanded {
    /// Expands the templates of a step.
    pub fn new(step: &Step, captures: &Groups<'_, '_>) -> Self {
        let expand = |template: &[u8]| {
            let mut text = Vec::new();
            captures.expand(template, &mut text);
            text
        };
        let labels = step.labels.iter();
        Self {
            send: step
                .send
                .as_ref()
                .map(|send| expand(send.expose()))
                .unwrap_or_default(),
            labels: labels
                .map(|(_, value)| label(&expand(value.as_bytes())))
                .collect(),
        }
    }
}

/// Converts bytes to a label value of bounded length.
fn label(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    truncate(&mut text, MAX_LABEL_BYTES);
    text
}
