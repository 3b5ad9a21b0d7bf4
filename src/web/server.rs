//! Accepts connections, bounds their number, and stops in good order.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::State;
use super::body::Answering;
use super::connections::{Activity, Connections, Phase};
use super::routes::answer;
use super::stream::Limited;

/// The most connections of one listener. One more, and the one that can be missed best is closed.
pub const MAX_CONNECTIONS: usize = 512;
/// The longest head of a request, in bytes, and the most header fields in it.
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// What hyper may buffer of a connection in each direction, in bytes.
const MAX_BUFFER_BYTES: usize = 32 * 1024;
/// How long answers under way may take once the server stops.
const GRACE: Duration = Duration::from_millis(1500);
/// How long to wait after a failed accept, at first and at most.
const ACCEPT_BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Serves until `shutdown` completes, then lets answers under way come to their end, but not for longer than 1.5 s.
pub async fn serve(listener: TcpListener, state: Arc<State>, shutdown: impl Future<Output = ()>) {
    let connections = Arc::new(Connections::default());
    let live = Arc::clone(&state.live);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ids = 0..;
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = tasks.join_next() => continue,
            stream = accept(&listener) => stream,
        };
        let activity = Activity::new();
        let id = ids.next().unwrap_or_default();
        let registration = connections.register(id, &activity, MAX_CONNECTIONS);
        let (state, stopping) = (Arc::clone(&state), stopping.clone());
        tasks.spawn(async move {
            serve_connection(stream, state, activity, stopping).await;
            drop(registration);
        });
    }
    drop(listener);
    // Streams of events have no end of their own.
    live.close();
    stop.send_replace(true);
    let ended = timeout(GRACE, async { while tasks.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(
            connections = connections.count(),
            "closing connections whose answers take too long"
        );
    }
}

/// The next connection. Errors, such as that of too many open files, are waited out.
async fn accept(listener: &TcpListener) -> TcpStream {
    let [mut backoff, longest] = ACCEPT_BACKOFF;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, retry_in = ?backoff, "accepting a connection");
                sleep(backoff).await;
                backoff = (backoff * 2).min(longest);
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    state: Arc<State>,
    activity: Arc<Activity>,
    mut stopping: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "setting TCP_NODELAY");
    }
    let io = TokioIo::new(Limited::new(stream, Arc::clone(&activity)));
    let service = service_fn(|request| {
        let answering = Answering::new(&activity);
        answer(Arc::clone(&state), request, answering)
    });
    let connection = http1::Builder::new()
        .half_close(true)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(MAX_BUFFER_BYTES)
        // The stream does it, and tells waiting for a request from waiting between requests.
        .header_read_timeout(None)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "serving a connection");
                }
                return;
            }
            () = activity.evicted.notified() => {
                tracing::debug!("closing a connection because there are too many");
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !is_stopping => {
                if !matches!(activity.get().0, Phase::Busy | Phase::Finishing) {
                    return;
                }
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
