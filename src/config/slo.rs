//! Service-level objectives: for which share of the time a service must not be down.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::Error;

use super::duration::DurationText;
use super::place::{Path, Place};

/// The only window. PromQL has no variable ranges, so the rules of `rules/slo.yml` have a fixed one.
const WINDOW: Duration = Duration::from_secs(30 * 24 * 3600);

/// The highest burn rate that an alert of `rules/slo.yml` compares with, over one hour.
const FASTEST_BURN_RATE: f64 = 14.4;

/// The maximum number of decimals of a percentage. More would need checks every 50 ms; the shortest interval is 100 ms.
const DECIMALS: usize = 3;

/// The lowest objective in percent. At a lower one, even a complete outage burns less than 10 times as fast as allowed.
const LOWEST: f64 = 90.0;

/// An objective and its window.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SloOptions {
    /// The share of the time in which the service is not down: 90% to 99.999%. off: no objective. Built in: off.
    pub objective: Option<ObjectiveText>,
    /// The time that the objective is for. Only 30d is supported, which is built in.
    pub window: Option<DurationText>,
}

/// An objective as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ObjectiveText {
    /// None, even if the tier or the defaults have one.
    Off,
    /// A share of the time.
    Share(Objective),
}

/// The share of the time in which a service is not down; at least 0.9 and below 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective(f64);

/// A text is not an objective.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an objective: write a percentage from 90% to 99.999%, such as 99.9%, or off")]
pub struct ObjectiveError {
    text: String,
}

impl Objective {
    /// The share, where 1 is the whole time.
    pub fn ratio(self) -> f64 {
        self.0
    }

    /// The down time within an hour from which on an alert of severity critical fires.
    pub fn down_time_of_first_alert(self) -> Duration {
        Duration::from_secs_f64((FASTEST_BURN_RATE * 3600.0 * (1.0 - self.0)).max(0.0))
    }

    /// The highest objective whose first alert needs at least this much down time within an hour.
    pub fn highest_for(down_time: Duration) -> Option<Self> {
        let scale = 10_f64.powi(2 + i32::try_from(DECIMALS).unwrap_or(0));
        let ratio = 1.0 - down_time.as_secs_f64() / (FASTEST_BURN_RATE * 3600.0);
        let rounded = (ratio * scale).floor() / scale;
        (rounded >= LOWEST / 100.0).then_some(Self(rounded))
    }
}

impl ObjectiveText {
    /// Parses a percentage or `off`.
    ///
    /// # Errors
    /// If the text is neither, or the percentage is out of range.
    pub fn parse(text: &str) -> Result<Self, ObjectiveError> {
        // Editors that follow YAML 1.1 write off as false.
        if matches!(text, "off" | "false") {
            return Ok(Self::Off);
        }
        let objective = text
            .strip_suffix('%')
            .and_then(|number| parse_percentage(number.trim_end()));
        objective.map(Self::Share).ok_or_else(|| ObjectiveError {
            text: text.chars().take(40).collect(),
        })
    }
}

/// Parses two digits with optional decimals.
fn parse_percentage(number: &str) -> Option<Objective> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 2
        || !(1..=DECIMALS).contains(&decimals.len())
        || !is_plain(whole)
        || !is_plain(decimals)
    {
        return None;
    }
    // Not divided by 100, which would not return the closest number.
    let ratio: f64 = format!("0.{whole}{decimals}").parse().ok()?;
    (ratio >= LOWEST / 100.0).then_some(Objective(ratio))
}

impl<'de> Deserialize<'de> for ObjectiveText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

impl JsonSchema for ObjectiveText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Objective".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Editors that follow YAML 1.1 read off as false.
        json_schema!({
            "description": "A percentage from 90% to 99.999%, or off: 99.9%",
            "anyOf": [
                { "type": "string", "pattern": "^(9[0-9](\\.[0-9]{1,3})? *%|off|false)$" },
                { "type": "boolean", "enum": [false] }
            ]
        })
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The product can be off by a tiny fraction.
        write!(f, "{}%", (self.0 * 1e8).round() / 1e6)
    }
}

/// The objective of one level, with the place that it was written at.
#[derive(Clone, Debug, Default)]
pub struct InheritedSlo {
    objective: Option<Objective>,
    path: Path,
}

impl InheritedSlo {
    /// Applies the `options` of the next level, which are at `place`. Reports an unsupported window.
    pub fn with(&self, options: Option<&SloOptions>, place: &Place<'_>) -> Self {
        let Some(options) = options else {
            return self.clone();
        };
        let place = place.field("slo");
        if let Some(DurationText(window)) = options.window
            && window != WINDOW
        {
            place.field("window").error(format_args!(
                "{} is not supported: write 30d, the only window of the shipped rules, or remove this key",
                DurationText(window)
            ));
        }
        match options.objective {
            None => self.clone(),
            Some(ObjectiveText::Off) => Self::default(),
            Some(ObjectiveText::Share(objective)) => Self {
                objective: Some(objective),
                path: place.field("objective").path().clone(),
            },
        }
    }

    /// The objective, if there is one.
    pub fn objective(&self) -> Option<Objective> {
        self.objective
    }

    /// Where it was written.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(text: &str) -> f64 {
        match ObjectiveText::parse(text) {
            Ok(ObjectiveText::Share(objective)) => objective.ratio(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn percentages_are_the_closest_numbers() {
        for (text, expected) in [
            ("90%", 0.9),
            ("99.9%", 0.999),
            ("99.95 %", 0.9995),
            ("99.999%", 0.999_99),
        ] {
            assert_eq!(ratio(text).to_bits(), f64::to_bits(expected), "{text}");
        }
        assert_eq!(ObjectiveText::parse("false"), Ok(ObjectiveText::Off));
    }

    #[test]
    fn everything_else_is_an_error() {
        for text in [
            "", "%", "99.9", "0.999", "89.9%", "100%", "099%", "99.%", "99.9999%", "9٣%", "-99%", "1e1%",
            "on",
        ] {
            assert!(ObjectiveText::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_alert_needs_a_fiftieth_of_the_budget_of_30_days() {
        let ObjectiveText::Share(objective) = ObjectiveText::parse("99.9%").unwrap() else {
            panic!("99.9% is a share");
        };
        let fiftieth = WINDOW.as_secs_f64() * 0.001 / 50.0;
        assert!((objective.down_time_of_first_alert().as_secs_f64() - fiftieth).abs() < 1e-6);
        assert_eq!(
            Objective::highest_for(Duration::from_secs(15))
                .unwrap()
                .to_string(),
            "99.971%"
        );
        assert_eq!(Objective::highest_for(Duration::from_secs(7200)), None);
    }
}
