//! The path and query of a URL, as they are sent. They are sent as written, except for characters that RFC 3986 does not allow there:
//! these are percent-encoded. (The URL parser also removes dot segments, even `%2e%2e`, and leaves some of these characters.)

use percent_encoding::{percent_decode_str, percent_encode_byte};

/// Why a text has no path and query.
const NO_HOST: &str = "not a URL with a host: write a URL such as http://127.0.0.1:8000/health";

/// A path that begins with a slash, and a query.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestTarget {
    text: String,
    path_length: usize,
}

impl RequestTarget {
    /// The path and query of an absolute URL.
    ///
    /// # Errors
    /// If the URL has no scheme or no host.
    pub fn of_url(url: &str) -> Result<Self, String> {
        let without_fragment = url.split('#').next().unwrap_or(url);
        let (path, query) = split(after_authority(without_fragment)?.ok_or(NO_HOST)?);
        Ok(Self::new(&encode_path(path), query.map(encode_query)))
    }

    /// The path and query that a redirect from here leads to (RFC 3986, section 5.2). Dot segments are removed, but not `%2e%2e`, as in
    /// blackbox_exporter.
    ///
    /// # Errors
    /// If the location has a scheme, but no host.
    pub fn join(&self, location: &str) -> Result<Self, String> {
        let without_fragment = location.split('#').next().unwrap_or(location);
        let authority = after_authority(without_fragment)?;
        let (path, query) = split(authority.unwrap_or(without_fragment));
        let query = query.map(encode_query);
        let encoded = encode_path(path);
        let (path, query) = match authority {
            None if path.is_empty() => {
                let query = query.or_else(|| self.query().map(str::to_owned));
                (self.path().to_owned(), query)
            }
            None if !path.starts_with('/') => {
                let folder = self.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                (format!("{folder}/{encoded}"), query)
            }
            _ => (encoded, query),
        };
        Ok(Self::new(&remove_dot_segments(&path), query))
    }

    fn new(path: &str, query: Option<String>) -> Self {
        let path = if path.is_empty() { "/" } else { path };
        let mut text = path.to_owned();
        if let Some(query) = query {
            text.push('?');
            text.push_str(&query);
        }
        Self {
            path_length: path.len(),
            text,
        }
    }

    /// The path and query.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path.
    pub fn path(&self) -> &str {
        &self.text[..self.path_length]
    }

    /// The query.
    pub fn query(&self) -> Option<&str> {
        self.text[self.path_length..].strip_prefix('?')
    }
}

/// Whether a text begins with a scheme and `://`.
pub fn has_scheme(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.split_once("://")
        .is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(is_valid))
}

/// The rest of a reference after its authority; `None` if it has none.
///
/// # Errors
/// If the authority is empty, or if there is a scheme without one. The URL parser would find a host in the path.
fn after_authority(reference: &str) -> Result<Option<&str>, String> {
    let is_relative = |text: &str| {
        !text
            .split(['/', '?'])
            .next()
            .is_some_and(|part| part.contains(':'))
    };
    let rest = match reference.strip_prefix("//") {
        Some(rest) => rest,
        None if has_scheme(reference) => reference.split_once("://").map_or("", |(_, rest)| rest),
        None if is_relative(reference) => return Ok(None),
        None => return Err(NO_HOST.to_owned()),
    };
    match rest.find(['/', '?']) {
        Some(0) => Err(NO_HOST.to_owned()),
        Some(end) => Ok(Some(&rest[end..])),
        None if rest.is_empty() => Err(NO_HOST.to_owned()),
        None => Ok(Some("")),
    }
}

fn split(target: &str) -> (&str, Option<&str>) {
    target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)))
}

/// Whether a byte may be in a path. RFC 3986 does not allow brackets, but browsers and blackbox_exporter leave them.
fn is_valid_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/%[]".contains(&byte)
}

/// Encodes a path. If it has invalid characters, it is decoded first, as in blackbox_exporter.
fn encode_path(path: &str) -> String {
    if path.bytes().all(is_valid_in_path) {
        return path.to_owned();
    }
    let is_left = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte);
    encode(percent_decode_str(path), is_left)
}

fn encode_query(query: &str) -> String {
    encode(query.bytes(), |byte| is_valid_in_path(byte) || byte == b'?')
}

fn encode(bytes: impl Iterator<Item = u8>, is_left: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::new();
    for byte in bytes {
        match is_left(byte) {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(percent_encode_byte(byte)),
        }
    }
    encoded
}

/// Removes the segments `.` and `..` of a path (RFC 3986, section 5.2.4).
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut ends_in_folder = false;
    for segment in segments {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    if ends_in_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_are_sent_as_written() {
        for (url, sent) in [
            ("http://h", "/"),
            ("http://h?a", "/?a"),
            ("http://h/?", "/?"),
            ("http://h/a/../b/./c//d#e?f", "/a/../b/./c//d"),
            ("http://me:x@h:1/a/%2e%2E/b%2fc?d=%20'", "/a/%2e%2E/b%2fc?d=%20'"),
            ("http://h/a!$&'()*+,;=:@[]-._~", "/a!$&'()*+,;=:@[]-._~"),
            ("http://h/a b", "/a%20b"),
            ("http://h/{a}|\"<>^`\\", "/%7Ba%7D%7C%22%3C%3E%5E%60%5C"),
            (
                "http://h/\u{e9}?\u{e9}={}|^`\\ []\"",
                "/%C3%A9?%C3%A9=%7B%7D%7C%5E%60%5C%20[]%22",
            ),
            // An invalid character makes blackbox_exporter encode the decoded path.
            ("http://h/a%2fb!c d%20", "/a/b%21c%20d%20"),
            ("http://h/%zz?%", "/%zz?%"),
            ("http://h:1/a?b=http://c/?d", "/a?b=http://c/?d"),
        ] {
            let target = RequestTarget::of_url(url).unwrap();
            assert_eq!(target.as_str(), sent, "{url}");
        }
        for url in ["http:///a", "http://", "http://?a", "/a", "a", "http:a"] {
            assert!(RequestTarget::of_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn redirects_remove_dot_segments_that_are_not_encoded() {
        // The first ones are the examples of RFC 3986, section 5.4.
        for (location, sent) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("//g", "/"),
            ("?y", "/b/c/d?y"),
            ("g?y#s", "/b/c/g?y"),
            ("#s", "/b/c/d?q"),
            ("", "/b/c/d?q"),
            (".", "/b/c/"),
            ("..", "/b/"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("g..", "/b/c/g.."),
            ("./g/.", "/b/c/g/"),
            ("g/../h", "/b/c/h"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("/a/%2e%2e/b//c", "/a/%2e%2e/b//c"),
            ("http://h/a/../b", "/b"),
            ("//h/a/%2e%2e/b?c", "/a/%2e%2e/b?c"),
            ("/a|b", "/a%7Cb"),
        ] {
            let base = RequestTarget::of_url("http://a/b/c/d?q").unwrap();
            assert_eq!(base.join(location).unwrap().as_str(), sent, "{location}");
        }
        let base = RequestTarget::of_url("http://a").unwrap();
        for location in ["///h", "http:/h", "https:h", "http:///h", "http://"] {
            assert!(base.join(location).is_err(), "{location}");
        }
    }
}
