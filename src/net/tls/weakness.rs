//! Finds algorithms of certificates that the cryptography in use does not support. The library reports such certificates as
//! a bad signature only.

use x509_parser::oid_registry::Oid;
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;

/// The supported sizes of an RSA key (the algorithms of rustls-webpki, such as RSA_PKCS1_2048_8192_SHA256).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The supported curves of keys (RFC 5480, section 2.1.1.1): P-256, P-384, P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

/// Ed25519 (RFC 8410, section 3).
const ED25519: &str = "1.3.101.112";

/// The unsupported signature algorithms with their names (RFC 3279, section 2.2; RFC 5758; RFC 8410).
const SIGNATURES: [(&str, &str); 8] = [
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.2.840.113549.1.1.14", "SHA-224"),
    ("1.2.840.10045.4.1", "SHA-1"),
    ("1.2.840.10045.4.3.1", "SHA-224"),
    ("1.2.840.10040.4.3", "DSA and SHA-1"),
    ("2.16.840.1.101.3.4.3.2", "DSA"),
    ("1.3.101.113", "Ed448"),
];

/// Describes the key of a certificate if it is not supported.
pub fn weak_key(certificate: &X509Certificate<'_>) -> Option<String> {
    let key = certificate.public_key();
    match key.parsed().ok()? {
        PublicKey::RSA(rsa) => {
            let bits = rsa.key_size();
            (!RSA_BITS.contains(&bits)).then(|| {
                let (min, max) = (RSA_BITS.start(), RSA_BITS.end());
                format!("an RSA key of {bits} bits (supported: {min} to {max})")
            })
        }
        PublicKey::EC(_) => {
            let curve = key.algorithm.parameters.as_ref()?.as_oid().ok()?.to_id_string();
            (!CURVES.contains(&curve.as_str()))
                .then(|| format!("a key on the curve {curve} (supported: P-256, P-384, P-521)"))
        }
        PublicKey::DSA(_) => Some("a DSA key (supported: RSA, ECDSA, Ed25519)".to_owned()),
        _ => {
            let algorithm = key.algorithm.algorithm.to_id_string();
            let is_known = algorithm == ED25519 || is_ml_dsa(&key.algorithm.algorithm);
            (!is_known)
                .then(|| format!("a key of the algorithm {algorithm} (supported: RSA, ECDSA, Ed25519)"))
        }
    }
}

/// ML-DSA (FIPS 204), which has three sizes.
fn is_ml_dsa(algorithm: &Oid<'_>) -> bool {
    algorithm.to_id_string().starts_with("2.16.840.1.101.3.4.3.1")
}

/// The signature algorithm of a certificate if it is not supported.
pub fn weak_signature(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let algorithm = certificate.signature_algorithm.algorithm.to_id_string();
    let found = SIGNATURES.iter().find(|(known, _)| *known == algorithm);
    found.map(|(_, name)| *name)
}
