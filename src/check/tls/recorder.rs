//! A certificate verifier that delegates, and keeps what it was shown and what it decided.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Trust;
use crate::model::{Family, MetricType, Sample, Scope, Unit};

/// When the first certificate of the presented chain ends.
pub static CERTIFICATE_NOT_AFTER: Family = Family {
    name: "upkeep_tls_certificate_not_after_timestamp_seconds",
    metric_type: MetricType::Gauge,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &[],
    help: "Unix time of the earliest end of validity in the chain that the server presented, verified or not.",
};

/// What a handshake showed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The earliest end of validity of the chain, as Unix time.
    pub not_after: Option<i64>,
    /// The server's own certificate, kept only where it was refused.
    pub refused: Option<CertificateDer<'static>>,
}

/// The verifier of one check. Its runs don't overlap, so it holds what one handshake showed.
#[derive(Debug)]
pub struct Recorder {
    trust: Trust,
    /// The certificates that the configuration trusts by itself.
    named: Vec<CertificateDer<'static>>,
    /// Whether a certificate for another name is accepted.
    chain_only: bool,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Seen>,
}

impl Recorder {
    pub(super) fn new(
        trust: Trust,
        named: Vec<CertificateDer<'static>>,
        chain_only: bool,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            trust,
            named,
            chain_only,
            provider,
            seen: Mutex::default(),
        }
    }

    /// Where the configuration names this very certificate: whether it is valid now and for this name. Go's clients take it
    /// then, whatever else it may be.
    fn named_verdict(
        &self,
        own: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<ServerCertVerified, Error>> {
        if !self.named.iter().any(|named| named == own) {
            return None;
        }
        let (_, parsed) = X509Certificate::from_der(own).ok()?;
        let now = i64::try_from(now.as_secs()).ok()?;
        let validity = parsed.validity();
        Some(if now < validity.not_before.timestamp() {
            Err(CertificateError::NotValidYet.into())
        } else if now > validity.not_after.timestamp() {
            Err(CertificateError::Expired.into())
        } else if self.chain_only {
            Ok(ServerCertVerified::assertion())
        } else {
            let parsed = ParsedCertificate::try_from(own).ok()?;
            verify_server_name(&parsed, name).map(|()| ServerCertVerified::assertion())
        })
    }

    /// Forgets the handshake before.
    pub(super) fn reset(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    /// What the last handshake showed.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When what the server presented can't be verified any more, as Unix time. `None`: it was not verified at all.
    pub(super) fn chain_end(&self, presented: &[CertificateDer<'_>]) -> Option<i64> {
        let (own, others) = presented.split_first()?;
        match &self.trust {
            // Then nothing else has to be trusted.
            Trust::Authorities(_) if self.named.contains(own) => not_after(own),
            Trust::Authorities(authorities) => authorities.chain_end(own, others, UnixTime::now()),
            Trust::Nobody(_) | Trust::Everybody => None,
        }
    }

    /// Why nothing can be verified, where that is so.
    pub(super) fn no_authorities(&self) -> Option<&str> {
        match &self.trust {
            Trust::Nobody(why) => Some(why),
            Trust::Authorities(_) | Trust::Everybody => None,
        }
    }

    /// The metric, where the server has shown a certificate.
    #[allow(clippy::cast_precision_loss)] // Exact for the next 285 million years.
    pub fn sample(&self) -> Option<Sample> {
        let not_after = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .not_after?;
        Some(Sample {
            family: &CERTIFICATE_NOT_AFTER,
            labels: Vec::new(),
            value: not_after as f64,
        })
    }
}

/// When a certificate ends, as Unix time.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match &self.trust {
            Trust::Authorities(authorities) => {
                match authorities
                    .verifier()
                    .verify_server_cert(own, others, name, ocsp_response, now)
                {
                    // The name is looked at last: the chain is fine.
                    Err(Error::InvalidCertificate(
                        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
                    )) if self.chain_only => Ok(ServerCertVerified::assertion()),
                    // An authority's certificate as a server's own, which openssl makes by default.
                    verdict @ Err(Error::InvalidCertificate(CertificateError::Other(_))) => {
                        self.named_verdict(own, name, now).unwrap_or(verdict)
                    }
                    verdict => verdict,
                }
            }
            Trust::Nobody(_) => Err(CertificateError::UnknownIssuer.into()),
            Trust::Everybody => Ok(ServerCertVerified::assertion()),
        };
        let seen = Seen {
            not_after: std::iter::once(own)
                .chain(others)
                .filter_map(|certificate| not_after(certificate))
                .min(),
            refused: verdict.is_err().then(|| own.clone().into_owned()),
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::Everybody => Ok(HandshakeSignatureValid::assertion()),
            Trust::Authorities(_) | Trust::Nobody(_) => {
                let algorithms = &self.provider.signature_verification_algorithms;
                verify_tls12_signature(message, certificate, signed, algorithms)
            }
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::Everybody => Ok(HandshakeSignatureValid::assertion()),
            Trust::Authorities(_) | Trust::Nobody(_) => {
                let algorithms = &self.provider.signature_verification_algorithms;
                verify_tls13_signature(message, certificate, signed, algorithms)
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
