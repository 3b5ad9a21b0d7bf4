//! Replies: responses whose body is not yet bound to a connection.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::body::{Content, ResponseBody, ResponseInProgress};
use super::encoding::Encoding;

/// A response whose body is not yet bound to a connection.
pub(super) struct Reply {
    status: StatusCode,
    content: Content,
    headers: HeaderMap,
}

impl Reply {
    /// Creates a reply with plain text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Content::Text(text.into()))
    }

    /// Creates a reply with a text of this media type.
    pub fn typed(status: StatusCode, content_type: &'static str, text: impl Into<Bytes>) -> Self {
        Self::new(status, content_type, Content::Text(text.into()))
    }

    /// Creates a reply with JSON.
    pub fn json(status: StatusCode, content: Content) -> Self {
        Self::new(status, "application/json", content)
    }

    /// Creates a reply with any content.
    pub fn new(status: StatusCode, content_type: &'static str, content: Content) -> Self {
        Self {
            status,
            content,
            headers: HeaderMap::new(),
        }
        .with(CONTENT_TYPE.as_str(), content_type)
        .with("x-content-type-options", "nosniff")
    }

    /// Sets a header field. The name is in lower case.
    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers
            .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    /// Sets a header field to a value that is computed.
    pub fn with_value(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets `Content-Encoding` to the encoding of the content.
    pub fn encoded(self, encoding: Encoding) -> Self {
        match encoding {
            Encoding::Gzip => self.with(CONTENT_ENCODING.as_str(), "gzip"),
            Encoding::Identity => self,
        }
    }

    /// Builds the response. `in_progress` lives as long as its body.
    pub fn into_response(self, in_progress: ResponseInProgress) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::new(self.content, in_progress));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
