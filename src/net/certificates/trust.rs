//! Which certificates are trusted.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;

use super::authorities::Authorities;
use crate::model::{Problem, Reason};
use crate::net::shortage;

/// How certificates are verified.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Against these authorities.
    Authorities(Arc<Authorities>),
    /// Verification always fails, for this reason: there are no authorities.
    NoAuthorities(String),
    /// Certificates are not verified.
    Unverified,
}

/// The authorities that the system trusts, loaded on first use, and the cryptography in use.
#[derive(Debug)]
pub struct SystemTrust {
    provider: Arc<CryptoProvider>,
    authorities: Mutex<Option<Arc<Authorities>>>,
}

impl Default for SystemTrust {
    fn default() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
            authorities: Mutex::default(),
        }
    }
}

impl SystemTrust {
    /// The cryptography in use.
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// The authorities of the system.
    ///
    /// # Errors
    /// The shortage that prevented reading them.
    pub fn load(&self) -> Result<Trust, Problem> {
        let mut authorities = self.authorities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(authorities) = &*authorities {
            return Ok(Trust::Authorities(authorities.clone()));
        }
        let loaded = rustls_native_certs::load_native_certs();
        // An incomplete set would be used from then on, so it is not stored.
        let failed = loaded
            .errors
            .iter()
            .find(|error| shortage::from_error(*error).is_some());
        if let Some(error) = failed {
            let message = format_args!("reading the system's authorities: {error}");
            return Err(shortage::problem(Reason::Tls, error, message));
        }
        match Authorities::new(loaded.certs, &self.provider) {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                *authorities = Some(loaded.clone());
                Ok(Trust::Authorities(loaded))
            }
            Err(_) => Ok(Trust::NoAuthorities(
                "this system has no trusted authorities: install ca-certificates, or set tls_config.ca_file"
                    .to_owned(),
            )),
        }
    }
}
