//! The cookies of one run: what a redirect sets is sent to where it leads, as RFC 6265 has it. Without them a page that
//! sets a cookie and redirects to itself does so for ever.

use cookie_store::{CookieStore, RawCookie};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use url::Url;

/// The most bytes of cookies that a run takes; more are passed over. A browser takes 4096 bytes of each of 50 and more
/// (RFC 6265, section 6.1), but servers refuse the heads that this would make.
const MAX_BYTES: usize = 64 << 10;

/// The cookies that the redirects of a run have set.
#[derive(Debug, Default)]
pub struct Cookies {
    store: CookieStore,
    taken: usize,
}

impl Cookies {
    /// Takes those that a response of this URL sets.
    pub fn take(&mut self, headers: &HeaderMap, url: &Url) {
        for value in headers.get_all(SET_COOKIE) {
            self.taken += value.len();
            if self.taken > MAX_BYTES {
                return;
            }
            let parsed = std::str::from_utf8(value.as_bytes()).ok();
            let Some(cookie) = parsed.and_then(|text| RawCookie::parse(text).ok()) else {
                continue;
            };
            let domain = cookie.domain().map(|domain| domain.trim_start_matches('.'));
            // For all of a top-level domain; there is no list of public suffixes here.
            if domain.is_some_and(|domain| !domain.contains('.') && Some(domain) != url.host_str()) {
                continue;
            }
            // What is not the URL's to set is refused, and then there is no such cookie.
            let _ = self.store.insert_raw(&cookie, url);
        }
    }

    /// Adds those for this URL to the header that the configuration may have given; of one name, the one set counts.
    pub fn add_to(&self, headers: &mut HeaderMap, url: &Url) {
        if self.taken == 0 {
            return;
        }
        let mut found = self.store.matches(url);
        // The store takes the loopback for secure, as browsers do; RFC 6265 and Go do not.
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
        for own in headers.get_all(COOKIE) {
            let text = String::from_utf8_lossy(own.as_bytes());
            let own = text.split(';').map(str::trim);
            pairs.extend(own.filter(|pair| !is_set(pair)).map(str::to_owned));
        }
        pairs.extend(found.iter().map(|(name, value)| format!("{name}={value}")));
        // The parts came in headers, so this only fails where a value holds a character that was let pass there.
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

    /// The header that goes to `to` after these were set by `from`; `own` is the configuration's.
    fn sent(from: &str, set: &[&str], own: Option<&str>, to: &str) -> Option<String> {
        let mut response = HeaderMap::new();
        for text in set {
            response.append(SET_COOKIE, HeaderValue::from_str(text).unwrap());
        }
        let mut cookies = Cookies::default();
        cookies.take(&response, &Url::parse(from).unwrap());
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
    fn cookies_go_back_to_where_they_come_from() {
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
            // The domain: its own, and no other's.
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
            // The path.
            ("http://a.test/a/b", "s=1", "http://a.test/a/c", Some("s=1")),
            ("http://a.test/a/b", "s=1", "http://a.test/c", None),
            ("http://a.test/", "s=1; Path=/a", "http://a.test/a/b", Some("s=1")),
            ("http://a.test/", "s=1; Path=/a", "http://a.test/ab", None),
            // The scheme.
            ("https://a.test/", "s=1; Secure", "https://a.test/", Some("s=1")),
            ("https://a.test/", "s=1; Secure", "http://a.test/", None),
            ("http://127.0.0.1/", "s=1; Secure", "http://127.0.0.1/", None),
            ("https://a.test/", "s=1", "http://a.test/", Some("s=1")),
            // The time.
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
            // No cookies.
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
        // They come from the target.
        #[test]
        fn any_cookies_are_borne(
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
            cookies.take(&response, &url);
            let mut request = HeaderMap::new();
            cookies.add_to(&mut request, &url);
            prop_assert!(request.len() <= 1);
        }
    }

    #[test]
    fn more_than_fits_is_passed_over() {
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
