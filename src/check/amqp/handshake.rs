//! The start of a connection: protocol header, login, negotiated sizes, and virtual host.

use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::connection::{AMQPMethod, Open, Start, StartOk, Tune, TuneOk};
use amq_protocol::protocol::{AMQPClass, constants::FRAME_MIN_SIZE};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::connection::{Connection, short_string, unexpected};
use super::error::{AmqpError, CloseReason};
use super::frames::Frames;
use super::message::Inbox;
use crate::config::secret::Secret;
use crate::model::{is_invisible, prefix};
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::stream::Stream;

/// The longest frame that we accept; RabbitMQ's own proposal.
const MAX_FRAME_BYTES: u32 = 128 << 10;
/// Seconds of silence after which the broker may consider the connection dead.
pub const HEARTBEAT_SECONDS: u16 = 300;
/// The maximum length of the broker's name and version, in bytes. The version becomes a label.
const MAX_TEXT_BYTES: usize = 64;

/// How the client authenticates.
#[derive(Debug)]
pub enum Credentials<'a> {
    /// With user and password (PLAIN, RFC 4616).
    Plain {
        /// The user.
        user: &'a str,
        /// The password.
        password: &'a Secret,
    },
    /// With the client certificate of the TLS handshake (EXTERNAL, RFC 4422, appendix A).
    External,
}

/// Credentials and virtual host of a connection.
#[derive(Debug)]
pub struct Login<'a> {
    /// The credentials.
    pub credentials: Credentials<'a>,
    /// The virtual host.
    pub vhost: &'a str,
}

impl Credentials<'_> {
    const fn mechanism(&self) -> &'static str {
        match self {
            Self::Plain { .. } => "PLAIN",
            Self::External => "EXTERNAL",
        }
    }

    fn response(&self) -> String {
        match self {
            Self::Plain { user, password } => format!("\0{user}\0{}", password.expose()),
            Self::External => String::new(),
        }
    }
}

impl Login<'_> {
    /// Prepares an error of the handshake for display. Its reason must not depend on the names of the user and the virtual
    /// host, and its text must not contain the password, whatever the peer sends.
    fn sanitize(&self, error: AmqpError) -> AmqpError {
        let (AmqpError::ConnectionClosed(reply), Credentials::Plain { user, password }) =
            (&error, &self.credentials)
        else {
            return error;
        };
        let mut reply = CloseReason::quoting(reply.code, reply.text.as_str(), &[user, self.vhost]);
        let password = password.expose();
        if !password.is_empty() && reply.text.contains(password) {
            "(text not shown because it contains the password)".clone_into(&mut reply.text);
        }
        AmqpError::ConnectionClosed(reply)
    }
}

impl Connection {
    /// Logs in on a new stream and opens the virtual host.
    ///
    /// # Errors
    /// Why the broker refuses, or why the server is not a broker. `recorder.step()` is the step that failed.
    pub async fn open(
        stream: Stream,
        login: &Login<'_>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<Self, AmqpError> {
        let mut connection = Self {
            frames: Frames::new(stream),
            product: String::new(),
            version: String::new(),
            blocked: None,
            inbox: Inbox::default(),
            is_channel_open: false,
            is_open: false,
        };
        recorder.enter(Phase::Processing);
        let opened = connection.handshake(login, recorder).await;
        recorder.leave();
        match opened {
            Ok(()) => Ok(connection),
            Err(error) => Err(login.sanitize(error)),
        }
    }

    async fn handshake(
        &mut self,
        login: &Login<'_>,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<(), AmqpError> {
        recorder.at(Step::Doing("waiting for the broker's greeting".into()));
        let header = AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1());
        self.frames.send(&[header]).await?;
        let start = match self.next_method().await {
            Ok(AMQPClass::Connection(AMQPMethod::Start(start))) => start,
            Ok(other) => return Err(unexpected(&other)),
            Err(AmqpError::Ended) => return Err(AmqpError::NoGreeting),
            Err(error) => return Err(error),
        };
        self.product = text_property(&start.server_properties, "product");
        self.version = text_property(&start.server_properties, "version");

        recorder.at(Step::Doing("logging in".into()));
        let start_ok = AMQPMethod::StartOk(self.start_ok(&start, login)?);
        self.send_method(start_ok).await?;
        let tune = match self.next_method().await? {
            AMQPClass::Connection(AMQPMethod::Tune(tune)) => tune,
            AMQPClass::Connection(AMQPMethod::Secure(_)) => {
                let what = format!(
                    "the broker requires more login steps than {} has",
                    login.credentials.mechanism()
                );
                return Err(AmqpError::Login(what));
            }
            other => return Err(unexpected(&other)),
        };
        let tuned = negotiate(&tune)?;
        self.frames.set_max_frame(tuned.frame_max as usize);
        self.send_method(AMQPMethod::TuneOk(tuned)).await?;

        recorder.at(Step::Doing("opening the virtual host".into()));
        let virtual_host = short_string(login.vhost)?;
        self.send_method(AMQPMethod::Open(Open { virtual_host })).await?;
        match self.next_method().await? {
            AMQPClass::Connection(AMQPMethod::OpenOk(_)) => {}
            other => return Err(unexpected(&other)),
        }
        self.is_open = true;
        Ok(())
    }

    async fn send_method(&mut self, method: AMQPMethod) -> Result<(), AmqpError> {
        let frame = AMQPFrame::Method(0, AMQPClass::Connection(method));
        self.frames.send(&[frame]).await
    }

    fn start_ok(&self, start: &Start, login: &Login<'_>) -> Result<StartOk, AmqpError> {
        if (start.version_major, start.version_minor) != (0, 9) {
            let what = format!(
                "the server requires version {}.{}",
                start.version_major, start.version_minor
            );
            return Err(AmqpError::Protocol(what));
        }
        let mechanism = login.credentials.mechanism();
        let offered = start.mechanisms.to_string();
        if !offered.split(' ').any(|offered| offered == mechanism) {
            return Err(AmqpError::Login(format!(
                "the broker does not support login with {mechanism}; it offers: {}",
                truncate(&offered)
            )));
        }
        Ok(StartOk {
            client_properties: client_properties(),
            mechanism: short_string(mechanism)?,
            response: login.credentials.response().into(),
            locale: short_string("en_US")?,
        })
    }
}

/// Who we are, and which notifications we support: the reason for closing a connection after a wrong password (without this
/// the broker only closes the socket), blocked publishers, and deleted queues of consumers.
fn client_properties() -> FieldTable {
    let mut capabilities = FieldTable::default();
    for capability in [
        "authentication_failure_close",
        "connection.blocked",
        "consumer_cancel_notify",
    ] {
        capabilities.insert(capability.into(), AMQPValue::Boolean(true));
    }
    let mut properties = FieldTable::default();
    for (key, value) in [
        ("product", env!("CARGO_PKG_NAME")),
        ("version", env!("CARGO_PKG_VERSION")),
        ("connection_name", env!("CARGO_PKG_NAME")),
    ] {
        properties.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    properties.insert("capabilities".into(), AMQPValue::FieldTable(capabilities));
    properties
}

/// Accepts the broker's proposal, lowered to our limits.
fn negotiate(tune: &Tune) -> Result<TuneOk, AmqpError> {
    let frame_max = match tune.frame_max {
        // The broker has no limit.
        0 => MAX_FRAME_BYTES,
        proposed if proposed < MIN_FRAME_BYTES => {
            let what =
                format!("the server requires frames of {proposed} bytes, the minimum is {MIN_FRAME_BYTES}");
            return Err(AmqpError::Protocol(what));
        }
        proposed => proposed.min(MAX_FRAME_BYTES),
    };
    Ok(TuneOk {
        channel_max: 1,
        frame_max,
        heartbeat: HEARTBEAT_SECONDS,
    })
}

/// The smallest frame size that the specification allows (section 4.2.3, frame-min-size). RabbitMQ 4 raised its own minimum
/// to the codec's `FRAME_MIN_SIZE`.
const MIN_FRAME_BYTES: u32 = 4096;
const _: () = assert!(MIN_FRAME_BYTES <= FRAME_MIN_SIZE);

/// Reads a text from the broker's properties.
fn text_property(properties: &FieldTable, key: &str) -> String {
    match properties.inner().get(key) {
        Some(AMQPValue::LongString(text)) => truncate(&text.to_string()),
        _ => String::new(),
    }
}

/// Truncates a text of the broker, and replaces invisible characters.
fn truncate(text: &str) -> String {
    prefix(text, MAX_TEXT_BYTES)
        .chars()
        .map(|character| if is_invisible(character) { ' ' } else { character })
        .collect()
}
