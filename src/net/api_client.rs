//! Requests to the HTTP interfaces of servers (a broker's management, an object store, a container engine): one kept
//! connection a check, over TCP, TLS or a Unix socket, and answers of bounded size. A kept connection is replaced when the
//! server closed it, and when it is [`MAX_CONNECTION_AGE`] old.

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::dial::dial;
use super::http::{AnswerFirst, Driver, MAX_HEAD_BYTES, drive, problem};
use super::network::Network;
use super::run_recorder::{Phase, RunRecorder, Step};
use super::stream::{MAX_CONNECTION_AGE, ReadBudget, Stream};
use super::tls::{CertificateRecorder, TlsClient};
use crate::config::address::{AddressPreference, HostPort};
use crate::model::{Problem, Reason};

/// Where an interface is served.
#[derive(Debug)]
pub enum Endpoint {
    /// At a host, behind TLS where there is a client for it.
    Host {
        /// The host.
        address: HostPort,
        /// Which of its addresses.
        preference: AddressPreference,
        /// The TLS side.
        tls: Option<Box<TlsClient>>,
    },
    /// At a Unix socket.
    Unix(PathBuf),
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host { address, .. } => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A client of one interface.
pub struct ApiClient {
    endpoint: Endpoint,
    network: Network,
    /// Whether the connection is kept between requests of different runs.
    is_reusing: bool,
    max_body_bytes: usize,
    allowance: ReadBudget,
    connection: Option<Connection>,
}

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiClient")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Option<Driver>,
    made: Instant,
    /// The certificates of its handshake: what a run over the kept connection knows of them.
    certificates: Option<Arc<CertificateRecorder>>,
}

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl ApiClient {
    /// A client of `endpoint`, which takes bodies of at most `max_body_bytes` and whose connection is kept between runs
    /// where `is_reusing`.
    pub fn new(endpoint: Endpoint, network: &Network, is_reusing: bool, max_body_bytes: usize) -> Self {
        Self {
            endpoint,
            network: network.clone(),
            is_reusing,
            max_body_bytes,
            // What all requests of a run may bring; the single bodies are bounded closer.
            allowance: ReadBudget::new(4 * (max_body_bytes + MAX_HEAD_BYTES) as u64),
            connection: None,
        }
    }

    /// Begins a run.
    pub fn begin(&mut self) {
        self.allowance.renew();
        let is_reusing = self.is_reusing;
        self.connection
            .take_if(|kept| !is_reusing || kept.made.elapsed() >= MAX_CONNECTION_AGE);
    }

    /// Closes the connection: the next request makes a new one.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// Requests, and takes the whole answer. The request has a path and a `Host`; `doing` says in messages what it is for,
    /// as in "asking for the nodes". Where the server closed a kept connection meanwhile, a new one is made, once.
    ///
    /// # Errors
    /// Why there is no whole answer. An answer of any status is one.
    pub async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
        doing: &str,
        trace: &mut RunRecorder<'_>,
    ) -> Result<Answer, Problem> {
        // What is cancelled here is not kept: the connection goes back only after a whole answer.
        if let Some(kept) = self.connection.take()
            && let Some(result) = self.exchange(kept, request.clone(), doing, trace, true).await
        {
            return result;
        }
        let new = self.connect(trace).await?;
        self.exchange(new, request, doing, trace, false)
            .await
            .unwrap_or_else(|| Err(Problem::new(Reason::Closed, self.closed(doing))))
    }

    fn closed(&self, doing: &str) -> String {
        format!(
            "{}, {doing}: it closed the connection before the end",
            self.endpoint
        )
    }

    /// One exchange; `None` where a kept connection turns out to be closed before any of the answer came.
    async fn exchange(
        &mut self,
        mut connection: Connection,
        request: Request<Full<Bytes>>,
        doing: &str,
        trace: &mut RunRecorder<'_>,
        is_kept: bool,
    ) -> Option<Result<Answer, Problem>> {
        trace.enter(Phase::Processing);
        trace.at(Step::Doing(format!("{doing} at {}", self.endpoint).into()));
        let failed = |error: &hyper::Error| Err(problem(error, &self.endpoint, doing));
        let Connection { sender, driver, .. } = &mut connection;
        let response = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let response = match drive(driver, response).await {
            Ok(response) => response,
            Err(error) => {
                let is_stale = problem(&error, &self.endpoint, doing).reason == Reason::Closed;
                return (!(is_kept && is_stale)).then(|| failed(&error));
            }
        };
        trace.enter(Phase::Transfer);
        let (head, body) = response.into_parts();
        let body = match read(driver, body, self.max_body_bytes).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                let message = format!(
                    "{}, {doing}: the answer has more than {} bytes",
                    self.endpoint, self.max_body_bytes
                );
                return Some(Err(Problem::new(Reason::Limit, message)));
            }
            Err(error) => return Some(failed(&error)),
        };
        trace.leave();
        if trace.certificates.is_none() {
            trace.certificates.clone_from(&connection.certificates);
        }
        if connection.driver.is_some() {
            self.connection = Some(connection);
        }
        Some(Ok(Answer {
            status: head.status,
            headers: head.headers,
            body,
        }))
    }

    async fn connect(&mut self, trace: &mut RunRecorder<'_>) -> Result<Connection, Problem> {
        let allowance = &self.allowance;
        let is_tls = matches!(&self.endpoint, Endpoint::Host { tls: Some(_), .. });
        let stream = match &mut self.endpoint {
            Endpoint::Unix(path) => Stream::unix(path, allowance).await?,
            Endpoint::Host {
                address,
                preference,
                tls,
            } => {
                let (stream, peer) = dial(&self.network.resolver, address, *preference, trace).await?;
                match tls {
                    None => Stream::tcp(stream, allowance)?,
                    Some(tls) => Stream::tls(
                        tls.handshake(stream, peer, &address.host, trace).await?,
                        allowance,
                    ),
                }
            }
        };
        let handshake = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_header_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(AnswerFirst::new(stream)));
        let (sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, &self.endpoint, "connecting"))?;
        Ok(Connection {
            sender,
            driver: Some(Box::pin(connection)),
            made: Instant::now(),
            certificates: trace.certificates.clone().filter(|_| is_tls),
        })
    }
}

/// The whole body; `None` where it is longer than `most`.
async fn read(
    driver: &mut Option<Driver>,
    mut body: Incoming,
    most: usize,
) -> Result<Option<Bytes>, hyper::Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = drive(driver, body.frame()).await {
        if let Ok(data) = frame?.into_data() {
            if whole.len() + data.len() > most {
                return Ok(None);
            }
            whole.extend_from_slice(&data);
        }
    }
    Ok(Some(whole.freeze()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;
    use crate::model::Report;

    /// Answers each connection's requests with these, then closes it.
    fn serve(path: &std::path::Path, connections: Vec<Vec<&'static str>>) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            for answers in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let mut request = [0; 1024];
                    assert!(stream.read(&mut request).await.unwrap() > 0);
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
    }

    fn client(path: &std::path::Path, is_reusing: bool) -> ApiClient {
        ApiClient::new(
            Endpoint::Unix(path.to_owned()),
            &Network::default(),
            is_reusing,
            8,
        )
    }

    async fn get(client: &mut ApiClient) -> Result<String, Problem> {
        let mut report = Report::default();
        let mut trace = RunRecorder::new(&mut report);
        let request = Request::get("/")
            .header("Host", "localhost")
            .body(Full::default());
        client.begin();
        let answer = client.request(request.unwrap(), "asking", &mut trace).await?;
        Ok(format!(
            "{} {}",
            answer.status.as_u16(),
            String::from_utf8_lossy(&answer.body)
        ))
    }

    const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    const LONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789";

    #[tokio::test]
    async fn a_connection_is_kept_and_replaced_when_the_server_closed_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        serve(&path, vec![vec![FINE, FINE], vec![FINE, "garbage\r\n\r\n"]]);
        let mut client = client(&path, true);
        for _ in 0..3 {
            assert_eq!(get(&mut client).await, Ok("200 fine".to_owned()));
        }
        let problem = get(&mut client).await.unwrap_err();
        assert_eq!(problem.reason, Reason::Protocol, "{problem}");
        assert!(client.connection.is_none());
    }

    #[tokio::test]
    async fn a_connection_is_kept_for_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        serve(&path, vec![vec![FINE, FINE], vec![LONG]]);
        let mut client = client(&path, true);
        for age in [0, 59] {
            client
                .connection
                .iter_mut()
                .for_each(|kept| kept.made -= Duration::from_secs(age));
            assert_eq!(get(&mut client).await, Ok("200 fine".to_owned()));
        }
        client
            .connection
            .iter_mut()
            .for_each(|kept| kept.made -= Duration::from_secs(1));
        assert_eq!(
            get(&mut client).await.unwrap_err().reason,
            Reason::Limit,
            "a new one"
        );
    }

    #[tokio::test]
    async fn a_fresh_connection_each_run_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        serve(&path, vec![vec![FINE], vec![FINE], vec![]]);
        let mut client = client(&path, false);
        assert_eq!(get(&mut client).await, Ok("200 fine".to_owned()));
        assert_eq!(get(&mut client).await, Ok("200 fine".to_owned()));
        let problem = get(&mut client).await.unwrap_err();
        assert_eq!(problem.reason, Reason::Closed, "{problem}");
    }

    #[tokio::test]
    async fn an_answer_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        serve(&path, vec![vec![LONG]]);
        let problem = get(&mut client(&path, true)).await.unwrap_err();
        assert_eq!(problem.reason, Reason::Limit);
        assert!(
            problem
                .message()
                .ends_with("asking: the answer has more than 8 bytes"),
            "{problem}"
        );
    }

    #[tokio::test]
    async fn an_answer_before_the_request_is_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(FINE.as_bytes()).await.unwrap();
            }
        });
        let mut client = client(&path, true);
        for _ in 0..40 {
            assert_eq!(get(&mut client).await, Ok("200 fine".to_owned()));
        }
    }
}
