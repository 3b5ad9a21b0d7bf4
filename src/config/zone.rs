//! Link-local addresses with a zone, which is a network interface (RFC 4007, section 11): `fe80::1%eth0`, and
//! `[fe80::1%25eth0]` in URLs (RFC 6874). A zone has a meaning on this machine only, so it is never sent to a server.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use percent_encoding::percent_decode_str;

/// The longest name of an interface (Linux: IFNAMSIZ without the zero byte at the end).
const MAX_ZONE_BYTES: usize = 15;

/// The error for an invalid zone.
pub const WRONG: &str = "the part after % must be a network interface of this machine, and the address before it link-local \
     (fe80::/10), as in [fe80::1%eth0]";

/// Splits a host into its address and zone, if it has both.
pub fn split(host: &str) -> Option<(Ipv6Addr, &str)> {
    let (address, zone) = host.split_once('%')?;
    let address: Ipv6Addr = address.parse().ok()?;
    (address.is_unicast_link_local() && is_zone(zone)).then_some((address, zone))
}

/// The host without its zone, to send to a server.
pub fn without_zone(host: &str) -> &str {
    match split(host) {
        Some(_) => host.split('%').next().unwrap_or(host),
        None => host,
    }
}

/// Whether a host is an address, with or without a zone.
pub fn is_address(host: &str) -> bool {
    without_zone(host).parse::<IpAddr>().is_ok()
}

/// Removes the zone from the host of a URL, and returns both. The URL parser does not support zones.
///
/// # Errors
/// A description of the invalid zone, which does not quote the URL.
pub fn remove_from_url(url: &str) -> Result<(Cow<'_, str>, Option<String>), String> {
    let start = url.find("://").map_or(0, |end| end + "://".len());
    let end = url[start..]
        .find(['/', '?', '#', '\\'])
        .map_or(url.len(), |end| start + end);
    // The user info may contain anything but an @.
    let host = url[start..end].rfind('@').map_or(start, |at| start + at + 1);
    let inside = url[host..end]
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'));
    let Some((inside, _)) = inside else {
        return Ok((Cow::Borrowed(url), None));
    };
    let Some((address, zone)) = inside.split_once('%') else {
        return Ok((Cow::Borrowed(url), None));
    };
    // The percent sign should be encoded in a URL, but often is not.
    let zone = zone
        .strip_prefix("25")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(zone);
    let zone = percent_decode_str(zone).decode_utf8_lossy();
    let whole = format!("{address}%{zone}");
    if split(&whole).is_none() {
        return Err(WRONG.to_owned());
    }
    let after = host + 1 + inside.len();
    let plain = format!("{}{address}{}", &url[..=host], &url[after..]);
    Ok((Cow::Owned(plain), Some(zone.into_owned())))
}

fn is_zone(zone: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_graphic() && !"/%[]@?#".contains(c);
    (1..=MAX_ZONE_BYTES).contains(&zone.len()) && zone.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_link_local_addresses_have_zones() {
        for (host, zone, plain) in [
            ("fe80::1%eth0", Some("eth0"), "fe80::1"),
            ("fe80::1%3", Some("3"), "fe80::1"),
            ("FE80::1%br-lan.7", Some("br-lan.7"), "FE80::1"),
            ("fe80::1", None, "fe80::1"),
            ("fe80::1%", None, "fe80::1%"),
            ("fe80::1%eth0%1", None, "fe80::1%eth0%1"),
            ("fe80::1%a/b", None, "fe80::1%a/b"),
            ("fe80::1%0123456789abcdef", None, "fe80::1%0123456789abcdef"),
            ("2001:db8::1%eth0", None, "2001:db8::1%eth0"),
            ("::1%lo", None, "::1%lo"),
            ("127.0.0.1%lo", None, "127.0.0.1%lo"),
            ("localhost%lo", None, "localhost%lo"),
        ] {
            assert_eq!(split(host).map(|(_, zone)| zone), zone, "{host}");
            assert_eq!(without_zone(host), plain);
        }
    }

    #[test]
    fn take_removes_the_zone_from_a_url() {
        for (url, plain, zone) in [
            (
                "http://[fe80::1%25eth0]:80/a?b",
                "http://[fe80::1]:80/a?b",
                Some("eth0"),
            ),
            ("http://[fe80::1%eth0]", "http://[fe80::1]", Some("eth0")),
            ("[fe80::1%25eth0]:80", "[fe80::1]:80", Some("eth0")),
            (
                "redis://a:b%5D@[fe80::1%25br%2D0]/0",
                "redis://a:b%5D@[fe80::1]/0",
                Some("br-0"),
            ),
            ("http://[fe80::1%25]/", "http://[fe80::1]/", Some("25")),
            ("http://[fe80::1]/[x%25y]", "http://[fe80::1]/[x%25y]", None),
            ("http://h/%25?[a%25b]", "http://h/%25?[a%25b]", None),
            ("http://a@b@[::1]/", "http://a@b@[::1]/", None),
            ("", "", None),
        ] {
            let (left, found) = remove_from_url(url).unwrap();
            assert_eq!((left.as_ref(), found.as_deref()), (plain, zone), "{url}");
        }
        for url in [
            "http://[::1%25lo]/",
            "http://[fe80::1%25]a]/",
            "http://[fe80::1%25a%2Fb]/",
            "http://[x%25y]/",
        ] {
            // `[fe80::1%25]a]` ends at the first bracket, so its zone is `25`, which is valid.
            let outcome = remove_from_url(url);
            assert!(outcome.is_err() || url.contains("]a]"), "{url}: {outcome:?}");
        }
    }
}
