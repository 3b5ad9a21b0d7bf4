//! When certificates are valid, and the metrics of it.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::model::{Family, MetricType, Sample, Scope, Unit};

/// When the first certificate of the chain expires.
pub static CERTIFICATE_NOT_AFTER: Family = Family {
    name: "upkeep_tls_certificate_not_after_timestamp_seconds",
    metric_type: MetricType::Gauge,
    unit: Unit::Seconds,
    scope: Scope::Check,
    labels: &[],
    help: "Unix time of the earliest expiry in the verified certificate chain, including the root. If no chain \
           was verified: the earliest expiry of the certificates that the server sent.",
};

/// When that certificate became valid.
pub static CERTIFICATE_NOT_BEFORE: Family = Family {
    name: "upkeep_tls_certificate_not_before_timestamp_seconds",
    help: "Unix time from which the certificate that expires first is valid. Its lifetime is the time from then until \
           upkeep_tls_certificate_not_after_timestamp_seconds.",
    ..CERTIFICATE_NOT_AFTER
};

/// When a certificate is valid, in Unix time. The order is that of the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Validity {
    /// The last second in which it is valid.
    pub not_after: i64,
    /// The first second in which it is valid.
    pub not_before: i64,
}

impl Validity {
    /// The metrics of the certificate that expires first.
    #[allow(clippy::cast_precision_loss)] // Exact for the next 285 million years.
    pub fn samples(self) -> [Sample; 2] {
        let sample = |family, time| Sample {
            family,
            labels: Vec::new(),
            value: time as f64,
        };
        [
            sample(&CERTIFICATE_NOT_AFTER, self.not_after),
            sample(&CERTIFICATE_NOT_BEFORE, self.not_before),
        ]
    }
}

/// When a certificate is valid. `None` if it can't be parsed.
pub fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let validity = certificate.validity();
    Some(Validity {
        not_after: validity.not_after.timestamp(),
        not_before: validity.not_before.timestamp(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_that_expires_first_is_the_least() {
        let root = Validity {
            not_after: 300,
            not_before: 0,
        };
        let leaf = Validity {
            not_after: 200,
            not_before: 140,
        };
        assert_eq!([root, leaf].into_iter().min(), Some(leaf));
        let values = leaf.samples().map(|sample| sample.value);
        assert_eq!(values, [200.0, 140.0]);
    }
}
