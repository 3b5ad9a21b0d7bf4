//! How many requests of notifications an Alertmanager sent, by integration, from its metrics.

use std::collections::BTreeMap;

use crate::cli::show::clean;

/// Requests that were sent. A failed one is repeated, so this counts every attempt.
const SENT: &str = "alertmanager_notification_requests_total{";
/// Requests that failed.
const FAILED: &str = "alertmanager_notification_requests_failed_total{";

/// The number of requests of one integration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All requests.
    pub sent: u64,
    /// Those that failed.
    pub failed: u64,
}

/// The number of requests by integration, such as `slack`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, Count>);

impl Counts {
    /// Reads the counts from metrics in the text format. Lines of other metrics are ignored.
    pub fn parse(text: &str) -> Self {
        let mut counts = Self::default();
        for line in text.lines() {
            let (labels, is_failure) = match (line.strip_prefix(SENT), line.strip_prefix(FAILED)) {
                (Some(rest), _) => (rest, false),
                (None, Some(rest)) => (rest, true),
                (None, None) => continue,
            };
            let Some((integration, value)) = sample(labels) else {
                continue;
            };
            let count = counts.0.entry(clean(integration)).or_default();
            match is_failure {
                true => count.failed += value,
                false => count.sent += value,
            }
        }
        counts
    }

    /// The requests since `before`. Integrations without any are left out.
    pub fn since(mut self, before: &Self) -> Self {
        for (integration, count) in &mut self.0 {
            let before = before.0.get(integration).copied().unwrap_or_default();
            count.sent = count.sent.saturating_sub(before.sent);
            count.failed = count.failed.saturating_sub(before.failed);
        }
        self.0.retain(|_, count| *count != Count::default());
        self
    }

    /// Whether there was no request.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The integrations with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Count)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }
}

/// The integration and the value of a sample, after the opening brace.
fn sample(labels: &str) -> Option<(&str, u64)> {
    let (labels, value) = labels.rsplit_once("} ")?;
    let (_, rest) = labels.split_once("integration=\"")?;
    let (integration, _) = rest.split_once('"')?;
    // Prometheus writes large counters with an exponent.
    let value: f64 = value.trim().parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a counter; `as` saturates"
    )]
    Some((integration, value as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
# HELP alertmanager_notification_requests_total The total number of attempted notification requests.
alertmanager_notification_requests_total{integration=\"email\"} 2
alertmanager_notification_requests_total{integration=\"slack\"} 1e+06
alertmanager_notification_requests_failed_total{integration=\"slack\"} 0
alertmanager_notifications_total{integration=\"slack\"} 9
alertmanager_notification_requests_total{integration=\"broken
";

    #[test]
    fn the_difference_has_only_integrations_that_sent_something() {
        let after = BEFORE
            .replace("1e+06", "1000003")
            .replace("{integration=\"slack\"} 0", "{integration=\"slack\"} 1");
        let counts = Counts::parse(&after).since(&Counts::parse(BEFORE));
        let expected = Count { sent: 3, failed: 1 };
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("slack", expected)]);
        assert!(Counts::parse(BEFORE).since(&Counts::parse(BEFORE)).is_empty());
    }
}
