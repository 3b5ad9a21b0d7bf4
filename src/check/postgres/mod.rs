//! The postgres check: a login, and a statement that is answered. All statements of a run go out together, so that a run
//! over a kept connection takes one round trip.

mod connect;
mod fault;
mod session;
mod statistics;
mod watched;

use std::sync::Arc;

use tokio_postgres::Error;

use self::connect::Connector;
use self::fault::Doing;
use self::session::{Row, Session};
use self::statistics::{Memory, Statistics, sample};
use super::Shared;
use crate::config::postgres::{PostgresSettings, QuerySettings, SessionAttributes, StatisticsSettings};
use crate::config::secret::Secret;
use crate::model::{Family, Problem, Reason, Report, Sample};
use crate::net::certificates::CERTIFICATE_NOT_AFTER;
use crate::net::reusable::Reusable;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::shortage;

/// The families of postgres checks.
pub const FAMILIES: &[&Family] = &[
    &statistics::VERSION_INFO,
    &statistics::IN_RECOVERY,
    &statistics::CONNECTIONS,
    &statistics::MAX_CONNECTIONS,
    &statistics::CONNECTION_RATIO_LIMIT,
    &statistics::REPLICATION_LAG,
    &statistics::REPLICATION_LAG_LIMIT,
    &statistics::DATABASE_SIZE,
    &statistics::OLDEST_TRANSACTION,
    &CERTIFICATE_NOT_AFTER,
];

/// The longest version that becomes a label, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// What is asked where nothing of the session's state matters, and where it does.
const PROBE: &str = "SELECT 1";
const STATE_PROBE: &str = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')";
/// From this version on a server on Linux can look whether its client is still there while it works.
const LOOKS_AFTER_CLIENT: u32 = 14;

/// A postgres check.
#[derive(Debug)]
pub struct PostgresCheck {
    settings: Arc<PostgresSettings>,
    connector: Connector,
    idle: Option<Reusable<Session>>,
    memory: Memory,
}

impl PostgresCheck {
    /// A check with these settings.
    pub fn new(settings: &PostgresSettings, shared: &Shared) -> Self {
        let settings = Arc::new(settings.clone());
        Self {
            connector: Connector::new(&settings, &shared.network),
            settings,
            idle: None,
            memory: Memory::default(),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = RunRecorder::new(report);
        let result = self.ask(&mut trace).await;
        trace.end();
        result
    }

    async fn ask(&mut self, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        self.connector.begin();
        if let Some(limits) = &self.settings.statistics {
            let samples = &mut trace.report.samples;
            samples.push(sample(
                &statistics::CONNECTION_RATIO_LIMIT,
                limits.max_connection_share,
            ));
            let lag = limits.max_replication_lag.map(|lag| lag.as_secs_f64());
            samples.extend(lag.map(|lag| sample(&statistics::REPLICATION_LAG_LIMIT, lag)));
        }
        let password = match &self.settings.password {
            None => None,
            Some(source) => Some(
                source
                    .read_line()
                    .map_err(|error| shortage::problem(Reason::Auth, &error, &error))?,
            ),
        };
        // A session is put back after a successful run only.
        if let Some(session) = self.usable(password.as_ref(), trace).await
            && let Some(result) = self.converse(session, trace, true).await
        {
            return result;
        }
        let new = self.connector.connect(password.as_ref(), trace).await?;
        let result = self.converse(new, trace, false).await;
        result.unwrap_or_else(|| Err(Problem::new(Reason::Closed, self.connector.target())))
    }

    /// Takes the session of the previous run, if it may be reused. Ends it otherwise.
    async fn usable(
        &mut self,
        password: Option<&Secret>,
        trace: &mut RunRecorder<'_>,
    ) -> Option<Reusable<Session>> {
        let session = self.idle.take()?;
        if session.is_current(password) {
            return Some(session);
        }
        trace.at(Step::Doing("ending the session of the runs before".into()));
        session.into_inner().close().await;
        None
    }

    /// Asks everything, and judges the answers. `None` if a reused session has ended.
    async fn converse(
        &mut self,
        mut session: Reusable<Session>,
        trace: &mut RunRecorder<'_>,
        is_reused: bool,
    ) -> Option<Result<(), Problem>> {
        session.record_certificates(trace);
        trace.enter(Phase::Processing);
        let judged = match self.answers(&mut session, trace).await {
            Err((error, _))
                if is_reused && fault::has_ended(&error) && trace.report.response_time.is_none() =>
            {
                return None;
            }
            Err((error, doing)) => Err(fault::problem(&error, self.connector.target(), doing)),
            Ok(judged) => judged,
        };
        if judged.is_ok() && self.settings.reuse_connection {
            self.idle = Some(session);
        }
        Some(judged)
    }

    /// Sends all statements, and takes their answers in turn. The outer error is one of the connection.
    async fn answers(
        &mut self,
        session: &mut Session,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Result<(), Problem>, (Error, Doing)> {
        let settings = self.settings.clone();
        let attributes = settings.url.session;
        let probe = match attributes {
            SessionAttributes::Any => PROBE,
            _ => STATE_PROBE,
        };
        let version = session.version().map(short_version);
        let limits = settings
            .statistics
            .as_ref()
            .filter(|_| !session.refuses_statistics);
        let is_size_due = limits.is_some() && self.memory.is_size_due();

        trace.at(Step::Doing("waiting for the answer to SELECT 1".into()));
        let sent = async {
            let probe = session.send(probe).await?;
            let query = match &settings.query {
                Some(query) => session.send(&query_message(query, version.as_deref())).await?,
                None => None,
            };
            let statistics = match limits {
                Some(_) => session.send(statistics::STATEMENT).await?,
                None => None,
            };
            let size = match is_size_due {
                true => session.send(statistics::SIZE_STATEMENT).await?,
                false => None,
            };
            Ok((probe, query, statistics, size))
        };
        let (probe, query, statistics, size) = sent.await.map_err(|error| (error, Doing::Probe))?;

        let state = session
            .first_row(probe, 0)
            .await
            .map_err(|error| (error, Doing::Probe))?;
        let mut result = fits(attributes, state.as_ref(), self.connector.target());
        if let Some(version) = version {
            trace.report.samples.push(Sample {
                labels: vec![version.into()],
                ..sample(&statistics::VERSION_INFO, 1.0)
            });
        }
        if let Some(asked) = &settings.query {
            trace.at(Step::Doing("waiting for the answer to the query".into()));
            let others = others_of_query(session.version());
            match session.first_row(query, others).await {
                Ok(row) => result = result.and_then(|()| is_expected(asked, row, self.connector.target())),
                // The statements are transactions of their own: an error of this one ends no other.
                Err(error) if error.as_db_error().is_some() && !fault::has_ended(&error) => {
                    let failed = Err(fault::problem(&error, self.connector.target(), Doing::Query));
                    result = result.and(failed);
                }
                Err(error) => return Err((error, Doing::Query)),
            }
        }
        trace.answered();

        trace.at(Step::Doing("reading the statistics".into()));
        let mut found = None;
        if limits.is_some() {
            found = Statistics::read(readable(session.first_row(statistics, statistics::OTHERS).await)?);
            session.refuses_statistics = found.is_none();
        }
        if is_size_due {
            let row = readable(session.first_row(size, statistics::OTHERS).await)?;
            self.memory.keep_size(row);
        }
        self.judge(found.as_ref(), settings.statistics.as_ref(), trace);
        Ok(result)
    }

    fn judge(
        &mut self,
        found: Option<&Statistics>,
        limits: Option<&StatisticsSettings>,
        trace: &mut RunRecorder<'_>,
    ) {
        if let Some(limits) = limits {
            let report = &mut *trace.report;
            report.warning = self.memory.judge(found, limits, &mut report.samples);
            let size = self.memory.size();
            report
                .samples
                .extend(size.map(|bytes| sample(&statistics::DATABASE_SIZE, bytes)));
        }
    }
}

/// Statistics that the server refuses are absent; a connection that ended is a failure.
fn readable(answer: Result<Option<Row>, Error>) -> Result<Option<Row>, (Error, Doing)> {
    match answer {
        Err(error) if error.as_db_error().is_none() || fault::has_ended(&error) => {
            Err((error, Doing::Statistics))
        }
        answer => Ok(answer.ok().flatten()),
    }
}

/// The query as a message: a transaction of its own that only reads, and ends when the client is gone, so that what a
/// cancelled run leaves behind does not pile up.
fn query_message(query: &QuerySettings, version: Option<&str>) -> String {
    let looks = match looks_after_client(version) {
        true => {
            "SELECT set_config('client_connection_check_interval', '500', true) WHERE version() LIKE '%linux%';"
        }
        false => "",
    };
    format!(
        "SET LOCAL transaction_read_only = on; SET LOCAL statement_timeout = {};{looks}\n{}",
        query.timeout.as_millis(),
        query.statement
    )
}

/// How many statements come before the query in its message.
fn others_of_query(version: Option<&str>) -> usize {
    2 + usize::from(looks_after_client(version))
}

fn looks_after_client(version: Option<&str>) -> bool {
    let major = version.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
    major.is_some_and(|major: u32| major >= LOOKS_AFTER_CLIENT)
}

/// "15.14" of "15.14 (Debian 15.14-0+deb12u1)".
fn short_version(version: &str) -> String {
    let word = version.split_whitespace().next().unwrap_or_default();
    word.chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_VERSION_BYTES)
        .collect()
}

/// Whether the session is what `target_session_attrs` asks for; libpq decides by the same two values.
fn fits(attributes: SessionAttributes, state: Option<&Row>, target: &str) -> Result<(), Problem> {
    let value = |index: usize| state.and_then(|row| row.get(index)?.as_deref());
    let in_recovery = value(0) == Some("t");
    let is_read_only = in_recovery || value(1) == Some("on");
    let is_wrong = match attributes {
        SessionAttributes::Any => false,
        SessionAttributes::ReadWrite => is_read_only,
        SessionAttributes::ReadOnly => !is_read_only,
        SessionAttributes::Primary => in_recovery,
        SessionAttributes::Standby => !in_recovery,
    };
    if !is_wrong {
        return Ok(());
    }
    let (wanted, advice) = match attributes {
        SessionAttributes::ReadWrite | SessionAttributes::Primary => (
            "a primary that can be written to",
            "was it failed over? Promote it, or let the URL name the primary",
        ),
        _ => (
            "a read-only standby",
            "was it promoted? Let the URL name a standby",
        ),
    };
    let found = match (in_recovery, is_read_only) {
        (true, _) => "a standby (in recovery)",
        (false, true) => "a primary with default_transaction_read_only",
        (false, false) => "a primary that can be written to",
    };
    let message = format_args!("{target} is {found}, and target_session_attrs asks for {wanted}: {advice}");
    Err(Problem::new(Reason::State, message))
}

/// Whether the query's answer is the expected one.
fn is_expected(query: &QuerySettings, row: Option<Row>, target: &str) -> Result<(), Problem> {
    let Some(expected) = &query.expect else {
        return Ok(());
    };
    let found = match row.map(|row| row.into_iter().next().flatten()) {
        Some(Some(value)) if value == *expected => return Ok(()),
        Some(Some(value)) => format!("\"{}\"", fault::bounded(&value)),
        Some(None) => "NULL".to_owned(),
        None => "no row".to_owned(),
    };
    let message = format_args!(
        "{target}: the query returned {found}, expected is \"{}\": mend what it asks for, or expect",
        fault::bounded(expected)
    );
    Err(Problem::new(Reason::Assertion, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_bounded_words() {
        assert_eq!(short_version("15.14 (Debian 15.14-0+deb12u1)"), "15.14");
        assert_eq!(short_version("17beta1"), "17beta1");
        assert_eq!(short_version(&"9".repeat(1000)).len(), MAX_VERSION_BYTES);
        assert_eq!(short_version(""), "");
        for (version, looks) in [(None, false), (Some("9.6.24"), false), (Some("13.1"), false)] {
            assert_eq!(looks_after_client(version), looks);
        }
        for version in ["14.0", "15.14 (Debian)", "17beta1"] {
            assert!(looks_after_client(Some(version)), "{version}");
        }
    }
}
