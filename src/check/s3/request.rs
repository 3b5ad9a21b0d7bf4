//! Requests to a store, signed with AWS Signature Version 4 in their query.

use std::time::SystemTime;

use bytes::Bytes;
use http::Request;
use http::header::HOST;
use http_body_util::Full;
use rusty_s3::Method;
use rusty_s3::signing::sign;
use url::Url;

use crate::config::address::HostPort;
use crate::config::s3::S3Settings;
use crate::config::secret::{Secret, SecretSource};
use crate::model::{Problem, Reason, UsedSecrets};
use crate::net::shortage;

/// The lifetime of a signature in seconds: the difference between clocks that S3 tolerates. With a shorter lifetime, this check
/// would fail where most clients, which sign headers, still work.
pub const LIFETIME: u64 = 15 * 60;

/// The store to which requests are sent.
#[derive(Clone, Debug)]
pub struct Store {
    endpoint: Url,
    address: HostPort,
    /// The region in the signature.
    pub region: String,
    path_style: bool,
}

/// The keys of a run. Without `Debug`, because they are secret.
pub struct Keys {
    access: Secret,
    secret: Secret,
    token: Option<Secret>,
}

impl Keys {
    /// Reads the keys.
    ///
    /// # Errors
    /// A key can't be read, or is empty.
    pub fn read(settings: &S3Settings) -> Result<Self, Problem> {
        let read = |name: &str, source: &SecretSource| match source.read_line() {
            Ok(secret) if secret.expose().is_empty() => Err(Problem::new(
                Reason::Auth,
                format_args!("{name} is empty: write the key into it"),
            )),
            Ok(secret) => Ok(secret),
            Err(error) => Err(shortage::problem(
                Reason::Auth,
                &error,
                format_args!("{name}: {error}"),
            )),
        };
        let token = settings.session_token.as_ref();
        Ok(Self {
            access: read("access_key", &settings.access_key)?,
            secret: read("secret_key", &settings.secret_key)?,
            token: token.map(|source| read("session_token", source)).transpose()?,
        })
    }
}

impl Store {
    /// The store with these settings.
    pub fn new(settings: &S3Settings) -> Self {
        Self {
            endpoint: settings.endpoint.clone(),
            address: settings.address.clone(),
            region: settings.region.clone(),
            path_style: settings.path_style,
        }
    }

    /// A problem of the store.
    pub fn problem(&self, reason: Reason, doing: &str, what: &str) -> Problem {
        Problem::new(reason, format_args!("{}, {doing}: {what}", self.address))
    }

    /// A signed request for a bucket's location, or for the list of all buckets. The location is cheap, and unlike a HEAD
    /// request its response has an error code.
    ///
    /// # Errors
    /// The request can't be created, which valid settings do not cause.
    pub fn signed(
        &self,
        bucket: Option<&str>,
        keys: &Keys,
        doing: &str,
    ) -> Result<Request<Full<Bytes>>, Problem> {
        self.signed_at(SystemTime::now(), bucket, keys)
            .inspect(record_signature)
            .and_then(|url| request(&url))
            .ok_or_else(|| self.problem(Reason::Internal, doing, "the request could not be created"))
    }

    /// A request without a signature.
    pub fn plain(&self, path: &str) -> Option<Request<Full<Bytes>>> {
        let mut url = self.endpoint.clone();
        url.set_path(path);
        request(&url)
    }

    fn signed_at(&self, now: SystemTime, bucket: Option<&str>, keys: &Keys) -> Option<Url> {
        let mut url = self.endpoint.clone();
        let mut query = None;
        if let Some(bucket) = bucket {
            query = Some(("location", ""));
            if self.path_style {
                url.set_path(&format!("/{bucket}/"));
            } else {
                let host = format!("{bucket}.{}", url.host_str()?);
                url.set_host(Some(&host)).ok()?;
            }
        }
        Some(sign(
            &now.try_into().ok()?,
            Method::Get,
            url,
            keys.access.expose(),
            keys.secret.expose(),
            keys.token.as_ref().map(Secret::expose),
            &self.region,
            LIFETIME,
            query.into_iter(),
            std::iter::empty(),
        ))
    }
}

/// Records the signature as a secret. Whoever has it can use it until it expires, and the store may repeat it in an error.
fn record_signature(url: &Url) {
    let signature = url.query_pairs().find(|(name, _)| name == "X-Amz-Signature");
    if let Some((_, signature)) = signature {
        UsedSecrets::record(&signature.as_ref().into());
    }
}

fn request(url: &Url) -> Option<Request<Full<Bytes>>> {
    let host = url.host_str()?;
    // The scheme's default port is omitted, as in the signature.
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let request = Request::get(target).header(HOST, host);
    request.body(Full::default()).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn store(endpoint: &str, path_style: bool) -> Store {
        Store {
            endpoint: Url::parse(endpoint).unwrap(),
            address: HostPort {
                host: "minio".to_owned(),
                port: 9000,
            },
            region: "eu-north-1".to_owned(),
            path_style,
        }
    }

    fn keys() -> Keys {
        Keys {
            access: Secret::new("me"),
            secret: Secret::new("geheim"),
            token: Some(Secret::new("a token")),
        }
    }

    #[test]
    fn a_bucket_is_in_the_path_or_in_the_host() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let url = |style| {
            let store = store("https://s3.example.org", style);
            store.signed_at(now, Some("raw-iq"), &keys()).unwrap().to_string()
        };
        let signed = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=me%2F20130524%2Feu-north-1%2Fs3%2Faws4_request\
                      &X-Amz-Date=20130524T000000Z&X-Amz-Expires=900&X-Amz-Security-Token=a%20token\
                      &X-Amz-SignedHeaders=host&location=&X-Amz-Signature=";
        let path = url(true);
        let host = url(false);
        assert!(
            path.starts_with(&format!("https://s3.example.org/raw-iq/?{signed}")),
            "{path}"
        );
        assert!(
            host.starts_with(&format!("https://raw-iq.s3.example.org/?{signed}")),
            "{host}"
        );
    }

    #[test]
    fn the_host_header_matches_the_signature() {
        for (endpoint, host) in [
            ("http://minio:9000", "minio:9000"),
            ("http://minio:80", "minio"),
            ("https://[::1]:9000", "[::1]:9000"),
        ] {
            let request = store(endpoint, true).signed(None, &keys(), "x").unwrap();
            assert_eq!(request.headers()[HOST], host);
            assert!(
                request.uri().to_string().starts_with("/?X-Amz-"),
                "{}",
                request.uri()
            );
        }
        let plain = store("http://minio:9000", true)
            .plain("/minio/health/live")
            .unwrap();
        assert_eq!(plain.uri(), "/minio/health/live");
    }
}
