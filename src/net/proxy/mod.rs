//! Connects to HTTP servers: directly, or through a proxy that speaks HTTP, HTTP over TLS, or SOCKS5.

mod socks;
mod stream;
mod tunnel;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::dial::{dial, resolve};
use super::network::Network;
use super::resolve::Resolver;
use super::run_recorder::{RunRecorder, Step};
use super::tls::TlsClient;
use crate::config::address::{AddressPreference, HostPort};
use crate::config::http::{ProxyProtocol, ProxyServer, ProxySettings, TargetUrl};
use crate::config::probe::TargetRefusal;
use crate::config::tls::TlsSettings;
use crate::config::zone;
use crate::model::{Problem, Reason};

pub use self::socks::socks_login;
pub use self::stream::ProxyStream;

/// Connects to HTTP servers.
#[derive(Debug)]
pub struct Connector {
    network: Network,
    proxies: Option<Box<ProxySettings>>,
    preference: AddressPreference,
    /// The TLS client for proxies at https URLs.
    proxy_tls: Option<Box<TlsClient>>,
}

/// A connection over which a request can be sent, or a TLS handshake with the target can be done.
#[derive(Debug)]
pub struct Connected<'c> {
    /// The connection.
    pub stream: ProxyStream,
    /// The address that was connected to: that of the proxy, if there is one.
    pub peer: SocketAddr,
    /// The proxy that forwards requests. They need its credentials and the whole URL.
    pub forwarder: Option<&'c ProxyServer>,
}

impl Connector {
    /// A connector that uses these proxies. The TLS settings also apply to proxies, except the server name.
    pub fn new(
        network: &Network,
        proxies: Option<&ProxySettings>,
        preference: AddressPreference,
        tls: &TlsSettings,
    ) -> Self {
        let is_tls = |server: &ProxyServer| server.protocol == ProxyProtocol::Https;
        let has_tls = proxies.is_some_and(|proxies| proxies.servers().any(is_tls));
        Self {
            network: network.clone(),
            proxies: proxies.cloned().map(Box::new),
            preference,
            proxy_tls: has_tls.then(|| {
                let tls = TlsSettings {
                    server_name: None,
                    ..tls.clone()
                };
                Box::new(TlsClient::new(&tls, &[b"http/1.1"], &network.trust))
            }),
        }
    }

    /// The network that it connects in.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Resolves the server of a URL, for the samples of a probe that does not connect to it.
    pub async fn resolve(&self, url: &TargetUrl, recorder: &mut RunRecorder<'_>) {
        let HostPort { host, port } = url.address();
        let _ = resolve(
            &self.network.resolver,
            &host,
            Some(port),
            self.preference,
            recorder,
        )
        .await;
        recorder.leave();
    }

    /// Connects to the server of a URL, without the TLS handshake with that server. Records the phases resolve and connect; connect
    /// stays open, and includes what the proxy takes.
    ///
    /// # Errors
    /// Why the connection failed, or that the guard refuses the target.
    pub async fn connect(
        &mut self,
        url: &TargetUrl,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Connected<'_>, Problem> {
        let target = url.address();
        let resolver = &self.network.resolver;
        let proxies = self.proxies.as_ref();
        let Some((proxies, proxy)) = proxies.and_then(|proxies| Some((proxies, proxies.for_url(url)?)))
        else {
            let (stream, peer) = dial(resolver, &target, self.preference, None, recorder).await?;
            return Ok(Connected {
                stream: ProxyStream::Tcp(stream),
                peer,
                forwarder: None,
            });
        };
        // Boxed, because most checks use no proxy.
        Box::pin(async {
            let target = match proxy.protocol.resolves_names() {
                true => {
                    judge(resolver, &target)?;
                    target
                }
                false => resolved(resolver, target, self.preference, recorder).await?,
            };
            // The guard checks the target of a configured proxy, not the proxy itself.
            let unguarded = match resolver.guard() {
                Some(_) => Arc::new(resolver.with_guard(None)),
                None => resolver.clone(),
            };
            let (stream, peer) = dial(&unguarded, &proxy.address, self.preference, None, recorder).await?;
            let stream = match &mut self.proxy_tls {
                Some(tls) if proxy.protocol == ProxyProtocol::Https => {
                    let host = &proxy.address.host;
                    ProxyStream::Tls(Box::new(
                        tls.handshake_with_proxy(stream, peer, host, recorder).await?,
                    ))
                }
                _ => ProxyStream::Tcp(stream),
            };
            let is_forwarded = !proxy.protocol.is_socks() && !url.is_https();
            if !is_forwarded {
                recorder.at(Step::Tunnelling(target.to_string()));
            }
            let stream = match proxy.protocol {
                _ if is_forwarded => stream,
                ProxyProtocol::Socks5 | ProxyProtocol::Socks5h => {
                    socks::connect(stream, proxy, &target).await?
                }
                ProxyProtocol::Http | ProxyProtocol::Https => {
                    tunnel::tunnel(stream, proxy, &target, &proxies.connect_headers).await?
                }
            };
            Ok(Connected {
                stream,
                peer,
                forwarder: is_forwarded.then_some(proxy),
            })
        })
        .await
    }
}

/// Checks a target whose name the proxy resolves.
fn judge(resolver: &Resolver, target: &HostPort) -> Result<(), Problem> {
    let Some(guard) = resolver.guard() else {
        return Ok(());
    };
    let judged = guard.judge_proxied(&target.host, target.port);
    judged.map_err(|refusal| refused(target, refusal))
}

fn refused(target: &HostPort, refusal: TargetRefusal) -> Problem {
    Problem::new(
        Reason::Permission,
        format_args!("the guard refuses {target}: {refusal}"),
    )
}

/// The first address of a target, which the guard allows.
async fn resolved(
    resolver: &Resolver,
    target: HostPort,
    preference: AddressPreference,
    recorder: &mut RunRecorder<'_>,
) -> Result<HostPort, Problem> {
    let HostPort { host, port } = target;
    let addresses = resolve(
        resolver,
        zone::without_zone(&host),
        Some(port),
        preference,
        recorder,
    )
    .await?;
    let first = addresses.all.first().map(IpAddr::to_string);
    Ok(HostPort {
        host: first.unwrap_or(host),
        port,
    })
}
