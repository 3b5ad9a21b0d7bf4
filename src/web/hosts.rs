//! What browsers say of who makes them ask: the name that they asked for, and whether a page of another site is behind a
//! request. Other clients may say what they like; they need no browser.

use std::net::IpAddr;
use std::str::FromStr;

use http::header::{HOST, ORIGIN, VIA};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Request, Version};

use crate::status;

/// By this field browsers say how the page that makes them ask is related to what they ask (W3C, Fetch Metadata). They send it
/// over HTTPS and to this machine only.
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// Header fields by which a proxy shows, beside `Via` and those that begin with `x-forwarded-`.
const OF_PROXIES: [HeaderName; 2] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-real-ip"),
];

/// The hosts that requests may name (`--web.allowed-hosts`), against pages whose name is made to lead here (DNS rebinding).
#[derive(Clone, Debug, Default)]
pub struct AllowedHosts(Vec<AllowedHost>);

/// A name or an address, with a port where only that one is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text.trim()).ok_or_else(|| {
            format!("\"{text}\" is not a host: write a name or an address such as status.example.org, 192.0.2.1 or [2001:db8::1], with or without a port")
        })
    }
}

impl AllowedHost {
    /// Reads what stands in `Host`: names in any case, without the dot at their end; addresses as they are written best.
    fn read(text: &str) -> Option<Self> {
        let authority = Authority::from_str(text).ok()?;
        // Somebody's name and password are no part of a host.
        let host = authority.host();
        let after = text.strip_prefix(host)?;
        let port = match after.strip_prefix(':') {
            None if after.is_empty() => None,
            Some("") => None,
            Some(port) => Some(port.parse().ok()?),
            None => return None,
        };
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let host = match address(&name) {
            Some(address) => address.to_string(),
            None if name.is_empty() || name.starts_with('[') => return None,
            None => name,
        };
        Some(Self { host, port })
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether it is this machine's own whatever is configured: no other machine's page can have it.
    fn is_loopback(&self) -> bool {
        match self.address() {
            Some(address) => address.is_loopback(),
            // RFC 6761, section 6.3.
            None => self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    fn fits(&self, asked: &Self) -> bool {
        self.host == asked.host && self.port.is_none_or(|port| Some(port) == asked.port)
    }
}

/// The address that a host is, in brackets where it is one of IPv6.
fn address(host: &str) -> Option<IpAddr> {
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
    /// Whether a request may be answered, by the hosts that it names. `own` is the address that its connection came to.
    ///
    /// # Errors
    /// The host that is not allowed.
    pub(super) fn check<B>(
        &self,
        request: &Request<B>,
        is_tls: bool,
        own: impl Fn() -> Option<IpAddr>,
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
            let named = std::str::from_utf8(host).ok().and_then(AllowedHost::read);
            let is_allowed = match &named {
                _ if self.0.is_empty() => !is_rebound(request, named.as_ref(), is_tls),
                None => false,
                Some(named) => {
                    named.is_loopback()
                        || self.0.iter().any(|allowed| allowed.fits(named))
                        || named.address().is_some_and(|address| Some(address) == own())
                }
            };
            if !is_allowed {
                return Err(String::from_utf8_lossy(host).into_owned());
            }
        }
        Ok(())
    }
}

/// Whether a request can only be of a page whose name was made to lead here. A browser that says where its request comes
/// from (so it takes the exporter for HTTPS, or this machine) does not name a domain over plain HTTP, unless there is a proxy.
fn is_rebound<B>(request: &Request<B>, named: Option<&AllowedHost>, is_tls: bool) -> bool {
    let headers = request.headers();
    let is_direct = !is_tls
        && request.version() != Version::HTTP_10
        && headers.contains_key(SEC_FETCH_SITE)
        && !is_of_proxy(headers);
    is_direct
        && named.is_some_and(|named| {
            // Nobody can register a name without a dot.
            named.address().is_none()
                && !named.is_loopback()
                && named.host.contains('.')
                && !named.host.eq_ignore_ascii_case(&status::host_name())
        })
}

fn is_of_proxy(headers: &HeaderMap) -> bool {
    let is_forwarded = |name: &HeaderName| name.as_str().starts_with("x-forwarded-");
    headers.contains_key(VIA)
        || OF_PROXIES.iter().any(|name| headers.contains_key(name))
        || headers.keys().any(is_forwarded)
}

/// Whether a page of another origin makes a browser ask. Where the browser does not say so itself (old ones; all of them over
/// plain HTTP to another machine), `Origin` does, for everything but links and what pages embed.
pub(super) fn is_of_other_origin<B>(request: &Request<B>) -> bool {
    let headers = request.headers();
    if headers.contains_key(SEC_FETCH_SITE) {
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        // `none`: somebody typed the address, or chose a bookmark.
        return !sites.all(|site| site == "same-origin" || site == "none");
    }
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
    fn a_host_is_read_as_browsers_write_it() {
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
            let read = AllowedHost::read(text).unwrap();
            assert_eq!((&*read.host, read.port), (host, port), "{text}");
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
    fn what_is_not_listed_is_not_allowed() {
        let allowed = hosts(&["status.example.org", "other.example.org:8443", "[2001:db8::1]"]);
        let own = || Some(IpAddr::from([192, 0, 2, 1]));
        for (host, expected) in [
            ("status.example.org", true),
            ("STATUS.example.org.:1", true),
            ("other.example.org:8443", true),
            ("other.example.org", false),
            ("other.example.org:80", false),
            ("[2001:db8::1]:80", true),
            // This machine, and the address that the connection came to.
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
            // A whole URL in the request's line counts, and so does the field beside it.
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
        // Before HTTP/1.1 nobody has to name one, and browsers always do.
        assert!(allowed.check(&request("/", &[]), false, own).is_ok());
    }

    #[test]
    fn without_a_list_only_what_no_proxy_explains_is_refused() {
        let rebound = ("sec-fetch-site", "same-origin");
        for (host, is_tls, field, expected) in [
            ("attacker.example:10100", false, rebound, false),
            ("attacker.example", false, ("user-agent", "Prometheus"), true),
            // The browser looked at the certificate.
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
    fn pages_of_other_origins_are_told_from_everybody_else() {
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
            assert_eq!(is_of_other_origin(&request), expected, "{field:?}");
        }
        let several = [host, ("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
        assert!(is_of_other_origin(&request("/probe", &several)));
        // What the browser says itself counts, whatever a proxy made of the names.
        let proxied = [
            host,
            ("sec-fetch-site", "same-origin"),
            ("origin", "https://status.example.org"),
        ];
        assert!(!is_of_other_origin(&request("/-/reload", &proxied)));
        let http2 = request(
            "https://upkeep.example.org/probe",
            &[("origin", "https://upkeep.example.org")],
        );
        assert!(!is_of_other_origin(&http2));
    }
}
