//! The messages of Celery's remote control (kombu's pidbox): the ping to all workers, and their replies. Pure. Tests compare
//! the format with messages captured from Celery.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::celery::Serializer;

/// The maximum size of a reply, in bytes. A reply to a ping has about 60; with its envelope on Redis, about 500.
pub const MAX_REPLY_BYTES: usize = 4096;

/// A ping to all workers of a namespace.
#[derive(Clone, Debug)]
pub struct Ping {
    /// The format of the message.
    pub serializer: Serializer,
    /// An id that every reply repeats.
    pub ticket: String,
    /// The exchange on which workers listen.
    pub exchange: String,
    /// The exchange to which workers send their replies.
    pub reply_exchange: String,
    /// The routing key of the replies.
    pub routing_key: String,
    /// When workers should ignore the ping, as Unix time.
    pub expires: f64,
}

impl Ping {
    /// A ping that expires after `lifetime`. The caller sets the routing key, which depends on the broker.
    pub fn new(namespace: &str, lifetime: Duration, serializer: Serializer) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            serializer,
            ticket: Uuid::new_v4().to_string(),
            exchange: format!("{namespace}.pidbox"),
            reply_exchange: format!("reply.{namespace}.pidbox"),
            routing_key: String::new(),
            expires: (now + lifetime).as_secs_f64(),
        }
    }

    /// The same ping with another serializer, and with a new ticket.
    pub fn with_serializer(&self, serializer: Serializer) -> Self {
        Self {
            serializer,
            ticket: Uuid::new_v4().to_string(),
            ..self.clone()
        }
    }

    /// The body of the message.
    pub fn body(&self) -> Vec<u8> {
        let body = json!({
            "method": "ping",
            "arguments": {},
            "destination": null,
            "pattern": null,
            "matcher": null,
            "ticket": self.ticket,
            "reply_to": { "exchange": self.reply_exchange, "routing_key": self.routing_key },
        });
        self.serializer.write(&body)
    }

    /// The message in the envelope that Celery's transport uses for brokers without AMQP's properties.
    pub fn envelope(&self) -> String {
        json!({
            "body": STANDARD.encode(self.body()),
            "content-encoding": self.serializer.content_encoding(),
            "content-type": self.serializer.content_type(),
            // Workers advance their logical clocks to the largest value they see. This value advances none.
            "headers": { "clock": 1, "expires": self.expires },
            "properties": {
                "delivery_mode": 1,
                "delivery_info": { "exchange": self.exchange, "routing_key": "" },
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": Uuid::new_v4().to_string(),
            },
        })
        .to_string()
    }
}

/// A message in the queue for replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerReply {
    /// The ticket of the ping that it replies to.
    pub ticket: Option<String>,
    /// The format of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
}

/// A message from the broker, or why it is not valid.
pub type Received = Result<WorkerReply, String>;

/// The meaning of a reply for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyKind {
    /// This worker replied to the ping that had this serializer.
    Worker(String, Serializer),
    /// The reply belongs to another ping.
    Stale,
    /// The reply can't be read, for this reason.
    Unreadable(String),
}

/// The fields of the envelope that are needed.
#[derive(Deserialize)]
struct Envelope {
    body: String,
    #[serde(rename = "content-type")]
    content_type: Option<String>,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    properties: Map<String, Value>,
}

impl WorkerReply {
    /// Parses a message with its envelope.
    ///
    /// # Errors
    /// The message is not valid.
    pub fn from_envelope(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_REPLY_BYTES {
            return Err(too_long(bytes.len()));
        }
        let envelope: Envelope =
            serde_json::from_slice(bytes).map_err(|_| "not a valid message of Celery's Redis transport")?;
        let is_encoded = envelope
            .properties
            .get("body_encoding")
            .is_some_and(|encoding| encoding == "base64");
        let body = if is_encoded {
            STANDARD
                .decode(&envelope.body)
                .map_err(|_| "the body is not valid base64")?
        } else {
            envelope.body.into_bytes()
        };
        Ok(Self {
            ticket: envelope
                .headers
                .get("ticket")
                .and_then(Value::as_str)
                .map(str::to_owned),
            content_type: envelope
                .content_type
                .unwrap_or_else(|| Serializer::Json.content_type().to_owned()),
            body,
        })
    }

    /// Matches the reply with these pings. A reply without a ticket belongs to the first.
    pub fn classify(&self, pings: &[Ping]) -> ReplyKind {
        let is_match = |ping: &&Ping| self.ticket.as_ref().is_none_or(|ticket| *ticket == ping.ticket);
        let Some(ping) = pings.iter().find(is_match) else {
            return ReplyKind::Stale;
        };
        match self.worker() {
            Ok(worker) => ReplyKind::Worker(worker, ping.serializer),
            Err(why) => ReplyKind::Unreadable(why),
        }
    }

    /// The name of the worker that sent it.
    fn worker(&self) -> Result<String, String> {
        let Some(serializer) = Serializer::from_content_type(&self.content_type) else {
            let content_type: String = self.content_type.chars().take(60).collect();
            return Err(format!(
                "the content type {content_type} is not supported: set task_serializer to json in Celery"
            ));
        };
        if self.body.len() > MAX_REPLY_BYTES {
            return Err(too_long(self.body.len()));
        }
        let Value::Object(replies) = serializer.read(&self.body)? else {
            return Err(format!("not an object in {serializer}"));
        };
        // A worker replies only for itself.
        let mut replies = replies.into_iter();
        match (replies.next(), replies.next()) {
            (Some((worker, reply)), None) if !worker.is_empty() => match reply.get("ok") {
                Some(_) => Ok(worker),
                None => Err("the worker replied to the ping with an error: check its log".to_owned()),
            },
            _ => Err("it does not name exactly one worker".to_owned()),
        }
    }
}

fn too_long(bytes: usize) -> String {
    format!("it has {bytes} bytes, the limit is {MAX_REPLY_BYTES}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published on Redis by `celery inspect ping` of Celery 5.2.
    const PING: &str = include_str!("captured/ping.json");
    /// The reply of a Celery 5.2 worker.
    const PONG: &str = include_str!("captured/pong.json");

    const JSON: &str = "application/json";

    fn ping() -> Ping {
        Ping {
            serializer: Serializer::Json,
            ticket: "51c72307-ffca-4be2-b866-6c419b5c88d1".to_owned(),
            exchange: "celery.pidbox".to_owned(),
            reply_exchange: "reply.celery.pidbox".to_owned(),
            routing_key: "d5dfbbdb-e7dc-34db-8adb-2242fa343b3b".to_owned(),
            expires: 1_795_539_360.475_090_3,
        }
    }

    fn decoded(envelope: &Value) -> Value {
        let body = STANDARD.decode(envelope["body"].as_str().unwrap()).unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_ping_is_what_celery_itself_sends() {
        let mut theirs: Value = serde_json::from_str(PING).unwrap();
        let mut ours: Value = serde_json::from_str(&ping().envelope()).unwrap();
        assert_eq!(decoded(&ours), decoded(&theirs));
        for envelope in [&mut theirs, &mut ours] {
            envelope["body"].take();
            // Our ping need not survive a restart of the broker. The tag is any unique text.
            envelope["properties"]["delivery_mode"].take();
            assert!(envelope["properties"]["delivery_tag"].take().is_string());
        }
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_reply_is_matched_with_its_ping() {
        let reply = WorkerReply::from_envelope(PONG.trim().as_bytes()).unwrap();
        assert_eq!(
            reply.classify(&[ping()]),
            ReplyKind::Worker("one@host".to_owned(), Serializer::Json)
        );
        let another = ping().with_serializer(Serializer::Pickle);
        assert_eq!(reply.classify(std::slice::from_ref(&another)), ReplyKind::Stale);
        assert_eq!(
            reply.classify(&[another, ping()]),
            ReplyKind::Worker("one@host".to_owned(), Serializer::Json)
        );
    }

    fn reply(content_type: &str, body: &str) -> ReplyKind {
        let reply = WorkerReply {
            ticket: None,
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
        };
        reply.classify(&[ping()])
    }

    #[test]
    fn unreadable_replies_have_reasons() {
        let huge = format!("{{\"{}\": {{}}}}", "x".repeat(5000));
        for (content_type, body, why) in [
            (
                "application/x-avro",
                "",
                "the content type application/x-avro is not supported: set task_serializer to json in Celery",
            ),
            ("application/x-python-serialize", "cos", "not valid pickle"),
            (JSON, "pong", "not valid json"),
            (JSON, "[]", "not an object in json"),
            (JSON, "{}", "it does not name exactly one worker"),
            (JSON, "{\"\": {\"ok\": 1}}", "it does not name exactly one worker"),
            (
                JSON,
                "{\"a\": {\"ok\": 1}, \"b\": {\"ok\": 1}}",
                "it does not name exactly one worker",
            ),
            (
                JSON,
                "{\"a\": {\"error\": \"KeyError('ping')\"}}",
                "the worker replied to the ping with an error: check its log",
            ),
            (JSON, &huge, "it has 5008 bytes, the limit is 4096"),
        ] {
            assert_eq!(reply(content_type, body), ReplyKind::Unreadable(why.to_owned()));
        }
        let without_ticket = WorkerReply {
            ticket: None,
            content_type: JSON.to_owned(),
            body: b"{\"a\": {\"ok\": \"pong\"}}".to_vec(),
        };
        let expected = ReplyKind::Worker("a".to_owned(), Serializer::Json);
        assert_eq!(without_ticket.classify(&[ping()]), expected);
    }

    #[test]
    fn invalid_envelopes_are_errors() {
        let no_envelope = "not a valid message of Celery's Redis transport";
        for (bytes, why) in [
            ("", no_envelope),
            ("{\"body\": 1}", no_envelope),
            (
                "{\"body\": \"?\", \"properties\": {\"body_encoding\": \"base64\"}}",
                "the body is not valid base64",
            ),
        ] {
            assert_eq!(WorkerReply::from_envelope(bytes.as_bytes()), Err(why.to_owned()));
        }
        let long = vec![b' '; 4097];
        assert_eq!(
            WorkerReply::from_envelope(&long),
            Err("it has 4097 bytes, the limit is 4096".to_owned())
        );
        let plain = WorkerReply::from_envelope(b"{\"body\": \"{}\"}").unwrap();
        assert_eq!((plain.body.as_slice(), plain.ticket), (b"{}".as_slice(), None));
    }
}
