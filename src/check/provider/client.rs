//! The HTTP client of a run. It uses the exporter's resolver and TLS, follows no redirect, retries nothing, and closes its connections
//! when it is dropped.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Proxy, retry};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use crate::config::address::AddressPreference;
use crate::config::http::ProxyServer;
use crate::config::provider::ProviderConnection;
use crate::model::{Problem, Reason, USER_AGENT};
use crate::net::http::authorization;
use crate::net::network::Network;
use crate::net::proxy::socks_login;
use crate::net::resolve::Resolver;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::tls::TlsClient;
use crate::net::transport_error::{Peer, Unresolved, problem};

/// The maximum size of a response, in bytes. `OpenRouter`'s list, the longest one, has about 1 MB.
pub const MAX_BODY_BYTES: usize = 4 << 20;

/// The maximum number of objects in the JSON of a response: 25 for each of the 2000 models of a catalog. An object takes about 100 times
/// the memory of its text.
const MAX_OBJECTS: usize = 50_000;

/// What is the same in all runs of a check.
#[derive(Debug)]
pub struct ClientFactory {
    connection: ProviderConnection,
    network: Network,
    tls: Option<TlsClient>,
}

/// A client for one run.
#[derive(Debug)]
pub struct Client {
    client: reqwest::Client,
    peer: Peer,
}

/// A response with its whole body.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    /// The body as JSON. `None` if it is something else, or has too many objects.
    pub fn json(&self) -> Option<Value> {
        let objects = self.body.iter().filter(|byte| **byte == b'{').count();
        if objects > MAX_OBJECTS {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }
}

impl ClientFactory {
    /// A factory for clients that connect to a provider.
    pub fn new(connection: &ProviderConnection, network: &Network) -> Self {
        // HTTP/1.1 is enough for a few requests an hour.
        let tls = connection.tls.as_ref();
        Self {
            connection: connection.clone(),
            network: network.clone(),
            tls: tls.map(|settings| TlsClient::new(settings, &[b"http/1.1"], &network.trust)),
        }
    }

    /// Creates the client of a run.
    ///
    /// # Errors
    /// If a file of the TLS options or the credentials of the proxy can't be read.
    pub fn client(&mut self, recorder: &mut RunRecorder<'_>) -> Result<Client, Problem> {
        let failed = |error: &dyn std::fmt::Display| {
            Problem::new(
                Reason::Internal,
                format_args!("creating the HTTP client: {error}"),
            )
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .redirect(Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .dns_resolver(Arc::new(NameResolver {
                resolver: Arc::clone(&self.network.resolver),
                preference: self.connection.preference,
                deadline: recorder.report.deadline,
            }));
        if let Some(proxy) = &self.connection.proxy {
            builder = builder.proxy(reqwest_proxy(proxy)?);
        }
        let mut certificates = None;
        if let Some(tls) = &mut self.tls {
            let host = self.connection.base_url.host();
            let name = tls.server_name(host)?;
            let (config, presented) = tls.config()?;
            presented.reset();
            recorder.certificates = Some(Arc::clone(&presented));
            certificates = Some((presented, name));
            builder = builder.tls_backend_preconfigured(ClientConfig::clone(&config));
        }
        Ok(Client {
            client: builder.build().map_err(|error| failed(&error))?,
            peer: Peer {
                server: format!(
                    "{}:{}",
                    self.connection.base_url.host(),
                    self.connection.base_url.port()
                ),
                certificates,
            },
        })
    }
}

/// The proxy for the library.
fn reqwest_proxy(server: &ProxyServer) -> Result<Proxy, Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        Problem::new(Reason::Internal, format_args!("using the proxy: {error}"))
    };
    let url = format!("{}://{}", server.protocol.as_str(), server.address.authority());
    let mut url = Url::parse(&url).map_err(|error| failed(&error))?;
    if !server.protocol.is_socks() {
        let proxy = Proxy::all(url).map_err(|error| failed(&error))?;
        return Ok(match &server.credentials {
            Some(credentials) => proxy.custom_http_auth(authorization(credentials)?),
            None => proxy,
        });
    }
    if let Some((name, password)) = socks_login(server)? {
        // The library decodes both, and a URL leaves a percent sign as it is.
        let [name, password] = [name.unhidden(), password.expose()]
            .map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        let set = url.set_username(&name);
        let set = set.and_then(|()| url.set_password(Some(&password)));
        set.map_err(|()| failed(&"its URL has no host"))?;
    }
    Proxy::all(url).map_err(|error| failed(&error))
}

impl Client {
    /// Host and port of the server.
    pub fn server(&self) -> &str {
        &self.peer.server
    }

    /// Sends a GET request and reads the response, whatever its status. Messages contain `doing`.
    ///
    /// # Errors
    /// Why there is no complete response.
    pub async fn get(
        &self,
        url: Url,
        headers: &[(HeaderName, HeaderValue)],
        doing: &str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Response, Problem> {
        recorder.enter(Phase::Processing);
        recorder.at(Step::Doing(format!("{doing} at {}", self.peer.server).into()));
        let mut request = self.client.get(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let failed = |error: &reqwest::Error| problem(error, &self.peer, doing);
        let mut response = request.send().await.map_err(|error| failed(&error))?;
        recorder.enter(Phase::Transfer);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                let message = format_args!(
                    "{}, {doing}: the response has more than {MAX_BODY_BYTES} bytes",
                    self.peer.server
                );
                return Err(Problem::new(Reason::Limit, message));
            }
            body.extend_from_slice(&chunk);
        }
        recorder.leave();
        Ok(Response {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body: body.freeze(),
        })
    }
}

/// Resolves names for reqwest, as all other checks do.
struct NameResolver {
    resolver: Arc<Resolver>,
    preference: AddressPreference,
    deadline: Option<Instant>,
}

impl Resolve for NameResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = Arc::clone(&self.resolver);
        let (preference, deadline) = (self.preference, self.deadline);
        Box::pin(async move {
            let found = resolver.resolve(name.as_str(), None, preference, deadline).await;
            match found {
                // reqwest replaces port 0 by that of the URL.
                Ok(addresses) => {
                    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
                    Ok(Box::new(addresses) as Addrs)
                }
                Err(problem) => Err(Unresolved(problem).into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_too_many_objects_is_not_read() {
        let of = |objects: usize| {
            let body = format!("[{}0]", "{\"a\":1},".repeat(objects));
            let (status, headers) = (200, HeaderMap::new());
            let response = Response {
                status,
                headers,
                body: body.into(),
            };
            response.json().is_some()
        };
        assert!(of(MAX_OBJECTS) && !of(MAX_OBJECTS + 1));
    }
}
