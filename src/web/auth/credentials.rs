//! Credentials of basic authentication (RFC 7617).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

/// A user and a password, not verified.
pub(super) struct Credentials {
    pub user: String,
    pub password: Vec<u8>,
}

impl Credentials {
    /// Parses the field `Authorization`. The name of the scheme is case-insensitive (RFC 9110, section 11.1).
    pub fn parse(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let mut decoded = BASE64_STANDARD.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let password = decoded.split_off(colon + 1);
        decoded.truncate(colon);
        Some(Self {
            user: String::from_utf8(decoded).ok()?,
            password,
        })
    }
}
