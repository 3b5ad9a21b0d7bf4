//! The replies with pages, and with the files that they load.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, VARY};
use http::{HeaderMap, StatusCode};

use super::accept;
use super::body::Content;
use super::html::{self, Filter, PastRange, PastView};
use super::model_query::ModelQuery;
use super::query::quote;
use super::reply::Reply;
use super::single_flight::FlightError;
use super::state::State;

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// Everything comes from the exporter itself, nothing is inline, and no page may embed it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The same for pages with forms, which are sent to the exporter itself.
const FORM_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// The same for the widget, which any page may embed.
const WIDGET_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors *";

/// A page.
#[derive(Debug)]
pub(super) enum Page {
    /// All services.
    Overview(Filter),
    /// The service with this key, and the range of its history.
    Service(String, PastRange),
    /// The services as cards.
    Widget(Filter),
    /// The models that providers offer.
    Models(ModelQuery),
}

/// Returns a page.
pub(super) async fn page(state: &Arc<State>, headers: &HeaderMap, page: Page) -> Reply {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let encoding = accept::choose_encoding(accepted.filter_map(|value| value.to_str().ok()));
    let is_widget = matches!(page, Page::Widget(_));
    let is_search = matches!(page, Page::Models(_));
    let has_actions = matches!(page, Page::Service(..)) && state.admin.is_some();
    let source = Arc::clone(state);
    let rendering = state
        .bodies
        .documents
        .get(format!("{page:?}"), encoding, move || render(&source, &page));
    let reply = match rendering.await {
        Ok(body) => Reply::new(StatusCode::OK, HTML, Content::Rendered(body)).encoded(encoding),
        Err(FlightError::Render(text)) => Reply::typed(StatusCode::NOT_FOUND, HTML, text),
        Err(FlightError::Failed) => {
            let text = "500 Internal Server Error: rendering the page failed; see the exporter's log\n";
            return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text);
        }
    };
    let (policy, referrer) = match (is_widget, has_actions) {
        (true, _) => (WIDGET_SECURITY_POLICY, "no-referrer"),
        // Without a referrer, browsers send forms with `Origin: null` (Fetch, "append a request Origin header").
        (false, true) => (FORM_SECURITY_POLICY, "same-origin"),
        (false, false) if is_search => (FORM_SECURITY_POLICY, "no-referrer"),
        (false, false) => (CONTENT_SECURITY_POLICY, "no-referrer"),
    };
    let reply = reply
        .with("content-security-policy", policy)
        .with("referrer-policy", referrer)
        .with(CACHE_CONTROL.as_str(), "no-store")
        .with(VARY.as_str(), "accept-encoding");
    match is_widget {
        true => reply,
        false => reply.with("x-frame-options", "DENY"),
    }
}

/// Replies with a page about a failed action.
pub(super) fn admin_page(status: StatusCode, page: String) -> Reply {
    Reply::typed(status, HTML, page)
        .with("content-security-policy", CONTENT_SECURITY_POLICY)
        .with("referrer-policy", "no-referrer")
        .with(CACHE_CONTROL.as_str(), "no-store")
        .with("x-frame-options", "DENY")
}

/// Renders a page.
///
/// # Errors
/// When the service, the group or what the models are searched by does not exist: the page with this error.
fn render(state: &State, page: &Page) -> Result<Vec<u8>, String> {
    let snapshot = (state.snapshot)();
    let site = state.site();
    let text = match page {
        Page::Overview(filter) | Page::Widget(filter) => {
            if let Some(group) = filter.unknown_group(&snapshot) {
                let message = format!("No group {}", quote(group));
                let is_embedded = matches!(page, Page::Widget(_));
                return Err(html::not_found(
                    (!is_embedded).then_some(site),
                    &snapshot,
                    &message,
                ));
            }
            match page {
                Page::Widget(_) => html::widget(&snapshot, filter),
                _ => html::overview(site, &snapshot, filter),
            }
        }
        Page::Service(key, range) => {
            let mut services = snapshot.services.iter();
            let Some(view) = services.find(|view| view.service.key.as_str() == key) else {
                let message = format!("No service {}", quote(key));
                return Err(html::not_found(Some(site), &snapshot, &message));
            };
            let runs = state.event_hub.recent_runs(key).unwrap_or_default();
            let past = PastView::read(&state.history, key, *range);
            html::service(site, &snapshot, view, &runs, past.as_ref())
        }
        Page::Models(query) => {
            let found = query.search.find(&snapshot);
            query
                .check(&found)
                .map_err(|message| html::not_found(Some(site), &snapshot, &message))?;
            html::models(site, &snapshot, query, &found)
        }
    };
    Ok(text.into_bytes())
}

/// Returns the script that embeds the widget. Its name never changes, so it is cached for an hour only.
pub(super) fn widget_script() -> Reply {
    Reply::typed(StatusCode::OK, JAVASCRIPT, html::WIDGET_SCRIPT).with(CACHE_CONTROL.as_str(), "max-age=3600")
}

/// Returns a file that the pages load. Its name changes with its content, so it is cached forever.
pub(super) fn asset(name: &str) -> Option<Reply> {
    let asset = html::find_asset(name)?;
    let content = Content::Text(Bytes::from_static(asset.body.as_bytes()));
    let forever = "public, max-age=31536000, immutable";
    Some(Reply::new(StatusCode::OK, asset.content_type, content).with(CACHE_CONTROL.as_str(), forever))
}
