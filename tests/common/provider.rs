//! A fake provider of models: an HTTP server that responds as a function of the test says.

use std::sync::Arc;

use tokio::io::AsyncWriteExt;

use super::targets::{Target, read_request};

/// A request, with its head.
pub struct Request {
    /// The path with the query.
    pub path: String,
    head: String,
}

impl Request {
    fn parse(bytes: &[u8]) -> Self {
        let head = String::from_utf8_lossy(bytes).into_owned();
        Self {
            path: head.split(' ').nth(1).unwrap_or_default().to_owned(),
            head,
        }
    }

    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// Whether the request has this key as a bearer token.
    pub fn has_bearer(&self, key: &str) -> bool {
        self.header("authorization") == Some(&format!("Bearer {key}"))
    }
}

/// A response.
#[derive(Clone)]
pub struct Reply {
    pub status: u16,
    /// Header lines, each with its line break.
    pub headers: String,
    pub body: String,
}

impl Reply {
    pub fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            headers: String::new(),
            body: body.into(),
        }
    }

    pub fn with(mut self, header: &str) -> Self {
        self.headers.push_str(header);
        self.headers.push_str("\r\n");
        self
    }
}

/// Starts a provider. Its [`Target::received`] has all requests.
pub async fn provider(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Target {
    let answer = Arc::new(answer);
    Target::serve(move |mut stream, _, state| {
        let answer = Arc::clone(&answer);
        async move {
            loop {
                let request = read_request(&mut stream).await;
                if request.is_empty() {
                    return Some(stream);
                }
                state.record(&request);
                let reply = answer(&Request::parse(&request));
                let Reply {
                    status,
                    headers,
                    body,
                } = reply;
                let head = format!(
                    "HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
                    body.len()
                );
                if stream.write_all(head.as_bytes()).await.is_err()
                    || stream.write_all(body.as_bytes()).await.is_err()
                {
                    return Some(stream);
                }
            }
        }
    })
    .await
}

/// A list of models with these ids, as OpenAI sends it.
pub fn openai_list(ids: &[&str]) -> String {
    let models = ids
        .iter()
        .map(|id| serde_json::json!({"id": id, "object": "model", "created": 1_700_000_000}));
    serde_json::json!({"object": "list", "data": models.collect::<Vec<_>>()}).to_string()
}

/// A provider with OpenAI's API that accepts only this key, and lists these models.
pub async fn openai(key: &'static str, ids: &'static [&'static str]) -> Target {
    provider(move |request| match request.has_bearer(key) {
        true => Reply::new(200, openai_list(ids)),
        false => Reply::new(
            401,
            r#"{"error":{"code":"invalid_api_key","message":"Incorrect API key provided"}}"#,
        ),
    })
    .await
}
