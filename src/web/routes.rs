//! Routes requests to endpoints, and turns panics into error responses.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HOST, RETRY_AFTER, VARY,
};
use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::Incoming;

use super::badge::Subject;
use super::body::{Content, ResponseBody, ResponseInProgress};
use super::client::Client;
use super::encoding::{Encoding, gzip_pieces};
use super::endpoints::{Endpoint, Site};
use super::error_reply::{API_PREFIX, ApiError, error_reply};
use super::hosts::is_cross_origin;
use super::html::{Filter, PastRange};
use super::model_query::ModelQuery;
use super::pages::{self, Page};
use super::peer::Peer;
use super::reply::Reply;
use super::state::State;
use super::{accept, admin_reply, api, badge, heartbeat, history, probe, processes, query};

/// The longest request body that is accepted, in bytes. No endpoint reads one.
const MAX_REQUEST_BODY: u64 = 64 * 1024;

/// Handles a request. A panic becomes an error response.
pub(super) async fn handle(
    state: Arc<State>,
    request: Request<Incoming>,
    in_progress: ResponseInProgress,
) -> Result<Response<ResponseBody>, Infallible> {
    let is_beat = heartbeat::is_beat(request.uri().path()) && refuse_malformed(&request).is_none();
    let is_api = request.uri().path().starts_with(API_PREFIX);
    let reply = match is_beat {
        true => {
            AssertUnwindSafe(state.heartbeats.handle(request))
                .catch_unwind()
                .await
        }
        false => AssertUnwindSafe(reply(&state, &request)).catch_unwind().await,
    };
    // The panic hook logs the panic itself.
    let reply = reply.unwrap_or_else(|_| {
        let text = "the exporter failed; see its log";
        let path = if is_api { API_PREFIX } else { "/" };
        error_reply(path, StatusCode::INTERNAL_SERVER_ERROR, text)
    });
    Ok(reply.into_response(in_progress))
}

async fn reply(state: &Arc<State>, request: &Request<Incoming>) -> Reply {
    let path = request.uri().path();
    if let Some(refusal) = refuse_malformed(request) {
        return refusal;
    }
    let Some((endpoint, segment)) = Endpoint::find(state.site(), path) else {
        return not_found(state.site(), path);
    };
    if let Some(refusal) = refuse_unsupported(endpoint, request) {
        return refusal;
    }
    match dispatch(state, request, endpoint, segment).await {
        Ok(reply) => reply,
        Err(error) => error.into_reply(path),
    }
}

/// Refuses requests that violate HTTP.
fn refuse_malformed(request: &Request<Incoming>) -> Option<Reply> {
    // RFC 9112, section 3.2. HTTP/2 has :authority instead.
    let is_http1 = request.version() == Version::HTTP_11;
    (is_http1 && request.headers().get_all(HOST).iter().count() != 1).then(|| {
        let text = "a request must have exactly one Host header field";
        error_reply(request.uri().path(), StatusCode::BAD_REQUEST, text).with(CONNECTION.as_str(), "close")
    })
}

/// Refuses requests that the endpoint does not accept.
fn refuse_unsupported(endpoint: Endpoint, request: &Request<Incoming>) -> Option<Reply> {
    let path = request.uri().path();
    if !endpoint.allows(request.method()) {
        let text = format!("{path} supports {}", endpoint.allow());
        let refusal = error_reply(path, StatusCode::METHOD_NOT_ALLOWED, &text);
        return Some(refusal.with(ALLOW.as_str(), endpoint.allow()));
    }
    if endpoint.has_side_effects() && is_cross_origin(request) {
        let text = "requests from pages of other sites are not allowed; open the address in a new tab";
        return Some(error_reply(path, StatusCode::FORBIDDEN, text));
    }
    (declared_length(request.headers()) > MAX_REQUEST_BODY).then(|| {
        let text = "the request body is too large; no endpoint needs one";
        error_reply(path, StatusCode::PAYLOAD_TOO_LARGE, text).with(CONNECTION.as_str(), "close")
    })
}

/// Handles a request to an endpoint. `segment` is the part of the path that matched the placeholder, if any.
async fn dispatch(
    state: &Arc<State>,
    request: &Request<Incoming>,
    endpoint: Endpoint,
    segment: &str,
) -> Result<Reply, ApiError> {
    let (query, headers) = (request.uri().query(), request.headers());
    Ok(match endpoint {
        Endpoint::Metrics => metrics(state, headers).await,
        Endpoint::Processes => processes::processes(state, headers).await,
        Endpoint::Index | Endpoint::Widget => {
            let filter = Filter::parse(query).map_err(ApiError::bad_request)?;
            let page = match endpoint {
                Endpoint::Widget => Page::Widget(filter),
                _ => Page::Overview(filter),
            };
            pages::page(state, headers, page).await
        }
        Endpoint::Service => {
            let [range] = query::parse(query, ["history"]).map_err(ApiError::bad_request)?;
            let range = range.map(|range| PastRange::parse(&range, &PastRange::ALL));
            let range = range
                .transpose()
                .map_err(ApiError::bad_request)?
                .unwrap_or_default();
            let key = query::decode(segment).map_err(ApiError::bad_request)?;
            pages::page(state, headers, Page::Service(key.into_owned(), range)).await
        }
        Endpoint::ModelsPage => {
            let query = ModelQuery::parse_page(query).map_err(ApiError::bad_request)?;
            pages::page(state, headers, Page::Models(query)).await
        }
        Endpoint::Models => api::models(state, query, headers).await?,
        Endpoint::Asset => pages::asset(segment).unwrap_or_else(|| {
            let text = "404 Not Found: this file belongs to another version of the exporter\n";
            Reply::text(StatusCode::NOT_FOUND, text)
        }),
        Endpoint::WidgetScript => pages::widget_script(),
        Endpoint::Events => events(state, request)?,
        Endpoint::Status => api::status(state, query, headers).await?,
        Endpoint::ServiceStatus => {
            let key = query::decode(segment).map_err(ApiError::bad_request)?;
            api::service(state, key.into_owned(), query, headers).await?
        }
        Endpoint::ServiceHistory => {
            let key = query::decode(segment).map_err(ApiError::bad_request)?;
            history::history(state, key.into_owned(), query, headers).await?
        }
        Endpoint::ServiceBadge | Endpoint::GroupBadge => {
            let name = query::decode(segment)
                .map_err(ApiError::bad_request)?
                .into_owned();
            let subject = match endpoint {
                Endpoint::GroupBadge => Subject::Group(name),
                _ => Subject::Service(name),
            };
            badge::badge(state, subject, query, headers).await?
        }
        Endpoint::Description => {
            let [] = query::parse(query, []).map_err(ApiError::bad_request)?;
            api::description()
        }
        Endpoint::Targets => api::targets(state, query, headers).await?,
        Endpoint::Healthy => Reply::text(StatusCode::OK, "The exporter is healthy.\n"),
        Endpoint::Ready if (state.is_ready)() => Reply::text(StatusCode::OK, "The exporter is ready.\n"),
        Endpoint::Ready => {
            let text = "The exporter is not ready: some checks have not run yet.\n";
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Endpoint::Reload => reload(state).await,
        Endpoint::Config => {
            let [] = query::parse(query, []).map_err(ApiError::bad_request)?;
            Reply::text(StatusCode::OK, (state.config)().as_bytes().to_vec())
                .with(CACHE_CONTROL.as_str(), "no-store")
        }
        Endpoint::Act(action) => {
            let [] = query::parse(query, []).map_err(ApiError::bad_request)?;
            let key = query::decode(segment).map_err(ApiError::bad_request)?;
            admin_reply::act(state, request, key.into_owned(), action).await
        }
        // They read the body of the request; see `handle`.
        Endpoint::Heartbeat | Endpoint::HeartbeatSignal => not_found(state.site(), API_PREFIX),
        Endpoint::Probe => probe::probe(&state.prober, request.uri(), headers, client(request)).await,
    })
}

/// Returns the client of a request. Its connection adds it.
fn client(request: &Request<Incoming>) -> Option<&Client> {
    request.extensions().get()
}

/// Replies to a path without an endpoint. Browsers and people get a list of all endpoints.
fn not_found(site: Site<'_>, path: &str) -> Reply {
    if path.starts_with(API_PREFIX) {
        let text = "no such endpoint; /api/openapi.yaml lists all of them";
        return error_reply(path, StatusCode::NOT_FOUND, text);
    }
    let listed = Endpoint::ALL
        .into_iter()
        .filter(|endpoint| *endpoint != Endpoint::Asset);
    let lines = listed.map(|endpoint| format!("  {}  {}\n", endpoint.path(site), endpoint.description()));
    let text = format!("404 Not Found. Endpoints:\n{}", lines.collect::<String>());
    Reply::text(StatusCode::NOT_FOUND, text)
}

/// Replies with a stream of events. `?only=status` leaves out the updates for the overview.
fn events(state: &Arc<State>, request: &Request<Incoming>) -> Result<Reply, ApiError> {
    let wants_updates = match query::parse(request.uri().query(), ["only"]).map_err(ApiError::bad_request)? {
        [None] => true,
        [Some(only)] if only == "status" => false,
        [Some(_)] => {
            let message = "the only supported value of the query parameter only is status";
            return Err(ApiError::bad_request(message.to_owned()));
        }
    };
    let last = request.headers().get("last-event-id");
    let last = last.and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    let peer = client(request).map_or(Peer::Local, |client| client.peer);
    let stream = state.event_hub.open(&state.snapshot, peer, last, wants_updates);
    Ok(match stream {
        Some(stream) => Reply::new(StatusCode::OK, "text/event-stream", Content::Events(stream))
            .with(CACHE_CONTROL.as_str(), "no-store")
            .with("x-accel-buffering", "no"),
        None => {
            let text = "too many event streams are open; try again later";
            error_reply(request.uri().path(), StatusCode::SERVICE_UNAVAILABLE, text)
                .with(RETRY_AFTER.as_str(), "10")
        }
    })
}

/// Returns the length of the body according to `Content-Length`.
fn declared_length(headers: &HeaderMap) -> u64 {
    let value = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Replies with the metrics.
async fn metrics(state: &State, headers: &HeaderMap) -> Reply {
    let values = |name| {
        headers
            .get_all(name)
            .into_iter()
            .filter_map(|value| value.to_str().ok())
    };
    let media_type = accept::choose_media_type(values(ACCEPT));
    let encoding = accept::choose_encoding(values(ACCEPT_ENCODING));
    let format = media_type.format();
    let renderer = Arc::clone(&state.renderer);
    let rendering = state
        .bodies
        .metrics
        .get_encoded(format!("{format:?}"), encoding, move || {
            Ok::<_, Infallible>(match encoding {
                Encoding::Identity => renderer.render(format),
                Encoding::Gzip => gzip_pieces(|sink| renderer.render_in_pieces(format, sink)),
            })
        });
    let Ok(body) = rendering.await else {
        let text = "500 Internal Server Error: rendering the metrics failed; see the exporter's log\n";
        return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text);
    };
    Reply::new(StatusCode::OK, media_type.content_type(), Content::Rendered(body))
        .encoded(encoding)
        .with(VARY.as_str(), "accept, accept-encoding")
}

/// Reloads the configuration.
async fn reload(state: &State) -> Reply {
    if !state.is_lifecycle_enabled {
        let text = "403 Forbidden: reloading over HTTP is disabled; start the exporter with --web.enable-lifecycle, or send it SIGHUP\n";
        return Reply::text(StatusCode::FORBIDDEN, text);
    }
    match state.reloader.reload().await {
        Ok(()) => Reply::text(StatusCode::OK, "The configuration was reloaded.\n"),
        Err(findings) => {
            let text = format!(
                "Loading the configuration failed; the last valid content of files with errors stays in use.\n{findings}\n"
            );
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }
}
