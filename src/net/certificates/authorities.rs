//! The authorities that certificates are verified against, and the validity of chains to them.

use std::cell::Cell;
use std::sync::Arc;

use super::validity::{Validity, validity};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

/// Trusted authorities.
#[derive(Debug)]
pub struct Authorities {
    verifier: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    /// The validity of each root's certificate.
    validities: Vec<Option<Validity>>,
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
        let mut validities = Vec::new();
        for certificate in certificates {
            let validity = validity(&certificate);
            // Some certificates of systems are too old to be parsed.
            if roots.add(certificate).is_ok() {
                validities.push(validity);
            }
        }
        let roots = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            verifier,
            roots,
            validities,
            provider: provider.clone(),
        })
    }

    /// The verifier of these authorities.
    pub fn verifier(&self) -> &WebPkiServerVerifier {
        &self.verifier
    }

    /// The validity of the certificate that ends the chain of a server: the first one to expire, the root included. If there are
    /// several chains, the one that expires last counts.
    pub fn chain_validity(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<Validity> {
        let latest = Cell::new(None);
        let visit = |path: &VerifiedPath<'_>| {
            latest.set(latest.get().max(self.path_validity(own, path)));
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

    fn path_validity(&self, own: &CertificateDer<'_>, path: &VerifiedPath<'_>) -> Option<Validity> {
        // An authority may have several certificates for one key.
        let roots = self.roots.roots.iter().zip(&self.validities);
        let root = roots
            .filter(|(root, _)| *root == path.anchor())
            .filter_map(|(_, validity)| *validity)
            .max();
        let between = path
            .intermediate_certificates()
            .map(|certificate| validity(&certificate.der()));
        between.chain([validity(own), root]).flatten().min()
    }
}
