//! Scalars that stand for bytes: the tag `!!binary`, and `\xNN` in double quotes.

use std::rc::Rc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_yaml::granit_parser::{Event, Parser, Tag};

use super::tree::{Bytes, Mark, Node, Value};

/// Stands for the byte 0 in a text that is parsed a second time, byte N for this plus N. The characters are of a private use area
/// (The Unicode Standard, section 23.5).
const FIRST_BYTE: u32 = 0x0010_F000;

/// Whether a scalar has the tag `!!binary`, which is not in the core schema.
pub(super) fn is_binary(tag: &Tag) -> bool {
    tag.suffix_in_namespace("tag:yaml.org,2002:").as_deref() == Some("binary")
}

/// The node of a scalar with the tag `!!binary`: a text, if its bytes are UTF-8.
pub(super) fn binary_node(mark: Mark, text: &str) -> Result<Node, &'static str> {
    let bytes = decode_binary(text)
        .ok_or("the value of !!binary is not base64: encode it, for example with base64 -w0")?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Node::new(mark, Value::Text(text.into())),
        Err(error) => Node {
            bytes: Some(Rc::new(Bytes {
                bytes: error.into_bytes(),
                is_text: false,
            })),
            ..Node::new(mark, Value::Text(Rc::default()))
        },
    })
}

/// Decodes a scalar with the tag `!!binary` (yaml.org/type/binary.html): base64, in which white space is ignored.
fn decode_binary(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let digits: String = text.split_whitespace().collect();
    GeneralPurpose::new(&STANDARD, config).decode(digits).ok()
}

/// The bytes of a scalar in double quotes, `source`, in which `\xNN` is a byte. `None` if no such escape is above `\x7f`: then its
/// text has the same bytes.
pub(super) fn escaped_bytes(source: &str) -> Option<Rc<Bytes>> {
    let marked = mark_escapes(source)?;
    let parsed = Parser::new_from_str(&marked).find_map(|event| match event {
        Ok((Event::Scalar(text, ..), _)) => Some(text.into_owned()),
        _ => None,
    })?;
    let mut bytes = Vec::with_capacity(parsed.len());
    for character in parsed.chars() {
        match u32::from(character).checked_sub(FIRST_BYTE).map(u8::try_from) {
            Some(Ok(byte)) => bytes.push(byte),
            _ => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(Rc::new(Bytes { bytes, is_text: true }))
}

/// Replaces escapes of bytes above `\x7f` by characters that stand for them. `None` if there are none.
fn mark_escapes(source: &str) -> Option<String> {
    let mut marked = String::with_capacity(source.len());
    let mut rest = source;
    let mut has_bytes = false;
    while let Some(at) = rest.find('\\') {
        marked.push_str(&rest[..at]);
        let escape = &rest[at..];
        let byte = escape
            .strip_prefix("\\x")
            .and_then(|digits| digits.get(..2))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let length = match byte.filter(|byte| !byte.is_ascii()) {
            Some(byte) => {
                has_bytes = true;
                marked.extend(char::from_u32(FIRST_BYTE + u32::from(byte)));
                4
            }
            None => {
                // The escaped character, which may be another backslash.
                let length = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
                marked.push_str(&escape[..length]);
                length
            }
        };
        rest = &escape[length..];
    }
    marked.push_str(rest);
    has_bytes.then_some(marked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_is_base64_with_any_white_space_and_padding() {
        let request = b"\0\0\0\x08\x04\xd2\x16\x2f";
        for text in ["AAAACATSFi8=", "AAAACATSFi8", " AAAA\n  CATS Fi8= "] {
            assert_eq!(decode_binary(text).as_deref(), Some(&request[..]), "{text}");
        }
        assert_eq!(decode_binary("AAA*"), None);
    }

    #[test]
    fn escapes_above_7f_are_bytes() {
        for (source, bytes) in [
            (r#""\xd2""#, Some(&b"\xd2"[..])),
            (r#""a\xFFb\x00\n""#, Some(&b"a\xffb\0\n"[..])),
            (
                r#""\xc3\x92 \u00d2 \u0416""#,
                Some("\u{d2} \u{d2} \u{416}".as_bytes()),
            ),
            (r#""\\xd2""#, None),
            (r#""\\\xd2""#, Some(&b"\\\xd2"[..])),
            (r#""\x41 d""#, None),
            (r#""\x""#, None),
        ] {
            let found = escaped_bytes(source);
            assert_eq!(found.as_ref().map(|found| &found.bytes[..]), bytes, "{source}");
        }
    }
}
