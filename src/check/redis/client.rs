//! A check's one connection to a Redis server. It is authenticated, reused by later runs, and replaced when it is closed or
//! outdated.

use redis::Value;

use super::session::{Command, Reply, Session};
use crate::config::redis::server::{RedisEndpoint, RedisServer};
use crate::config::secret::Secret;
use crate::model::{Problem, Reason};
use crate::net::endpoint::{Endpoint, HostEndpoint};
use crate::net::network::Network;
use crate::net::read_budget::ReadBudget;
use crate::net::reusable::Reusable;
use crate::net::run_recorder::{Phase, RunRecorder};
use crate::net::shortage;

/// The client of one server.
#[derive(Debug)]
pub struct RedisClient {
    server: RedisServer,
    endpoint: Endpoint,
    is_reusing: bool,
    read_budget: ReadBudget,
    idle: Option<Reusable<Session>>,
}

/// A connection that has answered in this run.
#[derive(Debug)]
pub struct Opened {
    /// The connection; it has the answers to all commands but the first.
    pub session: Reusable<Session>,
    /// The answer to the first command.
    pub first: Reply,
}

impl RedisClient {
    /// A client that reads at most `max_bytes` per run. If `is_reusing`, later runs reuse its connection.
    pub fn new(server: &RedisServer, network: &Network, is_reusing: bool, max_bytes: u64) -> Self {
        let endpoint = match &server.endpoint {
            RedisEndpoint::Unix(path) => Endpoint::Unix(path.clone()),
            RedisEndpoint::Host {
                address,
                preference,
                tls,
            } => HostEndpoint::new(network, address, *preference)
                .with_tls(tls.as_ref(), &[])
                .into(),
        };
        Self {
            server: server.clone(),
            endpoint,
            is_reusing,
            read_budget: ReadBudget::new(max_bytes),
            idle: None,
        }
    }

    /// Begins a run: has a connection that is authenticated and in the right database, sends `commands` and waits for the
    /// answer to the first one (PING, say). The others' answers are outstanding. A kept connection that the server has
    /// closed meanwhile is replaced, once. The connection is the caller's until it is given to [`Self::keep`].
    ///
    /// # Errors
    /// Why there is no connection, or no answer.
    pub async fn open(
        &mut self,
        commands: &[Command],
        trace: &mut RunRecorder<'_>,
    ) -> Result<Opened, Problem> {
        self.read_budget.renew();
        let idle = self.idle.take();
        let password = match &self.server.password {
            None => None,
            Some(source) => match source.read() {
                Ok(password) => Some(password),
                Err(error) => return Err(shortage::problem(Reason::Auth, &error, &error)),
            },
        };
        if let Some(session) = idle
            && session.is_current(password.as_ref())
            && let Some(result) = reuse(session, commands, trace).await
        {
            return result;
        }
        let stream = self.endpoint.connect(&self.read_budget, trace).await?;
        trace.enter(Phase::Processing);
        let session = Session::new(stream, self.server.endpoint.to_string());
        let (session, first) = self.greet(session, password.as_ref(), commands, trace).await?;
        let session = Reusable::new(session, password, trace);
        Ok(Opened { session, first })
    }

    /// Makes a new connection ours, and takes the first answer on it.
    async fn greet(
        &self,
        mut session: Session,
        password: Option<&Secret>,
        commands: &[Command],
        trace: &mut RunRecorder<'_>,
    ) -> Result<(Session, Reply), Problem> {
        let mut greeting = self.greeting(password);
        let greetings = greeting.len();
        greeting.extend(commands.iter().cloned());
        let first = async {
            session.send(&greeting, trace).await?;
            for command in &greeting[..greetings] {
                if let Err(error) = session.reply(trace).await? {
                    return Err(session.refused(command.name(), &error));
                }
            }
            session.reply(trace).await
        };
        match first.await {
            Ok(first) => Ok((session, first)),
            // That is what a server with TLS does with a client without.
            Err(problem) if problem.reason == Reason::Closed && self.is_plain() => {
                let message = format_args!(
                    "{} (if this is a port of TLS, write rediss://)",
                    problem.message()
                );
                Err(Problem::new(Reason::Closed, message))
            }
            Err(problem) => Err(problem),
        }
    }

    fn is_plain(&self) -> bool {
        matches!(&self.server.endpoint, RedisEndpoint::Host { tls: None, .. })
    }

    /// Keeps the connection for the next run, where connections are kept and no answer is outstanding.
    pub fn keep(&mut self, opened: Opened) {
        if self.is_reusing && opened.session.is_answered() {
            self.idle = Some(opened.session);
        }
    }

    /// The commands that make a new connection ours.
    fn greeting(&self, password: Option<&Secret>) -> Vec<Command> {
        let mut commands = Vec::new();
        if let Some(password) = password {
            // Servers before Redis 6 know no users.
            let auth = Command::new("AUTH").arg(self.server.username.as_deref());
            commands.push(auth.arg(password.expose()));
        }
        // Every connection begins in database 0. Sentinels know no databases, and cluster nodes this one only.
        if self.server.database != 0 {
            commands.push(Command::new("SELECT").arg(self.server.database));
        }
        commands
    }
}

/// Sends the commands on a reused connection, and waits for the first answer. `None` if the connection is closed, or if
/// something unexpected came on it.
async fn reuse(
    mut session: Reusable<Session>,
    commands: &[Command],
    trace: &mut RunRecorder<'_>,
) -> Option<Result<Opened, Problem>> {
    if !session.is_idle().await {
        return None;
    }
    let first = async {
        session.send(commands, trace).await?;
        session.reply(trace).await
    };
    match first.await {
        Ok(first) => {
            session.record_certificates(trace);
            Some(Ok(Opened { session, first }))
        }
        Err(problem) if problem.reason == Reason::Closed => None,
        Err(problem) => Some(Err(problem)),
    }
}

/// The text of an answer, where it is one.
pub fn text(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.into()),
        Value::Okay => Some("OK".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::path::Path;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::config::secret::SecretSource;
    use crate::model::Report;
    use crate::net::reusable::MAX_CONNECTION_AGE;
    use crate::net::stream::Stream;

    /// Answers the requests of each connection in turn with these, in pieces of `piece` bytes, and then closes it. What
    /// was asked for is returned.
    fn serve(path: &Path, connections: Vec<Vec<Vec<u8>>>, piece: usize) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            let mut asked = Vec::new();
            for answers in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let mut request = [0; 1024];
                    let length = stream.read(&mut request).await.unwrap();
                    asked.push(String::from_utf8_lossy(&request[..length]).into_owned());
                    for piece in answer.chunks(piece) {
                        // The client may have had enough.
                        let _ = stream.write_all(piece).await;
                        tokio::task::yield_now().await;
                    }
                }
            }
            asked
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

    async fn ping(client: &mut RedisClient) -> Result<Reply, Problem> {
        let mut report = Report::default();
        let opened = client
            .open(&[Command::new("PING")], &mut RunRecorder::new(&mut report))
            .await?;
        let first = opened.first.clone();
        client.keep(opened);
        Ok(first)
    }

    fn pong() -> Result<Reply, Problem> {
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
    async fn what_is_wrong_with_an_answer_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let deep = b"*1\r\n".repeat(1000);
        let endless = [b"$99999999\r\n".to_vec(), vec![b'x'; 70_000]].concat();
        let lines = vec![b'+'; 70_000];
        let many = b"*2147483647\r\n:1\r\n".to_vec();
        for (name, answer, reason, text) in [
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
                "it closed the connection before the answer",
            ),
            (
                "half",
                b"+PON".to_vec(),
                Reason::Closed,
                "it closed the connection before the answer",
            ),
            (
                "nothing",
                Vec::new(),
                Reason::Closed,
                "it closed the connection before the answer",
            ),
        ] {
            let path = dir.path().join(name);
            let _served = serve(&path, vec![vec![answer]], 4096);
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
    async fn a_refusal_is_told_without_the_password() {
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
                .contains("AUTH: the server refuses the password"),
            "{problem}"
        );
        let shown = format!(
            "{problem:?} {client:?} {:?}",
            client.greeting(Some(&Secret::new("hunter2")))
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_cancelled_wait_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("redis.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut report = Report::default();
        let mut trace = RunRecorder::new(&mut report);
        let stream = Stream::unix(&path, &ReadBudget::new(99)).await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let mut session = Session::new(stream, "x".to_owned());
        session
            .send(&[Command::new("BRPOP").arg(&["a", "0"])], &mut trace)
            .await
            .unwrap();
        let soon = Duration::from_millis(20);
        for piece in ["*2\r\n$1\r\n", "a\r\n$3\r", "\nab"] {
            theirs.write_all(piece.as_bytes()).await.unwrap();
            assert!(
                tokio::time::timeout(soon, session.reply(&mut trace))
                    .await
                    .is_err()
            );
            assert!(!session.is_answered());
        }
        theirs.write_all(b"c\r\n:17\r\n").await.unwrap();
        let reply = session.reply(&mut trace).await.unwrap().unwrap();
        let Value::Array(items) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(items.iter().filter_map(text).collect::<Vec<_>>(), ["a", "abc"]);
        // What came too much is gone, and what comes unasked is noticed.
        assert!(session.is_idle().await);
        theirs.write_all(b"+").await.unwrap();
        tokio::time::sleep(soon).await;
        assert!(!session.is_idle().await);
        assert_eq!(trace.step().to_string(), "waiting for x's answer to BRPOP");
    }
}
