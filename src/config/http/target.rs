//! The URL of a target. What it shows of itself never holds user info, query or fragment.

use std::fmt;

use url::{Host, Url};

use crate::config::address::HostPort;
use crate::config::zone;

/// An http or https URL without user info and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetUrl {
    url: Url,
    /// The network interface of a link-local address, which no server is told (RFC 6874, section 4).
    zone: Option<String>,
}

/// The user name and the password out of a URL, decoded.
pub type UserInfo = (String, Option<String>);

impl TargetUrl {
    /// Reads a URL; where no scheme is given, it is http. User info is taken out and returned beside it.
    ///
    /// # Errors
    /// What is wrong, without quoting the text, which may hold a password.
    pub fn parse(text: &str) -> Result<(Self, Option<UserInfo>), String> {
        let (text, zone) = zone::take(text)?;
        let text = text.as_ref();
        let url = match text.contains("://") {
            true => Url::parse(text),
            // What would be read as a host is the beginning of a path.
            false if text.starts_with('/') => Err(url::ParseError::EmptyHost),
            // Without a scheme a colon comes before a port; "htp:/path" is a slip, not a host.
            false if is_scheme_like(text) => Err(url::ParseError::RelativeUrlWithoutBase),
            false => Url::parse(&format!("http://{text}")),
        };
        let url = url.map_err(|error| {
            format!("this is no URL ({error}): write one such as http://127.0.0.1:8000/health")
        })?;
        let (mut target, user_info) = Self::new(url)?;
        target.zone = zone;
        let (name, password) = user_info
            .as_ref()
            .map_or(("", None), |(name, password)| (name, password.as_deref()));
        if [name, password.unwrap_or_default()]
            .concat()
            .contains(|letter: char| letter.is_ascii_control())
        {
            let message = "the credentials in it hold a control character, such as a line break: \
                           basic authentication can't carry it (RFC 7617, section 2)";
            return Err(message.to_owned());
        }
        Ok((target, user_info))
    }

    /// Takes a URL, without its user info, which is returned beside it.
    ///
    /// # Errors
    /// When it is no http or https URL with a host.
    pub fn new(mut url: Url) -> Result<(Self, Option<UserInfo>), String> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!(
                "the scheme \"{}\" is not supported: write http:// or https://",
                url.scheme()
            ));
        }
        if url.host_str().is_some_and(|host| host.contains(['$', '{', '}'])) {
            return Err("the host holds one of $ { }: was a variable not replaced?".to_owned());
        }
        if url.port() == Some(0) {
            return Err("port 0 can't be connected to".to_owned());
        }
        let user_info = match (url.username(), url.password()) {
            ("", None) => None,
            (name, password) => Some((decoded(name), password.map(decoded))),
        };
        // Both can only fail for URLs without a host, which http has none of.
        let stripped = url.set_username("").and_then(|()| url.set_password(None));
        stripped.map_err(|()| "the URL has no host".to_owned())?;
        url.set_fragment(None);
        let target = Self { url, zone: None };
        // The two crates differ in what they let pass.
        http::Uri::try_from(target.path_and_query())
            .map_err(|error| format!("the path can't be requested: {error}"))?;
        Ok((target, user_info))
    }

    /// This URL of a server that `from` leads to. What a link-local address says of another one holds at the same interface.
    #[must_use]
    pub fn beside(mut self, from: &Self) -> Self {
        if let Some(Host::Ipv6(address)) = self.url.host()
            && address.is_unicast_link_local()
        {
            self.zone.clone_from(&from.zone);
        }
        self
    }

    /// The whole URL, query included: for the wire.
    pub fn expose(&self) -> &Url {
        &self.url
    }

    /// Whether it is an https URL.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// What to connect to.
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

    /// The `Host` of a request: with the port where it is not the scheme's own.
    pub fn authority(&self) -> &str {
        &self.url[url::Position::BeforeHost..url::Position::AfterPort]
    }

    /// Path and query: the target of a request.
    pub fn path_and_query(&self) -> &str {
        &self.url[url::Position::BeforePath..url::Position::AfterQuery]
    }

    /// The URL up to its path. Where there is an @ in the path, only up to the host: what looks like a port before it may be
    /// the beginning of a password that was not encoded, and what follows it the rest.
    pub fn shown(&self) -> String {
        let whole = &self.url[..url::Position::AfterPath];
        let shown = match whole.contains('@') && self.url.port().is_some() {
            true => format!("{}/\u{2026}", &self.url[..url::Position::AfterHost]),
            false => whole.to_owned(),
        };
        match &self.zone {
            Some(zone) => shown.replacen(']', &format!("%25{zone}]"), 1),
            None => shown,
        }
    }
}

/// Whether what stands before the first colon looks like a scheme: what follows is neither a port nor has a host after an @.
fn is_scheme_like(text: &str) -> bool {
    let before_path = text.split(['/', '?', '#']).next().unwrap_or(text);
    match before_path.split_once(':') {
        Some((host, port)) if !host.starts_with('[') && !before_path.contains('@') => {
            !port.starts_with(|first: char| first.is_ascii_digit())
        }
        _ => false,
    }
}

fn decoded(text: &str) -> String {
    let bytes: Vec<u8> = percent_decoded(text.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match hex.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url[..url::Position::AfterPath])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_info_leaves_the_url() {
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
            // A password that was not encoded: what looks like the port and the path is a part of it.
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
    fn a_zone_is_for_this_machine_alone() {
        let (url, _) = TargetUrl::parse("http://me:x@[fe80::1%25eth0]:81/a?b").unwrap();
        assert_eq!(url.address().to_string(), "[fe80::1%eth0]:81");
        assert_eq!(url.authority(), "[fe80::1]:81");
        assert_eq!(url.shown(), "http://[fe80::1%25eth0]:81/a");
        let next = |place: &str| {
            let (next, _) = TargetUrl::new(url.expose().join(place).unwrap()).unwrap();
            next.beside(&url).address().to_string()
        };
        assert_eq!(next("/b"), "[fe80::1%eth0]:81");
        assert_eq!(next("http://[fe80::2]/"), "[fe80::2%eth0]:80");
        assert_eq!(next("http://[2001:db8::2]/"), "[2001:db8::2]:80");
        let error = TargetUrl::parse("http://[2001:db8::1%25eth0]/").unwrap_err();
        assert!(error.contains("link-local (fe80::/10)"), "{error}");
    }

    #[test]
    fn what_parses_can_be_requested() {
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
