//! Fails a run whose target has a certificate that expires too soon.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::config::certificate::CertificateLimits;
use crate::config::duration::DurationText;
use crate::model::{Problem, Reason};

/// The result of a run that succeeded otherwise. `expires` is when the first certificate of the chain expires, in Unix time.
///
/// # Errors
/// If less than `fail_before` is left.
pub fn judge(expires: Option<i64>, limits: CertificateLimits) -> Result<(), Problem> {
    let (Some(expires), Some(fail_before)) = (expires, limits.fail_before) else {
        return Ok(());
    };
    // A clock before 1970 is wrong. Then nothing is known about the time that is left.
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else {
        return Ok(());
    };
    judge_at(expires, fail_before, now)
}

fn judge_at(expires: i64, fail_before: Duration, now: Duration) -> Result<(), Problem> {
    let expires = Duration::from_secs(u64::try_from(expires).unwrap_or(0));
    let left = expires.saturating_sub(now);
    if left >= fail_before {
        return Ok(());
    }
    let limit = DurationText(fail_before);
    let message = match left.as_secs() {
        0 => format!("a certificate of the chain has expired (certificate.fail_before is {limit}): renew it"),
        seconds => format!(
            "a certificate of the chain expires in {}, less than certificate.fail_before ({limit}): renew it",
            DurationText(rounded(seconds))
        ),
    };
    Err(Problem::new(Reason::Tls, message))
}

/// The time without seconds, or without minutes if it is longer than a day: a shorter message changes less often.
fn rounded(seconds: u64) -> Duration {
    let unit = match seconds {
        86_400.. => 3600,
        60.. => 60,
        _ => 1,
    };
    Duration::from_secs(seconds / unit * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn judged(left: i64, fail_before: u64) -> Result<(), String> {
        let now = 1_800_000_000;
        let result = judge_at(
            now + left,
            Duration::from_secs(fail_before),
            Duration::from_secs(now.unsigned_abs()),
        );
        result.map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_run_fails_when_less_than_the_limit_is_left() {
        assert_eq!(judged(172_800, 2 * DAY), Ok(()));
        for (left, text) in [
            (
                172_799,
                "expires in 1d23h, less than certificate.fail_before (2d)",
            ),
            (3_725, "expires in 1h2m, less than certificate.fail_before (2d)"),
            (59, "expires in 59s, less than certificate.fail_before (2d)"),
            (0, "has expired (certificate.fail_before is 2d)"),
            (-5, "has expired (certificate.fail_before is 2d)"),
        ] {
            let expected = format!("tls: a certificate of the chain {text}: renew it");
            assert_eq!(judged(left, 2 * DAY), Err(expected));
        }
    }

    #[test]
    fn nothing_fails_without_a_limit_or_a_certificate() {
        let limits = CertificateLimits {
            fail_before: Some(Duration::from_secs(DAY)),
            ..CertificateLimits::default()
        };
        assert_eq!(judge(Some(0), CertificateLimits::default()), Ok(()));
        assert_eq!(judge(None, limits), Ok(()));
        assert!(judge(Some(0), limits).is_err());
    }
}
