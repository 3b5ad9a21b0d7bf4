//! The server's statistics: one statement for those that are cheap, one for the size of the database.

use std::time::Duration;

use tokio::time::Instant;

use super::session::Row;
use crate::config::duration::DurationText;
use crate::config::postgres::StatisticsSettings;
use crate::model::{Family, MetricType, Problem, Reason, Sample, Unit};

const fn family(name: &'static str, unit: Unit, help: &'static str) -> Family {
    Family::gauge(name, &[], help).in_unit(unit)
}

/// Version of the server.
pub static VERSION_INFO: Family = Family {
    metric_type: MetricType::Info,
    labels: &["version"],
    ..family(
        "upkeep_postgres_version_info",
        Unit::None,
        "Version of the server, such as 15.14.",
    )
};
/// Whether the server is a standby.
pub static IN_RECOVERY: Family = family(
    "upkeep_postgres_in_recovery",
    Unit::None,
    "1 if the server is in recovery (a standby), 0 if it is a primary.",
);
/// Client sessions.
pub static CONNECTIONS: Family = family(
    "upkeep_postgres_connections",
    Unit::None,
    "Client sessions, including the one of this check.",
);
/// The limit of sessions.
pub static MAX_CONNECTIONS: Family = family(
    "upkeep_postgres_max_connections",
    Unit::None,
    "Value of the server setting max_connections.",
);
/// The configured limit of sessions in use.
pub static CONNECTION_RATIO_LIMIT: Family = family(
    "upkeep_postgres_connection_ratio_limit",
    Unit::None,
    "Configured ratio of used connections to max_connections from which the check warns. Absent with metrics: false.",
);
/// The lag of a standby.
pub static REPLICATION_LAG: Family = family(
    "upkeep_postgres_replication_lag_seconds",
    Unit::Seconds,
    "On a standby, the smaller of two times: the age of the last replayed transaction, and the time since the check \
     last saw it caught up. 0 while it is caught up. On a primary, the largest lag that its standbys report. Absent on a primary \
     without standbys, and if the role may not read the lag.",
);
/// The configured limit of the lag.
pub static REPLICATION_LAG_LIMIT: Family = family(
    "upkeep_postgres_replication_lag_limit_seconds",
    Unit::Seconds,
    "Configured replication lag from which the check warns (max_replication_lag). Absent if not configured.",
);
/// The size of the database.
pub static DATABASE_SIZE: Family = family(
    "upkeep_postgres_database_size_bytes",
    Unit::Bytes,
    "Size of the database on disk, measured at most every 60 seconds.",
);
/// The oldest transaction.
pub static OLDEST_TRANSACTION: Family = family(
    "upkeep_postgres_oldest_transaction_seconds",
    Unit::Seconds,
    "Age of the oldest open client transaction, 0 if there is none.",
);

/// A sample of a family without labels.
pub const fn sample(family: &'static Family, value: f64) -> Sample {
    Sample {
        family,
        labels: Vec::new(),
        value,
    }
}

/// The number of statements before the SELECT in [`STATEMENT`] and [`SIZE_STATEMENT`]: the SET of the timeout.
pub const STATEMENTS_BEFORE: usize = 1;

/// The statement for the cheap statistics. It calls the functions that the views are made of, because planning the views'
/// joins takes longer. A role without pg_read_all_stats sees that sessions of others exist, but not their kind, their times
/// or a standby's state. Their `backend_type` is NULL. Such a session counts as a client if it has a user and a database.
pub const STATEMENT: &str = "SET LOCAL statement_timeout = 500; \
    SELECT pg_is_in_recovery(), current_setting('max_connections'), a.used, a.oldest, \
    pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
    AND EXISTS (SELECT FROM pg_stat_get_wal_receiver() WHERE pid IS NOT NULL), \
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), \
    s.hidden, s.lag \
    FROM (SELECT count(*) FILTER (WHERE backend_type = 'client backend' \
    OR backend_type IS NULL AND datid IS NOT NULL AND usesysid IS NOT NULL) AS used, \
    CASE WHEN bool_or(backend_type IS NULL) THEN NULL ELSE coalesce(extract(epoch FROM max(clock_timestamp() - \
    xact_start) FILTER (WHERE backend_type = 'client backend' AND pid <> pg_backend_pid())), 0) END AS oldest \
    FROM pg_stat_get_activity(NULL)) a, \
    (SELECT coalesce(bool_or(state IS NULL), false) AS hidden, \
    extract(epoch FROM max(coalesce(replay_lag, CASE WHEN replay_lsn >= sent_lsn THEN interval '0' END)) \
    FILTER (WHERE state IN ('streaming', 'catchup'))) AS lag FROM pg_stat_get_wal_senders()) s";

/// The size of the database. The server reads the size of every file.
pub const SIZE_STATEMENT: &str = "SET LOCAL statement_timeout = 500; \
    SELECT pg_database_size(current_database())";
/// How long a measured size is reported before it is measured again.
pub const SIZE_MAX_AGE: Duration = Duration::from_secs(60);

/// The result of [`STATEMENT`]. Values that the role may not see are absent.
#[derive(Debug, Default, PartialEq)]
pub struct Statistics {
    in_recovery: bool,
    max_connections: Option<f64>,
    connections: Option<f64>,
    oldest_transaction: Option<f64>,
    /// Whether this standby has replayed everything that it received.
    has_caught_up: bool,
    /// The age of the transaction that this standby replayed last, in seconds.
    behind: Option<f64>,
    /// Whether the role may not read the state of a standby of this primary.
    hides_standbys: bool,
    /// The largest lag that the standbys of this primary report, in seconds.
    standbys_lag: Option<f64>,
}

impl Statistics {
    /// Parses a row of [`STATEMENT`].
    pub fn parse(row: Option<Row>) -> Option<Self> {
        let [recovery, max, used, oldest, caught_up, behind, hidden, lag]: [Option<String>; 8] =
            row?.try_into().ok()?;
        let is_true = |value: Option<String>| value.as_deref() == Some("t");
        let number = |value: Option<String>| value?.parse().ok().filter(|number: &f64| number.is_finite());
        // Clocks of two servers may differ, so a lag may be negative.
        let seconds = |value| number(value).map(|seconds| seconds.max(0.0));
        Some(Self {
            in_recovery: is_true(recovery),
            max_connections: number(max),
            connections: number(used),
            oldest_transaction: seconds(oldest),
            has_caught_up: is_true(caught_up),
            behind: seconds(behind),
            hides_standbys: is_true(hidden),
            standbys_lag: seconds(lag),
        })
    }
}

/// The values that a check stores between runs.
#[derive(Debug, Default)]
pub struct History {
    /// When a standby had last replayed everything that it had received.
    caught_up: Option<Instant>,
    /// The size of the database, and when it was measured.
    size: Option<(Instant, Option<f64>)>,
}

impl History {
    /// Whether the size should be measured again.
    pub fn is_size_due(&self) -> bool {
        self.size.is_none_or(|(at, _)| at.elapsed() >= SIZE_MAX_AGE)
    }

    /// Stores a measured size, or that the server did not report one. Either way, the next measurement is due after
    /// [`SIZE_MAX_AGE`].
    pub fn store_size(&mut self, row: Option<Row>) {
        let bytes = row.and_then(|row| row.into_iter().next()??.parse().ok());
        self.size = Some((Instant::now(), bytes));
    }

    /// The last measured size.
    pub fn size(&self) -> Option<f64> {
        self.size?.1
    }

    /// The replication lag. On a primary, it is the lag that its standbys report. On a standby, it is the age of the last
    /// replayed transaction, but at most the time since the standby had caught up. Without this limit, the lag would contain
    /// the time in which the primary wrote nothing.
    fn lag(&mut self, found: &Statistics) -> Option<f64> {
        if !found.in_recovery {
            self.caught_up = None;
            return found.standbys_lag.filter(|_| !found.hides_standbys);
        }
        if found.has_caught_up {
            self.caught_up = Some(Instant::now());
            return Some(0.0);
        }
        let since = self.caught_up.map(|since| since.elapsed().as_secs_f64());
        found
            .behind
            .map(|behind| since.map_or(behind, |since| behind.min(since)))
    }

    /// Adds samples, and returns a warning if a limit is exceeded. `found` is absent if the server refuses the statistics.
    pub fn judge(
        &mut self,
        found: Option<&Statistics>,
        limits: &StatisticsSettings,
        samples: &mut Vec<Sample>,
    ) -> Option<Problem> {
        let mut reason = Reason::Limit;
        let mut warnings = Vec::new();
        let lag = found.and_then(|found| self.lag(found));
        if let Some(found) = found {
            let values = [
                (&IN_RECOVERY, Some(f64::from(found.in_recovery))),
                (&CONNECTIONS, found.connections),
                (&MAX_CONNECTIONS, found.max_connections),
                (&OLDEST_TRANSACTION, found.oldest_transaction),
                (&REPLICATION_LAG, lag),
            ];
            samples.extend(
                values
                    .into_iter()
                    .filter_map(|(family, value)| Some(sample(family, value?))),
            );
            if let (Some(used), Some(max)) = (found.connections, found.max_connections)
                && used >= max * limits.max_connection_share
            {
                warnings.push(format!(
                    "{used} of {max} connections are in use, the limit (max_connection_share) is {}: raise \
                     max_connections, or find out which clients use them (pg_stat_activity)",
                    limits.max_connection_share
                ));
            }
        }
        match (limits.max_replication_lag, lag) {
            (Some(limit), Some(lag)) if lag >= limit.as_secs_f64() => warnings.push(format!(
                "the replication lag is {lag:.1} s, the limit is {}: check the standby's log and load, and the \
                 network between the servers",
                DurationText(limit)
            )),
            (Some(_), None) if found.is_none_or(|found| found.hides_standbys && !found.in_recovery) => {
                if warnings.is_empty() {
                    reason = Reason::Permission;
                }
                warnings.push(
                    "the replication lag has a limit, but the role may not read the lag: GRANT pg_monitor to the role"
                        .to_owned(),
                );
            }
            _ => {}
        }
        (!warnings.is_empty()).then(|| Problem::new(reason, warnings.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StatisticsSettings = StatisticsSettings {
        max_replication_lag: Some(Duration::from_secs(5)),
        max_connection_share: 0.9,
    };

    fn standby(has_caught_up: bool, behind: f64) -> Statistics {
        Statistics {
            in_recovery: true,
            has_caught_up,
            behind: Some(behind),
            ..Statistics::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_lag_is_at_most_the_time_since_the_standby_caught_up() {
        let mut history = History::default();
        assert_eq!(history.lag(&standby(false, 3600.0)), Some(3600.0));
        assert_eq!(history.lag(&standby(true, 3600.0)), Some(0.0));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(history.lag(&standby(false, 3602.0)), Some(2.0));
        assert_eq!(history.lag(&standby(false, 0.5)), Some(0.5));
        tokio::time::advance(Duration::from_secs(8)).await;
        assert_eq!(history.lag(&standby(false, 3610.0)), Some(10.0));
        // A server that became a primary discards the time. It has no standbys here.
        assert_eq!(history.lag(&Statistics::default()), None);
        assert_eq!(history.lag(&standby(false, 3610.0)), Some(3610.0));
    }

    #[test]
    fn rows_are_parsed_and_hidden_values_are_absent() {
        let row = |values: [&str; 8]| -> Row {
            let value = |text: &str| (text != "-").then(|| text.to_owned());
            values.map(value).into()
        };
        let found = Statistics::parse(Some(row(["t", "100", "7", "-", "f", "-1.5", "f", "-"]))).unwrap();
        let expected = Statistics {
            in_recovery: true,
            max_connections: Some(100.0),
            connections: Some(7.0),
            behind: Some(0.0),
            ..Statistics::default()
        };
        assert_eq!(found, expected);
        assert_eq!(Statistics::parse(None), None);
        assert_eq!(Statistics::parse(Some(Vec::new())), None);
        let invalid = Statistics::parse(Some(row(["x", "NaN", "inf", "y", "-", "-", "-", "-"])));
        assert_eq!(invalid, Some(Statistics::default()));
    }

    #[test]
    fn exceeded_and_unreadable_limits_are_warnings() {
        let judge = |found: Option<&Statistics>| {
            let mut samples = Vec::new();
            let warning = History::default().judge(found, &LIMITS, &mut samples);
            (warning.map(|warning| warning.to_string()), samples.len())
        };
        let full = Statistics {
            max_connections: Some(10.0),
            connections: Some(9.0),
            ..standby(false, 5.0)
        };
        let (warning, samples) = judge(Some(&full));
        let warning = warning.unwrap();
        assert!(
            warning.starts_with(
                "limit: 9 of 10 connections are in use, the limit (max_connection_share) is 0.9"
            ),
            "{warning}"
        );
        assert!(
            warning.contains("the replication lag is 5.0 s, the limit is 5s"),
            "{warning}"
        );
        assert_eq!(samples, 4);
        assert_eq!(judge(Some(&standby(false, 4.9))).0, None);
        assert_eq!(judge(Some(&Statistics::default())), (None, 1));
        let hidden = Statistics {
            hides_standbys: true,
            standbys_lag: Some(1.0),
            ..Statistics::default()
        };
        for found in [None, Some(&hidden)] {
            let warning = judge(found).0.unwrap();
            assert!(
                warning.starts_with("permission: the replication lag has a limit"),
                "{warning}"
            );
        }
    }
}
