//! Answers with pages and their files: rendered off the runtime's workers, few at once, compressed where that is accepted.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, VARY};
use http::{HeaderMap, StatusCode};

use super::{
    CONTENT_SECURITY_POLICY, Filter, WIDGET_SECURITY_POLICY, asset, overview, service, unknown, widget,
};
use crate::metrics::Encoding;
use crate::web::State;
use crate::web::accept::encoding;
use crate::web::body::Content;
use crate::web::reply::Reply;

/// Which page is asked for.
pub(in crate::web) enum Wanted {
    /// All services.
    Overview(Filter),
    /// The service with this key.
    Service(String),
    /// The cards.
    Widget(Filter),
}

/// Renders a page.
pub(in crate::web) async fn page(state: &Arc<State>, headers: &HeaderMap, wanted: Wanted) -> Reply {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let encoding = encoding(accepted.filter_map(|value| value.to_str().ok()));
    let is_widget = matches!(wanted, Wanted::Widget(_));
    // The semaphore is never closed; without a turn the page is rendered all the same.
    let _turn = state.live.renderings.acquire().await;
    let source = Arc::clone(state);
    let rendered = tokio::task::spawn_blocking(move || {
        let (status, text) = render(&source, &wanted);
        (status, compressed(text, encoding))
    });
    let Ok((status, body)) = rendered.await else {
        let text = "500 Internal Server Error: rendering the page failed; the exporter's log says why\n";
        return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    };
    let policy = if is_widget {
        WIDGET_SECURITY_POLICY
    } else {
        CONTENT_SECURITY_POLICY
    };
    let mut reply = Reply::new(status, "text/html; charset=utf-8", Content::Text(body))
        .with("content-security-policy", policy)
        .with("referrer-policy", "no-referrer")
        .with(CACHE_CONTROL.as_str(), "no-store")
        .with(VARY.as_str(), "accept-encoding");
    if !is_widget {
        reply = reply.with("x-frame-options", "DENY");
    }
    match encoding {
        Encoding::Gzip => reply.with(CONTENT_ENCODING.as_str(), "gzip"),
        Encoding::Identity => reply,
    }
}

fn render(state: &State, wanted: &Wanted) -> (StatusCode, String) {
    let snapshot = (state.snapshot)();
    match wanted {
        Wanted::Overview(filter) => (StatusCode::OK, overview(state, &snapshot, filter)),
        Wanted::Widget(filter) => (StatusCode::OK, widget(&snapshot, filter)),
        Wanted::Service(key) => {
            let found = snapshot
                .services
                .iter()
                .find(|view| view.service.key.as_str() == key);
            match found {
                Some(view) => {
                    let runs = state.live.recent_runs(key).unwrap_or_default();
                    (StatusCode::OK, service(state, &snapshot, view, &runs))
                }
                None => (StatusCode::NOT_FOUND, unknown(state, &snapshot)),
            }
        }
    }
}

fn compressed(text: String, encoding: Encoding) -> Bytes {
    if encoding == Encoding::Identity {
        return text.into();
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 6), Compression::fast());
    // Writing to a vector does not fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default().into()
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
