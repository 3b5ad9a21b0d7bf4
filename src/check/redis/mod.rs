//! The redis check sends PING and INFO in one round trip on an authenticated connection. It supports Redis, Valkey,
//! sentinels and cluster nodes.

pub(in crate::check) mod client;
mod families;
mod fault;
mod info;
mod judge;
pub(in crate::check) mod session;

use redis::ServerError;

use self::client::{Opened, RedisClient, text};
pub use self::families::FAMILIES;
use self::info::{ClusterInfo, Info};
use self::judge::Extra;
use self::session::{Command, RedisSession};
use super::CheckContext;
use crate::config::redis::RedisSettings;
use crate::model::{Problem, Reason, Report, Sample};
use crate::net::run_recorder::RunRecorder;

/// The maximum number of bytes that a run reads. INFO has about 5 kB; with a thousand databases or primaries, about 100 kB.
const MAX_BYTES: u64 = 1 << 20;

/// A redis check.
#[derive(Debug)]
pub struct RedisCheck {
    settings: RedisSettings,
    client: RedisClient,
}

impl RedisCheck {
    /// A check with these settings.
    pub fn new(settings: &RedisSettings, context: &CheckContext) -> Self {
        let client = RedisClient::new(
            &settings.server,
            &context.network,
            settings.reuse_connection,
            MAX_BYTES,
        );
        Self {
            settings: settings.clone(),
            client,
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
        if let Some(share) = self.settings.max_memory_share {
            recorder.report.samples.push(Sample {
                family: &families::MEMORY_RATIO_LIMIT,
                labels: Vec::new(),
                value: share,
            });
        }
        let mut commands = vec![Command::new("PING")];
        if self.settings.metrics {
            commands.push(Command::new("INFO"));
        }
        let mut opened = self.client.open(&commands, recorder).await?;
        recorder.record_response_time();
        let pong = pong(&opened);
        if self.settings.metrics {
            // A server that refuses PING, for example while it loads its data, may still respond to INFO.
            let judged = self.judge_info(&mut opened.session, recorder).await;
            pong?;
            judged?;
        } else {
            pong?;
        }
        self.client.put_back(opened);
        Ok(())
    }

    /// Reads the reply to INFO, and judges it.
    async fn judge_info(
        &self,
        session: &mut RedisSession,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let info = match session.reply(recorder).await? {
            Ok(info) => text(&info).map(|text| Info::parse(&text)),
            Err(error) => {
                self.warn_without_info(session, &error, recorder);
                return Ok(());
            }
        };
        let Some(info) = info else {
            return Err(unexpected(session, "INFO"));
        };
        judge::samples(&info, self.settings.server.database, &mut recorder.report.samples);
        let min_replicas = min_replicas(&info, session, recorder).await?;
        let cluster = match info.is_cluster_node {
            true => cluster(session, recorder).await?,
            false => None,
        };
        let extra = Extra {
            min_replicas,
            cluster: cluster.as_ref(),
        };
        recorder.report.warning = judge::warning(&info, extra, &self.settings);
        cluster.map_or(Ok(()), |cluster| judge::cluster(&cluster, &self.settings))
    }

    /// Without INFO there are no metrics. That is a warning only if the configuration sets a limit on one of them.
    fn warn_without_info(&self, session: &RedisSession, error: &ServerError, recorder: &mut RunRecorder<'_>) {
        if self.settings.max_memory_share.is_some() {
            recorder.report.warning = Some(session.refused("INFO", error));
        }
    }
}

/// Reads how many replicas the primary requires before it accepts writes. INFO contains the number of good replicas only if
/// the primary requires some. Returns `None`, without a metric, if it requires none or the user may not read the setting.
async fn min_replicas(
    info: &Info,
    session: &mut RedisSession,
    recorder: &mut RunRecorder<'_>,
) -> Result<Option<u64>, Problem> {
    if info.good_replicas.is_none() {
        return Ok(None);
    }
    // All versions know this name; newer ones have it as an alias.
    let command = Command::new("CONFIG").arg("GET").arg("min-slaves-to-write");
    let Ok(setting) = session.command(command, recorder).await? else {
        return Ok(None);
    };
    let value = match &setting {
        redis::Value::Array(pair) => pair.get(1).and_then(text),
        _ => None,
    };
    let required = value.and_then(|value| value.parse().ok());
    recorder
        .report
        .samples
        .extend(required.map(judge::min_replicas_sample));
    Ok(required)
}

/// Reads the node's view of its cluster. Returns `None`, without metrics, if the user may not run CLUSTER INFO.
async fn cluster(
    session: &mut RedisSession,
    recorder: &mut RunRecorder<'_>,
) -> Result<Option<ClusterInfo>, Problem> {
    let command = Command::new("CLUSTER").arg("INFO");
    let Ok(response) = session.command(command, recorder).await? else {
        return Ok(None);
    };
    let Some(cluster) = text(&response).and_then(|text| ClusterInfo::parse(&text)) else {
        return Err(unexpected(session, "CLUSTER INFO"));
    };
    recorder.report.samples.extend(judge::cluster_samples(&cluster));
    Ok(Some(cluster))
}

fn pong(opened: &Opened) -> Result<(), Problem> {
    match &opened.first {
        Ok(value) if text(value).is_some_and(|text| text == "PONG") => Ok(()),
        Ok(_) => Err(unexpected(&opened.session, "PING")),
        Err(error) => Err(opened.session.refused("PING", error)),
    }
}

fn unexpected(session: &RedisSession, name: &str) -> Problem {
    let message = format_args!(
        "{}, {name}: the response is not valid for this Redis command",
        session.at()
    );
    Problem::new(Reason::Protocol, message)
}

/// Judges a server's replies to INFO and CLUSTER INFO, as a run does. For tests with arbitrary input.
///
/// # Errors
/// The problem of the server.
#[doc(hidden)]
pub fn fuzz_parse(settings: &RedisSettings, response: &str) -> Result<Vec<Sample>, String> {
    let info = Info::parse(response);
    let mut samples = Vec::new();
    judge::samples(&info, 0, &mut samples);
    let cluster = ClusterInfo::parse(response);
    if let Some(cluster) = &cluster {
        samples.extend(judge::cluster_samples(cluster));
        judge::cluster(cluster, settings).map_err(|problem| problem.to_string())?;
    }
    let extra = Extra {
        min_replicas: None,
        cluster: cluster.as_ref(),
    };
    judge::warning(&info, extra, settings).map_or(Ok(samples), |problem| Err(problem.to_string()))
}
