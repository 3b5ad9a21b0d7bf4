//! The endpoint `/metrics/processes`.

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, RETRY_AFTER, VARY};
use http::{HeaderMap, StatusCode};
use tokio::runtime::Handle;

use super::accept;
use super::body::Content;
use super::reply::Reply;
use super::single_flight::FlightError;
use super::state::State;
use crate::process_groups::CollectError;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Replies with the metrics of processes. Like process-exporter, it supports only the classic text format: names such as
/// `namedprocess_scrape_errors` break the rules of OpenMetrics for counters.
pub(super) async fn processes(state: &State, headers: &HeaderMap) -> Reply {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let encoding = accept::choose_encoding(accepted.filter_map(|value| value.to_str().ok()));
    let groups = Arc::clone(&state.process_groups);
    let runtime = Handle::current();
    let rendering = state
        .bodies
        .processes
        .get("processes".to_owned(), encoding, move || {
            let text = runtime.block_on(groups.collect())?;
            Ok::<_, CollectError>(text.as_bytes().to_vec())
        });
    match rendering.await {
        Ok(body) => Reply::new(StatusCode::OK, CONTENT_TYPE, Content::Rendered(body))
            .encoded(encoding)
            .with(VARY.as_str(), "accept-encoding"),
        Err(FlightError::Render(error @ CollectError::NotConfigured)) => {
            Reply::text(StatusCode::NOT_FOUND, format!("404 Not Found: {error}\n"))
        }
        Err(FlightError::Render(error)) => {
            let text = format!("503 Service Unavailable: {error}\n");
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text).with(RETRY_AFTER.as_str(), "1")
        }
        Err(FlightError::Failed) => {
            let text = "500 Internal Server Error: rendering the metrics failed; see the exporter's log\n";
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
