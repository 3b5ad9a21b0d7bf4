//! When an expiring certificate causes a warning or a failure. A key of the checks that see certificates.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::DurationText;
use super::place::{Invalid, Place};

/// The longest limit. Certificates of public authorities are valid for 398 days at most; private ones may be valid for longer.
const MAX_LIMIT: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The keys of every check that sees certificates.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateKeys {
    /// When an expiring certificate of the target causes a warning or a failure.
    pub certificate: Option<CertificateOptions>,
}

/// When an expiring certificate causes a warning or a failure.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateOptions {
    /// The alert on the certificate fires this long before it expires. Default: a third of its lifetime, at most 21d.
    pub warn_before: Option<DurationText>,
    /// The check fails this long before the certificate expires. Default: it fails only when the certificate has expired.
    pub fail_before: Option<DurationText>,
}

/// When an expiring certificate causes a warning or a failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateLimits {
    /// How long before the expiry the alert fires. `None`: the alert compares with the lifetime of the certificate.
    pub warn_before: Option<Duration>,
    /// How long before the expiry the check fails. `None`: it does not fail before.
    pub fail_before: Option<Duration>,
}

impl CertificateKeys {
    /// The limits. The keys are of the check at `place`.
    ///
    /// # Errors
    /// Reported at the keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<CertificateLimits, Invalid> {
        let place = place.field("certificate");
        let options = self.certificate.unwrap_or_default();
        let limits = CertificateLimits {
            warn_before: in_range(options.warn_before, &place.field("warn_before"))?,
            fail_before: in_range(options.fail_before, &place.field("fail_before"))?,
        };
        if let (Some(warn), Some(fail)) = (limits.warn_before, limits.fail_before)
            && fail > warn
        {
            return Err(place.field("fail_before").error(format_args!(
                "{} is longer than warn_before ({}): the check would fail before the warning",
                DurationText(fail),
                DurationText(warn)
            )));
        }
        Ok(limits)
    }
}

fn in_range(written: Option<DurationText>, place: &Place<'_>) -> Result<Option<Duration>, Invalid> {
    match written {
        Some(DurationText(limit)) if limit.is_zero() || limit > MAX_LIMIT => Err(place.error(format_args!(
            "{} is out of range: write more than 0 and at most {}",
            DurationText(limit),
            DurationText(MAX_LIMIT)
        ))),
        written => Ok(written.map(|DurationText(limit)| limit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests_support::resolve_json;
    use serde_json::json;

    fn resolve(certificate: serde_json::Value) -> Result<CertificateLimits, Vec<String>> {
        resolve_json(json!({ "certificate": certificate }), CertificateKeys::resolve)
    }

    #[test]
    fn limits_are_optional_and_in_order() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let limits = |warn_before, fail_before| CertificateLimits {
            warn_before,
            fail_before,
        };
        assert_eq!(resolve(json!(null)), Ok(limits(None, None)));
        assert_eq!(resolve(json!({ "fail_before": "2d" })), Ok(limits(None, days(2))));
        let both = json!({ "warn_before": "14d", "fail_before": "2d" });
        assert_eq!(resolve(both), Ok(limits(days(14), days(2))));
    }

    #[test]
    fn limits_that_can_not_be_meant_are_errors() {
        for (certificate, message) in [
            (
                json!({ "warn_before": "0" }),
                "certificate.warn_before: 0s is out of range: write more than 0 and at most 10y",
            ),
            (
                json!({ "fail_before": "11y" }),
                "certificate.fail_before: 11y is out of range: write more than 0 and at most 10y",
            ),
            (
                json!({ "warn_before": "1d", "fail_before": "2d" }),
                "certificate.fail_before: 2d is longer than warn_before (1d): the check would fail before the warning",
            ),
        ] {
            assert_eq!(resolve(certificate), Err(vec![message.to_owned()]));
        }
    }
}
