//! Messages for the errors of the YAML parser, with advice.

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
        | ErrorKind::TabInPlainScalar => "YAML does not allow a tab here: indent with spaces".to_owned(),
        ErrorKind::RecursionLimitExceeded => too_deep(),
        kind => match hint(kind) {
            Some(hint) => format!("not valid YAML: {kind}; {hint}"),
            None => format!("not valid YAML: {kind}"),
        },
    }
}

/// The position of the error. The parser reports a tab at the end of the token before it; this returns the tab itself.
pub fn mark(error: &ScanError, text: &str) -> Mark {
    let mut mark = Mark::from_marker(error.marker());
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
    Mark::from_marker(error.marker())
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

/// The message for nesting that is too deep.
pub fn too_deep() -> String {
    format!("lists and mappings are nested more than {MAX_DEPTH} levels deep: a configuration needs about 6")
}

fn hint(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            "put a text with \": \" in quotes, and each key on its own line"
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            "write \"key: value\", with a space after the colon"
        }
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::InvalidIndentation
        | ErrorKind::BlockSequenceEntryNotAllowed
        | ErrorKind::MappingKeyNotAllowed => "indent keys of one mapping and items of one list equally",
        ErrorKind::UnclosedQuotedScalar => "close the quote",
        ErrorKind::UnclosedFlowCollection { .. }
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping => "close the bracket",
        ErrorKind::UnknownQuotedScalarEscape => {
            "write \\\\ for a backslash in double quotes, or use single quotes"
        }
        ErrorKind::UnexpectedCharacter { .. } => "put the text in quotes",
        _ => return None,
    })
}
