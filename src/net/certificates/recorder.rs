//! A certificate verifier that records the certificates it is shown and its verdict. Verification itself is delegated.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::trust::Trust;
use super::validity::{Validity, validity};

/// The certificates of a handshake.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The validity of the presented certificate that expires first.
    pub first: Option<Validity>,
    /// The validity of the certificate of the verified chain that expires first. Absent if nothing was verified.
    pub chain: Option<Validity>,
    /// All presented certificates, the server's own first. Empty unless one was rejected.
    pub rejected: Vec<CertificateDer<'static>>,
}

/// The validity of a verified chain. It is cached, since finding it takes as long as the verification. It changes only with
/// the certificates: every set of authorities has its own recorder.
#[derive(Debug)]
struct CachedChain {
    /// The hash of the certificates.
    hash: Vec<u8>,
    chain: Option<Validity>,
}

/// The verifier of one check. Its runs do not overlap, so it records one handshake at a time.
#[derive(Debug)]
pub struct CertificateRecorder {
    trust: Trust,
    /// The certificates that the configuration trusts directly.
    pinned: Vec<CertificateDer<'static>>,
    /// Whether a certificate for another name is accepted.
    chain_only: bool,
    provider: Arc<CryptoProvider>,
    presented: Mutex<Presented>,
    cached_chain: Mutex<Option<CachedChain>>,
}

impl CertificateRecorder {
    /// A verifier with this trust. `pinned` certificates are trusted directly. `chain_only` accepts a certificate for
    /// another name.
    pub fn new(
        trust: Trust,
        pinned: Vec<CertificateDer<'static>>,
        chain_only: bool,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        Self {
            trust,
            pinned,
            chain_only,
            provider,
            presented: Mutex::default(),
            cached_chain: Mutex::default(),
        }
    }

    /// Verifies a pinned certificate: it must be valid now, for servers, and for this name. It needs no issuer, as in
    /// OpenSSL, Go and curl. `None` if the certificate is not pinned.
    fn verify_pinned(
        &self,
        own: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Option<Result<ServerCertVerified, Error>> {
        if !self.pinned.iter().any(|pinned| pinned == own) {
            return None;
        }
        let (_, parsed) = X509Certificate::from_der(own).ok()?;
        // A certificate that can't be parsed in full (another version, an unknown critical extension) is not accepted.
        let certificate = ParsedCertificate::try_from(own).ok()?;
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
            verify_server_name(&certificate, name).map(|()| ServerCertVerified::assertion())
        })
    }

    fn verify(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authorities = match &self.trust {
            Trust::Authorities(authorities) => authorities,
            Trust::NoAuthorities(_) => return Err(CertificateError::UnknownIssuer.into()),
            Trust::Unverified => return Ok(ServerCertVerified::assertion()),
        };
        if let Some(verdict) = self.verify_pinned(own, name, now) {
            return verdict;
        }
        let verifier = authorities.verifier();
        match verifier.verify_server_cert(own, others, name, ocsp_response, now) {
            // The name is verified last, so the chain is valid.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.chain_only => Ok(ServerCertVerified::assertion()),
            verdict => verdict,
        }
    }

    /// The validity of the verified chain. `None` if nothing was verified.
    fn chain_validity(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<Validity> {
        let authorities = match &self.trust {
            // A pinned certificate is a chain by itself.
            Trust::Authorities(_) if self.pinned.contains(own) => return validity(own),
            Trust::Authorities(authorities) => authorities,
            Trust::NoAuthorities(_) | Trust::Unverified => return None,
        };
        let mut hash = Context::new(&SHA256);
        for certificate in std::iter::once(own).chain(others) {
            hash.update(&certificate.len().to_le_bytes());
            hash.update(certificate);
        }
        let hash = hash.finish().as_ref().to_vec();
        let mut cached = self.cached_chain.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over =
            |chain: Validity| u64::try_from(chain.not_after).is_ok_and(|expiry| expiry <= now.as_secs());
        if let Some(cached) = &*cached
            && cached.hash == hash
            // After the expiry of this chain another one may be valid.
            && !cached.chain.is_some_and(is_over)
        {
            return cached.chain;
        }
        let chain = authorities.chain_validity(own, others, now);
        *cached = Some(CachedChain { hash, chain });
        chain
    }

    /// Forgets the previous handshake.
    pub fn reset(&self) {
        *self.lock() = Presented::default();
    }

    /// The certificates of the last handshake.
    pub fn presented(&self) -> Presented {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Presented> {
        self.presented.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the signature of the handshake does not match the accepted certificate.
    fn reject(&self, own: &CertificateDer<'_>) {
        let mut presented = self.lock();
        presented.rejected = vec![own.clone().into_owned()];
        presented.chain = None;
    }

    /// The certificates that the configuration trusts directly.
    pub fn pinned(&self) -> &[CertificateDer<'static>] {
        &self.pinned
    }

    /// Why nothing can be verified, if there are no authorities.
    pub fn no_authorities(&self) -> Option<&str> {
        match &self.trust {
            Trust::NoAuthorities(why) => Some(why),
            Trust::Authorities(_) | Trust::Unverified => None,
        }
    }

    /// The validity of the certificate that expires first: of the verified chain, or else of the presented certificates. `None` if
    /// the server presented none.
    pub fn validity(&self) -> Option<Validity> {
        let presented = self.lock();
        presented.chain.or(presented.first)
    }
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
        let verdict = self.verify(own, others, name, ocsp_response, now);
        let all = std::iter::once(own).chain(others);
        let first = all.clone().filter_map(|certificate| validity(certificate)).min();
        let presented = match &verdict {
            Ok(_) => Presented {
                first,
                chain: self.chain_validity(own, others, now),
                rejected: Vec::new(),
            },
            Err(_) => Presented {
                first,
                chain: None,
                rejected: all.map(|certificate| certificate.clone().into_owned()).collect(),
            },
        };
        *self.lock() = presented;
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match self.trust {
            Trust::Unverified => Ok(HandshakeSignatureValid::assertion()),
            Trust::Authorities(_) | Trust::NoAuthorities(_) => {
                let algorithms = &self.provider.signature_verification_algorithms;
                verify_tls12_signature(message, certificate, signed, algorithms)
                    .inspect_err(|_| self.reject(certificate))
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
            Trust::Unverified => Ok(HandshakeSignatureValid::assertion()),
            Trust::Authorities(_) | Trust::NoAuthorities(_) => {
                let algorithms = &self.provider.signature_verification_algorithms;
                verify_tls13_signature(message, certificate, signed, algorithms)
                    .inspect_err(|_| self.reject(certificate))
            }
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
