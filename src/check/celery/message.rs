//! The messages of Celery's remote control (kombu's pidbox), as they go over a broker: the ping that asks every worker, and
//! their answers. Pure; what was learnt of the format is pinned by messages captured from the real one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::config::celery::Serializer;

/// The longest answer that is read, in bytes. One to a ping has about 60, its envelope on Redis about 500.
pub const MAX_REPLY_BYTES: usize = 4096;

/// A ping to all workers of a namespace.
#[derive(Clone, Debug)]
pub struct Ping {
    /// How it is written.
    pub serializer: Serializer,
    /// What every answer repeats.
    pub ticket: String,
    /// The exchange that workers listen at.
    pub exchange: String,
    /// The exchange that they answer to.
    pub reply_exchange: String,
    /// The routing key that leads their answers to us.
    pub routing_key: String,
    /// When the answers are of no interest any more, as Unix time.
    pub expires: f64,
}

impl Ping {
    /// A ping of which answers are of interest for so long. How they are routed is the broker's business.
    pub fn new(namespace: &str, interest: Duration, serializer: Serializer) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            serializer,
            ticket: Uuid::new_v4().to_string(),
            exchange: format!("{namespace}.pidbox"),
            reply_exchange: format!("reply.{namespace}.pidbox"),
            routing_key: String::new(),
            expires: (now + interest).as_secs_f64(),
        }
    }

    /// The same ping in another serializer, with a ticket of its own.
    pub fn written_as(&self, serializer: Serializer) -> Self {
        Self {
            serializer,
            ticket: Uuid::new_v4().to_string(),
            ..self.clone()
        }
    }

    /// What the message says: AMQP's body.
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

    /// The message in the envelope that stands for AMQP's properties where the broker is none.
    pub fn envelope(&self) -> String {
        json!({
            "body": STANDARD.encode(self.body()),
            "content-encoding": self.serializer.content_encoding(),
            "content-type": self.serializer.content_type(),
            // Every worker sets its logical clock past the largest one it sees; this one moves none.
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

/// A message that came to where answers go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which ping it answers.
    pub ticket: Option<String>,
    /// How the body is written.
    pub content_type: String,
    /// What it says.
    pub body: Vec<u8>,
}

/// What a message turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This worker answers one of these pings, which was written so.
    Worker(String, Serializer),
    /// It answers another ping.
    Stale,
    /// It can't be understood: why.
    Unreadable(String),
}

/// What of the envelope is looked at.
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

impl Reply {
    /// Takes a message out of its envelope.
    ///
    /// # Errors
    /// Why it is none.
    pub fn from_envelope(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_REPLY_BYTES {
            return Err(too_long(bytes.len()));
        }
        let envelope: Envelope = serde_json::from_slice(bytes)
            .map_err(|_| "it is not in the envelope of Celery's Redis transport")?;
        let is_encoded = envelope
            .properties
            .get("body_encoding")
            .is_some_and(|encoding| encoding == "base64");
        let body = if is_encoded {
            STANDARD
                .decode(&envelope.body)
                .map_err(|_| "its body is no base64")?
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

    /// Judges the message as an answer to one of these pings. One without a ticket answers the first.
    pub fn answer(&self, pings: &[Ping]) -> Answer {
        let is_answered = |ping: &&Ping| self.ticket.as_ref().is_none_or(|ticket| *ticket == ping.ticket);
        let Some(ping) = pings.iter().find(is_answered) else {
            return Answer::Stale;
        };
        match self.worker() {
            Ok(worker) => Answer::Worker(worker, ping.serializer),
            Err(why) => Answer::Unreadable(why),
        }
    }

    /// The name of the worker that sent it.
    fn worker(&self) -> Result<String, String> {
        let Some(serializer) = Serializer::from_content_type(&self.content_type) else {
            let content_type: String = self.content_type.chars().take(60).collect();
            return Err(format!(
                "it has the content type {content_type}, which is not supported: set task_serializer to json in Celery"
            ));
        };
        if self.body.len() > MAX_REPLY_BYTES {
            return Err(too_long(self.body.len()));
        }
        let Value::Object(answers) = serializer.read(&self.body)? else {
            return Err(format!("it is not an object in {serializer}"));
        };
        // One worker answers for itself only.
        let mut answers = answers.into_iter();
        match (answers.next(), answers.next()) {
            (Some((worker, answer)), None) if !worker.is_empty() => match answer.get("ok") {
                Some(_) => Ok(worker),
                None => Err("the worker answered the ping with an error: look at its log".to_owned()),
            },
            _ => Err("it does not name one worker".to_owned()),
        }
    }
}

fn too_long(bytes: usize) -> String {
    format!("it has {bytes} bytes, and at most {MAX_REPLY_BYTES} are read")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `celery inspect ping` of Celery 5.2 published on Redis.
    const PING: &str = include_str!("captured/ping.json");
    /// What a worker of Celery 5.2 answered to it.
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
            // Ours need not outlive a restart of the broker; the tag is anything unique.
            envelope["properties"]["delivery_mode"].take();
            assert!(envelope["properties"]["delivery_tag"].take().is_string());
        }
        assert_eq!(ours, theirs);
    }

    #[test]
    fn an_answer_is_understood() {
        let reply = Reply::from_envelope(PONG.trim().as_bytes()).unwrap();
        assert_eq!(
            reply.answer(&[ping()]),
            Answer::Worker("one@host".to_owned(), Serializer::Json)
        );
        let another = ping().written_as(Serializer::Pickle);
        assert_eq!(reply.answer(std::slice::from_ref(&another)), Answer::Stale);
        assert_eq!(
            reply.answer(&[another, ping()]),
            Answer::Worker("one@host".to_owned(), Serializer::Json)
        );
    }

    fn answer(content_type: &str, body: &str) -> Answer {
        let reply = Reply {
            ticket: None,
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
        };
        reply.answer(&[ping()])
    }

    #[test]
    fn what_is_no_answer_says_why() {
        let huge = format!("{{\"{}\": {{}}}}", "x".repeat(5000));
        for (content_type, body, why) in [
            (
                "application/x-avro",
                "",
                "it has the content type application/x-avro, which is not supported: set task_serializer to json in Celery",
            ),
            ("application/x-python-serialize", "cos", "it is not valid pickle"),
            (JSON, "pong", "it is not valid json"),
            (JSON, "[]", "it is not an object in json"),
            (JSON, "{}", "it does not name one worker"),
            (JSON, "{\"\": {\"ok\": 1}}", "it does not name one worker"),
            (
                JSON,
                "{\"a\": {\"ok\": 1}, \"b\": {\"ok\": 1}}",
                "it does not name one worker",
            ),
            (
                JSON,
                "{\"a\": {\"error\": \"KeyError('ping')\"}}",
                "the worker answered the ping with an error: look at its log",
            ),
            (JSON, &huge, "it has 5008 bytes, and at most 4096 are read"),
        ] {
            assert_eq!(answer(content_type, body), Answer::Unreadable(why.to_owned()));
        }
        let without_ticket = Reply {
            ticket: None,
            content_type: JSON.to_owned(),
            body: b"{\"a\": {\"ok\": \"pong\"}}".to_vec(),
        };
        let expected = Answer::Worker("a".to_owned(), Serializer::Json);
        assert_eq!(without_ticket.answer(&[ping()]), expected);
    }

    #[test]
    fn what_is_no_envelope_says_why() {
        let no_envelope = "it is not in the envelope of Celery's Redis transport";
        for (bytes, why) in [
            ("", no_envelope),
            ("{\"body\": 1}", no_envelope),
            (
                "{\"body\": \"?\", \"properties\": {\"body_encoding\": \"base64\"}}",
                "its body is no base64",
            ),
        ] {
            assert_eq!(Reply::from_envelope(bytes.as_bytes()), Err(why.to_owned()));
        }
        let long = vec![b' '; 4097];
        assert_eq!(
            Reply::from_envelope(&long),
            Err("it has 4097 bytes, and at most 4096 are read".to_owned())
        );
        let plain = Reply::from_envelope(b"{\"body\": \"{}\"}").unwrap();
        assert_eq!((plain.body.as_slice(), plain.ticket), (b"{}".as_slice(), None));
    }
}
