//! The rabbitmq check opens a channel on a new or reused connection, inspects the configured queues, and closes the channel.
//! Then it queries the management API, if configured, for facts that AMQP does not provide. Problems of the API are warnings,
//! because the broker works.
//!
//! A check has at most one AMQP connection, and one HTTP connection to the management API.

mod broker;
mod families;
mod management;
mod warnings;

use self::broker::Broker;
pub use self::families::FAMILIES;
use self::families::{QUEUE_CONSUMERS_MINIMUM, QUEUE_MESSAGES_LIMIT, push};
use self::management::Management;
use self::warnings::Warnings;
use super::CheckContext;
use crate::config::rabbitmq::{QueueSettings, RabbitmqSettings};
use crate::model::{Problem, Report};
use crate::net::run_recorder::RunRecorder;

/// A rabbitmq check.
#[derive(Debug)]
pub struct RabbitmqCheck {
    queues: Vec<QueueSettings>,
    broker: Broker,
    management: Option<Management>,
}

impl RabbitmqCheck {
    /// A check with these settings.
    pub fn new(settings: &RabbitmqSettings, context: &CheckContext) -> Self {
        let management = settings.management.as_ref();
        Self {
            queues: settings.queues.clone(),
            broker: Broker::new(settings, &context.network),
            management: management.map(|api| Management::new(api, settings, &context.network)),
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
        for queue in &self.queues {
            let limits = [
                (&QUEUE_MESSAGES_LIMIT, queue.max_messages),
                (&QUEUE_CONSUMERS_MINIMUM, queue.min_consumers),
            ];
            for (family, limit) in limits {
                if let Some(limit) = limit {
                    push(recorder.report, family, queue.name.clone().into(), limit.into());
                }
            }
        }
        let mut warnings = Warnings::default();
        // The run owns the session until the end, so that a cancelled run closes the socket.
        let (existing, session) = self.broker.inspect(&self.queues, recorder, &mut warnings).await?;
        recorder.record_response_time();
        if let Some(management) = &mut self.management {
            management.query(&existing, recorder, &mut warnings).await;
        }
        recorder.report.warning = warnings.combine();
        self.broker.store_or_close(session, recorder).await;
        Ok(())
    }
}
