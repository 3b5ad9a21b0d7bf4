//! Acts on containers, and queries their state. See docs.docker.com/reference/api/engine. The paths have no version, so that
//! every engine uses its own: new engines refuse old versions.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;

use super::action::{Action, Done};
use super::container_status::ContainerStatus;
use super::error::{ActError, Failure};
use super::prepare::prepare;
use crate::config::docker::EngineHost;
use crate::model::{Reason, Report, ellipsize};
use crate::net::api_client::{ApiClient, ApiResponse};
use crate::net::engine::{self, SHORT_ID};
use crate::net::network::Network;
use crate::net::run_recorder::RunRecorder;

/// The maximum size of a response. A description with many labels has about 50 kB.
const MAX_RESPONSE_BYTES: usize = 1 << 20;

/// How much of the engine's text a message quotes, in bytes.
const MAX_QUOTED: usize = 200;

/// Acts on a container, and waits for the engine's response.
pub(super) async fn act(
    container: &str,
    host: &EngineHost,
    action: Action,
    network: &Network,
) -> Result<Done, ActError> {
    let doing = format!("{action} container {container}");
    let mut client = engine::client(host, network, true, MAX_RESPONSE_BYTES);
    // The id of the container that was found, so that the engine does not treat a name as the start of another id.
    let found = inspect(&mut client, container, host, &doing);
    let found = prepare(&doing, found).await?;
    // On a reused connection, a request is retried if the engine closes it. The engine may have acted on the first one.
    client.close();
    // A paused container can't be stopped by all engines; the engine's error says so.
    let path = format!("/containers/{}/{action}", found.id);
    let response = send(&mut client, Method::POST, &path, host, &doing, Failure::Lost).await?;
    match response.status {
        StatusCode::NOT_MODIFIED => Ok(Done::Unchanged),
        status if status.is_success() => Ok(Done::Changed),
        // Such as a command that can't be executed.
        StatusCode::INTERNAL_SERVER_ERROR => Err(refusal(&response, host, &doing, Failure::Failed)),
        _ => Err(refusal(&response, host, &doing, Failure::Refused)),
    }
}

/// Queries the state of a container.
pub(super) async fn status(
    container: &str,
    host: &EngineHost,
    network: &Network,
) -> Result<ContainerStatus, ActError> {
    let mut client = engine::client(host, network, false, MAX_RESPONSE_BYTES);
    let doing = format!("querying the state of container {container}");
    inspect(&mut client, container, host, &doing).await
}

async fn inspect(
    client: &mut ApiClient,
    container: &str,
    host: &EngineHost,
    doing: &str,
) -> Result<ContainerStatus, ActError> {
    let path = format!("/containers/{container}/json");
    let response = send(client, Method::GET, &path, host, doing, Failure::Unreachable).await?;
    if !response.status.is_success() {
        return Err(refusal(&response, host, doing, Failure::Refused));
    }
    let found = ContainerStatus::parse(&response.body).map_err(|error| {
        ActError::new(
            Failure::Refused,
            format_args!("{doing}: {host} did not return a container ({error}): is this a Docker engine?"),
        )
    })?;
    // The id becomes a part of a path.
    let is_id = !found.id.is_empty() && found.id.chars().all(|c| c.is_ascii_alphanumeric());
    if is_id && engine::is_identified(container, &found.name, &found.id) {
        return Ok(found);
    }
    Err(ActError::new(
        Failure::Missing,
        format_args!(
            "{doing}: no container has this name; the engine found {} instead: write its name, or at least {SHORT_ID} digits \
             of its id",
            found.name
        ),
    ))
}

/// Sends a request. `lost` is the failure if there is no response, although the engine may have received it.
async fn send(
    client: &mut ApiClient,
    method: Method,
    path: &str,
    host: &EngineHost,
    doing: &str,
    lost: Failure,
) -> Result<ApiResponse, ActError> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, engine::authority(host))
        // Some engines refuse a POST request without it.
        .header(http::header::CONTENT_LENGTH, "0")
        .body(Full::<Bytes>::default())
        .map_err(|error| ActError::new(Failure::Refused, format_args!("{doing}: {error}")))?;
    let mut report = Report::default();
    let mut recorder = RunRecorder::new(&mut report);
    let response = client.request(request, doing, &mut recorder).await;
    recorder.end();
    response.map_err(|problem| {
        let failure = match problem.reason {
            Reason::Permission => Failure::Denied,
            Reason::Closed | Reason::Protocol | Reason::Limit => lost,
            _ => Failure::Unreachable,
        };
        ActError::new(
            failure,
            format_args!("{doing}: {}", engine::advise(problem, host).message()),
        )
    })
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

/// The error of a response that is not a success.
fn refusal(response: &ApiResponse, host: &EngineHost, doing: &str, other: Failure) -> ActError {
    let body = serde_json::from_slice::<ErrorBody>(&response.body);
    let mut text = body.map_or_else(
        |_| String::from_utf8_lossy(&response.body).trim().to_owned(),
        |body| body.message,
    );
    ellipsize(&mut text, MAX_QUOTED);
    let (failure, advice) = match response.status {
        StatusCode::NOT_FOUND => (Failure::Missing, ": list containers with `docker ps --all`"),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            Failure::Denied,
            ": allow it in the engine, or in the proxy in front of it",
        ),
        _ => (other, ""),
    };
    ActError::new(
        failure,
        format_args!(
            "{doing}: the engine at {host} responded with {} \"{text}\"{advice}",
            response.status.as_u16()
        ),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;
    use tokio::time::Instant;

    use super::*;

    /// An engine that dies when it is to restart a container. Returns the number of these requests.
    fn serve_dying(listener: UnixListener) -> Arc<AtomicUsize> {
        let restarts = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&restarts);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                        if buffer[..count].starts_with(b"POST") {
                            counter.fetch_add(1, Ordering::SeqCst);
                            return;
                        }
                        let body =
                            r#"{"Id": "4f66ad9a0b2e", "Name": "/web", "State": {"Status": "running"}}"#;
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                        stream.write_all((head + body).as_bytes()).await.unwrap();
                    }
                });
            }
        });
        restarts
    }

    #[tokio::test]
    async fn an_engine_that_dies_during_an_action_gets_one_request() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock");
        let restarts = serve_dying(UnixListener::bind(&path).unwrap());
        let host = EngineHost::Unix(path);
        let result = act("web", &host, Action::Restart, &Network::default()).await;
        assert_eq!(result.unwrap_err().failure, Failure::Lost);
        assert_eq!(restarts.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_hangs_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("engine.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let began = Instant::now();
        let host = EngineHost::Unix(path);
        let result = act("web", &host, Action::Restart, &Network::default()).await;
        assert_eq!(result.unwrap_err().failure, Failure::Unreachable);
        assert!(began.elapsed() < Duration::from_secs(11), "{:?}", began.elapsed());
    }
}
