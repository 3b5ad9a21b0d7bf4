//! `/probe`: passes requests to the prober. A probe is cancelled when its client disconnects.

use http::header::{CONNECTION, RETRY_AFTER};
use http::{HeaderMap, StatusCode, Uri};

use super::client::Client;
use super::reply::Reply;
use crate::probe::request::TIMEOUT_HEADER;
use crate::probe::{Prober, Response};

/// The content type of blackbox_exporter.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Handles a request.
pub(super) async fn probe(prober: &Prober, uri: &Uri, headers: &HeaderMap, client: Option<&Client>) -> Reply {
    let mut timeouts = headers.get_all(TIMEOUT_HEADER).iter();
    let timeout = match (timeouts.next().map(|value| value.to_str()), timeouts.next()) {
        (None, _) => None,
        (Some(Ok(timeout)), None) => Some(timeout),
        _ => {
            let text = format!("400 Bad Request: the header {TIMEOUT_HEADER} is not a number of seconds\n");
            return Reply::text(StatusCode::BAD_REQUEST, text);
        }
    };
    let closed = async {
        match client {
            Some(client) => client.socket.closed_by_client().await,
            None => std::future::pending().await,
        }
    };
    let origin = client.and_then(|client| client.peer.address());
    let result = tokio::select! {
        // Checked first, so that no probe starts for a client that has already disconnected.
        biased;
        () = closed => {
            let text = "400 Bad Request: the client closed its side of the connection, so the probe was cancelled\n";
            return Reply::text(StatusCode::BAD_REQUEST, text).with(CONNECTION.as_str(), "close");
        }
        result = prober.handle(uri.query().unwrap_or_default(), timeout, origin) => result,
    };
    match result {
        Response::Metrics(text) => Reply::typed(StatusCode::OK, CONTENT_TYPE, text),
        Response::Debug(text) => Reply::text(StatusCode::OK, text),
        Response::BadRequest(error) => {
            Reply::text(StatusCode::BAD_REQUEST, format!("400 Bad Request: {error}\n"))
        }
        Response::Refused(error) => Reply::text(StatusCode::FORBIDDEN, format!("403 Forbidden: {error}\n")),
        Response::NoModules => {
            let text = "404 Not Found: no modules are configured; add them under probe.modules\n";
            Reply::text(StatusCode::NOT_FOUND, text)
        }
        Response::Inconclusive(error) => {
            let text = format!("503 Service Unavailable: {error}\n");
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER.as_str(), "1")
        }
        Response::TooMany(error) => {
            let text = format!("429 Too Many Requests: {error}\n");
            Reply::text(StatusCode::TOO_MANY_REQUESTS, text)
                .with(RETRY_AFTER.as_str(), "1")
                .with(CONNECTION.as_str(), "close")
        }
    }
}
