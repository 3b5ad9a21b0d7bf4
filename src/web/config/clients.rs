//! Verification of client certificates: their issuer, and their names.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::config::place::{Invalid, Place};
use crate::config::suggest;

/// The type of client authentication, with Go's names (<https://pkg.go.dev/crypto/tls#ClientAuthType>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientAuth {
    /// Requests no certificate.
    None,
    /// Requests any certificate, but does not require one.
    Request,
    /// Requires any certificate.
    RequireAny,
    /// Requests a certificate issued by a configured authority, but does not require one.
    VerifyIfGiven,
    /// Requires a certificate issued by a configured authority.
    RequireAndVerify,
}

const NAMES: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    // The toolkit's former name.
    ("RequireClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
];

impl ClientAuth {
    /// Parses the value of `client_auth_type`.
    pub fn parse(place: &Place<'_>, text: Option<&str>) -> Result<Self, Invalid> {
        match text.unwrap_or_default() {
            "" => Ok(Self::None),
            word => match NAMES.iter().find(|(name, _)| *name == word) {
                Some((_, auth)) => Ok(*auth),
                None => {
                    let known = NAMES.iter().map(|(name, _)| *name);
                    let message = suggest::unknown("client authentication type", word, known);
                    Err(place.field("client_auth_type").error(message))
                }
            },
        }
    }

    const fn is_mandatory(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

/// The requirements for clients. Dropping any of them would admit more clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::web) struct ClientRequirements {
    is_mandatory: bool,
    is_verified: bool,
    has_names: bool,
}

impl ClientRequirements {
    pub(super) fn new(auth: ClientAuth, allowed_sans: &[String]) -> Self {
        Self {
            is_mandatory: auth.is_mandatory(),
            is_verified: matches!(auth, ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify),
            has_names: !allowed_sans.is_empty(),
        }
    }

    /// Returns the key that requires less in `new`, if any does.
    pub fn weakened_in(self, new: Self) -> Option<&'static str> {
        let is_weaker = self.is_mandatory && !new.is_mandatory || self.is_verified && !new.is_verified;
        match (is_weaker, self.has_names && !new.has_names) {
            (true, _) => Some("client_auth_type"),
            (false, true) => Some("client_allowed_sans"),
            (false, false) => None,
        }
    }
}

/// Builds the verifier of clients; `None` if no certificate is requested.
pub(super) fn build_verifier(
    place: &Place<'_>,
    auth: ClientAuth,
    authorities: Option<RootCertStore>,
    allowed_sans: Vec<String>,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Invalid> {
    if !allowed_sans.is_empty() && !auth.is_mandatory() {
        return Err(place.field("client_allowed_sans").error(
            "requires client_auth_type: RequireAndVerifyClientCert (or RequireAnyClientCert), since a client without a \
             certificate has no names",
        ));
    }
    let chain = match (auth, authorities) {
        (ClientAuth::None, None) => return Ok(None),
        (ClientAuth::None, Some(_)) => {
            return Err(place.error(
                "certificate authorities of clients require client_auth_type: RequireAndVerifyClientCert",
            ));
        }
        (ClientAuth::Request | ClientAuth::RequireAny, Some(_)) => {
            return Err(place.field("client_auth_type").error(
                "accepts any certificate, so the certificate authorities would be ignored: use RequireAndVerifyClientCert or \
                 VerifyClientCertIfGiven",
            ));
        }
        (ClientAuth::Request | ClientAuth::RequireAny, None) => None,
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            return Err(place
                .field("client_auth_type")
                .error("requires the certificate authorities of the clients: add client_ca_file"));
        }
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, Some(roots)) => {
            let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            Some(builder.build().map_err(|error| place.error(error))?)
        }
    };
    Ok(Some(Arc::new(Verifier {
        is_mandatory: auth.is_mandatory(),
        chain,
        allowed_sans,
        algorithms: provider.signature_verification_algorithms,
    })))
}

/// Verifies clients during the handshake.
#[derive(Debug)]
struct Verifier {
    is_mandatory: bool,
    /// Verifies the issuer of the certificate. Without it, any certificate is accepted.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    /// The certificate must have one of these names. Any name is accepted if empty.
    allowed_sans: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain
            .as_ref()
            .map_or(&[], |chain| chain.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(end_entity, intermediates, now)?;
        }
        let is_allowed = |names: Vec<String>| names.iter().any(|name| self.allowed_sans.contains(name));
        if self.allowed_sans.is_empty() || is_allowed(alternative_names(end_entity)) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Returns the subject alternative names of the kinds that `client_allowed_sans` supports: DNS names, e-mail addresses, IP
/// addresses and URIs (RFC 5280, section 4.2.1.6).
fn alternative_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Vec::new();
    };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => <[u8; 16]>::try_from(bytes)
                .ok()
                .map(|bytes| Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    extension.value.general_names.iter().filter_map(text).collect()
}
