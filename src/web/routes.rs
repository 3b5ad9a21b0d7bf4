//! What there is, and how requests find it.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::body::{Answering, Content, ResponseBody};
use super::page::{Filter, Wanted};
use super::reply::Reply;
use super::{Live, State, accept, page};
use crate::metrics::{Encoding, Variant};

/// The longest request body that is borne with, in bytes; none is read.
const MAX_REQUEST_BODY: u64 = 64 * 1024;

/// Something that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Index,
    Service,
    Widget,
    Asset,
    Events,
    Healthy,
    Ready,
    Reload,
}

impl Page {
    /// Every page. The metrics come first: their path is configured, and may be that of another page.
    pub const ALL: [Self; 9] = [
        Self::Metrics,
        Self::Index,
        Self::Service,
        Self::Widget,
        Self::Asset,
        Self::Events,
        Self::Healthy,
        Self::Ready,
        Self::Reload,
    ];

    /// Where it is.
    pub fn path(self, state: &State) -> &str {
        match self {
            Self::Metrics => &state.telemetry_path,
            Self::Index => "/",
            Self::Service => "/service/",
            Self::Widget => "/widget",
            Self::Asset => "/assets/",
            Self::Events => "/api/events",
            Self::Healthy => "/-/healthy",
            Self::Ready => "/-/ready",
            Self::Reload => "/-/reload",
        }
    }

    /// What it is, for people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Metrics => "metrics for Prometheus",
            Self::Index => "the status of every service",
            Self::Service => "one service in full: its key follows",
            Self::Widget => "the services as cards, to be embedded in any page",
            Self::Asset => "files of the pages",
            Self::Events => "what happens, as server-sent events",
            Self::Healthy => "whether the exporter runs",
            Self::Ready => "whether every check has run at least once",
            Self::Reload => "loads the configuration anew (POST, with --web.enable-lifecycle)",
        }
    }

    /// Whether people are told of it: it can be followed as it is.
    pub const fn is_listed(self) -> bool {
        !matches!(self, Self::Index | Self::Service | Self::Asset)
    }

    /// Whether this is its path: the same, or one below it where its own ends in a slash.
    fn is_at(self, state: &State, path: &str) -> bool {
        let own = self.path(state);
        match self {
            Self::Service | Self::Asset => path.len() > own.len() && path.starts_with(own),
            _ => path == own,
        }
    }

    /// The methods it has.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Reload => "POST",
            _ => "GET, HEAD",
        }
    }

    fn allows(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Answers a request, whatever happens.
pub(super) async fn answer(
    state: Arc<State>,
    request: Request<Incoming>,
    answering: Answering,
) -> Result<Response<ResponseBody>, Infallible> {
    let reply = AssertUnwindSafe(reply(&state, &request)).catch_unwind().await;
    // The panic itself is logged by the hook.
    let reply = reply.unwrap_or_else(|_| {
        let text = "500 Internal Server Error: the exporter failed; its log says why\n";
        Reply::text(StatusCode::INTERNAL_SERVER_ERROR, text)
    });
    Ok(reply.into_response(answering))
}

async fn reply(state: &Arc<State>, request: &Request<Incoming>) -> Reply {
    let path = request.uri().path();
    let Some(page) = Page::ALL.into_iter().find(|page| page.is_at(state, path)) else {
        return Reply::text(StatusCode::NOT_FOUND, not_found(state));
    };
    if !page.allows(request.method()) {
        let text = format!("405 Method Not Allowed: {path} takes {}\n", page.allow());
        return Reply::text(StatusCode::METHOD_NOT_ALLOWED, text).with(ALLOW.as_str(), page.allow());
    }
    if declared_length(request.headers()) > MAX_REQUEST_BODY {
        let text = "413 Content Too Large: no request here needs a body\n";
        return Reply::text(StatusCode::PAYLOAD_TOO_LARGE, text).with(CONNECTION.as_str(), "close");
    }
    let filter = || Filter::of_query(request.uri().query().unwrap_or_default());
    let rest = || &path[page.path(state).len()..];
    match page {
        Page::Metrics => metrics(state, request.headers()).await,
        Page::Index => page::page(state, request.headers(), Wanted::Overview(filter())).await,
        Page::Widget => page::page(state, request.headers(), Wanted::Widget(filter())).await,
        Page::Service => page::page(state, request.headers(), Wanted::Service(rest().to_owned())).await,
        Page::Asset => page::file(rest()).unwrap_or_else(|| {
            Reply::text(StatusCode::NOT_FOUND, "404 Not Found: it was another version's\n")
        }),
        Page::Events => events(state, request),
        Page::Healthy => Reply::text(StatusCode::OK, "The exporter is healthy.\n"),
        Page::Ready if (state.is_ready)() => Reply::text(StatusCode::OK, "The exporter is ready.\n"),
        Page::Ready => {
            let text = "The exporter is not ready: not every check has run yet.\n";
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Page::Reload => reload(state).await,
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
    let query = request.uri().query().unwrap_or_default();
    let wants_updates = !query.split('&').any(|pair| pair == "only=status");
    let last = last.and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
    match Live::open(state, last, wants_updates) {
        Some(stream) => Reply::new(StatusCode::OK, "text/event-stream", Content::Events(stream))
            .with("cache-control", "no-store")
            .with("x-accel-buffering", "no"),
        None => {
            let text = "503 Service Unavailable: too many streams of events are open\n";
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text).with("retry-after", "10")
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
    let variant = Variant {
        format: media_type.format(),
        encoding,
    };
    let document = match state.renderer.render(variant).await {
        Ok(document) => document,
        Err(error) => return Reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    };
    let reply = Reply::new(
        StatusCode::OK,
        media_type.content_type(),
        Content::Document(document),
    )
    .with(VARY.as_str(), "accept, accept-encoding");
    match encoding {
        Encoding::Gzip => reply.with(CONTENT_ENCODING.as_str(), "gzip"),
        Encoding::Identity => reply,
    }
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
