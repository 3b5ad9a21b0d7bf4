//! Answers requests, whatever happens.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_LENGTH, HOST, VARY};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::body::{Answering, Content, ResponseBody};
use super::endpoints::Page;
use super::hosts::is_of_other_origin;
use super::html::{Filter, Wanted};
use super::protocol::Client;
use super::reply::Reply;
use super::throttle::Peer;
use super::{EventHub, State, accept, api, html, probe, query};

/// The longest request body that is borne with, in bytes; none is read.
const MAX_REQUEST_BODY: u64 = 64 * 1024;

/// Answers a request, whatever happens.
pub(super) async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
    answering: Answering,
) -> Result<Response<ResponseBody>, Infallible> {
    let path = request.uri().path();
    let reply = AssertUnwindSafe(reply(&state, &request)).catch_unwind().await;
    // The panic itself is logged by the hook.
    let reply = reply.unwrap_or_else(|_| {
        let text = "the exporter failed; its log says why";
        api::error(path, StatusCode::INTERNAL_SERVER_ERROR, text)
    });
    Ok(reply.into_response(answering))
}

async fn reply(state: &Arc<State>, request: &Request<Incoming>) -> Reply {
    let path = request.uri().path();
    // RFC 9112, section 3.2; HTTP/2 has :authority in its place.
    let is_http1 = request.version() == Version::HTTP_11;
    if is_http1 && request.headers().get_all(HOST).iter().count() != 1 {
        let text = "a request has one header field Host";
        return api::error(path, StatusCode::BAD_REQUEST, text).with(CONNECTION.as_str(), "close");
    }
    let Some((page, rest)) = Page::find(state, path) else {
        return match path.starts_with(api::PREFIX) {
            true => api::error(
                path,
                StatusCode::NOT_FOUND,
                "there is nothing here; /api/openapi.yaml tells what there is",
            ),
            false => Reply::text(StatusCode::NOT_FOUND, not_found(state)),
        };
    };
    if !page.allows(request.method()) {
        let text = format!("{path} takes {}", page.allow());
        return api::error(path, StatusCode::METHOD_NOT_ALLOWED, &text).with(ALLOW.as_str(), page.allow());
    }
    if page.acts() && is_of_other_origin(request) {
        let text =
            "a page of another site makes the browser ask for this; open the address in a tab of its own";
        return api::error(path, StatusCode::FORBIDDEN, text);
    }
    if declared_length(request.headers()) > MAX_REQUEST_BODY {
        let text = "no request here needs a body";
        return api::error(path, StatusCode::PAYLOAD_TOO_LARGE, text).with(CONNECTION.as_str(), "close");
    }
    let (query, headers) = (request.uri().query(), request.headers());
    let refused = |(status, message): api::ApiError| api::error(path, status, &message);
    match page {
        Page::Metrics => metrics(state, request.headers()).await,
        Page::Index | Page::Widget | Page::Service => match wanted(page, rest, query) {
            Ok(wanted) => html::page(state, headers, wanted).await,
            Err(message) => refused(api::bad_request(message)),
        },
        Page::Asset => html::file(rest).unwrap_or_else(|| {
            Reply::text(StatusCode::NOT_FOUND, "404 Not Found: it was another version's\n")
        }),
        Page::WidgetScript => html::widget_script(),
        Page::Events => events(state, request),
        Page::Status => api::status(state, query, headers).await.unwrap_or_else(refused),
        Page::ServiceStatus => match query::decoded(rest) {
            Ok(key) => api::service(state, key.into_owned(), query, headers)
                .await
                .unwrap_or_else(refused),
            Err(message) => refused(api::bad_request(message)),
        },
        Page::Description => match query::parameters(query, []) {
            Ok([]) => api::description(),
            Err(message) => refused(api::bad_request(message)),
        },
        Page::Targets => api::targets(state, query, headers).await.unwrap_or_else(refused),
        Page::Healthy => Reply::text(StatusCode::OK, "The exporter is healthy.\n"),
        Page::Ready if (state.is_ready)() => Reply::text(StatusCode::OK, "The exporter is ready.\n"),
        Page::Ready => {
            let text = "The exporter is not ready: not every check has run yet.\n";
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Page::Reload => reload(state).await,
        Page::Probe => probe::probe(&state.prober, request.uri(), request.headers(), client(request)).await,
    }
}

/// Who asks. Connections put it there.
fn client(request: &Request<Incoming>) -> Option<&Client> {
    request.extensions().get()
}

/// Which page is asked for; `rest` is the end of the path of a service's.
fn wanted(page: Page, rest: &str, query: Option<&str>) -> Result<Wanted, String> {
    match page {
        Page::Service => {
            let [] = query::parameters(query, [])?;
            Ok(Wanted::Service(query::decoded(rest)?.into_owned()))
        }
        Page::Widget => Filter::of_query(query).map(Wanted::Widget),
        _ => Filter::of_query(query).map(Wanted::Overview),
    }
}

/// What to say about a path where there is nothing.
fn not_found(state: &State) -> String {
    let listed = Page::ALL.into_iter().filter(|page| *page != Page::Asset);
    let lines = listed.map(|page| format!("  {}  {}\n", page.path(state), page.about()));
    format!(
        "404 Not Found: there is nothing here. There is\n{}",
        lines.collect::<String>()
    )
}

/// A stream of events; `?only=status` leaves the page's updates out.
fn events(state: &Arc<State>, request: &Request<Incoming>) -> Reply {
    let last = request.headers().get("last-event-id");
    let wants_updates = match query::parameters(request.uri().query(), ["only"]) {
        Ok([None]) => true,
        Ok([Some(only)]) if only == "status" => false,
        Ok(_) => {
            let text = "the query parameter only takes the value status";
            return api::error(request.uri().path(), StatusCode::BAD_REQUEST, text);
        }
        Err(message) => return api::error(request.uri().path(), StatusCode::BAD_REQUEST, &message),
    };
    let last = last.and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let peer = client(request).map_or(Peer::Local, |client| client.peer);
    match EventHub::open(state, peer, last, wants_updates) {
        Some(stream) => Reply::new(StatusCode::OK, "text/event-stream", Content::Events(stream))
            .with("cache-control", "no-store")
            .with("x-accel-buffering", "no"),
        None => {
            let text = "too many streams of events are open";
            api::error(request.uri().path(), StatusCode::SERVICE_UNAVAILABLE, text).with("retry-after", "10")
        }
    }
}

fn declared_length(headers: &HeaderMap) -> u64 {
    let value = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(0)
}

async fn metrics(state: &State, headers: &HeaderMap) -> Reply {
    let values = |name| {
        headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
    };
    let media_type = accept::media_type(values(ACCEPT));
    let encoding = accept::encoding(values(ACCEPT_ENCODING));
    let format = media_type.format();
    let renderer = Arc::clone(&state.renderer);
    let rendering = state
        .bodies
        .metrics
        .get(format!("{format:?}"), encoding, move || {
            Ok::<_, Infallible>(renderer.render(format))
        });
    let Ok(body) = rendering.await else {
        let text = "500 Internal Server Error: rendering the metrics failed; see the exporter's log\n";
        return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    };
    Reply::new(StatusCode::OK, media_type.content_type(), Content::Rendered(body))
        .encoded(encoding)
        .with(VARY.as_str(), "accept, accept-encoding")
}

async fn reload(state: &State) -> Reply {
    if !state.is_lifecycle_enabled {
        let text = "403 Forbidden: start the exporter with --web.enable-lifecycle to reload over HTTP, or send it SIGHUP\n";
        return Reply::text(StatusCode::FORBIDDEN, text);
    }
    match state.reloader.reload().await {
        Ok(()) => Reply::text(StatusCode::OK, "The configuration was loaded.\n"),
        Err(findings) => {
            let text =
                format!("The configuration was not loaded; the one before stays in use.\n{findings}\n");
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
