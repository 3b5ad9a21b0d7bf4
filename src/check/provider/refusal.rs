//! A response with an error status, and the error that its body describes. Providers use different JSON objects for that; this reads
//! the fields of all of them.

use http::HeaderMap;
use serde_json::Value;

/// The maximum number of words of an error. Providers send at most four.
const MAX_CODES: usize = 8;
/// The longest word, in bytes. The longest known one has 34: `organization_spend_limit_exceeded`.
const MAX_CODE_BYTES: usize = 64;

/// The part of a body that is read, in bytes. Errors have less than 1 kB, pages of HTML some kB.
const MAX_BODY_BYTES: usize = 64 << 10;

/// A response whose status is not 2xx.
#[derive(Debug)]
pub struct Refusal<'a> {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The machine-readable words of the error, such as `invalid_api_key`, in lower case.
    codes: Vec<String>,
    /// The text for people, in lower case.
    message: String,
    /// Whether the body is a page of HTML. No API of a provider sends one.
    pub is_page: bool,
}

/// Whether a body is a page of HTML.
pub fn is_page(body: &[u8]) -> bool {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    text.trim_ascii_start().starts_with(b"<")
}

impl<'a> Refusal<'a> {
    /// Reads the body. A body that is not JSON has no codes, and its text is the message.
    pub fn new(status: u16, headers: &'a HeaderMap, body: &[u8]) -> Self {
        let mut refusal = Self {
            status,
            headers,
            codes: Vec::new(),
            message: String::new(),
            is_page: is_page(body),
        };
        let body = &body[..body.len().min(MAX_BODY_BYTES)];
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => refusal.read(&value),
            Err(_) => refusal.message = String::from_utf8_lossy(body).to_lowercase(),
        }
        refusal
    }

    fn read(&mut self, value: &Value) {
        // Gemini sends an array with one error when a client asks for a stream.
        let value = value.get(0).unwrap_or(value);
        let error = match value.get("error") {
            Some(error @ Value::Object(_)) => error,
            Some(Value::String(text)) => {
                // Ollama and Hugging Face.
                self.add_message(text);
                value
            }
            _ => value,
        };
        for key in ["type", "code", "status", "error_code"] {
            self.add_code(&error[key]);
        }
        let details = &error["details"];
        // Anthropic: an object. Gemini: a list with an ErrorInfo (google.rpc.ErrorInfo).
        self.add_code(&details["error_code"]);
        for detail in details.as_array().into_iter().flatten() {
            self.add_code(&detail["reason"]);
        }
        // OpenRouter.
        self.add_code(&error["metadata"]["error_type"]);
        self.add_code(&error["metadata"]["limit_source"]);
        for text in [&error["message"], &value["detail"], &value["message"]] {
            if let Some(text) = text.as_str() {
                self.add_message(text);
            }
        }
    }

    fn add_code(&mut self, value: &Value) {
        let is_word = |text: &str| {
            (1..=MAX_CODE_BYTES).contains(&text.len())
                && text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
        };
        if let Some(text) = value.as_str().filter(|text| is_word(text)) {
            let code = text.to_ascii_lowercase();
            // "error" is the type of Anthropic's whole object.
            if code != "error" && self.codes.len() < MAX_CODES && !self.codes.contains(&code) {
                self.codes.push(code);
            }
        }
    }

    fn add_message(&mut self, text: &str) {
        if self.message.is_empty() {
            self.message = text.to_lowercase();
        }
    }

    /// Whether the error has one of these words.
    pub fn has_code(&self, words: &[&str]) -> bool {
        self.codes.iter().any(|code| words.contains(&code.as_str()))
    }

    /// Whether the message for people contains one of these texts, which are in lower case.
    pub fn says(&self, texts: &[&str]) -> bool {
        texts.iter().any(|text| self.message.contains(text))
    }

    /// The status and the words, for people. The message of the provider is left out, because some quote a part of the key.
    pub fn describe(&self) -> String {
        match self.codes.is_empty() {
            true => format!("status {}", self.status),
            false => format!("status {}, {}", self.status, self.codes.join(", ")),
        }
    }
}
