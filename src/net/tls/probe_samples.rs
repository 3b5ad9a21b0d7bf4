//! The samples of a TLS handshake for probes, with the names and meanings of blackbox_exporter's.

use std::fmt::Write;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::{CommonState, ProtocolVersion};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};
use x509_parser::x509::X509Name;

use crate::model::{Family, Report, truncate};
use crate::net::certificates::CertificateRecorder;

static EARLIEST_EXPIRY: Family = Family::probe(
    "probe_ssl_earliest_cert_expiry",
    &[],
    "Unix time when the first of the presented certificates expires.",
);
static CHAIN_EXPIRY: Family = Family::probe(
    "probe_ssl_last_chain_expiry_timestamp_seconds",
    &[],
    "Unix time of the earliest expiry in the verified chain, including the root. Of several chains, the one that \
     expires last counts. A time in the year 1 if no chain was verified.",
);
static CHAIN_INFO: Family = Family::probe(
    "probe_ssl_last_chain_info",
    &[
        "fingerprint_sha256",
        "subject",
        "issuer",
        "subjectalternative",
        "serialnumber",
    ],
    "Leaf certificate of the server.",
);
static VERSION_INFO: Family =
    Family::probe("probe_tls_version_info", &["version"], "Negotiated TLS version.");
static CIPHER_INFO: Family = Family::probe("probe_tls_cipher_info", &["cipher"], "Negotiated cipher suite.");

/// The families of probes over TLS.
pub const PROBE_FAMILIES: &[&Family] = &[
    &EARLIEST_EXPIRY,
    &CHAIN_EXPIRY,
    &CHAIN_INFO,
    &VERSION_INFO,
    &CIPHER_INFO,
];

/// The zero value of Go's time. It means that no chain was verified.
const NOT_VERIFIED: f64 = -62_135_596_800.0;
/// The longest label value, in bytes. Certificates come from the target.
const MAX_LABEL_BYTES: usize = 1024;

/// Records a handshake. Removes the samples of the previous one (before a redirect).
pub fn record_handshake(report: &mut Report, connection: &CommonState, recorder: &CertificateRecorder) {
    remove_from(report);
    if report.probe.is_none() {
        return;
    }
    let certificates = connection.peer_certificates().unwrap_or_default();
    let parsed: Vec<X509Certificate<'_>> = certificates
        .iter()
        .filter_map(|certificate| Some(X509Certificate::from_der(certificate).ok()?.1))
        .collect();
    let ends = parsed
        .iter()
        .map(|certificate| certificate.validity().not_after.timestamp());
    if let Some(end) = ends.min() {
        let chain_end = recorder.presented().chain.map(|chain| chain.not_after);
        report.push_probe_sample(&EARLIEST_EXPIRY, Vec::new(), end as f64);
        let chain_end = chain_end.map_or(NOT_VERIFIED, |end| end as f64);
        report.push_probe_sample(&CHAIN_EXPIRY, Vec::new(), chain_end);
    }
    if let (Some(own), Some(bytes)) = (parsed.first(), certificates.first()) {
        let labels = [
            hex(digest(&SHA256, bytes).as_ref()),
            name(own.subject()),
            name(own.issuer()),
            alternatives(own),
            serial_number(own),
        ];
        let labels = labels.map(|text| bounded(text).into()).to_vec();
        report.push_probe_sample(&CHAIN_INFO, labels, 1.0);
    }
    if let Some(version) = connection.protocol_version() {
        let version = match version {
            ProtocolVersion::TLSv1_2 => "TLS 1.2",
            ProtocolVersion::TLSv1_3 => "TLS 1.3",
            _ => "unknown",
        };
        report.push_probe_sample(&VERSION_INFO, vec![version.into()], 1.0);
    }
    if let Some(suite) = connection.negotiated_cipher_suite() {
        // The registered name (RFC 8446, appendix B.4) does not contain the version.
        let name = format!("{:?}", suite.suite()).replacen("TLS13_", "TLS_", 1);
        report.push_probe_sample(&CIPHER_INFO, vec![name.into()], 1.0);
    }
}

/// Removes the samples of a handshake, for a final response without TLS.
pub fn remove_from(report: &mut Report) {
    if let Some(samples) = &mut report.probe {
        samples.retain(|sample| !PROBE_FAMILIES.contains(&sample.family));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Formats a distinguished name (RFC 4514) with the attribute names of Go.
fn name(name: &X509Name<'_>) -> String {
    let mut sets: Vec<String> = name
        .iter()
        .map(|set| {
            let attributes = set.iter().map(|attribute| {
                let key = match attribute.attr_type().to_id_string().as_str() {
                    "2.5.4.3" => "CN".to_owned(),
                    "2.5.4.5" => "SERIALNUMBER".to_owned(),
                    "2.5.4.6" => "C".to_owned(),
                    "2.5.4.7" => "L".to_owned(),
                    "2.5.4.8" => "ST".to_owned(),
                    "2.5.4.9" => "STREET".to_owned(),
                    "2.5.4.10" => "O".to_owned(),
                    "2.5.4.11" => "OU".to_owned(),
                    "2.5.4.17" => "POSTALCODE".to_owned(),
                    other => other.to_owned(),
                };
                format!("{key}={}", escaped(attribute.as_str().unwrap_or_default()))
            });
            attributes.collect::<Vec<_>>().join("+")
        })
        .collect();
    sets.reverse();
    sets.join(",")
}

/// Escapes an attribute value (RFC 4514, section 2.4).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (position, character) in text.chars().enumerate() {
        let is_special = ",+\"\\<>;".contains(character)
            || (position == 0 && matches!(character, '#' | ' '))
            || (position == last && character == ' ');
        if is_special {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The DNS names that a certificate is valid for.
fn alternatives(certificate: &X509Certificate<'_>) -> String {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension
        .iter()
        .flat_map(|extension| &extension.value.general_names);
    let names: Vec<&str> = names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            _ => None,
        })
        .collect();
    names.join(",")
}

/// The serial number in hexadecimal digits, two for every byte, as blackbox_exporter writes it.
fn serial_number(certificate: &X509Certificate<'_>) -> String {
    let bytes = certificate.raw_serial();
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    hex(&bytes[start..])
}

fn bounded(mut text: String) -> String {
    truncate(&mut text, MAX_LABEL_BYTES);
    text
}

/// The labels of a presented certificate. For tests with arbitrary input.
#[doc(hidden)]
pub fn fuzz_parse(der: &[u8]) -> Option<[String; 4]> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let _ = certificate.validity().not_after.timestamp();
    let labels = [
        name(certificate.subject()),
        name(certificate.issuer()),
        alternatives(&certificate),
        serial_number(&certificate),
    ];
    Some(labels.map(bounded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_formatted_as_in_go() {
        let mut parameters =
            rcgen::CertificateParams::new(["a.example".to_owned(), "b.example".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in [
            (rcgen::DnType::CountryName, "DE"),
            (rcgen::DnType::OrganizationName, "A, B"),
            (rcgen::DnType::CommonName, "#x "),
        ] {
            parameters.distinguished_name.push(kind, text);
        }
        let key = rcgen::KeyPair::generate().unwrap();
        let der = parameters.self_signed(&key).unwrap();
        let (_, certificate) = X509Certificate::from_der(der.der()).unwrap();
        assert_eq!(name(certificate.subject()), "CN=\\#x\\ ,O=A\\, B,C=DE");
        assert_eq!(alternatives(&certificate), "a.example,b.example");
    }

    #[test]
    fn serial_numbers_have_two_digits_for_every_byte() {
        for (serial, text) in [
            (&[1_u8, 0x0a, 0xff][..], "010aff"),
            (&[0x0f], "0f"),
            // A number has no leading zeros.
            (&[0, 0, 0x80, 1], "8001"),
        ] {
            let mut parameters = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
            parameters.serial_number = Some(serial.to_vec().into());
            let key = rcgen::KeyPair::generate().unwrap();
            let der = parameters.self_signed(&key).unwrap();
            let (_, certificate) = X509Certificate::from_der(der.der()).unwrap();
            assert_eq!(serial_number(&certificate), text);
        }
    }
}
