//! A connection to systemd's manager on a bus: calls, and the results of jobs. See org.freedesktop.systemd1(5).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;
use zbus::message::{Flags, Type};
use zbus::{Connection, Message, MessageStream};

use super::error::{ActError, Failure};
use crate::config::systemd::BusAddress;
use crate::net::dbus;

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// The signals that announce the end of a job.
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
                           interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// How many results of jobs are stored until the own job is known. systemd replies before it removes the job, so a few suffice.
const MAX_STORED: usize = 256;

/// How long a query of a job may take. If it takes longer, systemd is busy, and the next query may succeed.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);

/// How long systemd may be absent from the bus, such as while it executes itself again or after the boot, and how often the call is
/// then repeated.
const ABSENCE: Duration = Duration::from_secs(5);
const RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// A connection to systemd.
pub(super) struct Manager {
    connection: Connection,
    messages: MessageStream,
    bus: String,
    /// The results of removed jobs, by object path.
    removed: HashMap<String, String>,
}

/// Why a call failed.
#[derive(Debug)]
pub(super) enum CallError {
    /// The connection was lost.
    Lost(String),
    /// The bus or systemd returned an error.
    Reply {
        /// The name of the error.
        name: String,
        /// The message.
        text: String,
    },
    /// The message could not be built or parsed.
    Malformed(String),
}

impl From<zbus::Error> for CallError {
    fn from(error: zbus::Error) -> Self {
        Self::Malformed(error.to_string())
    }
}

impl CallError {
    /// Whether systemd is not on the bus, such as while it executes itself again.
    pub fn is_absent(&self) -> bool {
        let ends = [".NoReply", ".NameHasNoOwner", ".ServiceUnknown", ".Disconnected"];
        matches!(self, Self::Reply { name, .. } if ends.iter().any(|end| name.ends_with(end)))
    }

    /// The error of an attempt. It was made by a call if `is_sent`.
    pub fn describe(self, doing: &str, bus: &str, is_sent: bool) -> ActError {
        let lost = if is_sent {
            Failure::Lost
        } else {
            Failure::Unreachable
        };
        if self.is_absent() {
            return ActError::new(
                lost,
                format_args!("{doing}: systemd does not respond on D-Bus at {bus}; check that it runs there"),
            );
        }
        match self {
            Self::Lost(why) => ActError::new(
                lost,
                format_args!("{doing}: lost the connection to systemd on D-Bus at {bus}: {why}"),
            ),
            Self::Malformed(why) => ActError::new(
                lost,
                format_args!("{doing}: unexpected response from systemd on D-Bus at {bus}: {why}"),
            ),
            Self::Reply { name, text } => {
                let failure = classify(&name);
                let advice = match failure {
                    Failure::Denied => {
                        "; allow it with the rule that upkeep_exporter polkit-rule prints (for the command service and the \
                         admin API: polkit-rule --all --verb=start,stop,restart), or run the command as root"
                    }
                    _ => "",
                };
                ActError::new(failure, format_args!("{doing}: {text}{advice}"))
            }
        }
    }
}

/// Classifies the name of an error. See systemd's bus-common-errors.h.
fn classify(name: &str) -> Failure {
    match name.rsplit('.').next().unwrap_or_default() {
        "AccessDenied" | "InteractiveAuthorizationRequired" => Failure::Denied,
        "NoSuchUnit" => Failure::Missing,
        _ => Failure::Refused,
    }
}

impl Manager {
    /// Connects to the bus.
    ///
    /// # Errors
    /// The bus is not reachable.
    pub async fn connect(address: &BusAddress) -> Result<Self, ActError> {
        let connection = dbus::connect(address)
            .await
            .map_err(|error| ActError::new(Failure::Unreachable, error))?;
        Ok(Self {
            messages: MessageStream::from(&connection),
            connection,
            bus: dbus::describe(address),
            removed: HashMap::new(),
        })
    }

    /// The address of the bus, for messages.
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// Requests the signals about ends of jobs.
    pub async fn watch_jobs(&mut self) -> Result<(), CallError> {
        let rule = Message::method_call(BUS_PATH, "AddMatch")
            .destination(BUS)
            .interface(BUS)
            .build(&JOB_REMOVED)?;
        self.call(&rule).await?;
        self.call_repeatedly(|| to_manager("Subscribe").build(&()))
            .await?;
        Ok(())
    }

    /// Queues a job for a unit. Returns the path of the job.
    pub async fn queue_job(&mut self, method: &str, unit: &str, mode: &str) -> Result<String, CallError> {
        let reply = self.call(&to_manager(method).build(&(unit, mode))?).await?;
        let body = reply.body();
        let path: zbus::ObjectPath<'_> = body.deserialize()?;
        Ok(path.as_str().to_owned())
    }

    /// Waits up to `patience` for the end of a job. Returns its result; `None` if no signal arrived.
    pub async fn wait_for_job(&mut self, job: &str, patience: Duration) -> Result<Option<String>, CallError> {
        let waiting = async {
            loop {
                if let Some(result) = self.removed.remove(job) {
                    return Ok(result);
                }
                self.removed.clear();
                let message = self.receive().await?;
                self.record_signal(&message);
            }
        };
        match tokio::time::timeout(patience, waiting).await {
            Ok(result) => result.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Whether systemd has this job. `None` if systemd does not respond now.
    pub async fn has_job(&mut self, job: &str) -> Result<Option<bool>, CallError> {
        let Some(id) = job.rsplit('/').next().and_then(|id| id.parse::<u32>().ok()) else {
            return Ok(None);
        };
        let call = to_manager("GetJob").build(&id)?;
        match tokio::time::timeout(POLL_TIMEOUT, self.call(&call)).await {
            Ok(Ok(_)) => Ok(Some(true)),
            Ok(Err(CallError::Reply { name, .. })) if name.ends_with(".NoSuchJob") => Ok(Some(false)),
            Ok(Err(lost @ CallError::Lost(_))) => Err(lost),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// All properties of a unit. systemd loads the unit if necessary.
    pub async fn properties(&mut self, unit: &str) -> Result<Message, CallError> {
        let reply = self
            .call_repeatedly(|| to_manager("LoadUnit").build(&unit))
            .await?;
        let body = reply.body();
        let path: zbus::ObjectPath<'_> = body.deserialize()?;
        // An empty interface means all interfaces: one call returns the properties of the unit and of the service.
        let all = || {
            Message::method_call(path.as_str(), "GetAll")
                .destination(SYSTEMD)
                .interface(PROPERTIES)
                .with_flags(Flags::NO_AUTO_START)
                .build(&"")
        };
        self.call_repeatedly(all).await
    }

    /// Sends a call that may be repeated, until systemd is on the bus.
    async fn call_repeatedly(
        &mut self,
        call: impl Fn() -> zbus::Result<Message>,
    ) -> Result<Message, CallError> {
        let until = Instant::now() + ABSENCE;
        loop {
            match self.call(&call()?).await {
                Err(error) if error.is_absent() && Instant::now() < until => {
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
                result => return result,
            }
        }
    }

    /// Sends a call, and returns its reply.
    async fn call(&mut self, call: &Message) -> Result<Message, CallError> {
        let serial = call.primary_header().serial_num();
        self.connection
            .send(call)
            .await
            .map_err(|error| CallError::Lost(error.to_string()))?;
        loop {
            let message = self.receive().await?;
            self.record_signal(&message);
            let header = message.header();
            if header.reply_serial() != Some(serial) {
                continue;
            }
            if message.message_type() == Type::Error {
                let name = header.error_name().map_or("", |name| name.as_str()).to_owned();
                let body = message.body();
                let text: &str = body.deserialize().unwrap_or("no message");
                return Err(CallError::Reply {
                    text: text.to_owned(),
                    name,
                });
            }
            drop(header);
            return Ok(message);
        }
    }

    async fn receive(&mut self) -> Result<Message, CallError> {
        match self.messages.next().await {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(CallError::Lost(error.to_string())),
            None => Err(CallError::Lost("the bus closed the connection".to_owned())),
        }
    }

    /// Stores the result of a removed job.
    fn record_signal(&mut self, message: &Message) {
        let header = message.header();
        let is_removal = message.message_type() == Type::Signal
            && header
                .member()
                .is_some_and(|member| member.as_str() == "JobRemoved");
        if !is_removal || self.removed.len() >= MAX_STORED {
            return;
        }
        let body = message.body();
        let parsed: zbus::Result<(u32, zbus::ObjectPath<'_>, &str, &str)> = body.deserialize();
        if let Ok((_, path, _, result)) = parsed {
            self.removed.insert(path.as_str().to_owned(), result.to_owned());
        }
    }
}

/// A call of a method of the manager. If systemd does not run, the bus must not try to start it.
fn to_manager(method: &str) -> zbus::message::Builder<'_> {
    Message::method_call(MANAGER_PATH, method)
        .destination(SYSTEMD)
        .interface(MANAGER)
        .with_flags(Flags::NO_AUTO_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denied_action_names_the_rule_that_allows_it() {
        let denied = CallError::Reply {
            name: "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired".to_owned(),
            text: "Interactive authentication required.".to_owned(),
        };
        let error = denied.describe(
            &format!("stop {}.service", "a".repeat(40)),
            "the system bus",
            true,
        );
        assert_eq!(error.failure, Failure::Denied);
        let text = error.to_string();
        assert!(
            text.contains("polkit-rule --all --verb=start,stop,restart)")
                && text.ends_with("or run the command as root"),
            "{text}"
        );
    }
}
