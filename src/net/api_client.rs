//! A client of the HTTP API of a server, such as the management of a broker or a container engine. It reuses one connection
//! over TCP, TLS or a Unix socket, and bounds the size of responses.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::endpoint::Endpoint;
use super::http::{Driver, EarlyResponse, MAX_HEAD_BYTES, drive, problem};
use super::read_budget::ReadBudget;
use super::reusable::Reusable;
use super::run_recorder::{Phase, RunRecorder, Step};
use crate::model::{Problem, Reason};

/// How many responses of the largest size a run may read.
const MAX_LARGEST_RESPONSES: u64 = 4;

/// A client of one API.
pub struct ApiClient {
    endpoint: Endpoint,
    /// Whether later runs reuse the connection.
    is_reusing: bool,
    max_body_bytes: usize,
    read_budget: ReadBudget,
    connection: Option<Reusable<Connection>>,
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
}

/// A complete response.
#[derive(Debug)]
pub struct ApiResponse {
    /// The status.
    pub status: StatusCode,
    /// The header.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl ApiClient {
    /// A client that accepts bodies of at most `max_body_bytes`. If `is_reusing`, later runs reuse its connection.
    pub fn new(endpoint: Endpoint, is_reusing: bool, max_body_bytes: usize) -> Self {
        Self {
            endpoint,
            is_reusing,
            max_body_bytes,
            read_budget: ReadBudget::new(MAX_LARGEST_RESPONSES * (max_body_bytes + MAX_HEAD_BYTES) as u64),
            connection: None,
        }
    }

    /// Begins a run. Closes the connection if it may not be reused.
    pub fn begin(&mut self) {
        self.read_budget.renew();
        let is_reusing = self.is_reusing;
        self.connection
            .take_if(|connection| !is_reusing || !connection.is_current(None));
    }

    /// Closes the connection. The next request opens a new one.
    pub fn close(&mut self) {
        self.connection = None;
    }

    /// Sends a request, and reads the complete response. The request needs a path and a `Host`. Messages contain `doing`,
    /// such as "listing the buckets". If the server closed the reused connection, the request is retried once.
    ///
    /// # Errors
    /// Why there is no complete response. A response with any status is not an error.
    pub async fn request(
        &mut self,
        request: Request<Full<Bytes>>,
        doing: &str,
        recorder: &mut RunRecorder<'_>,
    ) -> Result<ApiResponse, Problem> {
        // The connection is put back after a complete response only, so cancelling the run closes it.
        if let Some(reused) = self.connection.take()
            && let Some(result) = self
                .exchange(reused, request.clone(), doing, recorder, true)
                .await
        {
            return result;
        }
        let new = self.connect(recorder).await?;
        self.exchange(new, request, doing, recorder, false)
            .await
            .unwrap_or_else(|| {
                let message = format_args!(
                    "{}, {doing}: it closed the connection before the end",
                    self.endpoint
                );
                Err(Problem::new(Reason::Closed, message))
            })
    }

    /// Sends one request. `None` if the server closed a reused connection before it sent any of the response.
    async fn exchange(
        &mut self,
        mut connection: Reusable<Connection>,
        request: Request<Full<Bytes>>,
        doing: &str,
        recorder: &mut RunRecorder<'_>,
        is_reused: bool,
    ) -> Option<Result<ApiResponse, Problem>> {
        recorder.enter(Phase::Processing);
        recorder.at(Step::Doing(format!("{doing} at {}", self.endpoint).into()));
        let failed = |error: &hyper::Error| Err(problem(error, &self.endpoint, doing));
        let Connection { sender, driver } = &mut *connection;
        let response = async {
            sender.ready().await?;
            sender.send_request(request).await
        };
        let response = match drive(driver, pin!(response)).await {
            Ok(response) => response,
            Err(error) => {
                let is_closed = problem(&error, &self.endpoint, doing).reason == Reason::Closed;
                return (!(is_reused && is_closed)).then(|| failed(&error));
            }
        };
        recorder.enter(Phase::Transfer);
        let (head, body) = response.into_parts();
        let body = match read(driver, body, self.max_body_bytes).await {
            Ok(Some(body)) => body,
            Ok(None) => {
                let message = format!(
                    "{}, {doing}: the response has more than {} bytes",
                    self.endpoint, self.max_body_bytes
                );
                return Some(Err(Problem::new(Reason::Limit, message)));
            }
            Err(error) => return Some(failed(&error)),
        };
        recorder.leave();
        connection.record_certificates(recorder);
        if connection.driver.is_some() {
            self.connection = Some(connection);
        }
        Some(Ok(ApiResponse {
            status: head.status,
            headers: head.headers,
            body,
        }))
    }

    async fn connect(&mut self, recorder: &mut RunRecorder<'_>) -> Result<Reusable<Connection>, Problem> {
        let stream = self.endpoint.connect(&self.read_budget, recorder).await?;
        let handshake = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .max_header_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(EarlyResponse::new(stream)));
        let (sender, connection) = handshake
            .await
            .map_err(|error| problem(&error, &self.endpoint, "connecting"))?;
        let connection = Connection {
            sender,
            driver: Some(Box::pin(connection)),
        };
        Ok(Reusable::new(connection, None, recorder))
    }
}

/// Reads the whole body; `None` if it is longer than `max_bytes`.
async fn read(
    driver: &mut Option<Driver>,
    mut body: Incoming,
    max_bytes: usize,
) -> Result<Option<Bytes>, hyper::Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = drive(driver, pin!(body.frame())).await {
        if let Ok(data) = frame?.into_data() {
            if whole.len() + data.len() > max_bytes {
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

    /// Sends these responses on each connection, then closes it.
    fn serve(path: &std::path::Path, connections: Vec<Vec<&'static str>>) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            for responses in connections {
                let (mut stream, _) = listener.accept().await.unwrap();
                for response in responses {
                    let mut request = [0; 1024];
                    assert!(stream.read(&mut request).await.unwrap() > 0);
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            }
        });
    }

    fn client(path: &std::path::Path, is_reusing: bool) -> ApiClient {
        ApiClient::new(Endpoint::Unix(path.to_owned()), is_reusing, 8)
    }

    async fn get(client: &mut ApiClient) -> Result<String, Problem> {
        let mut report = Report::default();
        let mut recorder = RunRecorder::new(&mut report);
        let request = Request::get("/")
            .header("Host", "localhost")
            .body(Full::default());
        client.begin();
        let response = client
            .request(request.unwrap(), "requesting", &mut recorder)
            .await?;
        Ok(format!(
            "{} {}",
            response.status.as_u16(),
            String::from_utf8_lossy(&response.body)
        ))
    }

    const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
    const LONG: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789";

    #[tokio::test]
    async fn a_connection_is_reused_and_replaced_when_the_server_closed_it() {
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
    async fn a_connection_is_reused_for_a_minute() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        serve(&path, vec![vec![FINE, FINE], vec![LONG]]);
        let mut client = client(&path, true);
        for age in [0, 59] {
            client
                .connection
                .iter_mut()
                .for_each(|connection| connection.make_older(Duration::from_secs(age)));
            assert_eq!(get(&mut client).await, Ok("200 fine".to_owned()));
        }
        client
            .connection
            .iter_mut()
            .for_each(|connection| connection.make_older(Duration::from_secs(1)));
        assert_eq!(
            get(&mut client).await.unwrap_err().reason,
            Reason::Limit,
            "a new one"
        );
    }

    #[tokio::test]
    async fn without_reuse_every_run_opens_a_connection() {
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
    async fn a_response_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        serve(&path, vec![vec![LONG]]);
        let problem = get(&mut client(&path, true)).await.unwrap_err();
        assert_eq!(problem.reason, Reason::Limit);
        assert!(
            problem
                .message()
                .ends_with("requesting: the response has more than 8 bytes"),
            "{problem}"
        );
    }

    #[tokio::test]
    async fn a_response_before_the_request_is_accepted() {
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
