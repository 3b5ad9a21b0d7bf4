//! What a redirect may take along, and how its `Location` is read.

use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_ENCODING, ACCEPT_LANGUAGE, CACHE_CONTROL, CONNECTION, HOST, PRAGMA,
    USER_AGENT,
};
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_encode_byte;
use url::Url;

/// The headers that go to other hosts too. They say what is accepted, and hold no secrets; any other one may.
const OPEN_HEADERS: [HeaderName; 8] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_ENCODING,
    ACCEPT_LANGUAGE,
    CACHE_CONTROL,
    CONNECTION,
    PRAGMA,
    USER_AGENT,
];

/// Whether a header holds no secret.
pub fn is_open(name: &HeaderName) -> bool {
    OPEN_HEADERS.contains(name) || *name == HOST
}

/// The headers that another server may have.
pub fn open(headers: HeaderMap) -> HeaderMap {
    let mut open = HeaderMap::with_capacity(headers.len());
    for name in headers.keys().filter(|name| is_open(name)) {
        for value in headers.get_all(name) {
            open.append(name.clone(), value.clone());
        }
    }
    open
}

/// Whether a URL leads to the configured server: to its host and port, or from http to https on its host, as servers redirect
/// from port 8080 to 8443. On another port of the same scheme there may be another program, whose it is nobody knows.
pub fn is_same_server(configured: &Url, next: &Url) -> bool {
    let (here, there) = (configured.port_or_known_default(), next.port_or_known_default());
    let is_same = configured.scheme() == next.scheme() && here == there;
    let is_upgrade = (configured.scheme(), next.scheme()) == ("http", "https");
    configured.host() == next.host() && (is_same || is_upgrade)
}

/// A `Location` as a URL: bytes that are no ASCII are percent-encoded as they are, in whatever encoding they were meant, as
/// browsers and curl do it. The parser of URLs sees to blanks.
pub fn written(location: &[u8]) -> String {
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
