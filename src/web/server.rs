//! Accepts connections, bounds their number, and shuts down gracefully.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use rustix::io::Errno;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::admission_layer::AdmissionLayer;
use super::client::Client;
use super::connections::{Activity, Connections, Phase};
use super::peer::Peer;
use super::protocol::{RequestHandler, http1, http2};
use super::socket::{Listener, Socket};
use super::state::State;
use super::tls;
use super::watched_config::WebConfig;
use crate::log_throttle::LogThrottle;

/// How long responses in progress may take once the server stops.
const GRACE_PERIOD: Duration = Duration::from_millis(1500);
/// The pause after a failed accept: at first, and at most.
const ACCEPT_BACKOFF: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// Serves plain HTTP without users until `shutdown` completes; see [`serve_behind`].
pub async fn serve(listener: impl Into<Listener>, state: Arc<State>, shutdown: impl Future<Output = ()>) {
    serve_behind(
        AdmissionLayer::new(WebConfig::none()),
        listener.into(),
        state,
        shutdown,
    )
    .await;
}

/// Serves behind `admission_layer` until `shutdown` completes. Then waits at most 1.5 s for responses in progress.
pub async fn serve_behind(
    admission_layer: Arc<AdmissionLayer>,
    listener: Listener,
    state: Arc<State>,
    shutdown: impl Future<Output = ()>,
) {
    let connections = Arc::new(Connections::default());
    let event_hub = Arc::clone(&state.event_hub);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ids = 0..;
    let failures = LogThrottle::default();
    loop {
        let max = admission_layer.max_connections();
        // An evicted connection has its descriptor until its task ends, so a burst of clients must wait for that.
        let has_room = tasks.len() <= max;
        let (socket, peer) = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = tasks.join_next() => continue,
            accepted = accept(&listener, &connections, &failures), if has_room => accepted,
        };
        let activity = Activity::new();
        let id = ids.next().unwrap_or_default();
        let registration = connections.register(id, peer, &activity, max);
        let handler = RequestHandler {
            admission_layer: Arc::clone(&admission_layer),
            state: Arc::clone(&state),
            client: Client {
                peer,
                socket: socket.handle(),
            },
            activity,
        };
        let stopping = stopping.clone();
        tasks.spawn(async move {
            serve_connection(socket, handler, stopping).await;
            drop(registration);
        });
    }
    drop(listener);
    // Event streams never end by themselves.
    event_hub.close();
    stop.send_replace(true);
    let ended = timeout(GRACE_PERIOD, async { while tasks.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        tracing::warn!(
            connections = connections.count(),
            "closing connections whose responses take too long"
        );
    }
}

/// Accepts the next connection. Retries after an error, with a growing pause. If no descriptor is left, closes the least
/// important connection, so that idle clients don't block scrapes. Clients can cause errors, so the log is throttled.
async fn accept(listener: &Listener, connections: &Connections, failures: &LogThrottle) -> (Socket, Peer) {
    let [mut backoff, longest] = ACCEPT_BACKOFF;
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                if let Some(suppressed) = failures.allow() {
                    tracing::warn!(%error, suppressed, "failed to accept a connection; retrying");
                }
                let errno = Errno::from_io_error(&error);
                if matches!(errno, Some(Errno::MFILE | Errno::NFILE)) {
                    connections.evict();
                }
                sleep(backoff).await;
                backoff = (backoff * 2).min(longest);
            }
        }
    }
}

async fn serve_connection(socket: Socket, handler: RequestHandler, mut stopping: watch::Receiver<bool>) {
    let activity = Arc::clone(&handler.activity);
    let Some(config) = handler.admission_layer.active().settings.tls.clone() else {
        return drive(http1(socket, handler), &activity, stopping).await;
    };
    // A connection is new until its first request, so the request timeout includes the handshake.
    let secured = tokio::select! {
        secured = tls::accept(socket, config) => secured,
        () = activity.evicted.notified() => None,
        _ = stopping.wait_for(|stop| *stop) => None,
    };
    let Some(stream) = secured else { return };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        drive(http2(stream, handler), &activity, stopping).await;
    } else {
        drive(http1(stream, handler), &activity, stopping).await;
    }
}

/// Drives a connection until it ends, is evicted, or the server stops.
async fn drive<C: GracefulConnection<Error: Display>>(
    connection: C,
    activity: &Activity,
    mut stopping: watch::Receiver<bool>,
) {
    let mut connection = std::pin::pin!(connection);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            result = connection.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%error, "connection failed");
                }
                return;
            }
            () = activity.evicted.notified() => {
                tracing::debug!("closing a connection to make room for another one");
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !is_stopping => {
                if !matches!(activity.phase().0, Phase::Busy | Phase::Finishing) {
                    return;
                }
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
