//! The authorities that certificates are verified against, and when chains to them expire.

use std::cell::Cell;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer, X509Certificate};

/// Trusted authorities.
#[derive(Debug)]
pub struct Authorities {
    verifier: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    /// When the certificate of each root expires, as Unix time.
    expiries: Vec<Option<i64>>,
    provider: Arc<CryptoProvider>,
}

impl Authorities {
    /// Trusts these certificates, without those that can't be parsed.
    ///
    /// # Errors
    /// If no certificate is left.
    pub fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut expiries = Vec::new();
        for certificate in certificates {
            let expiry = not_after(&certificate);
            // Some certificates of systems are too old to be parsed.
            if roots.add(certificate).is_ok() {
                expiries.push(expiry);
            }
        }
        let roots = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            verifier,
            roots,
            expiries,
            provider: provider.clone(),
        })
    }

    /// The verifier of these authorities.
    pub fn verifier(&self) -> &WebPkiServerVerifier {
        &self.verifier
    }

    /// When the certificate chain of a server expires, as Unix time. A chain expires with its first certificate, the root
    /// included. If there are several chains, the one that expires last counts.
    pub fn chain_expiry(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<i64> {
        let latest = Cell::new(None);
        let visit = |path: &VerifiedPath<'_>| {
            latest.set(latest.get().max(self.path_expiry(own, path)));
            // The error makes webpki try the next path.
            Err(webpki::Error::UnknownIssuer)
        };
        let certificate = EndEntityCert::try_from(own).ok()?;
        // The result is always an error: no path is left, or webpki reached the limit of its work.
        let _ = certificate.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &self.roots.roots,
            others,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&visit),
        );
        latest.get()
    }

    fn path_expiry(&self, own: &CertificateDer<'_>, path: &VerifiedPath<'_>) -> Option<i64> {
        // An authority may have several certificates for one key.
        let roots = self.roots.roots.iter().zip(&self.expiries);
        let root = roots
            .filter(|(root, _)| *root == path.anchor())
            .filter_map(|(_, expiry)| *expiry)
            .max();
        let between = path
            .intermediate_certificates()
            .map(|certificate| not_after(&certificate.der()));
        between.chain([not_after(own), root]).flatten().min()
    }
}

/// When a certificate expires, as Unix time.
pub fn not_after(certificate: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}
