//! How TLS is done: from what is written to rustls's configuration of a server.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;

use super::clients::{self, ClientAuth, Demand};
use super::parameters;
use super::pem::{Files, Pem};
use super::written::TlsServerOptions;
use crate::config::place::{Invalid, Place};

/// The protocols that are offered (ALPN, RFC 7301).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

impl TlsServerOptions {
    /// Resolves the options. Where `is_whole` does not hold, something was written wrongly and reported, so what seems to
    /// be missing is not reported too.
    pub(super) fn resolve(
        self,
        place: &Place<'_>,
        http2: bool,
        is_whole: bool,
        files: &Files<'_>,
    ) -> Result<(ServerConfig, Demand), Invalid> {
        let chain = Pem::from_keys(place, "cert", self.cert, self.cert_file, files);
        let key = Pem::from_keys(place, "key", self.key, self.key_file, files);
        let missing = |name: &str| {
            if is_whole {
                place.error(format_args!("{name} is missing: add {name}_file"))
            } else {
                Invalid
            }
        };
        let certificates = chain.and_then(|chain| match chain {
            Some(chain) => Ok((chain.certificates(place)?, chain)),
            None => Err(missing("cert")),
        });
        let key = key.and_then(|key| match key {
            Some(key) => key.private_key(place),
            None => Err(missing("key")),
        });
        let authorities = Pem::from_keys(place, "client_ca", self.client_ca, self.client_ca_file, files)
            .and_then(|pem| pem.map(|pem| pem.authorities(place)).transpose());
        let auth = ClientAuth::read(place, self.client_auth_type.as_deref());
        let versions = parameters::versions(place, self.min_version.as_deref(), self.max_version.as_deref());
        let suites = parameters::cipher_suites(
            &place.field("cipher_suites"),
            &self.cipher_suites.unwrap_or_default(),
            versions.unwrap_or_default(),
        );
        let curves = parameters::curves(
            &place.field("curve_preferences"),
            &self.curve_preferences.unwrap_or_default(),
        );
        let sans = sans(place, self.client_allowed_sans);

        let mut provider = aws_lc_rs::default_provider();
        if let Ok(suites) = &suites {
            provider.cipher_suites.clone_from(suites);
        }
        if let Ok(Some(curves)) = &curves {
            provider.kx_groups.clone_from(curves);
        }
        let provider = Arc::new(provider);
        let clients = match (auth, authorities, sans) {
            (Ok(auth), Ok(authorities), Ok(sans)) => {
                let demand = Demand::new(auth, &sans);
                clients::verifier(place, auth, authorities, sans, &provider).map(|clients| (clients, demand))
            }
            _ => Err(Invalid),
        };
        let ((chain, pem), key, versions, (clients, demand)) = (certificates?, key?, versions?, clients?);
        suites?;
        curves?;
        let builder = builder(&provider, versions).map_err(|error| place.error(error))?;
        let has_clients = clients.is_some();
        let builder = match clients {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    place.error("the key is not that of the certificate: give both of one pair")
                }
                error => pem
                    .place(place)
                    .error(format_args!("the certificate and its key can't be used: {error}")),
            })?;
        config.alpn_protocols = if http2 {
            vec![HTTP2.to_vec(), HTTP1.to_vec()]
        } else {
            vec![HTTP1.to_vec()]
        };
        config.ignore_client_order = self.prefer_server_cipher_suites.unwrap_or(true);
        if has_clients {
            // A resumed session is not verified again, so it could outlive its client's certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok((config, demand))
    }
}

fn builder(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)
}

/// An empty list would let nobody in with the toolkit, and everybody without the key.
fn sans(place: &Place<'_>, written: Option<Vec<String>>) -> Result<Vec<String>, Invalid> {
    let place = place.field("client_allowed_sans");
    match written {
        None => Ok(Vec::new()),
        Some(names) if names.is_empty() => {
            Err(place.error("is empty: list the names that clients may bear, or remove the key"))
        }
        Some(names) if names.iter().any(String::is_empty) => {
            Err(place.error("holds an empty name: write DNS names, IP addresses, e-mail addresses or URIs"))
        }
        Some(names) => Ok(names),
    }
}
