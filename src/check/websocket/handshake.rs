//! The opening handshake of a WebSocket (RFC 6455, section 4): the upgrade request, and whether the response accepts it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONNECTION, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, response};

use crate::config::websocket::WebsocketSettings;
use crate::model::{self, Problem, Reason, UsedSecrets};
use crate::net::http::{add_header_files, authorization};

/// Appended to the key before hashing (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// The length of a key before encoding, in bytes (RFC 6455, section 4.1).
const KEY_BYTES: usize = 16;

/// One handshake, with its key.
#[derive(Debug)]
pub struct Handshake {
    key: String,
}

impl Handshake {
    /// Starts a handshake with a random key.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn new() -> Result<Self, Problem> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| {
            Problem::new(
                Reason::Internal,
                format_args!("random bytes for the key: {error}"),
            )
        })?;
        Ok(Self {
            key: STANDARD.encode(key),
        })
    }

    /// The upgrade request.
    ///
    /// # Errors
    /// If a secret can't be read.
    pub fn request(&self, settings: &WebsocketSettings) -> Result<Request<Bytes>, Problem> {
        let url = settings.url.request();
        let mut headers = HeaderMap::with_capacity(8);
        let authority = HeaderValue::from_str(url.authority()).map_err(|error| invalid(settings, &error))?;
        headers.insert(HOST, settings.host().unwrap_or(authority));
        headers.insert(USER_AGENT, HeaderValue::from_static(model::USER_AGENT));
        let mut configured = HeaderMap::new();
        for (name, value) in settings.headers.iter().filter(|(name, _)| *name != HOST) {
            // The configuration rejects invalid values.
            if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
                value.set_sensitive(true);
                configured.append(name.clone(), value);
            }
        }
        add_header_files(&mut configured, &settings.header_files)?;
        // Configured headers replace the defaults.
        headers.extend(configured);
        if let Some(credentials) = &settings.credentials {
            headers.insert(AUTHORIZATION, authorization(credentials)?);
        }
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        let key = HeaderValue::from_str(&self.key).map_err(|error| invalid(settings, &error))?;
        headers.insert(SEC_WEBSOCKET_KEY, key);
        if let Some(query) = url.expose().query() {
            UsedSecrets::record(&format!("&{query}").into());
        }
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() =
            Uri::try_from(url.path_and_query()).map_err(|error| invalid(settings, &error))?;
        *request.headers_mut() = headers;
        Ok(request)
    }

    /// Judges the response. `sent_credentials` is whether the request contained any.
    ///
    /// # Errors
    /// Why the connection is not a WebSocket.
    pub fn judge(&self, head: &response::Parts, sent_credentials: bool) -> Result<(), Problem> {
        let failed = |reason, message: String| Err(Problem::new(reason, message));
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            let name = head.status.canonical_reason().unwrap_or_default();
            let reason = match head.status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if sent_credentials => Reason::Auth,
                _ => Reason::Status,
            };
            let status = format!("{} {name}", head.status.as_u16());
            return failed(
                reason,
                format!(
                    "the status is {}, expected 101 Switching Protocols",
                    status.trim_end()
                ),
            );
        }
        for (header, token) in [(UPGRADE, "websocket"), (CONNECTION, "upgrade")] {
            if !has_token(&head.headers, &header, token) {
                return failed(
                    Reason::Protocol,
                    format!("the response has no header {header} with \"{token}\""),
                );
            }
        }
        let accept = head.headers.get(SEC_WEBSOCKET_ACCEPT);
        match accept.is_some_and(|accept| accept.as_bytes().trim_ascii() == self.accept().as_bytes()) {
            true => Ok(()),
            false => failed(
                Reason::Protocol,
                "Sec-WebSocket-Accept does not match the key of the request".to_owned(),
            ),
        }
    }

    /// The value that proves that the server read the key.
    fn accept(&self) -> String {
        let text = format!("{}{GUID}", self.key);
        STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
    }
}

/// Whether a header contains the token, in a list separated by commas, in upper or lower case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.any(|listed| listed.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

fn invalid(settings: &WebsocketSettings, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Reason::Protocol,
        format_args!("{} can't be requested: {error}", settings.url.shown()),
    )
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    /// The example of RFC 6455, section 1.3.
    fn example() -> Handshake {
        Handshake {
            key: "dGhlIHNhbXBsZSBub25jZQ==".to_owned(),
        }
    }

    fn judge(status: u16, headers: &[(&str, &str)], sent_credentials: bool) -> Result<(), Problem> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let head = response.body(()).unwrap().into_parts().0;
        example().judge(&head, sent_credentials)
    }

    #[test]
    fn only_a_response_to_the_key_is_accepted() {
        let accept = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let (upgrade, connection) = (
            ("Upgrade", "h2c, WebSocket"),
            ("Connection", "keep-alive, Upgrade"),
        );
        judge(101, &[upgrade, connection, accept], false).unwrap();
        for (status, headers, sent_credentials, reason, part) in [
            (
                200,
                vec![upgrade, connection, accept],
                false,
                Reason::Status,
                "200 OK",
            ),
            (403, vec![], false, Reason::Status, "403 Forbidden"),
            (401, vec![], true, Reason::Auth, "401 Unauthorized"),
            (
                999,
                vec![],
                false,
                Reason::Status,
                "the status is 999, expected 101",
            ),
            (
                101,
                vec![connection, accept],
                false,
                Reason::Protocol,
                "header upgrade",
            ),
            (
                101,
                vec![upgrade, accept],
                false,
                Reason::Protocol,
                "header connection",
            ),
            (
                101,
                vec![upgrade, connection],
                false,
                Reason::Protocol,
                "Sec-WebSocket-Accept",
            ),
            (
                101,
                vec![
                    upgrade,
                    connection,
                    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xO0="),
                ],
                false,
                Reason::Protocol,
                "Sec-WebSocket-Accept",
            ),
        ] {
            let problem = judge(status, &headers, sent_credentials).unwrap_err();
            assert_eq!(problem.reason, reason, "{problem}");
            assert!(problem.message().contains(part), "{problem}");
        }
    }

    #[test]
    fn every_handshake_has_another_key() {
        let (one, two) = (Handshake::new().unwrap(), Handshake::new().unwrap());
        assert_ne!(one.key, two.key);
        assert_eq!(STANDARD.decode(&one.key).unwrap().len(), KEY_BYTES);
    }
}
