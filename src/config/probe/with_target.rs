//! From a module and the target of a request to what is to be run.

use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::Module;
use crate::config::address::HostPort;
use crate::config::settings::KindSettings;
use crate::config::tls::TlsSettings;
use crate::model::visible;

/// The longest target, in bytes.
pub const MAX_TARGET_BYTES: usize = 2048;
/// The longest text of what is wrong with a target, in bytes.
const MAX_ERROR_BYTES: usize = 512;

/// A module with a target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetedModule {
    /// What is to be run.
    pub settings: KindSettings,
    /// What it connects to first.
    pub endpoint: Endpoint,
}

/// What is connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A host, with a port where there are ports.
    Host(String, Option<u16>),
    /// A Unix socket.
    Path(String),
}

impl Module {
    /// Aims at `target`; `hostname` is what to call it, for a `Host` header and for TLS.
    ///
    /// # Errors
    /// What is wrong with the target and what would be right.
    pub fn with_target(&self, target: &str, hostname: Option<&str>) -> Result<TargetedModule, String> {
        // Some quote the target, which is a client's.
        self.aimed_at(target, hostname)
            .map_err(|error| visible(&error, MAX_ERROR_BYTES))
    }

    fn aimed_at(&self, target: &str, hostname: Option<&str>) -> Result<TargetedModule, String> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(format!("it is longer than {MAX_TARGET_BYTES} bytes"));
        }
        let aimed = |settings, endpoint| Ok(TargetedModule { settings, endpoint });
        let at = |address: &HostPort| Endpoint::Host(address.host.clone(), Some(address.port));
        match &self.prober {
            KindSettings::Http(settings) => {
                let settings = settings.aimed_at(target, hostname)?;
                let endpoint = at(&settings.url.address());
                aimed(KindSettings::Http(Box::new(settings)), endpoint)
            }
            KindSettings::Tcp(settings) => {
                let mut settings = settings.aimed_at(target)?;
                name(&mut settings.conversation.tls, hostname)?;
                let endpoint = at(&settings.address);
                aimed(KindSettings::Tcp(Box::new(settings)), endpoint)
            }
            KindSettings::Grpc(settings) => {
                let mut settings = settings.aimed_at(target)?;
                name(&mut settings.tls, hostname)?;
                let endpoint = at(&settings.address);
                aimed(KindSettings::Grpc(Box::new(settings)), endpoint)
            }
            KindSettings::Unix(settings) => {
                let mut settings = settings.aimed_at(target)?;
                name(&mut settings.conversation.tls, hostname)?;
                let endpoint = Endpoint::Path(settings.path.to_string_lossy().into_owned());
                aimed(KindSettings::Unix(Box::new(settings)), endpoint)
            }
            other if hostname.is_some() => Err(format!(
                "the parameter hostname has no meaning for the prober {}",
                other.kind()
            )),
            KindSettings::Dns(settings) => {
                let settings = settings.aimed_at(target)?;
                let endpoint = at(&settings.server);
                aimed(KindSettings::Dns(Box::new(settings)), endpoint)
            }
            KindSettings::Icmp(settings) => {
                let settings = settings.aimed_at(target)?;
                let endpoint = Endpoint::Host(settings.host.to_string(), None);
                aimed(KindSettings::Icmp(Box::new(settings)), endpoint)
            }
            other => Err(format!("checks of the kind {} are no probers", other.kind())),
        }
    }
}

/// Sets the name to ask for by TLS, where the module names none.
fn name(tls: &mut Option<Arc<TlsSettings>>, hostname: Option<&str>) -> Result<(), String> {
    if let (Some(tls), Some(hostname)) = (tls, hostname) {
        let name = ServerName::try_from(hostname.to_owned())
            .map_err(|_| "the parameter hostname is no DNS name and no IP address")?;
        Arc::make_mut(tls).server_name.get_or_insert(name);
    }
    Ok(())
}
