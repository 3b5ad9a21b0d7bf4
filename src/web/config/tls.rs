//! Resolves the TLS settings to a configuration of rustls.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;

use super::clients::{self, ClientAuth, ClientRequirements};
use super::options::TlsServerOptions;
use super::parameters;
use super::pem::{Files, Pem};
use crate::config::place::{Invalid, Place};

/// The offered protocols (ALPN, RFC 7301).
const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

impl TlsServerOptions {
    /// Resolves the options. If not `is_complete`, some values could not be read and were reported, so missing keys are not
    /// reported again.
    pub(super) fn resolve(
        self,
        place: &Place<'_>,
        http2: bool,
        is_complete: bool,
        files: &Files<'_>,
    ) -> Result<(ServerConfig, ClientRequirements), Invalid> {
        let chain = Pem::load(place, "cert", self.cert, self.cert_file, files);
        let key = Pem::load(place, "key", self.key, self.key_file, files);
        let missing = |name: &str| {
            if is_complete {
                place.error(format_args!("{name} is missing: add {name}_file"))
            } else {
                Invalid
            }
        };
        let certificates = chain.and_then(|chain| match chain {
            Some(chain) => Ok((chain.parse_certificates(place)?, chain)),
            None => Err(missing("cert")),
        });
        let key = key.and_then(|key| match key {
            Some(key) => key.parse_private_key(place),
            None => Err(missing("key")),
        });
        let authorities = Pem::load(place, "client_ca", self.client_ca, self.client_ca_file, files)
            .and_then(|pem| pem.map(|pem| pem.parse_authorities(place)).transpose());
        let auth = ClientAuth::parse(place, self.client_auth_type.as_deref());
        let versions =
            parameters::resolve_versions(place, self.min_version.as_deref(), self.max_version.as_deref());
        let suites = parameters::resolve_cipher_suites(
            &place.field("cipher_suites"),
            &self.cipher_suites.unwrap_or_default(),
            versions.unwrap_or_default(),
        );
        let curves = parameters::resolve_curves(
            &place.field("curve_preferences"),
            &self.curve_preferences.unwrap_or_default(),
        );
        let sans = resolve_sans(place, self.client_allowed_sans);

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
                let requirements = ClientRequirements::new(auth, &sans);
                clients::build_verifier(place, auth, authorities, sans, &provider)
                    .map(|verifier| (verifier, requirements))
            }
            _ => Err(Invalid),
        };
        let ((chain, pem), key, versions, (verifier, requirements)) =
            (certificates?, key?, versions?, clients?);
        suites?;
        curves?;
        let builder = builder(&provider, versions).map_err(|error| place.error(error))?;
        let requests_certificates = verifier.is_some();
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => {
                    place.error("the key does not belong to the certificate: use a matching pair")
                }
                error => pem
                    .place(place)
                    .error(format_args!("the certificate and key are not usable: {error}")),
            })?;
        config.alpn_protocols = if http2 {
            vec![HTTP2.to_vec(), HTTP1.to_vec()]
        } else {
            vec![HTTP1.to_vec()]
        };
        config.ignore_client_order = self.prefer_server_cipher_suites.unwrap_or(true);
        if requests_certificates {
            // A resumed session is not verified again, so it could outlive the client's certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok((config, requirements))
    }
}

/// Begins a server configuration.
fn builder(
    provider: &Arc<CryptoProvider>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, rustls::Error> {
    ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)
}

/// Resolves the allowed names. An empty list is an error: the toolkit would refuse every client.
fn resolve_sans(place: &Place<'_>, names: Option<Vec<String>>) -> Result<Vec<String>, Invalid> {
    let place = place.field("client_allowed_sans");
    match names {
        None => Ok(Vec::new()),
        Some(names) if names.is_empty() => {
            Err(place.error("is empty: list the allowed names, or remove the key"))
        }
        Some(names) if names.iter().any(String::is_empty) => {
            Err(place.error("contains an empty name: use DNS names, IP addresses, e-mail addresses or URIs"))
        }
        Some(names) => Ok(names),
    }
}
