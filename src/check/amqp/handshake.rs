//! How a connection begins: the protocol's header, the login, the sizes agreed on, and the virtual host.

use amq_protocol::frame::{AMQPFrame, ProtocolVersion};
use amq_protocol::protocol::connection::{AMQPMethod, Open, Start, StartOk, Tune, TuneOk};
use amq_protocol::protocol::{AMQPClass, constants::FRAME_MIN_SIZE};
use amq_protocol::types::{AMQPValue, FieldTable};

use super::error::AmqpError;
use super::frames::Frames;
use super::message::Inbox;
use super::{Connection, Reply, short, unexpected};
use crate::config::secret::Secret;
use crate::net::run_recorder::{Phase, RunRecorder, Step};
use crate::net::stream::Stream;

/// The longest frame that we agree to; RabbitMQ's own proposal.
const MAX_FRAME_BYTES: u32 = 128 << 10;
/// After how many seconds of silence the broker may begin to take the connection for dead.
pub const HEARTBEAT_SECONDS: u16 = 300;
/// How much of the broker's name and version is kept, in bytes; the version becomes a label.
const MAX_TEXT_BYTES: usize = 64;

/// Who logs in.
#[derive(Debug)]
pub enum Credentials<'a> {
    /// By user and password (PLAIN, RFC 4616).
    Plain {
        /// The user.
        user: &'a str,
        /// The password.
        password: &'a Secret,
    },
    /// By the certificate shown in the TLS handshake (EXTERNAL, RFC 4422, appendix A).
    External,
}

/// What a connection is opened with.
#[derive(Debug)]
pub struct Login<'a> {
    /// Who.
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
    /// An error of the handshake: its reason does not depend on what the user and the virtual host are called, and there
    /// is no password in it, whatever the peer put there.
    fn judged(&self, error: AmqpError) -> AmqpError {
        let (AmqpError::ConnectionClosed(reply), Credentials::Plain { user, password }) =
            (&error, &self.credentials)
        else {
            return error;
        };
        let mut reply = Reply::naming(reply.code, reply.text.as_str(), &[user, self.vhost]);
        let password = password.expose();
        if !password.is_empty() && reply.text.contains(password) {
            "(its text is not shown, it holds the password)".clone_into(&mut reply.text);
        }
        AmqpError::ConnectionClosed(reply)
    }
}

impl Connection {
    /// Logs in over a new stream and opens the virtual host.
    ///
    /// # Errors
    /// Why the broker refuses, or why it is none. `trace.step()` says how far it got.
    pub async fn open(
        stream: Stream,
        login: &Login<'_>,
        trace: &mut RunRecorder<'_>,
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
        trace.enter(Phase::Processing);
        let opened = connection.shake_hands(login, trace).await;
        trace.leave();
        match opened {
            Ok(()) => Ok(connection),
            Err(error) => Err(login.judged(error)),
        }
    }

    async fn shake_hands(&mut self, login: &Login<'_>, trace: &mut RunRecorder<'_>) -> Result<(), AmqpError> {
        trace.at(Step::Doing("waiting for the broker's greeting".into()));
        let header = AMQPFrame::ProtocolHeader(ProtocolVersion::amqp_0_9_1());
        self.frames.send(&[header]).await?;
        let start = match self.answer().await {
            Ok(AMQPClass::Connection(AMQPMethod::Start(start))) => start,
            Ok(other) => return Err(unexpected(&other)),
            Err(AmqpError::Ended) => return Err(AmqpError::NoGreeting),
            Err(error) => return Err(error),
        };
        self.product = text(&start.server_properties, "product");
        self.version = text(&start.server_properties, "version");

        trace.at(Step::Doing("logging in".into()));
        let start_ok = AMQPMethod::StartOk(self.start_ok(&start, login)?);
        self.say(start_ok).await?;
        let tune = match self.answer().await? {
            AMQPClass::Connection(AMQPMethod::Tune(tune)) => tune,
            AMQPClass::Connection(AMQPMethod::Secure(_)) => {
                let what = format!(
                    "the broker wants more than {} gives",
                    login.credentials.mechanism()
                );
                return Err(AmqpError::Login(what));
            }
            other => return Err(unexpected(&other)),
        };
        let tuned = tuned(&tune)?;
        self.frames.agree(tuned.frame_max as usize);
        self.say(AMQPMethod::TuneOk(tuned)).await?;

        trace.at(Step::Doing("opening the virtual host".into()));
        let virtual_host = short(login.vhost)?;
        self.say(AMQPMethod::Open(Open { virtual_host })).await?;
        match self.answer().await? {
            AMQPClass::Connection(AMQPMethod::OpenOk(_)) => {}
            other => return Err(unexpected(&other)),
        }
        self.is_open = true;
        Ok(())
    }

    async fn say(&mut self, method: AMQPMethod) -> Result<(), AmqpError> {
        let frame = AMQPFrame::Method(0, AMQPClass::Connection(method));
        self.frames.send(&[frame]).await
    }

    fn start_ok(&self, start: &Start, login: &Login<'_>) -> Result<StartOk, AmqpError> {
        if (start.version_major, start.version_minor) != (0, 9) {
            let what = format!("it wants version {}.{}", start.version_major, start.version_minor);
            return Err(AmqpError::Protocol(what));
        }
        let mechanism = login.credentials.mechanism();
        let offered = start.mechanisms.to_string();
        if !offered.split(' ').any(|offered| offered == mechanism) {
            return Err(AmqpError::Login(format!(
                "the broker does not let users log in by {mechanism}, only by: {}",
                bounded(&offered)
            )));
        }
        Ok(StartOk {
            client_properties: client_properties(),
            mechanism: short(mechanism)?,
            response: login.credentials.response().into(),
            locale: short("en_US")?,
        })
    }
}

/// Who we are, and what the broker may send us: why it closes a connection on a wrong password (without this it just
/// closes the socket), that it takes no messages, that a consumer's queue is gone.
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

/// The broker's proposal, lowered to what we need.
fn tuned(tune: &Tune) -> Result<TuneOk, AmqpError> {
    let frame_max = match tune.frame_max {
        // No limit of the broker's own.
        0 => MAX_FRAME_BYTES,
        proposed if proposed < MIN_FRAME_BYTES => {
            let what = format!("it wants frames of {proposed} bytes, below {MIN_FRAME_BYTES}");
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

/// The smallest size of a frame that the specification allows to agree on (section 4.2.3, frame-min-size); RabbitMQ 4
/// raised its own to what the codec calls `FRAME_MIN_SIZE`.
const MIN_FRAME_BYTES: u32 = 4096;
const _: () = assert!(MIN_FRAME_BYTES <= FRAME_MIN_SIZE);

/// A text among the broker's properties.
fn text(properties: &FieldTable, key: &str) -> String {
    match properties.inner().get(key) {
        Some(AMQPValue::LongString(text)) => bounded(&text.to_string()),
        _ => String::new(),
    }
}

fn bounded(text: &str) -> String {
    let mut bounded = String::new();
    for character in text.chars() {
        if bounded.len() + character.len_utf8() > MAX_TEXT_BYTES {
            break;
        }
        bounded.push(if character.is_control() { ' ' } else { character });
    }
    bounded
}
