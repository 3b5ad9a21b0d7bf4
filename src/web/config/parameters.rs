//! TLS versions, cipher suites and key exchange groups, with Go's names.

use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, cipher_suite, kx_group};
use rustls::version::{TLS12, TLS13};
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

use crate::config::place::{Invalid, Place};
use crate::config::suggest;

/// The supported cipher suites, with Go's names (<https://pkg.go.dev/crypto/tls#CipherSuites>).
static SUITES: [(&str, SupportedCipherSuite); 9] = [
    ("TLS_AES_128_GCM_SHA256", cipher_suite::TLS13_AES_128_GCM_SHA256),
    ("TLS_AES_256_GCM_SHA384", cipher_suite::TLS13_AES_256_GCM_SHA384),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// The supported key exchange groups, with Go's names (<https://pkg.go.dev/crypto/tls#CurveID>).
static CURVES: [(&str, &'static dyn SupportedKxGroup); 4] = [
    ("CurveP256", kx_group::SECP256R1),
    ("CurveP384", kx_group::SECP384R1),
    ("X25519", kx_group::X25519),
    ("X25519MLKEM768", kx_group::X25519MLKEM768),
];

static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static ONLY_12: &[&SupportedProtocolVersion] = &[&TLS12];
static ONLY_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// Resolves the accepted versions.
pub(super) fn resolve_versions(
    place: &Place<'_>,
    min: Option<&str>,
    max: Option<&str>,
) -> Result<&'static [&'static SupportedProtocolVersion], Invalid> {
    let number = |key: &str, text: Option<&str>, default: u8| match text.unwrap_or_default() {
        "" => Ok(default),
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        "TLS10" | "TLS11" => Err(place
            .field(key)
            .error("is not supported, since it is insecure (RFC 8996): use TLS12 or TLS13")),
        word => {
            Err(place
                .field(key)
                .error(suggest::unknown("version", word, ["TLS12", "TLS13"].into_iter())))
        }
    };
    let (min, max) = (number("min_version", min, 2), number("max_version", max, 3));
    match (min?, max?) {
        (2, 2) => Ok(ONLY_12),
        (3, 3) => Ok(ONLY_13),
        (3, 2) => Err(place
            .field("min_version")
            .error("is higher than max_version: swap them")),
        _ => Ok(BOTH),
    }
}

/// Resolves the accepted cipher suites, in order of preference. A list without suites of TLS 1.3 enables all of them: Go can't
/// disable these, so lists are usually written for TLS 1.2 only.
pub(super) fn resolve_cipher_suites(
    place: &Place<'_>,
    names: &[String],
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Vec<SupportedCipherSuite>, Invalid> {
    if names.is_empty() {
        return Ok(ALL_CIPHER_SUITES.to_vec());
    }
    let mut suites = find_all(place, names, "cipher suite", &SUITES)?;
    let has = |suites: &[SupportedCipherSuite], version| {
        suites.iter().any(|suite| suite.version().version == version)
    };
    if !has(&suites, ProtocolVersion::TLSv1_3) {
        let all = ALL_CIPHER_SUITES.iter().copied();
        suites.extend(all.filter(|suite| suite.version().version == ProtocolVersion::TLSv1_3));
    }
    let accepts_12 = versions.contains(&&TLS12);
    if accepts_12 && !has(&suites, ProtocolVersion::TLSv1_2) {
        return Err(place.error("has no cipher suite of TLS 1.2: add one, or set min_version: TLS13"));
    }
    Ok(suites)
}

/// Resolves the accepted key exchange groups, in order of preference.
pub(super) fn resolve_curves(
    place: &Place<'_>,
    names: &[String],
) -> Result<Option<Vec<&'static dyn SupportedKxGroup>>, Invalid> {
    if names.is_empty() {
        return Ok(None);
    }
    find_all(place, names, "curve", &CURVES).map(Some)
}

/// Returns the values of `names`. Reports every unknown or repeated name.
fn find_all<T: Copy>(
    place: &Place<'_>,
    names: &[String],
    what: &str,
    known: &'static [(&'static str, T)],
) -> Result<Vec<T>, Invalid> {
    let mut found = Vec::with_capacity(names.len());
    let mut result = Ok(());
    for (index, name) in names.iter().enumerate() {
        let place = place.index(index);
        match known.iter().find(|(known, _)| known == name) {
            Some(_) if names[..index].contains(name) => {
                result = Err(place.error("is a duplicate: remove it"))
            }
            Some((_, value)) => found.push(*value),
            None => {
                let words = known.iter().map(|(known, _)| *known);
                result = Err(place.error(suggest::unknown(&format!("or unsupported {what}"), name, words)));
            }
        }
    }
    result.map(|()| found)
}
