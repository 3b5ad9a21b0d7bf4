//! The postgres check logs in and runs a statement. It sends all statements of a run together, so a run on a reused
//! connection takes one round trip.

mod checked_stream;
mod connect;
mod fault;
mod query;
mod session;
mod statistics;

use std::sync::Arc;

use tokio_postgres::Error;

use self::connect::Connector;
use self::fault::Operation;
use self::session::{Row, Session};
use self::statistics::{History, Statistics, sample};
use super::Shared;
use crate::config::postgres::{PostgresSettings, SessionAttributes, StatisticsSettings};
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

/// The maximum length of the version in its label, in bytes.
const MAX_VERSION_BYTES: usize = 64;
/// The statement if the session's state does not matter.
const PROBE: &str = "SELECT 1";
/// The statement that returns the session's state, for `target_session_attrs`.
const STATE_PROBE: &str = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')";

/// A postgres check.
#[derive(Debug)]
pub struct PostgresCheck {
    settings: Arc<PostgresSettings>,
    connector: Connector,
    idle: Option<Reusable<Session>>,
    history: History,
}

impl PostgresCheck {
    /// A check with these settings.
    pub fn new(settings: &PostgresSettings, shared: &Shared) -> Self {
        let settings = Arc::new(settings.clone());
        Self {
            connector: Connector::new(&settings, &shared.network),
            settings,
            idle: None,
            history: History::default(),
        }
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = RunRecorder::new(report);
        let result = self.query(&mut trace).await;
        trace.end();
        result
    }

    async fn query(&mut self, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
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
        // The session is put back only after a successful run.
        if let Some(session) = self.take_reusable(password.as_ref(), trace).await
            && let Some(result) = self.run_session(session, trace, true).await
        {
            return result;
        }
        let new = self.connector.connect(password.as_ref(), trace).await?;
        let result = self.run_session(new, trace, false).await;
        result.unwrap_or_else(|| Err(Problem::new(Reason::Closed, self.connector.target())))
    }

    /// Takes the session of the previous run if it may be reused. Otherwise closes it.
    async fn take_reusable(
        &mut self,
        password: Option<&Secret>,
        trace: &mut RunRecorder<'_>,
    ) -> Option<Reusable<Session>> {
        let session = self.idle.take()?;
        if session.is_current(password) {
            return Some(session);
        }
        trace.at(Step::Doing("closing the previous session".into()));
        session.into_inner().close().await;
        None
    }

    /// Runs all statements and judges the results. `None` if a reused session turns out to be closed.
    async fn run_session(
        &mut self,
        mut session: Reusable<Session>,
        trace: &mut RunRecorder<'_>,
        is_reused: bool,
    ) -> Option<Result<(), Problem>> {
        session.record_certificates(trace);
        trace.enter(Phase::Processing);
        let judged = match self.run_statements(&mut session, trace).await {
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

    /// Sends all statements, and reads their results in order. The outer error is a broken connection.
    async fn run_statements(
        &mut self,
        session: &mut Session,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Result<(), Problem>, (Error, Operation)> {
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
        let is_size_due = limits.is_some() && self.history.is_size_due();

        trace.at(Step::Doing("waiting for the response to SELECT 1".into()));
        let sent = async {
            let probe = session.send(probe).await?;
            let query = match &settings.query {
                Some(query) => session.send(&query::message(query, version.as_deref())).await?,
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
        let (probe, query, statistics, size) = sent.await.map_err(|error| (error, Operation::Probe))?;

        let state = session
            .first_row(probe, 0)
            .await
            .map_err(|error| (error, Operation::Probe))?;
        let mut result = check_attributes(attributes, state.as_ref(), self.connector.target());
        if let Some(version) = version {
            trace.report.samples.push(Sample {
                labels: vec![version.into()],
                ..sample(&statistics::VERSION_INFO, 1.0)
            });
        }
        if let Some(asked) = &settings.query {
            trace.at(Step::Doing("waiting for the response to the query".into()));
            let preceding = query::statements_before(session.version());
            match session.first_row(query, preceding).await {
                Ok(row) => {
                    result = result.and_then(|()| query::check_result(asked, row, self.connector.target()));
                }
                // Each message is its own transaction, so an error of the query does not affect the others.
                Err(error) if error.as_db_error().is_some() && !fault::has_ended(&error) => {
                    let failed = Err(fault::problem(&error, self.connector.target(), Operation::Query));
                    result = result.and(failed);
                }
                Err(error) => return Err((error, Operation::Query)),
            }
        }
        trace.answered();

        trace.at(Step::Doing("reading the statistics".into()));
        let mut found = None;
        if limits.is_some() {
            found = Statistics::parse(allow_refusal(
                session.first_row(statistics, statistics::STATEMENTS_BEFORE).await,
            )?);
            session.refuses_statistics = found.is_none();
        }
        if is_size_due {
            let row = allow_refusal(session.first_row(size, statistics::STATEMENTS_BEFORE).await)?;
            self.history.store_size(row);
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
            report.warning = self.history.judge(found, limits, &mut report.samples);
            let size = self.history.size();
            report
                .samples
                .extend(size.map(|bytes| sample(&statistics::DATABASE_SIZE, bytes)));
        }
    }
}

/// If the server refuses the statistics, they are absent. A closed connection is an error.
fn allow_refusal(answer: Result<Option<Row>, Error>) -> Result<Option<Row>, (Error, Operation)> {
    match answer {
        Err(error) if error.as_db_error().is_none() || fault::has_ended(&error) => {
            Err((error, Operation::Statistics))
        }
        answer => Ok(answer.ok().flatten()),
    }
}

/// Shortens "15.14 (Debian 15.14-0+deb12u1)" to "15.14".
fn short_version(version: &str) -> String {
    let word = version.split_whitespace().next().unwrap_or_default();
    word.chars()
        .filter(char::is_ascii_graphic)
        .take(MAX_VERSION_BYTES)
        .collect()
}

/// Checks that the session has the state that `target_session_attrs` requires. libpq decides by the same two values.
fn check_attributes(attributes: SessionAttributes, state: Option<&Row>, target: &str) -> Result<(), Problem> {
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
            "a writable primary",
            "was there a failover? Promote the server, or use the primary in the URL",
        ),
        _ => (
            "a read-only standby",
            "was the server promoted? Use a standby in the URL",
        ),
    };
    let found = match (in_recovery, is_read_only) {
        (true, _) => "a standby (in recovery)",
        (false, true) => "a primary with default_transaction_read_only",
        (false, false) => "a writable primary",
    };
    let message = format_args!("{target} is {found}, but target_session_attrs requires {wanted}: {advice}");
    Err(Problem::new(Reason::State, message))
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
    }
}
