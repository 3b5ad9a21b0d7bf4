//! The configuration of heartbeat checks: the token of the job, when the job reports, and how long a run may take.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;

use super::duration::DurationText;
use super::kind_facts::{Identity, KindFacts, OwnTimings};
use super::maintenance::schedule::{Cron, Starts};
use super::maintenance::{Schedule, time_zone};
use super::place::{Invalid, Place};
use super::secret::{Secret, SecretError, SecretSource};
use crate::model::{CheckId, Moment, WallAnchor};

/// The default of `grace`.
const DEFAULT_GRACE: Duration = Duration::from_secs(300);

/// The range of `every`. Cron starts jobs once a minute at most, but programs may report more often.
const EVERY: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(366 * 24 * 3600)];

/// The range of `grace`.
const GRACE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(31 * 24 * 3600)];

/// The length of a token in characters. 16 characters of hexadecimal digits are 64 bits, too many to guess over the network.
const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 16..=128;

/// How far a success may precede the time of a cron expression that it counts for. The clocks of the job's machine and of the exporter's
/// machine may differ a little.
const CLOCK_SKEW: Duration = Duration::from_secs(10);

/// The longest step back of the wall clock after which cron does not start a job again (cron(8), "clock changes of less than 3 hours").
/// After such a step, the next due time counts from the earlier reading of the clock.
const CRON_STEP: i64 = 3 * 3600 * 1_000_000_000;

/// The options of a heartbeat check. It waits for beats that a job sends to the exporter.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatOptions {
    /// Token of the job: 16 to 128 characters of A-Z, a-z, 0-9, _ and -. It is the last part of the URL that the job requests.
    #[schemars(length(min = 16, max = 128))]
    pub token: Option<String>,
    /// File that contains the token. It is read again at every run.
    pub token_file: Option<PathBuf>,
    /// Environment variable that contains the token.
    pub token_env: Option<String>,
    /// Longest time between two successes of the job: 1s to 366d. Give every or cron.
    pub every: Option<DurationText>,
    /// Cron expression of five fields at whose times the job starts, such as 0 3 * * *.
    pub cron: Option<String>,
    /// Time zone of cron, an IANA name such as Europe/Berlin. Default: UTC.
    pub timezone: Option<String>,
    /// How much later than due a success may arrive: 1s to 31d. Default: 5m.
    pub grace: Option<DurationText>,
}

/// When a job reports.
#[derive(Clone, Debug, PartialEq)]
pub enum JobSchedule {
    /// At the latest this long after the last success.
    Every(Duration),
    /// When the local time matches a cron expression.
    Cron {
        /// The expression.
        text: String,
        /// Its times.
        schedule: Schedule,
    },
}

/// The settings of a heartbeat check.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatSettings {
    /// The check, under which the job is known. `None` only while the configuration is read.
    pub id: Option<CheckId>,
    /// The token of the job.
    pub token: SecretSource,
    /// When the job reports.
    pub schedule: JobSchedule,
    /// How much later than due a success may arrive.
    pub grace: Duration,
    /// The run time from which the job is degraded.
    pub degraded: Option<Duration>,
    /// The run time from which the job is down.
    pub down: Option<Duration>,
}

/// A token can't be used. Never contains the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It can't be read.
    #[error(transparent)]
    Unreadable(#[from] SecretError),
    /// It has another format.
    #[error(
        "the token must have 16 to 128 characters of A-Z, a-z, 0-9, _ and -: create one with `openssl rand -hex 16`"
    )]
    Format,
}

impl super::regular_file::ReadError for TokenError {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.is_unreadable())
    }
}

/// Whether a text has the format of a token.
pub fn is_token(text: &str) -> bool {
    TOKEN_LENGTH.contains(&text.len()) && text.bytes().all(is_token_byte)
}

/// Whether a token may contain the byte.
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

impl HeartbeatOptions {
    /// Resolves the options at `place`.
    ///
    /// # Errors
    /// Reported at their keys.
    pub fn resolve(self, place: &Place<'_>) -> Result<HeartbeatSettings, Invalid> {
        let token = resolve_token(self.token, self.token_file, self.token_env, place);
        let zone = match &self.timezone {
            Some(_) if self.cron.is_none() => Err(place
                .field("timezone")
                .error("timezone is supported with cron only: remove it")),
            Some(name) => time_zone(name, &place.field("timezone")),
            None => Ok(TimeZone::UTC),
        };
        let grace = match self.grace {
            Some(grace) => within(grace, GRACE, &place.field("grace")),
            None => Ok(DEFAULT_GRACE),
        };
        let zone = zone?;
        let schedule = match (self.every, self.cron) {
            (Some(every), None) => within(every, EVERY, &place.field("every")).map(JobSchedule::Every),
            (None, Some(text)) => resolve_cron(&text, zone, &place.field("cron")),
            (Some(_), Some(_)) => Err(place
                .field("cron")
                .error_at_key("conflicts with every: remove one of the two")),
            (None, None) => Err(place.error(
                "every is missing: write the longest time between two successes, such as every: 1h, or cron: \"0 3 * * *\"",
            )),
        };
        Ok(HeartbeatSettings {
            id: None,
            token: token?,
            schedule: schedule?,
            grace: grace?,
            degraded: None,
            down: None,
        })
    }
}

fn resolve_token(
    inline: Option<String>,
    file: Option<PathBuf>,
    env: Option<String>,
    place: &Place<'_>,
) -> Result<SecretSource, Invalid> {
    let key = match (&inline, &file) {
        (Some(_), _) => "token",
        (None, Some(_)) => "token_file",
        (None, None) => "token_env",
    };
    let Some(token) = SecretSource::from_keys(place, "token", inline, file, env)? else {
        return Err(place.error(
            "token is missing: write token_file with the path of a file that `openssl rand -hex 16` wrote",
        ));
    };
    // A file that can't be read was reported.
    if matches!(read_token(&token), Err(TokenError::Format)) {
        let place = place.field(key);
        if matches!(token, SecretSource::Inline(_)) {
            return Err(place.error(TokenError::Format));
        }
        // A file that is empty while somebody replaces it must not stop the checks of all other services. The run of this check fails.
        place.warn(TokenError::Format);
    }
    Ok(token)
}

fn within(
    DurationText(value): DurationText,
    [min, max]: [Duration; 2],
    place: &Place<'_>,
) -> Result<Duration, Invalid> {
    if (min..=max).contains(&value) {
        return Ok(value);
    }
    let (value, min, max) = (DurationText(value), DurationText(min), DurationText(max));
    Err(place.error(format_args!("{value} is out of range: write {min} to {max}")))
}

fn resolve_cron(text: &str, zone: TimeZone, place: &Place<'_>) -> Result<JobSchedule, Invalid> {
    let cron = Cron::parse(text).map_err(|error| {
        place.error(format_args!(
            "not a cron expression: {error}; write for example 0 3 * * * for 03:00 every day"
        ))
    })?;
    let schedule = Schedule {
        starts: Starts::Cron(Box::new(cron)),
        zone,
        length: Duration::ZERO,
    };
    match schedule.next_start(Timestamp::now()) {
        Some(_) => Ok(JobSchedule::Cron {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            schedule,
        }),
        None => Err(place.error("never starts: write a date that exists")),
    }
}

/// Reads the current token from its source.
///
/// # Errors
/// If it can't be read, or has another format.
pub fn read_token(source: &SecretSource) -> Result<Secret, TokenError> {
    let token = source.read_line()?;
    match is_token(token.unhidden()) {
        true => Ok(token),
        false => Err(TokenError::Format),
    }
}

/// A success, or the first time that the exporter saw the job: the moment from which the next success is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The moment.
    pub at: Moment,
    /// What the wall clock showed, as Unix time in nanoseconds.
    pub wall: i64,
}

impl JobSchedule {
    /// The first time after `after`, and after `reference`, at which a success is due. `None` if there is none.
    pub fn next_due(&self, reference: Reference, after: Moment, wall: WallAnchor) -> Option<Moment> {
        match self {
            Self::Every(every) => {
                let periods = after.since(reference.at).as_nanos() / every.as_nanos().max(1) + 1;
                let periods = u32::try_from(periods).unwrap_or(u32::MAX);
                Some(reference.at + every.saturating_mul(periods))
            }
            Self::Cron { schedule, .. } => {
                // The wall clock may have been set since then. Cron does not start a job again after a short step back.
                let now = wall.nanos(reference.at);
                let earlier = reference.wall.saturating_sub(now);
                let counted = if (0..=CRON_STEP).contains(&earlier) {
                    reference.wall
                } else {
                    now
                };
                let from = counted.max(wall.nanos(after));
                let from = match after > reference.at {
                    true => timestamp(from)?,
                    false => timestamp(from)?
                        .checked_add(SignedDuration::try_from(CLOCK_SKEW).ok()?)
                        .ok()?,
                };
                let due = schedule.next_start(from)?;
                Some(wall.moment(i64::try_from(due.as_nanosecond()).ok()?))
            }
        }
    }
}

fn timestamp(nanos: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanos.into()).ok()
}

impl HeartbeatSettings {
    /// When the job reports. The token is a secret, so it is not shown.
    pub fn target(&self) -> String {
        match &self.schedule {
            JobSchedule::Every(every) => format!("every {}", DurationText(*every)),
            JobSchedule::Cron { text, schedule } => {
                let zone = schedule.zone.iana_name().unwrap_or("UTC");
                format!("cron {text} ({zone})")
            }
        }
    }
}

impl KindFacts for HeartbeatSettings {
    /// A run only compares times. What beats report shows at once, because a beat requests a run. Settings of a service that limit the
    /// load of its checks would only delay the detection.
    const OWN_TIMINGS: Option<OwnTimings> = Some(OwnTimings {
        interval: Duration::from_secs(15),
        timeout: Duration::from_secs(10),
        recheck_interval: Duration::from_secs(1),
        failures_before_down: 1,
        inherits_thresholds: false,
    });

    fn values_at_once(&self, label: &str) -> Option<u64> {
        match label {
            "state" => Some(crate::model::JobState::ALL.len() as u64),
            "type" => Some(crate::model::BeatKind::ALL.len() as u64),
            _ => None,
        }
    }

    fn is_target_shortened(&self) -> bool {
        true
    }

    fn job_token(&self) -> Option<&SecretSource> {
        Some(&self.token)
    }

    fn identify(&mut self, identity: &Identity<'_>) {
        self.id = Some(identity.id.clone());
        (self.degraded, self.down) = (identity.degraded, identity.down);
    }
}

#[cfg(test)]
mod tests;
