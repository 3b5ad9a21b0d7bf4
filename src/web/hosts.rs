//! Protection against pages of other sites: which hosts requests may name, and whether a request is cross-origin. It relies on
//! what browsers send. Other clients may send anything, since they need no browser to reach the exporter.

use std::net::IpAddr;
use std::str::FromStr;

use http::header::{HOST, ORIGIN, VIA};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Request, Version};

use crate::status;

/// The relation between the page that causes a request and its target (W3C, Fetch Metadata). Browsers send it over HTTPS and
/// to localhost only.
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// Header fields that proxies add, in addition to `Via` and `X-Forwarded-*`.
const PROXY_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-real-ip"),
];

/// The hosts that requests may name (`--web.allowed-hosts`). A defence against DNS rebinding.
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts(Vec<AllowedHost>);

/// A name or an address. With a port, only that port matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text.trim()).ok_or_else(|| {
            format!("\"{text}\" is not a host: use a name or an address, such as status.example.org, 192.0.2.1 or [2001:db8::1], optionally with a port")
        })
    }
}

impl AllowedHost {
    /// Parses the value of `Host`. Names become lower case, without a trailing dot. Addresses get their canonical form.
    fn parse(text: &str) -> Option<Self> {
        let authority = Authority::from_str(text).ok()?;
        // A user and a password are not part of a host.
        let host = authority.host();
        let after = text.strip_prefix(host)?;
        let port = match after.strip_prefix(':') {
            None if after.is_empty() => None,
            Some("") => None,
            Some(port) => Some(port.parse().ok()?),
            None => return None,
        };
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let host = match parse_address(&name) {
            Some(address) => address.to_string(),
            None if name.is_empty() || name.starts_with('[') => return None,
            None => name,
        };
        Some(Self { host, port })
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Reports whether it always refers to this machine, so that no page of another site can have it.
    fn is_loopback(&self) -> bool {
        match self.address() {
            Some(address) => address.is_loopback(),
            // RFC 6761, section 6.3.
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    fn matches(&self, requested: &Self) -> bool {
        self.host == requested.host && self.port.is_none_or(|port| Some(port) == requested.port)
    }
}

/// Parses a host that is an address. IPv6 addresses must be in brackets.
fn parse_address(host: &str) -> Option<IpAddr> {
    let text = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address: IpAddr = text.unwrap_or(host).parse().ok()?;
    (text.is_some() == address.is_ipv6()).then(|| address.to_canonical())
}

impl FromIterator<AllowedHost> for AllowedHosts {
    fn from_iter<I: IntoIterator<Item = AllowedHost>>(hosts: I) -> Self {
        Self(hosts.into_iter().collect())
    }
}

impl AllowedHosts {
    /// Checks the hosts that a request names. `local_address` is the address that its client connected to.
    ///
    /// # Errors
    /// When a host is not allowed: that host.
    pub(super) fn check<B>(
        &self,
        request: &Request<B>,
        is_tls: bool,
        local_address: impl Fn() -> Option<IpAddr>,
    ) -> Result<(), String> {
        if self.0.is_empty() && !request.headers().contains_key(SEC_FETCH_SITE) {
            return Ok(());
        }
        let in_uri = request
            .uri()
            .authority()
            .map(|authority| authority.as_str().as_bytes());
        let in_headers = request.headers().get_all(HOST).iter().map(|host| host.as_bytes());
        for host in in_uri.into_iter().chain(in_headers) {
            let named = std::str::from_utf8(host).ok().and_then(AllowedHost::parse);
            let is_allowed = match &named {
                _ if self.0.is_empty() => !is_rebound(request, named.as_ref(), is_tls),
                None => false,
                Some(named) => {
                    named.is_loopback()
                        || self.0.iter().any(|allowed| allowed.matches(named))
                        || named
                            .address()
                            .is_some_and(|address| Some(address) == local_address())
                }
            };
            if !is_allowed {
                return Err(String::from_utf8_lossy(host).into_owned());
            }
        }
        Ok(())
    }
}

/// Reports whether only DNS rebinding explains a request. A browser sends `Sec-Fetch-Site` over HTTPS or to localhost. So it does
/// not send it over plain HTTP to a domain, unless there is a proxy.
fn is_rebound<B>(request: &Request<B>, named: Option<&AllowedHost>, is_tls: bool) -> bool {
    let headers = request.headers();
    let is_direct = !is_tls
        && request.version() != Version::HTTP_10
        && headers.contains_key(SEC_FETCH_SITE)
        && !is_proxied(headers);
    is_direct
        && named.is_some_and(|named| {
            // A name without a dot can't be registered.
            named.address().is_none()
                && !named.is_loopback()
                && named.host.contains('.')
                && !named.host.eq_ignore_ascii_case(&status::host_name())
        })
}

fn is_proxied(headers: &HeaderMap) -> bool {
    let is_forwarded = |name: &HeaderName| name.as_str().starts_with("x-forwarded-");
    headers.contains_key(VIA)
        || PROXY_HEADERS.iter().any(|name| headers.contains_key(name))
        || headers.keys().any(is_forwarded)
}

/// Reports whether a page of another origin causes a request. Without `Sec-Fetch-Site` (old browsers, and all browsers over plain
/// HTTP to another machine), `Origin` shows it, except for links and embedded content.
pub(super) fn is_cross_origin<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    if headers.contains_key(SEC_FETCH_SITE) {
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        // `none`: the user typed the address or opened a bookmark.
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
    has_foreign_origin(request)
}

/// Reports whether `Origin` names another origin than the request's host.
fn has_foreign_origin<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let host = headers.get(HOST).map(|host| host.as_bytes());
    let in_uri = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let own = in_uri.or(host).unwrap_or_default();
    headers.get_all(ORIGIN).iter().any(|origin| {
        let origin = origin.as_bytes();
        let mut parts = [&b"http://"[..], b"https://"].into_iter();
        let rest = parts.find_map(|scheme| origin.strip_prefix(scheme));
        !rest.is_some_and(|rest| rest.eq_ignore_ascii_case(own))
    })
}

/// Reports whether no page of another origin causes a request that changes something. Browsers send `Origin` with every POST
/// request, and new ones also send `Sec-Fetch-Site`. If both are present, both must name this origin. Unlike in
/// [`is_cross_origin`], an address that the user typed does not count: it can't cause such a request.
pub(super) fn is_same_origin<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
    sites.all(|site| site == "same-origin") && !has_foreign_origin(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn hosts(hosts: &[&str]) -> AllowedHosts {
        hosts.iter().map(|host| host.parse().unwrap()).collect()
    }

    #[test]
    fn changes_need_the_same_origin() {
        let own = ("origin", "http://a.example");
        for (headers, expected) in [
            (&[][..], true),
            (&[own], true),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "same-origin"), own], true),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site"), own], false),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], false),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "http://b.example")],
                false,
            ),
            (&[("origin", "null")], false),
            (&[own, ("origin", "http://b.example")], false),
        ] {
            let headers: Vec<_> = [("host", "a.example")]
                .into_iter()
                .chain(headers.iter().copied())
                .collect();
            assert_eq!(is_same_origin(&request("/", &headers)), expected, "{headers:?}");
        }
    }

    #[test]
    fn hosts_are_normalized() {
        for (text, host, port) in [
            ("Status.Example.ORG", "status.example.org", None),
            ("status.example.org.", "status.example.org", None),
            ("status.example.org.:443", "status.example.org", Some(443)),
            ("status.example.org:", "status.example.org", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("[2001:DB8:0::1]:80", "2001:db8::1", Some(80)),
            ("[::ffff:192.0.2.1]", "192.0.2.1", None),
            ("upkeep_exporter:10100", "upkeep_exporter", Some(10100)),
        ] {
            let parsed = AllowedHost::parse(text).unwrap();
            assert_eq!((&*parsed.host, parsed.port), (host, port), "{text}");
        }
        for wrong in [
            "",
            ":80",
            "a b",
            "a:b",
            "a:70000",
            "2001:db8::1",
            "[x]",
            "u@a",
            "http://a",
            "a/b",
            ".",
        ] {
            let error = wrong.parse::<AllowedHost>().unwrap_err();
            assert!(error.contains("is not a host"), "{wrong}: {error}");
        }
    }

    #[test]
    fn unlisted_hosts_are_refused() {
        let allowed = hosts(&["status.example.org", "other.example.org:8443", "[2001:db8::1]"]);
        let own = || Some(IpAddr::from([192, 0, 2, 1]));
        for (host, expected) in [
            ("status.example.org", true),
            ("STATUS.example.org.:1", true),
            ("other.example.org:8443", true),
            ("other.example.org", false),
            ("other.example.org:80", false),
            ("[2001:db8::1]:80", true),
            // This machine, and the address that the client connected to.
            ("localhost:10100", true),
            ("x.localhost", true),
            ("127.0.0.1:10100", true),
            ("[::1]", true),
            ("192.0.2.1:10100", true),
            ("192.0.2.2", false),
            ("attacker.example", false),
            ("x.status.example.org", false),
            ("status.example.org.attacker.example", false),
            ("localhost.attacker.example", false),
            ("127.0.0.1.attacker.example", false),
            ("u@status.example.org", false),
            ("", false),
        ] {
            let allowed = |request| allowed.check(&request, false, own).is_ok();
            assert_eq!(allowed(request("/", &[("host", host)])), expected, "{host}");
            // A full URL in the request line is checked, and so is `Host`.
            if expected && !host.is_empty() {
                let uri = format!("http://{host}/");
                assert!(allowed(request(&uri, &[])), "{host}");
                assert!(!allowed(request(&uri, &[("host", "attacker.example")])), "{host}");
                assert!(
                    !allowed(request("http://attacker.example/", &[("host", host)])),
                    "{host}"
                );
            }
        }
        // HTTP/1.0 does not require a host, and browsers always send one.
        assert!(allowed.check(&request("/", &[]), false, own).is_ok());
    }

    #[test]
    fn without_a_list_only_unproxied_rebinding_is_refused() {
        let rebound = ("sec-fetch-site", "same-origin");
        for (host, is_tls, field, expected) in [
            ("attacker.example:10100", false, rebound, false),
            ("attacker.example", false, ("user-agent", "Prometheus"), true),
            // The browser has verified the certificate.
            ("status.example.org", true, rebound, true),
            ("localhost:10100", false, rebound, true),
            ("192.0.2.1", false, rebound, true),
            ("[2001:db8::1]", false, rebound, true),
            ("upkeep:10100", false, rebound, true),
            (&*status::host_name(), false, rebound, true),
        ] {
            let headers = [("host", host), field];
            let result = AllowedHosts::default().check(&request("/", &headers), is_tls, || None);
            assert_eq!(result.is_ok(), expected, "{host} {field:?}");
        }
        for proxy in [
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "Forwarded",
            "Via",
            "X-Real-IP",
        ] {
            let headers = [("host", "status.example.org"), rebound, (proxy, "x")];
            let result = AllowedHosts::default().check(&request("/", &headers), false, || None);
            assert_eq!(result, Ok(()), "{proxy}");
        }
        let mut old = request("/", &[("host", "upkeep.example.org"), rebound]);
        *old.version_mut() = Version::HTTP_10;
        assert_eq!(AllowedHosts::default().check(&old, false, || None), Ok(()));
    }

    #[test]
    fn cross_origin_requests_are_detected() {
        let host = ("host", "upkeep.example.org:10100");
        for (field, expected) in [
            (("sec-fetch-site", "cross-site"), true),
            (("sec-fetch-site", "same-site"), true),
            (("sec-fetch-site", "Same-Origin"), true),
            (("sec-fetch-site", ""), true),
            (("sec-fetch-site", "same-origin"), false),
            (("sec-fetch-site", "none"), false),
            (("origin", "http://attacker.example"), true),
            (("origin", "http://upkeep.example.org"), true),
            (("origin", "null"), true),
            (("origin", ""), true),
            (("origin", "http://upkeep.example.org:10100"), false),
            (("origin", "https://Upkeep.example.org:10100"), false),
            (("user-agent", "Prometheus/3.0"), false),
        ] {
            let request = request("/probe", &[host, field]);
            assert_eq!(is_cross_origin(&request), expected, "{field:?}");
        }
        let several = [host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert!(is_cross_origin(&request("/probe", &several)));
        // `Sec-Fetch-Site` wins, even if a proxy has changed the names.
        let proxied = [
            host,
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://status.example.org"),
        ];
        assert!(!is_cross_origin(&request("/-/reload", &proxied)));
        let http2 = request(
            "https://upkeep.example.org/probe",
            &[("origin", "https://upkeep.example.org")],
        );
        assert!(!is_cross_origin(&http2));
    }
}
