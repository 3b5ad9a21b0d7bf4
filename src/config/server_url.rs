//! The URL of a server that is no web server: `redis://user:password@cache:6379/0`, `amqp://...`, as their clients write it.
//! No message quotes it, since it may hold a password.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::address::HostPort;
use super::place::{Invalid, Place};
use super::secret::{Secret, SecretSource};
use super::zone;

/// What to do about a password that has torn a URL apart.
const TORN: &str = "; in a password the characters / ? # @ % are written %2F %3F %23 %40 %25, or it is given as password_file";

/// The parts of a server's URL, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerUrl {
    /// The scheme: one of those that were asked for.
    pub scheme: &'static str,
    /// The user, where there is one.
    pub user: Option<String>,
    /// The password, where it is written in the URL.
    pub password: Option<Secret>,
    /// Where the server is.
    pub address: HostPort,
    /// What follows the slash after the host, decoded; `None` without that slash.
    pub path: Option<String>,
    /// The query's keys with their values.
    pub query: Vec<(String, String)>,
}

impl ServerUrl {
    /// Reads a URL with one of these schemes, each with its default port. `example` is shown where it is wrong.
    ///
    /// # Errors
    /// Reported at `place`.
    pub fn parse(
        text: &str,
        schemes: &[(&'static str, u16)],
        example: &str,
        place: &Place<'_>,
    ) -> Result<Self, Invalid> {
        // A password that is not encoded ends the host's part too early, and its rest would be taken for something to show.
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let is_torn = rest
            .find(['/', '?', '#'])
            .is_some_and(|end| rest[end..].contains('@'));
        let wrong = |what: &str| {
            let hint = if is_torn { TORN } else { "" };
            Err(place.error(format_args!("{what}: write one such as {example}{hint}")))
        };
        let (text, zone) = match zone::take(text) {
            Ok(taken) => taken,
            Err(error) => return wrong(&error),
        };
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(error) => return wrong(&format!("this is no URL ({error})")),
        };
        let Some((scheme, port)) = schemes.iter().find(|(scheme, _)| *scheme == url.scheme()) else {
            let known: Vec<String> = schemes.iter().map(|(scheme, _)| format!("{scheme}://")).collect();
            return wrong(&format!("the scheme of this URL is not {}", known.join(" or ")));
        };
        if is_torn {
            return wrong("the URL has an @ after its host");
        }
        if url.fragment().is_some() {
            return wrong("the URL has a fragment (#), which means nothing here");
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => match zone {
                Some(zone) => format!("{address}%{zone}"),
                None => address.to_string(),
            },
            Some(other) => decoded(&other.to_string()),
            None => String::new(),
        };
        if host.is_empty() {
            return wrong("the URL has no host");
        }
        let port = url.port().unwrap_or(*port);
        if port == 0 {
            return wrong("port 0 can't be connected to");
        }
        Ok(Self {
            scheme,
            user: Some(decoded(url.username())).filter(|user| !user.is_empty()),
            password: url.password().map(|password| Secret::new(decoded(password))),
            address: HostPort { host, port },
            path: url.path().strip_prefix('/').map(decoded),
            query: url.query_pairs().into_owned().collect(),
        })
    }

    /// Where the password comes from: the URL, or one of the keys `password`, `password_file` and `password_env`.
    ///
    /// # Errors
    /// Reported at the key, where it is given twice or can't be read.
    pub fn password(
        &self,
        place: &Place<'_>,
        inline: Option<String>,
        file: Option<std::path::PathBuf>,
        env: Option<String>,
    ) -> Result<Option<SecretSource>, Invalid> {
        let given = SecretSource::from_keys(place, "password", inline, file, env)?;
        match (&self.password, given) {
            (Some(_), Some(_)) => Err(place
                .field("url")
                .error("the password is given twice: leave it out of the URL")),
            (Some(password), None) => Ok(Some(SecretSource::Inline(password.clone()))),
            (None, given) => Ok(given),
        }
    }
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const SCHEMES: &[(&str, u16)] = &[("redis", 6379), ("rediss", 6379)];

    fn parse(text: &str) -> Result<ServerUrl, String> {
        let findings = RefCell::default();
        let place = Place::root(&findings);
        let parsed = ServerUrl::parse(text, SCHEMES, "redis://cache:6379/0", &place);
        parsed.map_err(|Invalid| findings.take().remove(0).message)
    }

    #[test]
    fn a_url_falls_into_its_parts() {
        let url = parse("rediss://me:p%40ss@[::1]/7?a=b%20c").unwrap();
        assert_eq!(url.scheme, "rediss");
        assert_eq!(url.user.as_deref(), Some("me"));
        assert_eq!(url.password, Some(Secret::new("p@ss")));
        assert_eq!(url.address.to_string(), "[::1]:6379");
        assert_eq!(url.path.as_deref(), Some("7"));
        assert_eq!(url.query, [("a".to_owned(), "b c".to_owned())]);
        let bare = parse("redis://cache:1").unwrap();
        assert_eq!((bare.user, bare.password, bare.path), (None, None, None));
        assert_eq!(parse("redis://x/%2f").unwrap().path.as_deref(), Some("/"));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_text() {
        let example = "write one such as redis://cache:6379/0";
        for (text, wrong) in [
            ("secret", "this is no URL (relative URL without a base)"),
            (
                "http://me:secret@x",
                "the scheme of this URL is not redis:// or rediss://",
            ),
            ("redis:///0", "the URL has no host"),
            ("redis://x:0", "port 0 can't be connected to"),
            (
                "redis://me:secret@x:99999",
                "this is no URL (invalid port number)",
            ),
        ] {
            assert_eq!(parse(text), Err(format!("{wrong}: {example}")));
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_told_and_not_taken_for_a_host() {
        for text in [
            "redis://me:12/secret@x:1/0",
            "redis://me:12#secret@x",
            "redis://me:12?secret@x",
            "redis://me:secret#1@x",
            "redis://me:secret/1@x",
            "redis://:12/secret@x",
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.ends_with(TORN), "{message}");
            assert!(!message.contains("secret"), "{message}");
        }
        let url = parse("redis://me:a%2Fb%23c%40d@x/0").unwrap();
        assert_eq!(url.password, Some(Secret::new("a/b#c@d")));
        assert!(
            parse("redis://x/0#f")
                .unwrap_err()
                .starts_with("the URL has a fragment")
        );
    }

    #[test]
    fn a_password_comes_from_one_place() {
        let url = parse("redis://:secret@x").unwrap();
        let findings = RefCell::default();
        let place = Place::root(&findings);
        let inline = SecretSource::Inline(Secret::new("secret"));
        assert_eq!(url.password(&place, None, None, None), Ok(Some(inline)));
        assert_eq!(
            url.password(&place, Some("other".into()), None, None),
            Err(Invalid)
        );
        let finding = findings.take().remove(0);
        assert_eq!(
            (finding.path.to_string().as_str(), finding.message.as_str()),
            ("url", "the password is given twice: leave it out of the URL")
        );
    }
}
