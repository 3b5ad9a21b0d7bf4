//! The celery check pings all workers through their broker, as `celery inspect ping` does, and counts the messages in queues.
//! The response time ends with the reply that completes `min_workers`.

mod broker;
mod families;
mod judge;
mod message;
mod over_amqp;
mod over_redis;
mod roster;
mod serializer;

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use self::broker::{BrokerClient, BrokerSession};
pub use self::families::FAMILIES;
use self::judge::{FinalFacts, PingResult};
use self::message::{Ping, ReplyKind, WorkerReply};
use self::roster::Roster;
use super::CheckContext;
use crate::config::celery::{CelerySettings, MAX_WORKERS, Serializer};
use crate::model::{Problem, Report};
use crate::net::run_recorder::{RunRecorder, Step};

/// A celery check.
#[derive(Debug)]
pub struct CeleryCheck {
    settings: CelerySettings,
    broker: BrokerClient,
    roster: Roster,
    /// The serializer of pings: as configured, or that of the last reply.
    serializer: Serializer,
    /// When a run last tried the other serializers without success.
    tried_others: Option<Instant>,
}

/// How often a run without replies tries the other serializers. Each worker that rejects one logs it.
const TRY_OTHERS_INTERVAL: Duration = Duration::from_secs(60);

/// The other serializers are tried only if at least this much time is left for replies.
const MIN_WAIT_FOR_OTHERS: Duration = Duration::from_millis(500);

impl CeleryCheck {
    /// A check with these settings.
    pub fn new(settings: &CelerySettings, context: &CheckContext) -> Self {
        // All runs of a check use the same name, so the broker's data does not grow.
        let name = format!("upkeep-{}", Uuid::new_v4());
        Self {
            broker: BrokerClient::new(settings, &name, &context.network),
            settings: settings.clone(),
            roster: Roster::default(),
            serializer: settings.serializer.unwrap_or_default(),
            tried_others: None,
        }
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut recorder = RunRecorder::new(report);
        families::report_configured(&self.settings, recorder.report);
        let result = self.ping_workers(&mut recorder).await;
        recorder.end();
        result
    }

    async fn ping_workers(&mut self, recorder: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let CelerySettings {
            control_exchange,
            reply_timeout,
            ..
        } = &self.settings;
        let mut ping = Ping::new(control_exchange, *reply_timeout, self.serializer);
        let (mut session, listening) = self.broker.publish(&mut ping, recorder).await?;
        let mut pings = vec![ping];
        let mut pinged = PingResult {
            listening,
            ..PingResult::default()
        };
        self.collect(&mut session, &pings, &mut pinged, recorder).await?;
        if pinged.workers.is_empty() && self.should_try_others(&pinged, &session, recorder) {
            self.try_others(&mut session, &mut pings, &mut pinged, recorder)
                .await?;
        }
        pinged.serializers = pings.iter().map(|ping| ping.serializer).collect();
        let now = recorder.started;
        let silent = self.roster.workers(now).filter(|(_, is_up)| !is_up);
        pinged.silent = silent.map(|(name, _)| name.to_owned()).collect();
        if let Some(blocked) = session.blocked() {
            // A broker that blocks the connection sends nothing else on it.
            if pinged.workers.len() < self.settings.min_workers {
                return Err(blocked);
            }
            families::report_workers(pinged.workers.len(), self.roster.workers(now), recorder.report);
            recorder.report.warning = Some(blocked);
            return Ok(());
        }
        // Only a response of the broker proves that no further replies of workers are in transit.
        let FinalFacts { lengths, silent } = session.finish(&self.settings, &pinged.silent, recorder).await?;
        if let Some(silent) = silent {
            self.roster.set_silent(silent);
            pinged.listening = (silent > 0)
                .then_some(pinged.workers.len() + silent)
                .or(pinged.listening);
        }
        self.broker.put_back(session);
        families::report_workers(pinged.workers.len(), self.roster.workers(now), recorder.report);
        families::report_queues(&self.settings, &lengths, recorder.report);
        recorder.report.warning = judge::judge(&self.settings, &pinged, &lengths)?;
        Ok(())
    }

    /// Whether to try the serializers that the configuration leaves open: a worker that does not accept the content type of
    /// a ping does not reply.
    fn should_try_others(
        &self,
        pinged: &PingResult,
        session: &BrokerSession,
        recorder: &RunRecorder<'_>,
    ) -> bool {
        self.settings.serializer.is_none()
            && pinged.listening != Some(0)
            && session.blocked().is_none()
            && self
                .tried_others
                .is_none_or(|at| recorder.started - at >= TRY_OTHERS_INTERVAL)
            && recorder.within(self.settings.reply_timeout)
                >= MIN_WAIT_FOR_OTHERS.min(self.settings.reply_timeout)
    }

    /// Pings in all other serializers, and collects the replies.
    async fn try_others(
        &mut self,
        session: &mut BrokerSession,
        pings: &mut Vec<Ping>,
        pinged: &mut PingResult,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let others = Serializer::ALL.into_iter();
        let others = others.filter(|serializer| *serializer != self.serializer);
        let others: Vec<Ping> = others
            .map(|serializer| pings[0].with_serializer(serializer))
            .collect();
        // The time that the unreadable pings took is not the workers' response time.
        recorder.started = Instant::now();
        for ping in &others {
            session.send_another(ping, recorder).await?;
        }
        pings.extend(others);
        self.collect(session, pings, pinged, recorder).await?;
        self.tried_others = pinged.workers.is_empty().then_some(recorder.started);
        Ok(())
    }

    /// Collects replies until enough have arrived or the time is over.
    async fn collect(
        &mut self,
        session: &mut BrokerSession,
        pings: &[Ping],
        pinged: &mut PingResult,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let CelerySettings {
            min_workers,
            expected_workers,
            reply_timeout,
            ..
        } = self.settings;
        let begun = Instant::now();
        let reply_timeout = recorder.within(reply_timeout);
        pinged.waited = Some(reply_timeout);
        let wanted = min_workers.max(expected_workers.unwrap_or(0));
        let hint = pinged
            .listening
            .unwrap_or_else(|| self.roster.expected_listeners());
        let is_discovery = pinged.listening.is_none() && self.roster.start_discovery(recorder.started);
        let target = self.roster.target(wanted, hint, recorder.started);
        let mut until = begun + reply_timeout;
        let mut messages = 0;
        loop {
            let replied = pinged.workers.len();
            recorder.at(Step::Doing(
                format!("waiting for workers: {replied} of at least {min_workers} have replied").into(),
            ));
            let Some(received) = session.receive(until, recorder).await? else {
                break;
            };
            messages += 1;
            match received.map(|reply| reply.classify(pings)) {
                Ok(ReplyKind::Worker(name, serializer)) => {
                    self.serializer = serializer;
                    pinged.workers.insert(name);
                }
                Ok(ReplyKind::Stale) => {}
                Ok(ReplyKind::Unreadable(why)) | Err(why) => {
                    pinged.unreadable.get_or_insert(why);
                }
            }
            let is_new = pinged.workers.len() > replied;
            if is_new && pinged.workers.len() == min_workers {
                recorder.record_response_time();
            }
            if is_new && pinged.workers.len() == target {
                let linger = match pinged.listening {
                    // No other worker has received the ping.
                    Some(listening) if listening <= target => Duration::ZERO,
                    None if is_discovery => reply_timeout / 2,
                    _ => roster::extra_wait(begun.elapsed()),
                };
                until = until.min(Instant::now() + linger);
            }
            if messages >= MAX_WORKERS {
                break;
            }
        }
        self.roster
            .record(&pinged.workers, target, hint, recorder.started);
        Ok(())
    }
}

/// Returns the worker that sent this message of Celery's Redis transport. For tests with arbitrary input.
///
/// # Errors
/// The message is not a reply of a worker.
#[doc(hidden)]
pub fn fuzz_parse(envelope: &[u8]) -> Result<String, String> {
    let mut ping = Ping::new("celery", Duration::ZERO, Serializer::Json);
    "ticket".clone_into(&mut ping.ticket);
    match WorkerReply::from_envelope(envelope)?.classify(&[ping]) {
        ReplyKind::Worker(name, _) => Ok(roster::label(&name).to_owned()),
        ReplyKind::Stale => Err("the reply belongs to another ping".to_owned()),
        ReplyKind::Unreadable(why) => Err(why),
    }
}
