//! The rabbitmq check: log in at the broker, or use the connection of the run before, open a channel, look at the named
//! queues, close the channel. Then, where there is one, the management API is asked for what AMQP does not tell; what is
//! wrong there is a warning, for the broker works.
//!
//! It has at most one AMQP connection and one HTTP connection, to the management.

mod broker;
mod families;
mod management;
mod warnings;

use self::broker::Broker;
pub use self::families::FAMILIES;
use self::families::{QUEUE_CONSUMERS_MINIMUM, QUEUE_MESSAGES_LIMIT, push};
use self::management::Management;
use self::warnings::Warnings;
use super::Shared;
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
    pub fn new(settings: &RabbitmqSettings, shared: &Shared) -> Self {
        let management = settings.management.as_ref();
        Self {
            queues: settings.queues.clone(),
            broker: Broker::new(settings, &shared.network),
            management: management.map(|api| Management::new(api, settings, &shared.network)),
        }
    }

    /// Runs once.
    ///
    /// # Errors
    /// The problem that made it fail.
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let mut trace = RunRecorder::new(report);
        let result = self.look(&mut trace).await;
        trace.end();
        result
    }

    async fn look(&mut self, trace: &mut RunRecorder<'_>) -> Result<(), Problem> {
        for queue in &self.queues {
            let limits = [
                (&QUEUE_MESSAGES_LIMIT, queue.max_messages),
                (&QUEUE_CONSUMERS_MINIMUM, queue.min_consumers),
            ];
            for (family, limit) in limits {
                if let Some(limit) = limit {
                    push(trace.report, family, queue.name.clone().into(), limit.into());
                }
            }
        }
        let mut warnings = Warnings::default();
        // Held here until the end, so that a run that is cut off frees the socket.
        let (existing, session) = self.broker.look(&self.queues, trace, &mut warnings).await?;
        trace.answered();
        if let Some(management) = &mut self.management {
            management.look(&existing, trace, &mut warnings).await;
        }
        trace.report.warning = warnings.together();
        self.broker.rest(session, trace).await;
        Ok(())
    }
}
