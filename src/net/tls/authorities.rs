//! The authorities that certificates are verified against, and when their own certificates end, which verifying does not need.

use std::cell::Cell;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use super::certificate_recorder::not_after;

/// Authorities that are trusted.
#[derive(Debug)]
pub struct Authorities {
    verifier: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    /// When the certificate of each root ends, as Unix time.
    ends: Vec<Option<i64>>,
    provider: Arc<CryptoProvider>,
}

impl Authorities {
    /// Those of these certificates that can be read.
    ///
    /// # Errors
    /// Why nothing can be verified against them: there are none.
    pub fn new(
        certificates: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut ends = Vec::new();
        for certificate in certificates {
            let end = not_after(&certificate);
            // Systems have some that are too old to be read.
            if roots.add(certificate).is_ok() {
                ends.push(end);
            }
        }
        let roots = Arc::new(roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            verifier,
            roots,
            ends,
            provider: provider.clone(),
        })
    }

    /// What verifies against them.
    pub fn verifier(&self) -> &WebPkiServerVerifier {
        &self.verifier
    }

    /// Until when a server's certificate can be verified with the others that it sent, as Unix time: each chain to a root ends
    /// with the first certificate in it that does, the root's included, and of several chains the last one counts.
    pub fn chain_end(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Option<i64> {
        let latest = Cell::new(None);
        let look = |path: &VerifiedPath<'_>| {
            latest.set(latest.get().max(self.path_end(own, path)));
            // Another path, please.
            Err(webpki::Error::UnknownIssuer)
        };
        let certificate = EndEntityCert::try_from(own).ok()?;
        // It ends without a path, or with the bound of its work.
        let _ = certificate.verify_for_usage(
            self.provider.signature_verification_algorithms.all,
            &self.roots.roots,
            others,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&look),
        );
        latest.get()
    }

    fn path_end(&self, own: &CertificateDer<'_>, path: &VerifiedPath<'_>) -> Option<i64> {
        // The same authority may have had several certificates for one key.
        let roots = self.roots.roots.iter().zip(&self.ends);
        let root = roots
            .filter(|(root, _)| *root == path.anchor())
            .filter_map(|(_, end)| *end)
            .max();
        let between = path
            .intermediate_certificates()
            .map(|certificate| not_after(&certificate.der()));
        between.chain([not_after(own), root]).flatten().min()
    }
}
