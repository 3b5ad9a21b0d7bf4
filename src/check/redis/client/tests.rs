//! Tests of the client against scripted servers.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::*;
use crate::config::secret::SecretSource;
use crate::model::Report;
use crate::net::reusable::MAX_CONNECTION_AGE;
use crate::net::stream::Stream;

/// Answers the requests of each connection in turn with these, in pieces of `piece` bytes, and then closes it. The task
/// returns the requests.
fn serve(path: &Path, connections: Vec<Vec<Vec<u8>>>, piece: usize) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut requests = Vec::new();
        for responses in connections {
            let (mut stream, _) = listener.accept().await.unwrap();
            for response in responses {
                let mut request = [0; 1024];
                let length = stream.read(&mut request).await.unwrap();
                requests.push(String::from_utf8_lossy(&request[..length]).into_owned());
                for piece in response.chunks(piece) {
                    // The client may have closed the connection.
                    let _ = stream.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
            }
        }
        requests
    })
}

fn client(path: &Path, password: Option<&str>) -> RedisClient {
    let server = RedisServer {
        scheme: "unix",
        endpoint: RedisEndpoint::Unix(path.to_owned()),
        username: None,
        password: password.map(|text| SecretSource::Inline(Secret::new(text))),
        database: 0,
    };
    RedisClient::new(&server, &Network::default(), true, 64 << 10)
}

async fn ping(client: &mut RedisClient) -> Result<RedisReply, Problem> {
    let mut report = Report::default();
    let opened = client
        .open(&[Command::new("PING")], &mut RunRecorder::new(&mut report))
        .await?;
    let first = opened.first.clone();
    client.put_back(opened);
    Ok(first)
}

fn pong() -> Result<RedisReply, Problem> {
    Ok(Ok(Value::SimpleString("PONG".to_owned())))
}

const PONG: &[u8] = b"+PONG\r\n";
const PING: &str = "*1\r\n$4\r\nPING\r\n";

#[tokio::test]
async fn a_connection_is_reused_and_replaced_if_the_server_closed_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let fine = || PONG.to_vec();
    let auth = b"+OK\r\n+PONG\r\n".to_vec();
    let served = serve(&path, vec![vec![auth.clone(), fine()], vec![auth, fine()]], 1);
    let mut client = client(&path, Some("secret"));
    for _ in 0..4 {
        assert_eq!(ping(&mut client).await, pong());
    }
    let auth = format!("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n{PING}");
    assert_eq!(served.await.unwrap(), [auth.as_str(), PING, &auth, PING]);
}

#[tokio::test]
async fn an_outdated_connection_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let auth = || vec![b"+OK\r\n+PONG\r\n".to_vec()];
    let _served = serve(&path, vec![auth(), auth(), auth()], 99);
    let secret = dir.path().join("password");
    std::fs::write(&secret, "one").unwrap();
    let mut client = client(&path, None);
    client.server.password = Some(SecretSource::File(secret.clone()));
    assert_eq!(ping(&mut client).await, pong());
    let first = client.idle.as_ref().unwrap().opened();
    std::fs::write(&secret, "two\n").unwrap();
    assert_eq!(ping(&mut client).await, pong());
    let idle = client.idle.as_mut().unwrap();
    assert!(idle.opened() > first && idle.is_current(Some(&Secret::new("two"))));
    idle.make_older(MAX_CONNECTION_AGE);
    let second = idle.opened();
    assert_eq!(ping(&mut client).await, pong());
    assert!(client.idle.as_ref().unwrap().opened() - second > MAX_CONNECTION_AGE);
    std::fs::remove_file(secret).unwrap();
    assert_eq!(ping(&mut client).await.unwrap_err().reason, Reason::Auth);
}

#[tokio::test]
async fn invalid_replies_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let deep = b"*1\r\n".repeat(1000);
    let endless = [b"$99999999\r\n".to_vec(), vec![b'x'; 70_000]].concat();
    let lines = vec![b'+'; 70_000];
    let many = b"*2147483647\r\n:1\r\n".to_vec();
    for (name, response, reason, text) in [
        (
            "http",
            b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
            Reason::Protocol,
            "not the Redis protocol",
        ),
        (
            "binary",
            vec![0x15, 3, 1, 0, 2, 2, 80],
            Reason::Protocol,
            "not the Redis protocol",
        ),
        (
            "length",
            b"$-9223372036854775808x\r\n".to_vec(),
            Reason::Protocol,
            "not the Redis protocol",
        ),
        ("deep", deep, Reason::Protocol, "not the Redis protocol"),
        ("endless", endless, Reason::Limit, "it sent more than 65536 bytes"),
        ("lines", lines, Reason::Limit, "it sent more than 65536 bytes"),
        (
            "many",
            many,
            Reason::Closed,
            "the server closed the connection before its response",
        ),
        (
            "half",
            b"+PON".to_vec(),
            Reason::Closed,
            "the server closed the connection before its response",
        ),
        (
            "nothing",
            Vec::new(),
            Reason::Closed,
            "the server closed the connection before its response",
        ),
    ] {
        let path = dir.path().join(name);
        let _served = serve(&path, vec![vec![response]], 4096);
        let mut client = client(&path, None);
        let problem = ping(&mut client).await.unwrap_err();
        assert_eq!(problem.reason, reason, "{name}: {problem}");
        let start = format!("{}, PING: ", path.display());
        assert!(
            problem.message().starts_with(&start) && problem.message().contains(text),
            "{problem}"
        );
        assert!(client.idle.is_none());
    }
}

#[tokio::test]
async fn a_refusal_does_not_show_the_password() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let refused = b"-WRONGPASS invalid\r\n-NOAUTH Authentication required.\r\n".to_vec();
    let _served = serve(&path, vec![vec![refused]], 99);
    let mut client = client(&path, Some("hunter2"));
    let problem = ping(&mut client).await.unwrap_err();
    assert_eq!(problem.reason, Reason::Auth);
    assert!(
        problem
            .message()
            .contains("AUTH: the server rejects the password"),
        "{problem}"
    );
    let shown = format!(
        "{problem:?} {client:?} {:?}",
        client.login_commands(Some(&Secret::new("hunter2")))
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_cancelled_wait_can_be_resumed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let mut report = Report::default();
    let mut recorder = RunRecorder::new(&mut report);
    let stream = Stream::unix(&path, &ReadBudget::new(99)).await.unwrap();
    let (mut theirs, _) = listener.accept().await.unwrap();
    let mut session = RedisSession::new(stream, "x".to_owned());
    session
        .send(&[Command::new("BRPOP").arg(&["a", "0"])], &mut recorder)
        .await
        .unwrap();
    let soon = Duration::from_millis(20);
    for piece in ["*2\r\n$1\r\n", "a\r\n$3\r", "\nab"] {
        theirs.write_all(piece.as_bytes()).await.unwrap();
        assert!(
            tokio::time::timeout(soon, session.reply(&mut recorder))
                .await
                .is_err()
        );
        assert!(!session.is_answered());
    }
    theirs.write_all(b"c\r\n:17\r\n").await.unwrap();
    let reply = session.reply(&mut recorder).await.unwrap().unwrap();
    let Value::Array(items) = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(items.iter().filter_map(text).collect::<Vec<_>>(), ["a", "abc"]);
    // What came too much is gone, and what comes unrequests is noticed.
    assert!(session.is_idle().await);
    theirs.write_all(b"+").await.unwrap();
    tokio::time::sleep(soon).await;
    assert!(!session.is_idle().await);
    assert_eq!(
        recorder.step().to_string(),
        "waiting for the response of x to BRPOP"
    );
}
