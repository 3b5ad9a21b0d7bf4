//! Parses a store's XML: the name of the root element and, for an error, its code and the region. Other texts of an error are
//! ignored, because they may repeat the request with its signature.

use xmlparser::{ElementEnd, Token, Tokenizer};

/// The maximum length of a code or region, in bytes.
const MAX_WORD: usize = 64;

/// A document.
#[derive(Debug, PartialEq, Eq)]
pub enum Document<'x> {
    /// An error.
    Error {
        /// The code, such as `NoSuchBucket`.
        code: &'x str,
        /// The region of the store or the bucket, if the error names it.
        region: Option<&'x str>,
    },
    /// Any other document, by the name of its root element.
    Other(&'x str),
}

/// Parses a document; `None` if it is not XML, or an error without a code.
pub fn read(body: &[u8]) -> Option<Document<'_>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut tokens = Tokenizer::from(text);
    let root = loop {
        match tokens.next()?.ok()? {
            Token::ElementStart { local, .. } => break local.as_str(),
            Token::Declaration { .. } | Token::Comment { .. } | Token::ProcessingInstruction { .. } => {}
            // S3 sends no document types, but web pages start with one.
            _ => return None,
        }
    };
    if root != "Error" {
        return Some(Document::Other(root));
    }
    let (mut code, mut region) = (None, None);
    let mut path = vec![root];
    for token in tokens {
        match token.ok()? {
            Token::ElementStart { local, .. } => path.push(local.as_str()),
            Token::ElementEnd {
                end: ElementEnd::Close(..) | ElementEnd::Empty,
                ..
            } => {
                path.pop()?;
            }
            Token::Text { text } => match path[..] {
                [_, "Code"] => code = word(text.as_str()),
                [_, "Region"] => region = word(text.as_str()),
                _ => {}
            },
            _ => {}
        }
    }
    Some(Document::Error { code: code?, region })
}

/// The text if it is a word that is safe to show.
pub fn word(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!text.is_empty() && text.len() <= MAX_WORD && text.bytes().all(is_word)).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_of_real_stores_are_parsed() {
        let minio = br#"<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message><BucketName>raw</BucketName></Error>"#;
        let code = |code| Document::Error { code, region: None };
        assert_eq!(read(minio), Some(code("NoSuchBucket")));
        let aws = b"<Error xmlns='x'><!-- c -->\n <Code>AuthorizationHeaderMalformed</Code>\n <Region>eu-west-1</Region></Error>";
        let expected = Document::Error {
            code: "AuthorizationHeaderMalformed",
            region: Some("eu-west-1"),
        };
        assert_eq!(read(aws), Some(expected));
        // A nested code is ignored.
        let nested = b"<Error><Code>A</Code><Inner><Code>B</Code></Inner><Empty/></Error>";
        assert_eq!(read(nested), Some(code("A")));
        assert_eq!(
            read(b"<LocationConstraint/>"),
            Some(Document::Other("LocationConstraint"))
        );
    }

    #[test]
    fn other_texts_are_not_documents() {
        for text in [
            "",
            "fine",
            "{\"Code\": \"x\"}",
            "<!DOCTYPE html><html></html>",
            "<Error><Message>x</Message></Error>",
            "<Error><Code>two words</Code></Error>",
            "<Error><Code></Code></Error>",
            "<Error><Code>A</Code",
            "<Error><Code>A</Code></Error></Error>",
        ] {
            assert_eq!(read(text.as_bytes()), None, "{text}");
        }
        assert_eq!(read(b"<Error>\xff<Code>A</Code></Error>"), None);
        let long = format!("<Error><Code>{}</Code></Error>", "a".repeat(65));
        assert_eq!(read(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in "(<|>|/|Error|Code|Region|a|=|'|&|!|\\[|\\]|-|\\?| |\u{e9}){0,40}") {
            let _ = read(text.as_bytes());
            let _ = read(format!("<Error>{text}</Error>").as_bytes());
        }
    }
}
