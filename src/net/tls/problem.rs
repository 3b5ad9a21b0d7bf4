//! Explains why a TLS handshake failed, and what to do.

use std::fmt::Display;
use std::io;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible, PeerMisbehaved};
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, X509Certificate};

use super::weakness;
use crate::model::{Problem, Reason};
use crate::net::certificates::CertificateRecorder;
use crate::net::io_error;

/// How many names of a certificate a message shows.
const MAX_NAMES: usize = 5;

/// How many characters of a certificate's texts a message shows, since a message has at most
/// [`crate::model::MAX_MESSAGE_BYTES`].
const MAX_TEXT_CHARS: usize = 150;

/// The TLS parameters that a server has to support, with the unsupported alternatives in parentheses.
const REQUIREMENTS: &str = "it needs the key exchange ECDHE (not RSA), a cipher with AES-GCM or ChaCha20-Poly1305 (not CBC), one of the \
     groups X25519, P-256 and P-384 (not P-521), and signatures with SHA-256 or above (not SHA-1)";

/// The problem of a failed handshake.
pub fn from_handshake_error(
    error: &io::Error,
    recorder: &CertificateRecorder,
    peer: &dyn Display,
    name: &ServerName<'_>,
) -> Problem {
    let at =
        |reason, what: &dyn Display| Problem::new(reason, format_args!("TLS handshake with {peer}: {what}"));
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(fault)) => {
            let refused = recorder.presented().rejected;
            let own = refused.first().and_then(parsed);
            let text = match recorder.no_authorities() {
                Some(why) => why.to_owned(),
                None => unsupported(fault, &refused, recorder.pinned())
                    .unwrap_or_else(|| certificate_fault(fault, own.as_ref(), name)),
            };
            at(Reason::Tls, &text)
        }
        Some(fault) => at(Reason::Tls, &error_text(fault)),
        None if error.kind() == io::ErrorKind::UnexpectedEof => at(
            Reason::Closed,
            &"the peer closed the connection during the handshake",
        ),
        None => io_error::problem(error, format_args!("TLS handshake with {peer}: {error}")),
    }
}

/// Explains an error of TLS that is not caused by the certificate.
pub fn error_text(fault: &Error) -> String {
    match fault {
        Error::InvalidMessage(_) => "the peer does not speak TLS (plain text on this port?)".to_owned(),
        Error::AlertReceived(alert) => alert_text(*alert),
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "the server chose a TLS version before 1.2: enable TLS 1.2 or 1.3 on the server".to_owned()
        }
        Error::PeerIncompatible(what) => format!("no common TLS version or cipher ({what:?})"),
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedCipherSuite) => {
            format!("the server chose a cipher suite that was not offered: {REQUIREMENTS}")
        }
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedKxGroup) => {
            format!("the server chose a group for the key exchange that was not offered: {REQUIREMENTS}")
        }
        Error::PeerMisbehaved(
            PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme
            | PeerMisbehaved::SignedKxWithWrongAlgorithm,
        ) => format!(
            "the server signed the handshake with an algorithm that was not offered, such as SHA-1: {REQUIREMENTS}"
        ),
        other => other.to_string(),
    }
}

fn parsed<'c>(certificate: &'c CertificateDer<'_>) -> Option<X509Certificate<'c>> {
    X509Certificate::from_der(certificate)
        .ok()
        .map(|(_, certificate)| certificate)
}

/// The unsupported algorithm of a certificate, if it causes the fault.
fn unsupported(
    fault: &CertificateError,
    refused: &[CertificateDer<'_>],
    named: &[CertificateDer<'_>],
) -> Option<String> {
    if !matches!(
        fault,
        CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
    ) {
        return None;
    }
    let refused = refused.iter().filter_map(parsed);
    let weak_signature = refused.clone().find_map(|certificate| {
        // The signature of a self-signed certificate is not verified.
        let is_verified = certificate.subject() != certificate.issuer();
        let hash = weakness::weak_signature(&certificate).filter(|_| is_verified)?;
        let subject = bounded(&certificate.subject().to_string());
        Some(format!(
            "the certificate ({subject}) is signed with {hash}, which is not supported: sign it with SHA-256"
        ))
    });
    weak_signature.or_else(|| {
        refused
            .chain(named.iter().filter_map(parsed))
            .find_map(|certificate| {
                let key = weakness::weak_key(&certificate)?;
                let subject = bounded(&certificate.subject().to_string());
                Some(format!(
                    "the certificate ({subject}) has {key}: issue it with another key"
                ))
            })
    })
}

fn certificate_fault(
    fault: &CertificateError,
    certificate: Option<&X509Certificate<'_>>,
    name: &ServerName<'_>,
) -> String {
    let subject = |certificate: &X509Certificate<'_>| bounded(&certificate.subject().to_string());
    let issuer = |certificate: &X509Certificate<'_>| bounded(&certificate.issuer().to_string());
    let self_signed = certificate.is_some_and(|certificate| certificate.subject() == certificate.issuer());
    let time = |time: ASN1Time| time.to_rfc2822().unwrap_or_else(|_| time.to_string());
    match (fault, certificate) {
        (CertificateError::Expired | CertificateError::ExpiredContext { .. }, Some(certificate)) => {
            // The expired certificate may be an intermediate one.
            match certificate.validity().not_after {
                end if end < ASN1Time::now() => format!("the certificate expired on {}", time(end)),
                _ => "a certificate of the chain has expired, not the server's own".to_owned(),
            }
        }
        (CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }, Some(certificate)) => {
            let start = certificate.validity().not_before;
            format!(
                "the certificate is not valid before {}: is a clock wrong?",
                time(start)
            )
        }
        (
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            Some(certificate),
        ) => {
            format!(
                "the certificate is not valid for {}: it is valid for {}",
                name.to_str(),
                names(certificate)
            )
        }
        (CertificateError::UnknownIssuer | CertificateError::BadSignature, Some(certificate))
            if self_signed =>
        {
            format!(
                "the certificate ({}) is self-signed: trust it with tls_config.ca_file",
                subject(certificate)
            )
        }
        (CertificateError::UnknownIssuer | CertificateError::BadSignature, Some(certificate)) => format!(
            "the certificate's issuer ({}) is not trusted, or an intermediate certificate is missing: set tls_config.ca_file, or configure the server to send its chain",
            issuer(certificate)
        ),
        (CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. }, _) => {
            "the certificate is not valid for servers: issue it with serverAuth in its extended key usage \
             (anyExtendedKeyUsage does not count)"
                .to_owned()
        }
        (CertificateError::Other(_), Some(certificate)) if self_signed => format!(
            "the server presented the certificate of an authority ({}) as its own: trust it with tls_config.ca_file, or issue a certificate for the server",
            subject(certificate)
        ),
        (other, _) => format!(
            "the certificate is rejected: {}",
            Error::InvalidCertificate(other.clone())
        ),
    }
}

fn names(certificate: &X509Certificate<'_>) -> String {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names = alternative.iter().flat_map(|names| &names.value.general_names);
    let names: Vec<String> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| std::net::Ipv4Addr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(*bytes)
                    .ok()
                    .map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            },
            _ => None,
        })
        .collect();
    match names.len() {
        0 => "no name (it has no subjectAltName)".to_owned(),
        1..=MAX_NAMES => bounded(&names.join(", ")),
        count => format!(
            "{} and {} more",
            bounded(&names[..MAX_NAMES].join(", ")),
            count - MAX_NAMES
        ),
    }
}

fn alert_text(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => {
            "the server requires a client certificate: set tls_config.cert_file"
        }
        AlertDescription::UnrecognisedName => {
            "the server does not know the requested name: set tls_config.server_name"
        }
        AlertDescription::ProtocolVersion => {
            "the server does not support the offered TLS versions (1.2, 1.3)"
        }
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
            return format!(
                "the server does not support the offered parameters: {REQUIREMENTS}; or it requires a client certificate"
            );
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown => {
            return format!("the server rejected the client certificate ({alert:?})");
        }
        other => return format!("the server sent the alert {other:?}"),
    }
    .to_owned()
}

fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT_CHARS).collect()
}
