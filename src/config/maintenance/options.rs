//! A maintenance window as it is written.

use jiff::civil::Weekday;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::duration::DurationText;

/// A maintenance window. Without services and groups, it is for all services.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceOptions {
    /// Name of the window, unique in the file. Default: its path, such as `maintenance[0]`.
    pub name: Option<String>,
    /// Keys of the services.
    #[schemars(length(min = 1))]
    pub services: Option<Vec<String>>,
    /// Groups whose services are in maintenance.
    #[schemars(length(min = 1))]
    pub groups: Option<Vec<String>>,
    /// Start: a date and time (2026-12-24 22:00), or the time of day for weekly (03:00).
    pub at: Option<String>,
    /// Days of the week on which the window starts at the time of at.
    #[schemars(length(min = 1))]
    pub weekly: Option<Vec<DayWord>>,
    /// Starts as a cron expression of five fields, instead of at: 0 3 * * *.
    pub cron: Option<String>,
    /// Length of the window: 1s to 31d.
    #[serde(rename = "for")]
    pub length: Option<DurationText>,
    /// Time zone of at or cron, an IANA name such as Europe/Berlin. Default: UTC.
    pub timezone: Option<String>,
    /// Reason, for people.
    pub reason: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DayWord {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl From<DayWord> for Weekday {
    fn from(word: DayWord) -> Self {
        match word {
            DayWord::Mon => Self::Monday,
            DayWord::Tue => Self::Tuesday,
            DayWord::Wed => Self::Wednesday,
            DayWord::Thu => Self::Thursday,
            DayWord::Fri => Self::Friday,
            DayWord::Sat => Self::Saturday,
            DayWord::Sun => Self::Sunday,
        }
    }
}
