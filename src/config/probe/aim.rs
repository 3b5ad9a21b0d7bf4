//! From a module and the target of a request to what is to be run.

use super::Module;
use crate::config::settings::KindSettings;

/// The longest target, in bytes.
pub const MAX_TARGET_BYTES: usize = 2048;

/// A module with a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Aimed {
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
    pub fn aim(&self, target: &str, hostname: Option<&str>) -> Result<Aimed, String> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(format!("it is longer than {MAX_TARGET_BYTES} bytes"));
        }
        let no_hostname = |settings: KindSettings| match hostname {
            None => Ok(settings),
            Some(_) => Err(format!(
                "the parameter hostname has no meaning for the prober {}",
                settings.kind()
            )),
        };
        let host = |host: &str, port| Endpoint::Host(host.to_owned(), port);
        match &self.prober {
            KindSettings::Http(settings) => {
                let settings = settings.aimed_at(target, hostname)?;
                let address = settings.url.address();
                Ok(Aimed {
                    endpoint: host(&address.host, Some(address.port)),
                    settings: KindSettings::Http(Box::new(settings)),
                })
            }
            KindSettings::Tcp(settings) => {
                let settings = settings.aimed_at(target, hostname)?;
                Ok(Aimed {
                    endpoint: host(&settings.address.host, Some(settings.address.port)),
                    settings: KindSettings::Tcp(Box::new(settings)),
                })
            }
            KindSettings::Dns(settings) => {
                let settings = settings.aimed_at(target)?;
                let server = settings.server.clone();
                Ok(Aimed {
                    endpoint: Endpoint::Host(server.host, Some(server.port)),
                    settings: no_hostname(KindSettings::Dns(Box::new(settings)))?,
                })
            }
            KindSettings::Icmp(settings) => {
                let settings = settings.aimed_at(target)?;
                Ok(Aimed {
                    endpoint: Endpoint::Host(settings.host.to_string(), None),
                    settings: no_hostname(KindSettings::Icmp(Box::new(settings)))?,
                })
            }
            other => no_hostname(other.clone()).map(|settings| Aimed {
                endpoint: Endpoint::Path(settings.target()),
                settings,
            }),
        }
    }
}
