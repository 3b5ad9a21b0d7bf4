//! The YAML form of ChatStack's `monitor`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Error;

/// Timing settings of ChatStack's monitor. New files set defaults instead.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MonitorOptions {
    /// Interval in seconds. Equivalent to defaults.interval.
    pub check_interval: Option<Seconds>,
    /// Retries before a failure counts. defaults.failures_before_down is this number plus 1.
    #[schemars(range(max = 999))]
    pub retry_attempts: Option<u32>,
    /// Time between retries in seconds. Equivalent to defaults.recheck_interval.
    pub retry_delay: Option<Seconds>,
    /// When alerts are sent.
    pub alerts: Option<AlertOptions>,
}

/// When alerts are sent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertOptions {
    /// Consecutive failures before an alert. defaults.tolerance.down is this number minus 1, times the interval.
    #[schemars(range(min = 1, max = 999))]
    pub consecutive_failures: Option<u32>,
    /// Whether recoveries are sent. Ignored: set send_resolved in Alertmanager's configuration.
    pub recovery_notification: Option<bool>,
}

/// A duration written as a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seconds(pub Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let duration = Duration::try_from_secs_f64(seconds).map_err(|_| {
            D::Error::custom("expected a non-negative number of seconds without a unit, such as 30")
        })?;
        // Rounded, so that 0.1 is exactly 100 ms.
        Ok(Self(Duration::from_micros(
            u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
        )))
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "description": "A number of seconds." })
    }
}
