//! The cookies of one run, as in RFC 6265: cookies that a redirect sets are sent to its target. Without them, a page that sets
//! a cookie and redirects to itself would redirect endlessly.

use cookie_store::{CookieStore, RawCookie};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

/// How many bytes of cookies a run stores; others are ignored. Browsers store at least 50 cookies of 4096 bytes (RFC 6265,
/// section 6.1), but servers reject headers of that size.
const MAX_BYTES: usize = 64 << 10;

/// The cookies that the redirects of a run have set.
#[derive(Debug, Default)]
pub struct Cookies {
    store: CookieStore,
    received: usize,
}

impl Cookies {
    /// Stores the cookies that a response from this URL sets.
    pub fn store(&mut self, headers: &HeaderMap, url: &Url) {
        for value in headers.get_all(SET_COOKIE) {
            self.received += value.len();
            if self.received > MAX_BYTES {
                return;
            }
            let parsed = std::str::from_utf8(value.as_bytes()).ok();
            let Some(cookie) = parsed.and_then(|text| RawCookie::parse(text).ok()) else {
                continue;
            };
            let domain = cookie.domain().map(|domain| domain.trim_start_matches('.'));
            // Cookies for a whole top-level domain are ignored. Longer public suffixes (`co.uk`) are not recognized.
            if domain.is_some_and(|domain| !domain.contains('.') && Some(domain) != url.host_str()) {
                continue;
            }
            // The store rejects cookies that this URL must not set; they are ignored.
            let _ = self.store.insert_raw(&cookie, url);
        }
    }

    /// Adds the cookies for this URL to the configured `Cookie` header. A stored cookie replaces a configured one of the same
    /// name.
    pub fn add_to(&self, headers: &mut HeaderMap, url: &Url) {
        if self.received == 0 {
            return;
        }
        let mut found = self.store.matches(url);
        // The store treats loopback addresses as secure, like browsers. RFC 6265 and Go do not.
        found.retain(|cookie| url.scheme() == "https" || cookie.secure() != Some(true));
        if found.is_empty() {
            return;
        }
        // RFC 6265, section 5.4: longer paths first.
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let found: Vec<(&str, &str)> = found.iter().map(|cookie| cookie.name_value()).collect();
        let is_set = |pair: &str| {
            let name = pair.split('=').next().unwrap_or(pair).trim();
            found.iter().any(|(set, _)| *set == name)
        };
        let mut pairs: Vec<String> = Vec::with_capacity(found.len());
        for configured in headers.get_all(COOKIE) {
            let text = String::from_utf8_lossy(configured.as_bytes());
            let configured = text.split(';').map(str::trim);
            pairs.extend(configured.filter(|pair| !is_set(pair)).map(str::to_owned));
        }
        pairs.extend(found.iter().map(|(name, value)| format!("{name}={value}")));
        // All parts come from header values, so the result is a valid one too.
        if let Ok(mut value) = HeaderValue::try_from(pairs.join("; ")) {
            value.set_sensitive(true);
            headers.insert(COOKIE, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The header sent to `to` after `from` has set these cookies. `own` is the configured header.
    fn sent(from: &str, set: &[&str], own: Option<&str>, to: &str) -> Option<String> {
        let mut response = HeaderMap::new();
        for text in set {
            response.append(SET_COOKIE, HeaderValue::from_str(text).unwrap());
        }
        let mut cookies = Cookies::default();
        cookies.store(&response, &Url::parse(from).unwrap());
        let mut request = HeaderMap::new();
        if let Some(own) = own {
            request.insert(COOKIE, HeaderValue::from_str(own).unwrap());
        }
        cookies.add_to(&mut request, &Url::parse(to).unwrap());
        assert!(request.get_all(COOKIE).iter().count() <= 1);
        request
            .get(COOKIE)
            .map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_are_sent_back_where_they_belong() {
        for (from, set, to, wanted) in [
            ("http://a.test/in", "s=1", "http://a.test/", Some("s=1")),
            ("http://a.test/in", "s=1", "http://a.test:81/", Some("s=1")),
            ("http://127.0.0.1/in", "s=1", "http://127.0.0.1/", Some("s=1")),
            ("http://[::1]/in", "s=1", "http://[::1]/", Some("s=1")),
            ("http://a.test/in", "s=1", "http://b.test/", None),
            ("http://a.test/in", "s=1", "http://x.a.test/", None),
            (
                "http://a.test/in",
                "s=\"1 2\"",
                "http://a.test/",
                Some("s=\"1 2\""),
            ),
            // Domains: only the own domain is allowed.
            (
                "http://x.a.test/",
                "s=1; Domain=a.test",
                "http://y.a.test/",
                Some("s=1"),
            ),
            (
                "http://x.a.test/",
                "s=1; Domain=.a.test",
                "http://a.test/",
                Some("s=1"),
            ),
            ("http://x.a.test/", "s=1; Domain=b.test", "http://b.test/", None),
            ("http://x.a.test/", "s=1; Domain=b.test", "http://x.a.test/", None),
            ("http://x.a.test/", "s=1; Domain=test", "http://y.b.test/", None),
            (
                "http://localhost/",
                "s=1; Domain=localhost",
                "http://localhost/",
                Some("s=1"),
            ),
            (
                "http://127.0.0.1/",
                "s=1; Domain=0.0.1",
                "http://127.0.0.1/",
                None,
            ),
            // Paths.
            ("http://a.test/a/b", "s=1", "http://a.test/a/c", Some("s=1")),
            ("http://a.test/a/b", "s=1", "http://a.test/c", None),
            ("http://a.test/", "s=1; Path=/a", "http://a.test/a/b", Some("s=1")),
            ("http://a.test/", "s=1; Path=/a", "http://a.test/ab", None),
            // Schemes.
            ("https://a.test/", "s=1; Secure", "https://a.test/", Some("s=1")),
            ("https://a.test/", "s=1; Secure", "http://a.test/", None),
            ("http://127.0.0.1/", "s=1; Secure", "http://127.0.0.1/", None),
            ("https://a.test/", "s=1", "http://a.test/", Some("s=1")),
            // Lifetimes.
            ("http://a.test/", "s=1; Max-Age=60", "http://a.test/", Some("s=1")),
            ("http://a.test/", "s=1; Max-Age=0", "http://a.test/", None),
            (
                "http://a.test/",
                "s=1; Max-Age=99999999999999999999",
                "http://a.test/",
                Some("s=1"),
            ),
            (
                "http://a.test/",
                "s=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT",
                "http://a.test/",
                None,
            ),
            // Invalid cookies.
            ("http://a.test/", "", "http://a.test/", None),
            ("http://a.test/", "nonsense", "http://a.test/", None),
            ("http://a.test/", "=1", "http://a.test/", None),
        ] {
            assert_eq!(
                sent(from, &[set], None, to).as_deref(),
                wanted,
                "{set} of {from} to {to}"
            );
        }
    }

    #[test]
    fn several_cookies_are_one_header() {
        let url = "http://a.test/a/b";
        let set = ["s=1; Path=/", "t=2", "s=3; Path=/"];
        assert_eq!(sent(url, &set, None, url).as_deref(), Some("t=2; s=3"));
        assert_eq!(
            sent(url, &["s=1"], Some("o=5; s=0"), url).as_deref(),
            Some("o=5; s=1")
        );
        assert_eq!(sent(url, &[], Some("o=5"), url).as_deref(), Some("o=5"));
        let expired = ["s=1", "s=; Max-Age=0"];
        assert_eq!(sent(url, &expired, Some("o=5"), url).as_deref(), Some("o=5"));
    }

    proptest! {
        // Cookies come from the target, so they are untrusted.
        #[test]
        fn any_cookies_are_tolerated(
            set in proptest::collection::vec("[ -~\u{80}-\u{ff}\t]{0,40}|s=1; *(Domain|Path|Expires|Max-Age)=[ -~\u{e9}]{0,20}", 0..5),
            host in "a\\.test|\\[::1\\]|127\\.0\\.0\\.1|localhost|test",
            path in "[a-z/%.]{0,8}",
        ) {
            let url = Url::parse(&format!("http://{host}/{path}")).unwrap();
            let mut response = HeaderMap::new();
            for text in &set {
                if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                    response.append(SET_COOKIE, value);
                }
            }
            let mut cookies = Cookies::default();
            cookies.store(&response, &url);
            let mut request = HeaderMap::new();
            cookies.add_to(&mut request, &url);
            prop_assert!(request.len() <= 1);
        }
    }

    #[test]
    fn cookies_beyond_the_limit_are_ignored() {
        let many: Vec<String> = (0..100)
            .map(|number| format!("c{number}={}", "x".repeat(1000)))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let header = sent("http://a.test/", &many, None, "http://a.test/").unwrap();
        assert!(
            (60_000..MAX_BYTES + 200).contains(&header.len()),
            "{}",
            header.len()
        );
    }
}
