//! Answers with pages and their files. Pages are rendered off the runtime's workers, compressed where that is accepted, and
//! taken back from clients that don't read them when they take too much memory.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, VARY};
use http::{HeaderMap, StatusCode};

use super::{
    CONTENT_SECURITY_POLICY, Filter, WIDGET_SECURITY_POLICY, asset, overview, service, unknown, widget,
};
use crate::web::State;
use crate::web::accept::encoding;
use crate::web::body::Content;
use crate::web::query::quoted;
use crate::web::reply::Reply;
use crate::web::single_flight::FlightError;

const HTML: &str = "text/html; charset=utf-8";

/// Which page is asked for.
#[derive(Debug)]
pub(in crate::web) enum Wanted {
    /// All services.
    Overview(Filter),
    /// The service with this key.
    Service(String),
    /// The cards.
    Widget(Filter),
}

/// Answers with a page.
pub(in crate::web) async fn page(state: &Arc<State>, headers: &HeaderMap, wanted: Wanted) -> Reply {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let encoding = encoding(accepted.filter_map(|value| value.to_str().ok()));
    let is_widget = matches!(wanted, Wanted::Widget(_));
    let source = Arc::clone(state);
    let made = state
        .bodies
        .documents
        .get(format!("{wanted:?}"), encoding, move || render(&source, &wanted));
    let reply = match made.await {
        Ok(body) => Reply::new(StatusCode::OK, HTML, Content::Rendered(body)).encoded(encoding),
        Err(FlightError::Render(text)) => Reply::typed(StatusCode::NOT_FOUND, HTML, text),
        Err(FlightError::Failed) => {
            let text = "500 Internal Server Error: rendering the page failed; the exporter's log says why\n";
            return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text);
        }
    };
    let policy = if is_widget {
        WIDGET_SECURITY_POLICY
    } else {
        CONTENT_SECURITY_POLICY
    };
    let reply = reply
        .with("content-security-policy", policy)
        .with("referrer-policy", "no-referrer")
        .with(CACHE_CONTROL.as_str(), "no-store")
        .with(VARY.as_str(), "accept-encoding");
    match is_widget {
        true => reply,
        false => reply.with("x-frame-options", "DENY"),
    }
}

/// The page, or the short one that says that there is no such thing.
fn render(state: &State, wanted: &Wanted) -> Result<Vec<u8>, String> {
    let snapshot = (state.snapshot)();
    let page = match wanted {
        Wanted::Overview(filter) | Wanted::Widget(filter) => {
            if let Some(group) = filter.unknown_group(&snapshot) {
                let what = format!("No service is in the group {}", quoted(group));
                let is_alone = matches!(wanted, Wanted::Widget(_));
                return Err(unknown((!is_alone).then_some(state), &snapshot, &what));
            }
            match wanted {
                Wanted::Widget(_) => widget(&snapshot, filter),
                _ => overview(state, &snapshot, filter),
            }
        }
        Wanted::Service(key) => {
            let mut services = snapshot.services.iter();
            let Some(view) = services.find(|view| view.service.key.as_str() == key) else {
                return Err(unknown(Some(state), &snapshot, "No service has this key"));
            };
            let runs = state.event_hub.recent_runs(key).unwrap_or_default();
            service(state, &snapshot, view, &runs)
        }
    };
    Ok(page.into_bytes())
}

/// The script that embeds the widget in a page. It has one name for ever, so it is not kept for long.
pub(in crate::web) fn widget_script() -> Reply {
    let script = include_str!("widget.js");
    Reply::typed(StatusCode::OK, "text/javascript; charset=utf-8", script)
        .with("cache-control", "max-age=3600")
}

/// A file that a page loads.
pub(in crate::web) fn file(name: &str) -> Option<Reply> {
    let asset = asset(name)?;
    let content = Content::Text(Bytes::from_static(asset.body.as_bytes()));
    // Its name changes with its content.
    let kept = "public, max-age=31536000, immutable";
    Some(Reply::new(StatusCode::OK, asset.content_type, content).with(CACHE_CONTROL.as_str(), kept))
}
