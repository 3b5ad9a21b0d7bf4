//! The celery check: asks all workers over their broker whether they are there, as `celery inspect ping` does, and counts
//! the messages that wait in queues. The response time is that of the answer which makes them enough.

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

pub use self::families::FAMILIES;
use self::judge::{Length, Tally};
use self::message::{Answer, Ping, Reply};
use self::roster::Roster;
use super::Shared;
use crate::config::celery::{Broker, CelerySettings, MAX_WORKERS, Serializer};
use crate::model::{Problem, Report};
use crate::net::run_recorder::{RunRecorder, Step};

/// A celery check.
#[derive(Debug)]
pub struct CeleryCheck {
    settings: CelerySettings,
    link: Link,
    roster: Roster,
    /// How pings are written: as configured, or as the workers last answered.
    serializer: Serializer,
    /// When the other serializers were last tried in vain.
    tried_others: Option<Instant>,
}

/// How often a run in which nobody answers tries the other serializers: each worker that refuses one logs that.
const TRY_OTHERS_INTERVAL: Duration = Duration::from_secs(60);

/// The least time for answers that is worth trying them.
const MIN_WAIT_FOR_OTHERS: Duration = Duration::from_millis(500);

/// What is kept of a broker between runs.
#[derive(Debug)]
enum Link {
    Redis(Box<over_redis::Link>),
    Amqp(Box<over_amqp::Link>),
}

/// A connection to a broker during a run. It is the run's own, so that a cancelled run closes it.
enum Session {
    Redis(Box<over_redis::Session>),
    Amqp(Box<over_amqp::Session>),
}

/// What is known when the answers are in.
struct Finished {
    /// The lengths of the configured queues, in their order.
    lengths: Vec<Length>,
    /// How many of the workers that did not answer still have a mailbox, where the broker tells that only now.
    silent: Option<usize>,
}

/// What a broker hands over, or why that is no message.
type Received = Result<Reply, String>;

impl CeleryCheck {
    /// A check with these settings.
    pub fn new(settings: &CelerySettings, shared: &Shared) -> Self {
        // One name for all runs of a check, so that nothing grows in the broker.
        let name = format!("upkeep-{}", Uuid::new_v4());
        let network = &shared.network;
        let link = match &settings.broker {
            Broker::Redis { server, keys } => Link::Redis(Box::new(over_redis::Link::new(
                settings, server, keys, &name, network,
            ))),
            Broker::Amqp(server) => {
                Link::Amqp(Box::new(over_amqp::Link::new(settings, server, &name, network)))
            }
        };
        Self {
            link,
            settings: settings.clone(),
            roster: Roster::default(),
            serializer: settings.serializer.unwrap_or_default(),
            tried_others: None,
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = RunRecorder::new(report);
        families::configured(&self.settings, trace.report);
        let result = self.ask(&mut trace).await;
        trace.end();
        result
    }

    async fn ask(&mut self, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        let CelerySettings {
            control_exchange,
            reply_timeout,
            ..
        } = &self.settings;
        let mut ping = Ping::new(control_exchange, *reply_timeout, self.serializer);
        let (mut session, listening) = self.link.publish(&mut ping, trace).await?;
        let mut pings = vec![ping];
        let mut tally = Tally {
            listening,
            ..Tally::default()
        };
        self.collect(&mut session, &pings, &mut tally, trace).await?;
        if tally.workers.is_empty() && self.is_to_try_others(&tally, &session, trace) {
            let others = Serializer::ALL.into_iter();
            let others = others.filter(|serializer| *serializer != self.serializer);
            let others: Vec<Ping> = others.map(|serializer| pings[0].written_as(serializer)).collect();
            // What nobody could read took no worker any time.
            trace.started = Instant::now();
            for ping in &others {
                session.ping_again(ping, trace).await?;
            }
            pings.extend(others);
            self.collect(&mut session, &pings, &mut tally, trace).await?;
            self.tried_others = tally.workers.is_empty().then_some(trace.started);
        }
        tally.asked_in = pings.iter().map(|ping| ping.serializer).collect();
        let now = trace.started;
        let silent = self.roster.workers(now).filter(|(_, is_up)| !is_up);
        tally.silent = silent.map(|(name, _)| name.to_owned()).collect();
        if let Some(blocked) = session.blocked() {
            // It would not answer anything further on this connection either.
            if tally.workers.len() < self.settings.min_workers {
                return Err(blocked);
            }
            families::workers(tally.workers.len(), self.roster.workers(now), trace.report);
            trace.report.warning = Some(blocked);
            return Ok(());
        }
        // Only an answer of the broker proves that no more answers of workers are on their way.
        let Finished { lengths, silent } = session.finish(&self.settings, &tally.silent, trace).await?;
        if let Some(silent) = silent {
            self.roster.still_listening(silent);
            tally.listening = (silent > 0)
                .then_some(tally.workers.len() + silent)
                .or(tally.listening);
        }
        self.link.keep(session);
        families::workers(tally.workers.len(), self.roster.workers(now), trace.report);
        families::queues(&self.settings, &lengths, trace.report);
        trace.report.warning = judge::judge(&self.settings, &tally, &lengths)?;
        Ok(())
    }

    /// Whether to ask once more in the serializers that the configuration leaves open: a worker that does not accept the
    /// content type of a ping says nothing.
    fn is_to_try_others(&self, tally: &Tally, session: &Session, trace: &RunRecorder<'_>) -> bool {
        self.settings.serializer.is_none()
            && tally.listening != Some(0)
            && session.blocked().is_none()
            && self
                .tried_others
                .is_none_or(|at| trace.started - at >= TRY_OTHERS_INTERVAL)
            && trace.within(self.settings.reply_timeout)
                >= MIN_WAIT_FOR_OTHERS.min(self.settings.reply_timeout)
    }

    /// Takes answers until enough came or the time for them is over.
    async fn collect(
        &mut self,
        session: &mut Session,
        pings: &[Ping],
        tally: &mut Tally,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(), Problem> {
        let CelerySettings {
            min_workers,
            expected_workers,
            reply_timeout,
            ..
        } = self.settings;
        let begun = Instant::now();
        let reply_timeout = trace.within(reply_timeout);
        tally.waited = Some(reply_timeout);
        let wanted = min_workers.max(expected_workers.unwrap_or(0));
        let hint = tally.listening.unwrap_or_else(|| self.roster.heard());
        let is_looking_around = tally.listening.is_none() && self.roster.is_to_look_around(trace.started);
        let target = self.roster.target(wanted, hint, trace.started);
        let mut until = begun + reply_timeout;
        let mut messages = 0;
        loop {
            let answered = tally.workers.len();
            trace.at(Step::Doing(
                format!("waiting for answers of workers: {answered} of at least {min_workers} so far").into(),
            ));
            let Some(received) = session.receive(until, trace).await? else {
                break;
            };
            messages += 1;
            match received.map(|reply| reply.answer(pings)) {
                Ok(Answer::Worker(name, serializer)) => {
                    self.serializer = serializer;
                    tally.workers.insert(name);
                }
                Ok(Answer::Stale) => {}
                Ok(Answer::Unreadable(why)) | Err(why) => {
                    tally.unreadable.get_or_insert(why);
                }
            }
            let is_new = tally.workers.len() > answered;
            if is_new && tally.workers.len() == min_workers {
                trace.answered();
            }
            if is_new && tally.workers.len() == target {
                let linger = match tally.listening {
                    // Nobody else has got it.
                    Some(listening) if listening <= target => Duration::ZERO,
                    None if is_looking_around => reply_timeout / 2,
                    _ => roster::linger(begun.elapsed()),
                };
                until = until.min(Instant::now() + linger);
            }
            if messages >= MAX_WORKERS {
                break;
            }
        }
        self.roster.record(&tally.workers, target, hint, trace.started);
        Ok(())
    }
}

impl Link {
    async fn publish(
        &mut self,
        ping: &mut Ping,
        trace: &mut RunRecorder<'_>,
    ) -> Result<(Session, Option<usize>), Problem> {
        match self {
            Self::Redis(link) => {
                let (session, listening) = link.publish(ping, trace).await?;
                Ok((Session::Redis(Box::new(session)), listening))
            }
            Self::Amqp(link) => {
                let (session, listening) = link.publish(ping, trace).await?;
                Ok((Session::Amqp(Box::new(session)), listening))
            }
        }
    }

    fn keep(&mut self, session: Session) {
        match (self, session) {
            (Self::Redis(link), Session::Redis(session)) => link.keep(*session),
            (Self::Amqp(link), Session::Amqp(session)) => link.keep(*session),
            // A link makes sessions of its own kind only.
            _ => {}
        }
    }
}

impl Session {
    /// Why the broker takes no messages, where it said so.
    fn blocked(&self) -> Option<Problem> {
        match self {
            Self::Redis(_) => None,
            Self::Amqp(session) => session.blocked(),
        }
    }

    async fn ping_again(&mut self, ping: &Ping, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        match self {
            Self::Redis(session) => session.ping_again(ping, trace).await,
            Self::Amqp(session) => session.ping_again(ping).await,
        }
    }

    async fn receive(
        &mut self,
        until: Instant,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Option<Received>, Problem> {
        match self {
            Self::Redis(session) => session.receive(until, trace).await,
            Self::Amqp(session) => session.receive(until).await,
        }
    }

    async fn finish(
        &mut self,
        settings: &CelerySettings,
        silent: &[String],
        trace: &mut RunRecorder<'_>,
    ) -> Result<Finished, Problem> {
        match self {
            Self::Redis(session) => session.finish(settings, trace).await,
            Self::Amqp(session) => session.finish(settings, silent, trace).await,
        }
    }
}

/// The worker that a message of Celery's Redis transport is of. For tests with arbitrary input.
///
/// # Errors
/// Why it is of none.
#[doc(hidden)]
pub fn fuzz_parse(envelope: &[u8]) -> Result<String, String> {
    let mut ping = Ping::new("celery", Duration::ZERO, Serializer::Json);
    "ticket".clone_into(&mut ping.ticket);
    match Reply::from_envelope(envelope)?.answer(&[ping]) {
        Answer::Worker(name, _) => Ok(roster::label(&name).to_owned()),
        Answer::Stale => Err("it answers another ping".to_owned()),
        Answer::Unreadable(why) => Err(why),
    }
}
