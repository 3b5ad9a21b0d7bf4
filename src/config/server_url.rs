//! URLs of servers other than web servers, in the notation of their clients: `redis://user:password@cache:6379/0`, `amqp://...`.
//! Messages never quote them, since they may contain a password.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::address::HostPort;
use super::place::{Invalid, Place};
use super::secret::{Secret, SecretSource};
use super::zone;

/// The advice for a password whose special characters are not encoded.
const ENCODE: &str = "; in a password, write / ? # @ % as %2F %3F %23 %40 %25, or use password_file";

/// The parts of a server's URL, decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerUrl {
    /// The scheme, one of the allowed ones.
    pub scheme: &'static str,
    /// The user.
    pub user: Option<String>,
    /// The password in the URL.
    pub password: Option<Secret>,
    /// The address of the server.
    pub address: HostPort,
    /// The part after the slash that follows the host; `None` without that slash.
    pub path: Option<String>,
    /// The keys and values of the query.
    pub query: Vec<(String, String)>,
}

impl ServerUrl {
    /// Parses a URL with one of these schemes, each with its default port. Errors show `example`.
    ///
    /// # Errors
    /// Reported at `place`.
    pub fn parse(
        text: &str,
        schemes: &[(&'static str, u16)],
        example: &str,
        place: &Place<'_>,
    ) -> Result<Self, Invalid> {
        // A slash in a password that is not encoded ends the host too early. Without this check the rest of the password would
        // be treated as a path, which is not secret.
        let (_, rest) = text.split_once("://").unwrap_or_default();
        let is_unencoded = rest
            .find(['/', '?', '#'])
            .is_some_and(|end| rest[end..].contains('@'));
        let wrong = |what: &str| {
            let advice = if is_unencoded { ENCODE } else { "" };
            Err(place.error(format_args!("{what}: write a URL such as {example}{advice}")))
        };
        let (text, zone) = match zone::remove_from_url(text) {
            Ok(taken) => taken,
            Err(error) => return wrong(&error),
        };
        let url = match Url::parse(&text) {
            Ok(url) => url,
            Err(error) => return wrong(&format!("not a URL ({error})")),
        };
        let Some((scheme, port)) = schemes.iter().find(|(scheme, _)| *scheme == url.scheme()) else {
            let known: Vec<String> = schemes.iter().map(|(scheme, _)| format!("{scheme}://")).collect();
            return wrong(&format!("the scheme of the URL is not {}", known.join(" or ")));
        };
        if is_unencoded {
            return wrong("the URL has an @ after its host");
        }
        if url.fragment().is_some() {
            return wrong("the URL has a fragment (#), which is not supported");
        }
        let host = match url.host() {
            Some(Host::Ipv6(address)) => match zone {
                Some(zone) => format!("{address}%{zone}"),
                None => address.to_string(),
            },
            Some(other) => decode(&other.to_string()),
            None => String::new(),
        };
        if host.is_empty() {
            return wrong("the URL has no host");
        }
        let port = url.port().unwrap_or(*port);
        if port == 0 {
            return wrong("port 0 is not valid");
        }
        Ok(Self {
            scheme,
            user: Some(decode(url.username())).filter(|user| !user.is_empty()),
            password: url.password().map(|password| Secret::new(decode(password))),
            address: HostPort { host, port },
            path: url.path().strip_prefix('/').map(decode),
            query: url.query_pairs().into_owned().collect(),
        })
    }

    /// Resolves the source of the password: the URL, or one of the keys `password`, `password_file` and `password_env`.
    ///
    /// # Errors
    /// Reported at the key, if the password is given twice or can't be read.
    pub fn resolve_password(
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
                .error("the password is given twice: remove it from the URL")),
            (Some(password), None) => Ok(Some(SecretSource::Inline(password.clone()))),
            (None, given) => Ok(given),
        }
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_at_root;

    const SCHEMES: &[(&str, u16)] = &[("redis", 6379), ("rediss", 6379)];

    fn parse(text: &str) -> Result<ServerUrl, String> {
        let parsed = resolve_at_root(|root| ServerUrl::parse(text, SCHEMES, "redis://cache:6379/0", root));
        parsed.map_err(|errors| errors[0].trim_start_matches(": ").to_owned())
    }

    #[test]
    fn a_url_is_split_into_its_parts() {
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
    fn errors_do_not_quote_the_url() {
        let example = "write a URL such as redis://cache:6379/0";
        for (text, wrong) in [
            ("secret", "not a URL (relative URL without a base)"),
            (
                "http://me:secret@x",
                "the scheme of the URL is not redis:// or rediss://",
            ),
            ("redis:///0", "the URL has no host"),
            ("redis://x:0", "port 0 is not valid"),
            ("redis://me:secret@x:99999", "not a URL (invalid port number)"),
        ] {
            assert_eq!(parse(text), Err(format!("{wrong}: {example}")));
        }
    }

    #[test]
    fn an_unencoded_password_is_reported_and_never_quoted() {
        for text in [
            "redis://me:12/secret@x:1/0",
            "redis://me:12#secret@x",
            "redis://me:12?secret@x",
            "redis://me:secret#1@x",
            "redis://me:secret/1@x",
            "redis://:12/secret@x",
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.ends_with(ENCODE), "{message}");
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
        let inline = SecretSource::Inline(Secret::new("secret"));
        let password =
            |key: Option<String>| resolve_at_root(|root| url.resolve_password(root, key.clone(), None, None));
        assert_eq!(password(None), Ok(Some(inline)));
        assert_eq!(
            password(Some("other".into())),
            Err(vec![
                "url: the password is given twice: remove it from the URL".to_owned()
            ])
        );
    }
}
