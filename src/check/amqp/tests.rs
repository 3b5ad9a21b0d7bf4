//! A connection to a scripted peer: behaviour that a real broker does not show, or not on demand.

use std::time::Duration;

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
use amq_protocol::protocol::connection::{AMQPMethod, Blocked, Close, OpenOk, Start, Tune};
use amq_protocol::protocol::{AMQPClass, BasicProperties, basic, channel, queue};
use amq_protocol::types::{AMQPValue, FieldTable};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::connection::close_method;
use super::*;
use crate::config::secret::Secret;
use crate::model::{Reason, Report};
use crate::net::read_budget::ReadBudget;
use crate::net::run_recorder::RunRecorder;
use crate::net::stream::Stream;

/// What the peer sends; each item after it has read something.
type Script = Vec<Vec<u8>>;

fn bytes(frames: &[AMQPFrame]) -> Vec<u8> {
    let write = |bytes: Vec<u8>, frame| gen_frame(frame)(bytes.into()).unwrap().into_inner().0;
    frames.iter().fold(Vec::new(), write)
}

fn on_connection(method: AMQPMethod) -> AMQPFrame {
    AMQPFrame::Method(0, AMQPClass::Connection(method))
}

fn start(mechanisms: &str) -> Vec<u8> {
    let mut server_properties = FieldTable::default();
    for (key, value) in [("product", "RabbitMQ"), ("version", "3.10.8")] {
        server_properties.insert(key.into(), AMQPValue::LongString(value.into()));
    }
    bytes(&[on_connection(AMQPMethod::Start(Start {
        version_major: 0,
        version_minor: 9,
        server_properties,
        mechanisms: mechanisms.into(),
        locales: "en_US".into(),
    }))])
}

fn tune(frame_max: u32) -> Vec<u8> {
    let tune = Tune {
        channel_max: 2047,
        frame_max,
        heartbeat: 60,
    };
    bytes(&[on_connection(AMQPMethod::Tune(tune))])
}

/// A complete login, then the channel.
fn welcome() -> Script {
    let open_ok = bytes(&[on_connection(AMQPMethod::OpenOk(OpenOk {}))]);
    let channel_ok = channel::AMQPMethod::OpenOk(channel::OpenOk {});
    let channel_ok = bytes(&[AMQPFrame::Method(1, AMQPClass::Channel(channel_ok))]);
    vec![start("PLAIN AMQPLAIN"), tune(4096), open_ok, channel_ok]
}

async fn play(mut stream: UnixStream, script: Script) -> Vec<u8> {
    let mut received = Vec::new();
    for piece in script {
        // TuneOk and Open may arrive in one read or in two, so wait for an end marker.
        while received.is_empty() || (received.len() > 8 && received.last() != Some(&206)) {
            if stream.read_buf(&mut received).await.unwrap() == 0 {
                return received;
            }
        }
        let before = received.len();
        stream.write_all(&piece).await.unwrap();
        if piece.is_empty() {
            break;
        }
        while received.len() == before && stream.read_buf(&mut received).await.unwrap_or(0) > 0 {}
    }
    received
}

/// Logs in to a peer with this script. The task returns what the peer received.
async fn open(script: Script) -> (Result<Connection, AmqpError>, tokio::task::JoinHandle<Vec<u8>>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("amqp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let peer = tokio::spawn(async move { play(listener.accept().await.unwrap().0, script).await });
    let stream = Stream::unix(&path, &ReadBudget::new(1 << 20)).await.unwrap();
    let password = Secret::new("pa55word");
    let login = Login {
        credentials: Credentials::Plain {
            user: "app",
            password: &password,
        },
        vhost: "/",
    };
    let mut report = Report::default();
    let mut recorder = RunRecorder::new(&mut report);
    (Connection::open(stream, &login, &mut recorder).await, peer)
}

async fn refused(script: Script) -> crate::model::Problem {
    let (opened, _) = open(script).await;
    opened.unwrap_err().problem("mq:5672", "connecting")
}

#[tokio::test]
async fn a_login_negotiates_sizes_and_opens_the_virtual_host() {
    let (opened, peer) = open(welcome()).await;
    let mut connection = opened.unwrap();
    assert_eq!(
        (connection.product.as_str(), connection.version.as_str()),
        ("RabbitMQ", "3.10.8")
    );
    assert_eq!(connection.frames.max_payload(), 4096 - 8);
    connection.open_channel().await.unwrap();
    assert!(connection.is_channel_open());
    assert!(!format!("{connection:?}").contains("pa55word"));
    drop(connection);
    let received = peer.await.unwrap();
    assert!(received.starts_with(b"AMQP\0\0\x09\x01"));
    let close = bytes(&[AMQPFrame::Method(0, close_method())]);
    assert!(received.ends_with(&close), "the close frame is missing");
}

#[tokio::test]
async fn a_server_that_is_not_a_broker_is_described() {
    for (answer, expected) in [
        (&b"AMQP\0\0\x09\x01"[..], "the server echoes our protocol header"),
        (
            b"AMQP\x03\x01\0\0",
            "the server requires version 1.0.0, protocol 3",
        ),
        (
            b"HTTP/1.1 400 Bad Request\r\n",
            "the server responded with HTTP: is this the management port?",
        ),
        (b"\x15\x03\x01\0\x02\x02\x16", "the server uses TLS: use amqps://"),
        (b"-ERR unknown command\r\n", "the data is not a frame"),
        (
            b"\x01\0\0\x7f\xff\xff\xff",
            "a frame has 2147483647 bytes, the limit is 8184",
        ),
        (b"\x01\0\0\0\0\0\x04\0\x0a\0\x0a\xce", "a malformed frame"),
        (b"\x01\0\0\0\0\0\x04\0\x0a\0\x33\0", "a malformed frame"),
    ] {
        let problem = refused(vec![answer.to_vec()]).await;
        assert_eq!(problem.reason, Reason::Protocol);
        let expected = format!("mq:5672, connecting: not a valid AMQP 0-9-1 response ({expected})");
        assert_eq!(problem.message(), expected);
    }
    let problem = refused(vec![]).await;
    assert_eq!(problem.reason, Reason::Closed, "{problem}");
}

#[tokio::test]
async fn logins_that_are_impossible_or_refused_are_auth_problems() {
    let problem = refused(vec![start("EXTERNAL")]).await;
    assert_eq!(problem.reason, Reason::Auth);
    assert!(problem.message().ends_with("with PLAIN; it offers: EXTERNAL"));
    let problem = refused(vec![start("PLAIN"), tune(100)]).await;
    assert_eq!(problem.reason, Reason::Protocol);
    let close = |text: &str| {
        let close = Close {
            reply_code: 403,
            reply_text: text.into(),
            ..Close::default()
        };
        bytes(&[on_connection(AMQPMethod::Close(close))])
    };
    let problem = refused(vec![start("PLAIN"), close("ACCESS_REFUSED - no")]).await;
    assert_eq!(problem.reason, Reason::Auth);
    assert!(
        problem
            .message()
            .contains("closed the connection: 403 ACCESS_REFUSED - no (check the user, the password")
    );
    let problem = refused(vec![start("PLAIN"), close("you sent pa55word")]).await;
    assert!(!problem.message().contains("pa55word"), "{problem}");
}

#[tokio::test]
async fn replies_are_found_between_messages_and_notifications() {
    let deliver = basic::AMQPMethod::Deliver(basic::Deliver {
        consumer_tag: "me".into(),
        ..basic::Deliver::default()
    });
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: 2,
        properties: BasicProperties::default(),
    };
    let declared = queue::AMQPMethod::DeclareOk(queue::DeclareOk {
        queue: "jobs".into(),
        message_count: 7,
        consumer_count: 2,
    });
    let blocked = Blocked {
        reason: "low on memory".into(),
    };
    let answer = bytes(&[
        AMQPFrame::Heartbeat,
        AMQPFrame::Method(1, AMQPClass::Basic(deliver)),
        AMQPFrame::Header(1, header),
        on_connection(AMQPMethod::Blocked(blocked)),
        AMQPFrame::Body(1, b"hi".to_vec()),
        AMQPFrame::Method(1, AMQPClass::Queue(declared)),
    ]);
    let not_found = channel::AMQPMethod::Close(channel::Close {
        reply_code: 404,
        reply_text: "NOT_FOUND".into(),
        ..channel::Close::default()
    });
    let not_found = bytes(&[AMQPFrame::Method(1, AMQPClass::Channel(not_found))]);
    let (opened, _peer) = open([welcome(), vec![answer, not_found]].concat()).await;
    let mut connection = opened.unwrap();
    connection.open_channel().await.unwrap();
    let state = connection.inspect_queue("jobs").await.unwrap();
    assert_eq!((state.messages, state.consumers), (7, 2));
    assert_eq!(connection.blocked(), Some("low on memory"));
    assert_eq!(connection.next_message().await.unwrap().body, b"hi");
    let error = connection.inspect_queue("none").await.unwrap_err();
    assert_eq!(error.channel_code(), Some(404));
    assert!(!connection.is_channel_open());
}

#[tokio::test]
async fn waiting_can_be_cancelled_and_resumed() {
    let (opened, _peer) = open(welcome()).await;
    let mut connection = opened.unwrap();
    connection.open_channel().await.unwrap();
    let wait = tokio::time::timeout(Duration::from_millis(20), connection.next_message());
    assert!(wait.await.is_err());
    let long = "n".repeat(256);
    let error = connection.inspect_queue(&long).await.unwrap_err();
    assert_eq!(error.to_string(), "a name has 256 bytes, the limit is 255");
}
