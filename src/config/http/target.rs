//! The URL of a target. Its public form never contains user info, query or fragment.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::request_target::{RequestTarget, has_scheme};
use crate::config::address::HostPort;
use crate::config::zone;

/// An http or https URL without user info and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl {
    url: Url,
    /// What is sent, where the path and query of `url` are normalized.
    target: RequestTarget,
    /// The zone of a link-local address. It is never sent to a server (RFC 6874, section 4).
    zone: Option<String>,
}

/// The decoded user name and password of a URL.
pub type UserInfo = (String, Option<String>);

impl TargetUrl {
    /// Parses a URL. The default scheme is http. Also returns the user info, which is removed from the URL.
    ///
    /// # Errors
    /// What is wrong and what to write instead. The URL is not quoted, because it may contain a password.
    pub fn parse(text: &str) -> Result<(Self, Option<UserInfo>), String> {
        let (text, zone) = zone::remove_from_url(text)?;
        if text.contains(|letter: char| letter.is_ascii_control()) {
            return Err("the URL contains a control character, such as a line break: remove it".to_owned());
        }
        // In blackbox_exporter, a backslash is an invalid character like others. The URL parser treats it as a slash.
        let mut text = text.replace('\\', "%5C");
        let is_relative = match has_scheme(&text) {
            true => None,
            // A path without a host.
            false if text.starts_with('/') => Some(url::ParseError::EmptyHost),
            // Without a scheme, a colon precedes a port. "htp:/path" is a misspelt scheme, not a host.
            false if is_scheme_like(&text) => Some(url::ParseError::RelativeUrlWithoutBase),
            false => {
                text.insert_str(0, "http://");
                None
            }
        };
        let url = is_relative.map_or_else(|| Url::parse(&text), Err);
        let url = url.map_err(|error| {
            format!("not a URL ({error}): write a URL such as http://127.0.0.1:8000/health")
        })?;
        let (mut target, user_info) = Self::new(url)?;
        target.set_target(RequestTarget::of_url(&text)?)?;
        target.zone = zone;
        let (name, password) = user_info
            .as_ref()
            .map_or(("", None), |(name, password)| (name, password.as_deref()));
        if [name, password.unwrap_or_default()]
            .concat()
            .contains(|letter: char| letter.is_ascii_control())
        {
            let message = "the credentials contain a control character, such as a line break, which basic \
                           authentication does not allow (RFC 7617, section 2)";
            return Err(message.to_owned());
        }
        Ok((target, user_info))
    }

    /// Converts a URL. Also returns its user info, which is removed from the URL.
    ///
    /// # Errors
    /// When it is not an http or https URL with a host.
    fn new(mut url: Url) -> Result<(Self, Option<UserInfo>), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!(
                "the scheme \"{}\" is not supported: write http:// or https://",
                url.scheme()
            ));
        }
        if url.host_str().is_some_and(|host| host.contains(['$', '{', '}'])) {
            return Err("the host contains $, { or }: replace the variable by its value".to_owned());
        }
        if url.port() == Some(0) {
            return Err("port 0 is not valid: write 1 to 65535".to_owned());
        }
        let user_info = match (url.username(), url.password()) {
            ("", None) => None,
            (name, password) => Some((decode(name), password.map(decode))),
        };
        // Both fail only for URLs without a host, which http URLs can't be.
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| "the URL has no host".to_owned())?;
        url.set_fragment(None);
        let target = RequestTarget::of_url(url.as_str())?;
        let target = Self {
            url,
            target,
            zone: None,
        };
        Ok((target, user_info))
    }

    fn set_target(&mut self, target: RequestTarget) -> Result<(), String> {
        // The library of requests limits the length.
        http::Uri::try_from(target.as_str())
            .map_err(|error| format!("the path of the URL is not valid in a request: {error}"))?;
        self.target = target;
        Ok(())
    }

    /// The URL that a redirect from here leads to, without user info. A link-local address is in the same zone.
    ///
    /// # Errors
    /// Why it can't be requested.
    pub fn join(&self, location: &str) -> Result<Self, String> {
        if location.contains(|letter: char| letter.is_ascii_control()) {
            return Err("it contains a control character".to_owned());
        }
        let location = location.replace('\\', "%5C");
        let joined = self.url.join(&location).map_err(|error| error.to_string())?;
        let (mut next, _) = Self::new(joined)?;
        next.set_target(self.target.join(&location)?)?;
        if let Some(Host::Ipv6(address)) = next.url.host()
            && address.is_unicast_link_local()
        {
            next.zone.clone_from(&self.zone);
        }
        Ok(next)
    }

    /// The whole URL. Its path and query are normalized; see [`Self::path_and_query`] for what is sent.
    pub fn expose(&self) -> &Url {
        &self.url
    }

    /// Whether it is an https URL.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The address to connect to.
    pub fn address(&self) -> HostPort {
        let host = match (self.url.host(), &self.zone) {
            (Some(Host::Ipv6(address)), Some(zone)) => format!("{address}%{zone}"),
            (Some(Host::Ipv6(address)), None) => address.to_string(),
            (Some(other), _) => other.to_string(),
            (None, _) => String::new(),
        };
        let port = self.url.port_or_known_default().unwrap_or_default();
        HostPort { host, port }
    }

    /// The `Host` of a request: with the port unless it is the default of the scheme.
    pub fn authority(&self) -> &str {
        &self.url[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// The path and query, which are the target of a request.
    pub fn path_and_query(&self) -> &str {
        self.target.as_str()
    }

    /// The query of the request.
    pub fn query(&self) -> Option<&str> {
        self.target.query()
    }

    /// The URL up to its path, for people. If the path contains an @, only up to the host: then the apparent port and path may be
    /// parts of a password that was not encoded.
    pub fn shown(&self) -> String {
        let path = self.target.path();
        let shown = match path.contains('@') && self.url.port().is_some() {
            true => format!("{}/\u{2026}", &self.url[..url::Position::AfterHost]),
            false => format!("{}{path}", &self.url[..url::Position::BeforePath]),
        };
        match &self.zone {
            Some(zone) => shown.replacen(']', &format!("%25{zone}]"), 1),
            None => shown,
        }
    }
}

/// Whether the text before the first colon looks like a scheme: after the colon is neither a port nor a host with an @.
fn is_scheme_like(text: &str) -> bool {
    let before_path = text.split(['/', '?', '#']).next().unwrap_or(text);
    match before_path.split_once(':') {
        Some((host, port)) if !host.starts_with('[') && !before_path.contains('@') => {
            !port.starts_with(|first: char| first.is_ascii_digit())
        }
        _ => false,
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_is_removed_from_the_url() {
        let (url, user) = TargetUrl::parse("https://us%40er:p%3Ass@example.org/a?token=x#y").unwrap();
        assert_eq!(user, Some(("us@er".to_owned(), Some("p:ss".to_owned()))));
        assert_eq!(url.shown(), "https://example.org/a");
        assert_eq!(format!("{url:?}"), "https://example.org/a");
        assert_eq!(url.path_and_query(), "/a?token=x");
        assert_eq!(
            (url.authority(), url.address().to_string().as_str()),
            ("example.org", "example.org:443")
        );
    }

    #[test]
    fn the_scheme_defaults_to_http() {
        for (text, shown) in [
            ("127.0.0.1:8000/health", "http://127.0.0.1:8000/health"),
            ("localhost:5000", "http://localhost:5000/"),
            ("[::1]:80", "http://[::1]/"),
            ("http://EXAMPLE.org", "http://example.org/"),
            ("http://example.org/@me", "http://example.org/@me"),
            // The apparent port and path are parts of a password that was not encoded.
            ("http://me:12/secret@example.org/", "http://me/\u{2026}"),
        ] {
            assert_eq!(TargetUrl::parse(text).unwrap().0.shown(), shown);
        }
        let (url, _) = TargetUrl::parse("http://[::1]:81").unwrap();
        assert_eq!(
            (url.address().to_string().as_str(), url.authority()),
            ("[::1]:81", "[::1]:81")
        );
    }

    #[test]
    fn a_zone_is_not_sent_to_the_server() {
        let (url, _) = TargetUrl::parse("http://me:x@[fe80::1%25eth0]:81/a?b").unwrap();
        assert_eq!(url.address().to_string(), "[fe80::1%eth0]:81");
        assert_eq!(url.authority(), "[fe80::1]:81");
        assert_eq!(url.shown(), "http://[fe80::1%25eth0]:81/a");
        let next = |place: &str| url.join(place).unwrap().address().to_string();
        assert_eq!(next("/b"), "[fe80::1%eth0]:81");
        assert_eq!(next("http://[fe80::2]/"), "[fe80::2%eth0]:80");
        assert_eq!(next("http://[2001:db8::2]/"), "[2001:db8::2]:80");
        let error = TargetUrl::parse("http://[2001:db8::1%25eth0]/").unwrap_err();
        assert!(error.contains("link-local (fe80::/10)"), "{error}");
    }

    #[test]
    fn a_backslash_is_not_a_slash() {
        let (url, _) = TargetUrl::parse("http://h/a\\b").unwrap();
        assert_eq!(
            (url.path_and_query(), url.shown().as_str()),
            ("/a%5Cb", "http://h/a%5Cb")
        );
        assert!(TargetUrl::parse("http://h\\a/b").is_err());
        let next = url.join("/\\other/c").unwrap();
        assert_eq!((next.authority(), next.path_and_query()), ("h", "/%5Cother/c"));
    }

    #[test]
    fn a_url_in_the_query_is_not_the_scheme() {
        let (url, _) = TargetUrl::parse("127.0.0.1:80/p?u=http://x").unwrap();
        assert_eq!(url.address().to_string(), "127.0.0.1:80");
        assert_eq!(
            (url.path_and_query(), url.query()),
            ("/p?u=http://x", Some("u=http://x"))
        );
    }

    #[test]
    fn every_parsed_url_can_be_requested() {
        for path in ["/", "/a b", "/\u{e9}?\u{e9}={}|^`\\", "/%zz?%", "?x", "/\"<>"] {
            if let Ok((url, _)) = TargetUrl::parse(&format!("http://h{path}")) {
                assert!(http::Uri::try_from(url.path_and_query()).is_ok(), "{path}");
            }
        }
        assert!(TargetUrl::parse("http://h/a b?c d").is_ok());
    }

    #[test]
    fn errors_do_not_quote_the_text() {
        for text in [
            "http://user:secret@",
            "http://user:secret@a b",
            "ftp://user:secret@x",
            "user:secret@x:99999",
            "http://user:secret@x:0",
            "htp:/secret",
            "mailto:/user",
            "http://user:secret%0A@x",
            "http://user%0D:secret@x",
            "http://user:secret@x/a\tb",
            "http:///user:secret@x",
        ] {
            let error = TargetUrl::parse(text).unwrap_err();
            assert!(!error.contains("secret") && !error.contains("user"), "{error}");
        }
        assert_eq!(
            TargetUrl::parse("htps://x").unwrap_err(),
            "the scheme \"htps\" is not supported: write http:// or https://"
        );
    }
}
