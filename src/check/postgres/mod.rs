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
use self::session::{Pending, PostgresSession, Row};
use self::statistics::{History, Statistics, sample};
use super::CheckContext;
use crate::config::postgres::{PostgresSettings, QuerySettings, SessionAttributes, StatisticsSettings};
use crate::config::secret::Secret;
use crate::model::{Family, Problem, Reason, Report, Sample};
use crate::net::certificates::{CERTIFICATE_NOT_AFTER, CERTIFICATE_NOT_BEFORE};
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
    &CERTIFICATE_NOT_BEFORE,
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
    idle: Option<Reusable<PostgresSession>>,
    history: History,
}

impl PostgresCheck {
    /// A check with these settings.
    pub fn new(settings: &PostgresSettings, context: &CheckContext) -> Self {
        let settings = Arc::new(settings.clone());
        Self {
            connector: Connector::new(&settings, &context.network),
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
        let mut recorder = RunRecorder::new(report);
        let result = self.query(&mut recorder).await;
        recorder.end();
        result
    }

    async fn query(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        self.connector.begin();
        if let Some(limits) = &self.settings.statistics {
            let samples = &mut recorder.report.samples;
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
        if let Some(session) = self.take_reusable(password.as_ref(), recorder).await
            && let Some(result) = self.run_session(session, recorder, true).await
        {
            return result;
        }
        let new = self.connector.connect(password.as_ref(), recorder).await?;
        let result = self.run_session(new, recorder, false).await;
        result.unwrap_or_else(|| Err(Problem::new(Reason::Closed, self.connector.target())))
    }

    /// Takes the session of the previous run if it may be reused. Otherwise closes it.
    async fn take_reusable(
        &mut self,
        password: Option<&Secret>,
        recorder: &mut RunRecorder<'_>,
    ) -> Option<Reusable<PostgresSession>> {
        let session = self.idle.take()?;
        if session.is_current(password) {
            return Some(session);
        }
        recorder.at(Step::Doing("closing the previous session".into()));
        session.into_inner().close().await;
        None
    }

    /// Runs all statements and judges the results. `None` if a reused session turns out to be closed.
    async fn run_session(
        &mut self,
        mut session: Reusable<PostgresSession>,
        recorder: &mut RunRecorder<'_>,
        is_reused: bool,
    ) -> Option<Result<(), Problem>> {
        session.record_certificates(recorder);
        recorder.enter(Phase::Processing);
        let judged = match self.run_statements(&mut session, recorder).await {
            Err((error, _))
                if is_reused && fault::has_ended(&error) && recorder.report.response_time.is_none() =>
            {
                return None;
            }
            Err((error, operation)) => Err(fault::problem(&error, self.connector.target(), operation)),
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
        session: &mut PostgresSession,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Result<(), Problem>, (Error, Operation)> {
        let settings = self.settings.clone();
        let reads_statistics = settings.statistics.is_some() && !session.refuses_statistics;
        let reads_size = reads_statistics && self.history.is_size_due();

        recorder.at(Step::Doing("waiting for the response to SELECT 1".into()));
        let sent = send_statements(session, &settings, reads_statistics, reads_size).await;
        let sent = sent.map_err(|error| (error, Operation::Probe))?;

        let state = session.first_row(sent.probe, 0).await;
        let state = state.map_err(|error| (error, Operation::Probe))?;
        let mut result = check_attributes(settings.url.session, state.as_ref(), self.connector.target());
        if let Some(version) = session.version().map(short_version) {
            recorder.report.samples.push(Sample {
                labels: vec![version.into()],
                ..sample(&statistics::VERSION_INFO, 1.0)
            });
        }
        if let Some(query) = &settings.query {
            recorder.at(Step::Doing("waiting for the response to the query".into()));
            let queried = read_query(session, query, sent.query, self.connector.target()).await?;
            result = result.and(queried);
        }
        recorder.record_response_time();

        recorder.at(Step::Doing("reading the statistics".into()));
        let mut found = None;
        if reads_statistics {
            let row = session
                .first_row(sent.statistics, statistics::STATEMENTS_BEFORE)
                .await;
            found = Statistics::parse(allow_refusal(row)?);
            session.refuses_statistics = found.is_none();
        }
        if reads_size {
            let row = session.first_row(sent.size, statistics::STATEMENTS_BEFORE).await;
            self.history.store_size(allow_refusal(row)?);
        }
        self.judge(found.as_ref(), settings.statistics.as_ref(), recorder);
        Ok(result)
    }

    fn judge(
        &mut self,
        found: Option<&Statistics>,
        limits: Option<&StatisticsSettings>,
        recorder: &mut RunRecorder<'_>,
    ) {
        if let Some(limits) = limits {
            let report = &mut *recorder.report;
            report.warning = self.history.judge(found, limits, &mut report.samples);
            let size = self.history.size();
            report
                .samples
                .extend(size.map(|bytes| sample(&statistics::DATABASE_SIZE, bytes)));
        }
    }
}

/// The statements of a run that were sent. Those that were not sent are absent.
struct Sent {
    probe: Option<Pending>,
    query: Option<Pending>,
    statistics: Option<Pending>,
    size: Option<Pending>,
}

/// Sends the statements of a run together.
async fn send_statements(
    session: &mut PostgresSession,
    settings: &PostgresSettings,
    reads_statistics: bool,
    reads_size: bool,
) -> Result<Sent, Error> {
    let probe = match settings.url.session {
        SessionAttributes::Any => PROBE,
        _ => STATE_PROBE,
    };
    let version = session.version().map(short_version);
    Ok(Sent {
        probe: session.send(probe).await?,
        query: match &settings.query {
            Some(query) => session.send(&query::message(query, version.as_deref())).await?,
            None => None,
        },
        statistics: match reads_statistics {
            true => session.send(statistics::STATEMENT).await?,
            false => None,
        },
        size: match reads_size {
            true => session.send(statistics::SIZE_STATEMENT).await?,
            false => None,
        },
    })
}

/// Reads the result of the configured query, and checks it. The outer error is a broken connection.
async fn read_query(
    session: &mut PostgresSession,
    query: &QuerySettings,
    sent: Option<Pending>,
    target: &str,
) -> Result<Result<(), Problem>, (Error, Operation)> {
    let preceding = query::statements_before(session.version());
    match session.first_row(sent, preceding).await {
        Ok(row) => Ok(query::check_result(query, row, target)),
        // Each message is its own transaction, so an error of the query does not affect the others.
        Err(error) if error.as_db_error().is_some() && !fault::has_ended(&error) => {
            Ok(Err(fault::problem(&error, target, Operation::Query)))
        }
        Err(error) => Err((error, Operation::Query)),
    }
}

/// If the server refuses the statistics, they are absent. A closed connection is an error.
fn allow_refusal(result: Result<Option<Row>, Error>) -> Result<Option<Row>, (Error, Operation)> {
    match result {
        Err(error) if error.as_db_error().is_none() || fault::has_ended(&error) => {
            Err((error, Operation::Statistics))
        }
        result => Ok(result.ok().flatten()),
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
