//! Which headers may follow a redirect to another server, and how a `Location` is parsed.

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, HOST, PRAGMA,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_encode_byte;
use url::Url;

/// The headers that are also sent to other servers. They do not contain secrets; any other header may.
const SHAREABLE_HEADERS: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONNECTION,
    PRAGMA,
    USER_AGENT,
];

/// Whether a header contains no secret.
pub fn is_shareable(name: &HeaderName) -> bool {
    SHAREABLE_HEADERS.contains(name) || *name == HOST
}

/// Returns the headers that may be sent to another server.
pub fn shareable_headers(headers: HeaderMap) -> HeaderMap {
    let mut shareable = HeaderMap::with_capacity(headers.len());
    for name in headers.keys().filter(|name| is_shareable(name)) {
        for value in headers.get_all(name) {
            shareable.append(name.clone(), value.clone());
        }
    }
    shareable
}

/// Whether a URL belongs to the configured server: the same host and port, or https instead of http on the same host, such as
/// a redirect from port 8080 to 8443. On another port with the same scheme, there may be another program.
pub fn is_same_server(configured: &Url, next: &Url) -> bool {
    let (here, there) = (configured.port_or_known_default(), next.port_or_known_default());
    let is_same = configured.scheme() == next.scheme() && here == there;
    let is_upgrade = (configured.scheme(), next.scheme()) == ("http", "https");
    configured.host() == next.host() && (is_same || is_upgrade)
}

/// Converts a `Location` to a URL. Bytes that are not ASCII are percent-encoded without decoding them, as in browsers and curl.
/// [`crate::config::http::TargetUrl::join`] encodes the rest.
pub fn decode_location(location: &[u8]) -> String {
    let location = location.trim_ascii();
    let mut url = String::with_capacity(location.len());
    for byte in location {
        match byte.is_ascii() {
            true => url.push(char::from(*byte)),
            false => url.push_str(percent_encode_byte(*byte)),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_server_has_the_same_host_and_port() {
        for (configured, next, is_same) in [
            ("http://a/", "http://a/b", true),
            ("http://a/", "http://A:80/b", true),
            ("http://a:81/", "http://a:81/b", true),
            ("http://a/", "https://a/", true),
            ("https://a/", "https://a:443/", true),
            ("http://a/", "http://b/", false),
            ("http://a/", "http://x.a/", false),
            ("http://a/", "http://a:81/", false),
            ("http://a:81/", "http://a/", false),
            ("http://a:81/", "https://a/", true),
            ("http://a:8080/", "https://a:8443/", true),
            ("https://a:8443/", "http://a:8080/", false),
            ("http://a:8080/", "http://a:8081/", false),
            ("https://a/", "http://a/", false),
            ("https://a/", "http://a:443/", false),
        ] {
            let [one, two] = [configured, next].map(|url| Url::parse(url).unwrap());
            assert_eq!(is_same_server(&one, &two), is_same, "{configured} to {next}");
        }
    }
}
