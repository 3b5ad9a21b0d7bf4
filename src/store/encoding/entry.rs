//! How a service and its checks look in the files. Times are Unix times in nanoseconds.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::ContentError;
use crate::model::{CheckName, Condition, Moment, Problem, Reason, ServiceKey, Status, WallAnchor};
use crate::store::saved::{SavedCheck, SavedService, SavedState};
use crate::verdict::{CheckVerdict, Conditions, Debounced, Grade, Level, Streak};

/// Services by their keys, as they are read.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Entries(BTreeMap<String, ServiceEntry>);

/// Services by their keys, as they are written. Each is encoded when it is written, so they are never in memory a second time.
pub struct Encoding<'s> {
    state: &'s SavedState,
    wall: WallAnchor,
}

#[derive(Serialize, Deserialize)]
struct ServiceEntry {
    status: Cow<'static, str>,
    status_since: Option<i64>,
    has_verdict: bool,
    /// In the order of `Condition::ALL`.
    conditions: [Option<i64>; Condition::ALL.len()],
    /// In the same order. Since version 2.
    #[serde(default)]
    confirmed: [bool; Condition::ALL.len()],
    /// Since version 3.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    suppressed: bool,
    /// Since version 3.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    counts_from: Option<i64>,
    /// Boxed, because a node of the map has room for eleven of them, and most services have one to four checks.
    checks: BTreeMap<String, Box<CheckEntry>>,
}

#[derive(Serialize, Deserialize)]
struct CheckEntry {
    settings: String,
    grade: SeriesEntry,
    slowness: SeriesEntry,
    last_ended: Option<i64>,
    last_success: Option<i64>,
    /// In the order of `Condition::ALL`. Since version 2.
    #[serde(default)]
    evidence: Option<[Option<i64>; Condition::ALL.len()]>,
    /// Since version 2.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    watched_since: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    problem: Option<(Cow<'static, str>, String)>,
}

#[derive(Serialize, Deserialize)]
struct SeriesEntry {
    status: Option<Cow<'static, str>>,
    since: i64,
    provisional: bool,
    held: [Option<i64>; 2],
    worse: [Option<(u32, i64)>; 2],
    better: [Option<(u32, i64)>; 2],
}

impl<'s> Encoding<'s> {
    /// Prepares the services of a state.
    pub fn new(state: &'s SavedState, wall: WallAnchor) -> Self {
        Self { state, wall }
    }
}

impl Serialize for Encoding<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let wall = self.wall;
        let mut services: Vec<_> = self.state.services.iter().collect();
        services.sort_unstable_by_key(|(key, ..)| key.as_str());
        serializer.collect_map(services.into_iter().map(|(key, service, checks)| {
            let entry = ServiceEntry {
                status: service.status.as_str().into(),
                status_since: service.status_since.map(|since| wall.nanos(since)),
                has_verdict: service.has_verdict,
                conditions: service
                    .conditions
                    .since
                    .map(|since| since.map(|since| wall.nanos(since))),
                confirmed: service.conditions.confirmed,
                suppressed: service.is_suppressed,
                counts_from: service.counts_from.map(|from| wall.nanos(from)),
                checks: checks
                    .iter()
                    .map(|(name, check)| (name.as_str().to_owned(), Box::new(check_entry(check, wall))))
                    .collect(),
            };
            (key.as_str(), entry)
        }))
    }
}

impl Entries {
    /// Decodes services. Times after `now` become `now`: the wall clock was set back.
    ///
    /// # Errors
    /// If a value is unknown.
    pub fn decode(self, wall: WallAnchor, now: Moment) -> Result<SavedState, ContentError> {
        let reader = Reader { wall, now };
        let services = self.0.into_iter().map(|(key, entry)| {
            let service = SavedService {
                status: parse_value(&entry.status, Status::from_word)?,
                status_since: reader.time(entry.status_since),
                has_verdict: entry.has_verdict,
                conditions: Conditions {
                    since: entry.conditions.map(|since| reader.time(since)),
                    confirmed: entry.confirmed,
                },
                is_suppressed: entry.suppressed,
                counts_from: reader.time(entry.counts_from),
            };
            let checks = entry.checks.into_iter();
            let checks = checks.map(|(name, check)| Ok((CheckName::new(name), reader.check(&check)?)));
            let checks = checks.collect::<Result<_, ContentError>>()?;
            Ok((ServiceKey::new(key), service, checks))
        });
        Ok(SavedState {
            services: services.collect::<Result<_, ContentError>>()?,
        })
    }
}

fn check_entry(check: &SavedCheck, wall: WallAnchor) -> CheckEntry {
    let unix = |moment: Option<Moment>| moment.map(|moment| wall.nanos(moment));
    CheckEntry {
        settings: format!("{:016x}", check.fingerprint),
        grade: series_entry(&check.verdict.grade, wall),
        slowness: series_entry(&check.verdict.slowness, wall),
        last_ended: unix(check.last_ended),
        last_success: unix(check.last_success),
        evidence: Some(check.verdict.evidence.map(unix)),
        watched_since: unix(check.verdict.watched_since),
        problem: check
            .problem
            .as_ref()
            .filter(|_| check.verdict.grade.grade > Some(Grade::Up))
            .map(|problem| (problem.reason.as_str().into(), problem.message().to_owned())),
    }
}

fn series_entry(series: &Debounced, wall: WallAnchor) -> SeriesEntry {
    let streak = |streak: Streak| (streak.count > 0).then(|| (streak.count, wall.nanos(streak.start)));
    SeriesEntry {
        status: series.grade.map(|grade| Status::from(grade).as_str().into()),
        since: wall.nanos(series.since),
        provisional: series.is_provisional,
        held: series.held.map(|held| held.map(|held| wall.nanos(held))),
        worse: series.worse.map(streak),
        better: series.better.map(streak),
    }
}

fn parse_value<T>(text: &str, find: fn(&str) -> Option<T>) -> Result<T, ContentError> {
    find(text).ok_or_else(|| ContentError::Value(text.chars().take(40).collect()))
}

struct Reader {
    wall: WallAnchor,
    now: Moment,
}

impl Reader {
    fn moment(&self, unix: i64) -> Moment {
        self.wall.moment(unix).min(self.now)
    }

    fn time(&self, unix: Option<i64>) -> Option<Moment> {
        unix.map(|unix| self.moment(unix))
    }

    fn check(&self, entry: &CheckEntry) -> Result<SavedCheck, ContentError> {
        let problem = match &entry.problem {
            Some((reason, message)) => {
                let problem = Problem::new(parse_value(reason, Reason::from_word)?, message);
                Some(Arc::new(problem))
            }
            None => None,
        };
        let grade = self.series(&entry.grade)?;
        let slowness = self.series(&entry.slowness)?;
        let evidence = self.evidence(entry, &grade, &slowness);
        Ok(SavedCheck {
            // No settings have the fingerprint 0, so the check counts as changed.
            fingerprint: u64::from_str_radix(&entry.settings, 16).unwrap_or(0),
            verdict: CheckVerdict {
                grade,
                slowness,
                evidence,
                watched_since: self.time(entry.watched_since),
            },
            last_ended: self.time(entry.last_ended),
            last_success: self.time(entry.last_success),
            problem,
        })
    }

    /// The evidence of a check. A file of version 1 has none. Then it is the end of the last run, for the conditions that the
    /// streaks include. So an upgrade confirms what the earlier runs confirm, and does not end an alert.
    fn evidence(
        &self,
        entry: &CheckEntry,
        grade: &Debounced,
        slowness: &Debounced,
    ) -> [Option<Moment>; Condition::ALL.len()] {
        if let Some(evidence) = entry.evidence {
            return evidence.map(|until| self.time(until));
        }
        let [degraded, down] = grade.worse;
        let slow = slowness.worse[Level::Down as usize];
        [down, degraded, slow].map(|streak| self.time(entry.last_ended).filter(|_| streak.count > 0))
    }

    fn series(&self, entry: &SeriesEntry) -> Result<Debounced, ContentError> {
        let streak = |streak: Option<(u32, i64)>| {
            streak.map_or_else(Streak::default, |(count, start)| Streak {
                count,
                start: self.moment(start),
            })
        };
        let grade = |text: &str| match text {
            "up" => Some(Grade::Up),
            "degraded" => Some(Grade::Degraded),
            "down" => Some(Grade::Down),
            _ => None,
        };
        Ok(Debounced {
            grade: entry
                .status
                .as_deref()
                .map(|text| parse_value(text, grade))
                .transpose()?,
            is_provisional: entry.provisional,
            since: self.moment(entry.since),
            held: entry.held.map(|held| self.time(held)),
            worse: entry.worse.map(streak),
            better: entry.better.map(streak),
        })
    }
}
