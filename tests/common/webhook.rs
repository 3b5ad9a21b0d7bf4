//! A receiver of the Alertmanager's webhooks that records all notifications with their times.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

/// One alert of one notification.
#[derive(Clone, Debug)]
pub struct Notice {
    /// When the notification arrived.
    pub at: Instant,
    /// The receiver it was sent to: the last part of the webhook's path.
    pub receiver: String,
    /// The number of the notification that contained it, from 0.
    pub notification: usize,
    /// The group of alerts it belongs to.
    pub group: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// The start of the alert, as reported by the Alertmanager.
    pub starts_at: String,
    /// The alert's labels.
    pub labels: Value,
    /// The alert's annotations.
    pub annotations: Value,
}

impl Notice {
    /// The value of a label, or the empty string.
    pub fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or("")
    }
}

/// The receiver.
#[derive(Clone)]
pub struct Webhook {
    /// The address it listens on.
    pub address: SocketAddr,
    notices: Arc<Mutex<Vec<Notice>>>,
    notifications: Arc<AtomicUsize>,
}

impl Webhook {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let webhook = Self {
            address: listener.local_addr().unwrap(),
            notices: Arc::default(),
            notifications: Arc::default(),
        };
        let shared = webhook.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let shared = shared.clone();
                        async move { shared.receive(request).await }
                    });
                    // Ignore clients that disconnect.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        webhook
    }

    async fn receive(&self, request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
        let at = Instant::now();
        let receiver = request
            .uri()
            .path()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let body = request.into_body().collect().await?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let notification = self.notifications.fetch_add(1, Ordering::SeqCst);
        let alerts = body["alerts"].as_array().unwrap().iter().map(|alert| Notice {
            at,
            receiver: receiver.clone(),
            notification,
            group: format!("{receiver}:{}", body["groupKey"]),
            starts_at: alert["startsAt"].as_str().unwrap().to_owned(),
            status: alert["status"].as_str().unwrap().to_owned(),
            labels: alert["labels"].clone(),
            annotations: alert["annotations"].clone(),
        });
        self.notices.lock().unwrap().extend(alerts);
        Ok(Response::new(Empty::new()))
    }

    /// All notices so far for which `wanted` is true.
    pub fn notices(&self, wanted: impl Fn(&Notice) -> bool) -> Vec<Notice> {
        self.notices
            .lock()
            .unwrap()
            .iter()
            .filter(|notice| wanted(notice))
            .cloned()
            .collect()
    }
}
