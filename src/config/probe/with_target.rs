//! Applies the target of a request to a module.

use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::modules::Module;
use crate::config::address::HostPort;
use crate::config::kinds::KindSettings;
use crate::config::tls::TlsSettings;
use crate::model::visible;

/// The longest target, in bytes.
pub const MAX_TARGET_BYTES: usize = 2048;
/// The longest error about a target, in bytes.
const MAX_ERROR_BYTES: usize = 512;

/// A module with a target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetedModule {
    /// The settings of the check to run.
    pub settings: KindSettings,
    /// The endpoint that the check connects to first.
    pub endpoint: Endpoint,
}

/// The endpoint of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host with a port. Pings have no port.
    Host(String, Option<u16>),
    /// A Unix socket.
    Path(String),
}

/// A request can't be combined with the module. The texts say what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The module can't probe the target.
    Target(String),
    /// The parameter `hostname` can't be applied.
    Hostname(String),
}

impl Module {
    /// Applies `target`. `hostname` is the name for the `Host` header and for TLS.
    ///
    /// # Errors
    /// What is wrong with the target or the host name.
    pub fn with_target(&self, target: &str, hostname: Option<&str>) -> Result<TargetedModule, RequestError> {
        // Some errors quote the target, which comes from a client.
        let shown = |error: String| visible(&error, MAX_ERROR_BYTES);
        self.apply_target(target, hostname).map_err(|error| match error {
            RequestError::Target(error) => RequestError::Target(shown(error)),
            RequestError::Hostname(error) => RequestError::Hostname(shown(error)),
        })
    }

    fn apply_target(&self, target: &str, hostname: Option<&str>) -> Result<TargetedModule, RequestError> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(RequestError::Target(format!(
                "longer than {MAX_TARGET_BYTES} bytes"
            )));
        }
        if target.chars().any(char::is_control) {
            return Err(RequestError::Target("it contains a control character".to_owned()));
        }
        if target.starts_with(char::is_whitespace) {
            return Err(RequestError::Target("it begins with a space".to_owned()));
        }
        let targeted = |settings, endpoint| Ok(TargetedModule { settings, endpoint });
        let at = |address: &HostPort| Endpoint::Host(address.host.clone(), Some(address.port));
        match &self.prober {
            KindSettings::Http(settings) => {
                let mut settings = settings.with_target(target).map_err(RequestError::Target)?;
                if let Some(hostname) = hostname {
                    settings.set_hostname(hostname).map_err(RequestError::Hostname)?;
                }
                let endpoint = at(&settings.url.address());
                targeted(KindSettings::Http(Arc::new(settings)), endpoint)
            }
            KindSettings::Tcp(settings) => {
                let mut settings = settings.with_target(target).map_err(RequestError::Target)?;
                set_server_name(&mut settings.conversation.tls, hostname)?;
                let endpoint = at(&settings.address);
                targeted(KindSettings::Tcp(Arc::new(settings)), endpoint)
            }
            KindSettings::Grpc(settings) => {
                let mut settings = settings.with_target(target).map_err(RequestError::Target)?;
                set_server_name(&mut settings.tls, hostname)?;
                let endpoint = at(&settings.address);
                targeted(KindSettings::Grpc(Arc::new(settings)), endpoint)
            }
            KindSettings::Unix(settings) => {
                let mut settings = settings.with_target(target).map_err(RequestError::Target)?;
                set_server_name(&mut settings.conversation.tls, hostname)?;
                let endpoint = Endpoint::Path(settings.path.to_string_lossy().into_owned());
                targeted(KindSettings::Unix(Arc::new(settings)), endpoint)
            }
            KindSettings::Websocket(settings) => {
                let mut settings = settings.with_target(target).map_err(RequestError::Target)?;
                if let Some(hostname) = hostname {
                    settings.set_hostname(hostname).map_err(RequestError::Hostname)?;
                }
                let endpoint = at(&settings.url.address());
                targeted(KindSettings::Websocket(Arc::new(settings)), endpoint)
            }
            other if hostname.is_some() => Err(RequestError::Hostname(format!(
                "the prober {} does not support the parameter hostname: remove it",
                other.kind()
            ))),
            KindSettings::Dns(settings) => {
                let settings = settings.with_target(target).map_err(RequestError::Target)?;
                let endpoint = at(&settings.server);
                targeted(KindSettings::Dns(Arc::new(settings)), endpoint)
            }
            KindSettings::Icmp(settings) => {
                let settings = settings.with_target(target).map_err(RequestError::Target)?;
                let endpoint = Endpoint::Host(settings.host.to_string(), None);
                targeted(KindSettings::Icmp(Arc::new(settings)), endpoint)
            }
            other => Err(RequestError::Target(format!(
                "unknown prober {}: use dns, grpc, http, icmp, tcp, unix or websocket",
                other.kind()
            ))),
        }
    }
}

/// Sets the server name of TLS, unless the module sets one.
fn set_server_name(tls: &mut Option<Arc<TlsSettings>>, hostname: Option<&str>) -> Result<(), RequestError> {
    if let (Some(tls), Some(hostname)) = (tls, hostname) {
        let name = ServerName::try_from(hostname.to_owned()).map_err(|_| {
            let error = "the parameter hostname is neither a DNS name nor an IP address";
            RequestError::Hostname(error.to_owned())
        })?;
        Arc::make_mut(tls).server_name.get_or_insert(name);
    }
    Ok(())
}
