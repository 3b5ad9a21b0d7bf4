//! What the YAML parser complains about, in words that say what would be right.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::MAX_DEPTH;
use super::tree::Mark;

/// The message for an error of the parser. It never quotes a text of the file.
pub fn message(error: &ScanError) -> String {
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            "a tab stands where YAML wants spaces: indent with spaces".to_owned()
        }
        ErrorKind::RecursionLimitExceeded => too_deep(),
        kind => match hint(kind) {
            Some(hint) => format!("not valid YAML: {kind}; {hint}"),
            None => format!("not valid YAML: {kind}"),
        },
    }
}

/// Where the error is. The parser tells tabs at the end of what it read before them: the tab itself is shown.
pub fn mark(error: &ScanError, text: &str) -> Mark {
    let mut mark = Mark::of(error.marker());
    let Some(offset) = error.marker().byte_offset().filter(|_| is_tab(error.kind())) else {
        return mark;
    };
    for character in text.get(offset..).unwrap_or_default().chars() {
        match character {
            '\t' => return mark,
            '\n' => {
                mark = Mark {
                    line: mark.line + 1,
                    column: 1,
                }
            }
            _ => mark.column += 1,
        }
    }
    Mark::of(error.marker())
}

fn is_tab(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInPlainScalar
    )
}

/// The message for too deep a nesting.
pub fn too_deep() -> String {
    format!("lists and mappings are nested more than {MAX_DEPTH} deep: a configuration needs about 6")
}

fn hint(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "put quotes around a text that holds \": \", and give each key a line of its own"
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "write \"key: value\", with a space after the colon"
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::MappingKeyNotAllowed => "indent what belongs together by the same number of spaces",
        ErrorKind::UnclosedQuotedScalar => "close the quote that was opened",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping => "close the bracket that was opened",
        ErrorKind::UnknownQuotedScalarEscape => {
            "write \\\\ for a backslash in double quotes, or use single quotes"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put quotes around the text",
        _ => return None,
    })
}
