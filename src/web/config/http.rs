//! Settings of HTTP: the version, and header fields for every response.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::options::{HeaderOptions, HttpServerOptions};
use crate::config::place::{Invalid, Place};

/// The settings of HTTP.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Whether HTTP/2 is offered over TLS.
    pub http2: bool,
    /// Header fields that are set on every response.
    pub headers: HeaderMap,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            http2: true,
            headers: HeaderMap::new(),
        }
    }
}

impl HttpServerOptions {
    /// Resolves the options.
    pub(super) fn resolve(self, place: &Place<'_>) -> Result<HttpSettings, Invalid> {
        let headers = self
            .headers
            .unwrap_or_default()
            .resolve(&place.field("headers"))?;
        Ok(HttpSettings {
            http2: self.http2.unwrap_or(true),
            headers,
        })
    }
}

impl HeaderOptions {
    fn resolve(self, place: &Place<'_>) -> Result<HeaderMap, Invalid> {
        let mut headers = HeaderMap::new();
        let mut result = Ok(());
        // The last column lists the allowed values; empty allows any.
        let rows: [(&'static str, Option<String>, &[&str]); 5] = [
            ("Content-Security-Policy", self.content_security_policy, &[]),
            ("X-Frame-Options", self.x_frame_options, &["deny", "sameorigin"]),
            (
                "X-Content-Type-Options",
                self.x_content_type_options,
                &["nosniff"],
            ),
            ("X-XSS-Protection", self.x_xss_protection, &[]),
            ("Strict-Transport-Security", self.strict_transport_security, &[]),
        ];
        for (name, value, allowed) in rows {
            // The toolkit treats an empty text as absent.
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            let place = place.field(name);
            if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
                result = Err(place.error(format_args!(
                    "is not a supported value: use {}",
                    allowed.join(" or ")
                )));
                continue;
            }
            match (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
                _ => result = Err(place.error("is not a valid header value: use one line of text")),
            }
        }
        result.map(|()| headers)
    }
}
