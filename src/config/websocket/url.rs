//! The URL of a WebSocket. Its public form contains neither query nor fragment.

use crate::config::address::HostPort;
use crate::config::http::TargetUrl;

/// The schemes of WebSockets (RFC 6455, section 3), with those of the HTTP request that opens them.
const SCHEMES: [(&str, &str); 2] = [("wss://", "https://"), ("ws://", "http://")];

/// A ws or wss URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebsocketUrl {
    /// The URL of the request, with the scheme http or https.
    request: TargetUrl,
}

impl WebsocketUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// What is wrong and what to write instead. The URL is not quoted, because it may contain a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let starts_with = |scheme: &str| {
            let start = text.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        };
        let scheme = SCHEMES.iter().find(|(scheme, _)| starts_with(scheme));
        let Some((scheme, of_request)) = scheme else {
            return Err(
                "not a WebSocket URL: write a URL such as ws://127.0.0.1:8000/events or wss://example.org/"
                    .to_owned(),
            );
        };
        let (request, user_info) = TargetUrl::parse(&format!("{of_request}{}", &text[scheme.len()..]))
            .map_err(|error| in_words_of_websockets(&error))?;
        match user_info {
            // RFC 6455, section 3.
            Some(_) => {
                Err("a WebSocket URL can't contain a user name or password: use basic_auth".to_owned())
            }
            None => Ok(Self { request }),
        }
    }

    /// The URL of the HTTP request.
    pub fn request(&self) -> &TargetUrl {
        &self.request
    }

    /// Whether the connection uses TLS.
    pub fn is_secure(&self) -> bool {
        self.request.is_https()
    }

    /// The address to connect to.
    pub fn address(&self) -> HostPort {
        self.request.address()
    }

    /// Whether the URL has a query, which [`Self::shown`] leaves out.
    pub fn has_query(&self) -> bool {
        self.request.expose().query().is_some()
    }

    /// The URL up to its path, for people.
    pub fn shown(&self) -> String {
        let shown = self.request.shown();
        let rest = shown.split_once("://").map_or(&*shown, |(_, rest)| rest);
        let scheme = if self.is_secure() { "wss" } else { "ws" };
        format!("{scheme}://{rest}")
    }
}

/// A message about a URL, with an example of a WebSocket.
fn in_words_of_websockets(message: &str) -> String {
    message.replace("http://127.0.0.1:8000/health", "ws://127.0.0.1:8000/events")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_decides_on_tls_and_on_the_port() {
        for (text, shown, address, is_secure) in [
            ("ws://a/b?token=x", "ws://a/b", "a:80", false),
            ("WSS://A", "wss://a/", "a:443", true),
            ("ws://[::1]:81/", "ws://[::1]:81/", "[::1]:81", false),
        ] {
            let url = WebsocketUrl::parse(text).unwrap();
            assert_eq!(url.shown(), shown);
            assert_eq!(
                (url.address().to_string().as_str(), url.is_secure()),
                (address, is_secure)
            );
        }
        let url = WebsocketUrl::parse("ws://a/b?token=x").unwrap();
        assert_eq!(url.request().path_and_query(), "/b?token=x");
        assert!(url.has_query());
    }

    #[test]
    fn errors_do_not_quote_the_text() {
        for (text, error) in [
            ("http://a/", "not a WebSocket URL: write a URL such as"),
            ("a:80", "not a WebSocket URL"),
            ("", "not a WebSocket URL"),
            (
                "ws://",
                "not a URL (empty host): write a URL such as ws://127.0.0.1:8000/events",
            ),
            (
                "ws://me:secret@a/",
                "a WebSocket URL can't contain a user name or password",
            ),
            ("ws://a:0/", "port 0 is not valid"),
        ] {
            let message = WebsocketUrl::parse(text).unwrap_err();
            assert!(message.starts_with(error), "{text}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
