//! A certificate verifier that delegates, and keeps what it was shown and what it decided.

use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Trust;
use crate::model::{Family, MetricType, Sample, Scope, Unit};

/// When the first certificate ends of those that the verdict relies on.
pub static CERTIFICATE_NOT_AFTER: Family = Family {
    name: "upkeep_tls_certificate_not_after_timestamp_seconds",
    metric_type: MetricType::Gauge,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &[],
    help: "Unix time when the first certificate of the verified chain expires, root included; without a verified \
           chain, of the presented certificates.",
};

/// What a handshake showed.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The earliest end of validity of all that the server presented, as Unix time.
    pub presented_until: Option<i64>,
    /// Until when it can be verified, as Unix time; absent where it was not.
    pub verified_until: Option<i64>,
    /// The server's own certificate with the others, kept only where one was refused.
    pub refused: Vec<CertificateDer<'static>>,
}

/// The end of a chain that was verified, kept since finding it takes as long as verifying it, and it changes only when the
/// certificates do. The check's authorities are its own: with other ones there is another recorder.
#[derive(Debug)]
struct Verified {
    /// The hash of the certificates.
    hash: Vec<u8>,
    until: Option<i64>,
}

/// The verifier of one check. Its runs don't overlap, so it holds what one handshake showed.
#[derive(Debug)]
pub struct CertificateRecorder {
    trust: Trust,
    /// The certificates that the configuration trusts by itself.
    named: Vec<CertificateDer<'static>>,
    /// Whether a certificate for another name is accepted.
    chain_only: bool,
    provider: Arc<CryptoProvider>,
    seen: Mutex<Seen>,
    verified: Mutex<Option<Verified>>,
}

impl CertificateRecorder {
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
            verified: Mutex::default(),
        }
    }

    /// Where the configuration names this very certificate: whether it is valid now, for servers, and for this name. Nobody
    /// has to vouch for it then, as OpenSSL, Go and curl see it too.
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
        // What can't be read in full (another version, an unknown extension that is critical) is not taken either way.
        let readable = ParsedCertificate::try_from(own).ok()?;
        let now = i64::try_from(now.as_secs()).ok()?;
        let validity = parsed.validity();
        let usage = parsed.extended_key_usage().ok()?;
        Some(if now < validity.not_before.timestamp() {
            Err(CertificateError::NotValidYet.into())
        } else if now > validity.not_after.timestamp() {
            Err(CertificateError::Expired.into())
        } else if usage.is_some_and(|usage| !usage.value.server_auth && !usage.value.any) {
            Err(CertificateError::InvalidPurpose.into())
        } else if self.chain_only {
            Ok(ServerCertVerified::assertion())
        } else {
            verify_server_name(&readable, name).map(|()| ServerCertVerified::assertion())
        })
    }

    fn verdict(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authorities = match &self.trust {
            Trust::Authorities(authorities) => authorities,
            Trust::Nobody(_) => return Err(CertificateError::UnknownIssuer.into()),
            Trust::Everybody => return Ok(ServerCertVerified::assertion()),
        };
        if let Some(verdict) = self.named_verdict(own, name, now) {
            return verdict;
        }
        let verifier = authorities.verifier();
        match verifier.verify_server_cert(own, others, name, ocsp_response, now) {
            // The name is looked at last: the chain is fine.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.chain_only => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    /// When what was verified can't be verified any more, as Unix time. `None`: nothing was verified.
    fn verified_until(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<i64> {
        let authorities = match &self.trust {
            // Then nothing else has to be trusted.
            Trust::Authorities(_) if self.named.contains(own) => return not_after(own),
            Trust::Authorities(authorities) => authorities,
            Trust::Nobody(_) | Trust::Everybody => return None,
        };
        let mut hash = Context::new(&SHA256);
        for certificate in std::iter::once(own).chain(others) {
            hash.update(&certificate.len().to_le_bytes());
            hash.update(certificate);
        }
        let hash = hash.finish().as_ref().to_vec();
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |until: i64| u64::try_from(until).is_ok_and(|until| until <= now.as_secs());
        if let Some(known) = &*verified
            && known.hash == hash
            // Then another chain may count.
            && !known.until.is_some_and(is_over)
        {
            return known.until;
        }
        let until = authorities.chain_end(own, others, now);
        *verified = Some(Verified { hash, until });
        until
    }

    /// Forgets the handshake before.
    pub(super) fn reset(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
    }

    /// What the last handshake showed.
    pub(super) fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the server's certificate was refused after all, for the signature of the handshake.
    fn refuse(&self, own: &CertificateDer<'_>) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.refused = vec![own.clone().into_owned()];
        seen.verified_until = None;
    }

    /// The certificates that the configuration trusts by itself.
    pub(super) fn named(&self) -> &[CertificateDer<'static>] {
        &self.named
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
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let not_after = seen.verified_until.or(seen.presented_until)?;
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

impl ServerCertVerifier for CertificateRecorder {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.verdict(own, others, name, ocsp_response, now);
        let presented = std::iter::once(own).chain(others);
        let seen = match &verdict {
            Ok(_) => Seen {
                verified_until: self.verified_until(own, others, now),
                ..Seen::default()
            },
            Err(_) => Seen {
                refused: presented.clone().map(|one| one.clone().into_owned()).collect(),
                ..Seen::default()
            },
        };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen {
            presented_until: presented.filter_map(|one| not_after(one)).min(),
            ..seen
        };
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
                    .inspect_err(|_| self.refuse(certificate))
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
                    .inspect_err(|_| self.refuse(certificate))
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
