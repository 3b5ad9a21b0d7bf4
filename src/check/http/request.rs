//! The requests of an http check: the first one and those after redirects.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, HOST, LOCATION, PROXY_AUTHORIZATION, USER_AGENT,
};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, response};
use url::Url;

use super::cookies::Cookies;
use super::redirects::{decode_location, is_same_server, is_shareable, shareable_headers};
use crate::config::http::{BodySource, HttpSettings, ProxyServer, TargetUrl};
use crate::config::regular_file::FileError;
use crate::config::zone;
use crate::model::{self, Problem, Reason, UsedSecrets};
use crate::net::http::{add_header_files, authorization};
use crate::net::shortage;

/// One request in a chain of redirects.
#[derive(Clone, Debug)]
pub struct Hop {
    url: Arc<TargetUrl>,
    method: Method,
    with_body: bool,
    /// Whether the request goes to the configured server and no other server has redirected it. Only then it gets secrets.
    trusted: bool,
}

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
pub struct Wire<'s> {
    /// Whether over HTTP/2.
    pub http2: bool,
    /// The proxy that forwards a plain HTTP request.
    pub forwarder: Option<&'s ProxyServer>,
}

/// Builds the requests of one check.
#[derive(Debug)]
pub struct Requests {
    settings: Arc<HttpSettings>,
    url: Arc<TargetUrl>,
    /// The headers of every request to the configured host over HTTP/1.1, without those whose secrets every run reads.
    headers: HeaderMap,
    /// The configured `Host`.
    own_host: Option<HeaderValue>,
    /// The header `Authorization` with the token of this run.
    pub token: Option<HeaderValue>,
}

impl Requests {
    /// Prepares the requests for these settings.
    pub fn new(settings: Arc<HttpSettings>) -> Self {
        // With room for Host, Connection, User-Agent and Accept-Encoding. Host is sent first (RFC 9110, section 7.2).
        let mut headers = HeaderMap::with_capacity(settings.headers.len() + 4);
        let own_host = settings.headers.iter().rev().find(|(name, _)| *name == HOST);
        let own_host = own_host.and_then(|(_, host)| HeaderValue::from_str(host.unhidden()).ok());
        let authority = || HeaderValue::from_str(settings.url.authority()).ok();
        if let Some(host) = own_host.clone().or_else(authority) {
            headers.insert(HOST, host);
        }
        // The connection is not reused. With this header, the server closes first. So the ports in TIME_WAIT (RFC 9293,
        // section 3.6.1) are on the server, and a busy exporter does not run out of ports.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in settings.headers.iter().filter(|(name, _)| *name != HOST) {
            // The configuration rejects invalid values.
            let Ok(mut value) = HeaderValue::from_str(value.unhidden()) else {
                continue;
            };
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
        // Configured headers replace the defaults.
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(model::USER_AGENT));
        if let Some(compression) = settings.compression {
            headers
                .entry(ACCEPT_ENCODING)
                .or_insert(HeaderValue::from_static(compression.as_str()));
        }
        Self {
            url: Arc::new(settings.url.clone()),
            settings,
            headers,
            own_host,
            token: None,
        }
    }

    /// The configured request.
    pub fn first(&self) -> Hop {
        Hop {
            url: self.url.clone(),
            method: self.settings.method.clone(),
            with_body: self.settings.body.is_some(),
            trusted: true,
        }
    }

    /// The name that the certificate must be for. The configured name applies only to the configured host, not to the targets
    /// of redirects.
    pub fn tls_host(&self, hop: &Hop) -> String {
        let is_own = self.is_own(hop);
        if let Some(name) = self.settings.tls.server_name.as_ref().filter(|_| is_own) {
            return name.to_str().into_owned();
        }
        let own_host = self.own_host.as_ref().filter(|_| is_own);
        match own_host.and_then(|host| host.to_str().ok()) {
            Some(host) => {
                let name = host
                    .rsplit_once(':')
                    .filter(|(_, port)| port.parse::<u16>().is_ok());
                name.map_or(host, |(name, _)| name)
                    .trim_matches(['[', ']'])
                    .to_owned()
            }
            None => zone::without_zone(&hop.url.address().host).to_owned(),
        }
    }

    /// Whether a request contains credentials.
    pub fn sends_credentials(&self, hop: &Hop) -> bool {
        let mut in_files = self.settings.header_files.iter();
        hop.trusted
            && (self.settings.credentials.is_some()
                || self.token.is_some()
                || self.headers.contains_key(AUTHORIZATION)
                || in_files.any(|(name, _)| *name == AUTHORIZATION))
    }

    /// Builds a request.
    ///
    /// # Errors
    /// If a secret or the body's file can't be read.
    pub fn build(&self, hop: &Hop, cookies: &Cookies, wire: Wire<'_>) -> Result<Request<Bytes>, Problem> {
        let url = &hop.url;
        self.record_secrets(hop);
        let mut request = Request::new(Bytes::new());
        let mut headers = self.headers.clone();
        let host = match self.headers.get(HOST).filter(|_| self.is_own(hop)) {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(url.authority()).map_err(|error| invalid(url, &error))?,
        };
        let uri = match (wire.http2, wire.forwarder) {
            (false, None) => Uri::try_from(url.path_and_query()),
            (false, Some(_)) => Uri::try_from(format!("http://{}{}", url.authority(), url.path_and_query())),
            (true, _) => {
                let authority = host.to_str().unwrap_or(url.authority());
                Uri::try_from(format!("https://{authority}{}", url.path_and_query()))
            }
        };
        *request.uri_mut() = uri.map_err(|error| invalid(url, &error))?;
        if wire.http2 {
            *request.version_mut() = Version::HTTP_2;
            headers.remove(CONNECTION);
            headers.remove(HOST);
        } else {
            headers.insert(HOST, host);
        }
        if hop.trusted {
            add_header_files(&mut headers, &self.settings.header_files)?;
        }
        match (&self.settings.credentials, hop.trusted) {
            (Some(credentials), true) => {
                headers.insert(AUTHORIZATION, authorization(credentials)?);
            }
            (None, true) => {
                if let Some(token) = &self.token {
                    headers.insert(AUTHORIZATION, token.clone());
                }
            }
            (_, false) => headers = shareable_headers(headers),
        }
        cookies.add_to(&mut headers, url.expose());
        if let Some(credentials) = wire.forwarder.and_then(|proxy| proxy.credentials.as_ref()) {
            headers.insert(PROXY_AUTHORIZATION, authorization(credentials)?);
        }
        *request.headers_mut() = headers;
        if let Some(source) = self.settings.body.as_ref().filter(|_| hop.with_body) {
            *request.body_mut() = body(source)?;
        }
        *request.method_mut() = hop.method.clone();
        Ok(request)
    }

    /// Records the secrets in headers and in the URL as used, because the target may return them.
    fn record_secrets(&self, hop: &Hop) {
        let headers = self.settings.headers.iter();
        for (_, value) in headers.filter(|(name, _)| !is_shareable(name)) {
            value.expose();
        }
        if let Some(query) = self.url.query().filter(|_| hop.trusted) {
            // With the separator, a single pair is parsed as a query, too. Nothing in `format=json` is secret.
            UsedSecrets::record(&format!("&{query}").into());
        }
    }

    fn is_own(&self, hop: &Hop) -> bool {
        hop.url.authority() == self.url.authority()
    }
}

impl Hop {
    /// The URL of the request.
    pub fn url(&self) -> &TargetUrl {
        &self.url
    }

    /// Whether a response of this status has no body (RFC 9112, section 6.3).
    pub fn has_no_body(&self, status: StatusCode) -> bool {
        self.method == Method::HEAD || matches!(status.as_u16(), 100..=199 | 204 | 304)
    }

    /// The next request if the response redirects (RFC 9110, section 15.4).
    ///
    /// # Errors
    /// If the `Location` can't be followed.
    pub fn redirect(&self, head: &response::Parts, configured: &Url) -> Result<Option<Self>, Problem> {
        let keeps_method = match head.status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return Ok(None),
        };
        let location = head.headers.get(LOCATION);
        // An empty location counts as none. Following it would request the same URL again.
        let Some(location) = location.filter(|location| !location.is_empty()) else {
            return Ok(None);
        };
        let failed = |what: &dyn std::fmt::Display| {
            let message = format!(
                "{} redirects to a Location that can't be followed: {what}",
                self.url.shown()
            );
            Problem::new(Reason::Protocol, message)
        };
        let location = decode_location(location.as_bytes());
        let next = self.url.join(&location).map_err(|error| failed(&error))?;
        let trusted = self.trusted && is_same_server(configured, next.expose());
        let with_body = self.with_body && keeps_method;
        if with_body && !trusted {
            return Err(failed(&format_args!(
                "{} would send the request's body to {}, which is another server: to allow this, set url to it",
                head.status.as_u16(),
                next.shown()
            )));
        }
        let method = match self.method {
            _ if keeps_method => self.method.clone(),
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        };
        Ok(Some(Self {
            url: Arc::new(next),
            method,
            with_body,
            trusted,
        }))
    }
}

fn invalid(url: &TargetUrl, error: &dyn std::fmt::Display) -> Problem {
    Problem::new(
        Reason::Protocol,
        format_args!("{} can't be requested: {error}", url.shown()),
    )
}

fn body(source: &BodySource) -> Result<Bytes, Problem> {
    source.read().map(Bytes::from).map_err(|error| {
        let reason = match error.cause {
            FileError::TooLong(_) => Reason::Limit,
            _ => Reason::Internal,
        };
        shortage::problem(reason, &error, format_args!("body_file: {error}"))
    })
}
