//! What there is, and how requests find it.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{ACCEPT, ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::body::{Answering, Content, ResponseBody};
use super::reply::Reply;
use super::{State, accept, pages, probe};
use crate::metrics::{Encoding, Variant};

/// The longest request body that is borne with, in bytes; none is read.
const MAX_REQUEST_BODY: u64 = 64 * 1024;

/// Something that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Index,
    Healthy,
    Ready,
    Reload,
    Probe,
}

impl Page {
    /// Every page. The metrics come first: their path is configured, and may be that of another page.
    pub const ALL: [Self; 6] = [
        Self::Metrics,
        Self::Index,
        Self::Healthy,
        Self::Ready,
        Self::Reload,
        Self::Probe,
    ];

    /// Where it is.
    pub fn path(self, state: &State) -> &str {
        match self {
            Self::Metrics => &state.telemetry_path,
            Self::Index => "/",
            Self::Healthy => "/-/healthy",
            Self::Ready => "/-/ready",
            Self::Reload => "/-/reload",
            Self::Probe => "/probe",
        }
    }

    /// What it is, for people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Metrics => "metrics for Prometheus",
            Self::Index => "this overview",
            Self::Healthy => "whether the exporter runs",
            Self::Ready => "whether every check has run at least once",
            Self::Probe => {
                "one run of a module against a target: ?target=...&module=... (where modules are configured)"
            }
            Self::Reload => "loads the configuration anew (POST, with --web.enable-lifecycle)",
        }
    }

    /// The methods it has.
    pub const fn allow(self) -> &'static str {
        match self {
            Self::Reload => "POST",
            Self::Metrics | Self::Index | Self::Healthy | Self::Ready | Self::Probe => "GET, HEAD",
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

async fn reply(state: &State, request: &Request<Incoming>) -> Reply {
    let path = request.uri().path();
    let Some(page) = Page::ALL.into_iter().find(|page| page.path(state) == path) else {
        return Reply::text(StatusCode::NOT_FOUND, pages::not_found(state));
    };
    if !page.allows(request.method()) {
        let text = format!("405 Method Not Allowed: {path} takes {}\n", page.allow());
        return Reply::text(StatusCode::METHOD_NOT_ALLOWED, text).with(ALLOW.as_str(), page.allow());
    }
    if declared_length(request.headers()) > MAX_REQUEST_BODY {
        let text = "413 Content Too Large: no request here needs a body\n";
        return Reply::text(StatusCode::PAYLOAD_TOO_LARGE, text).with(CONNECTION.as_str(), "close");
    }
    match page {
        Page::Metrics => metrics(state, request.headers()).await,
        Page::Index => Reply::html(pages::index(state)),
        Page::Healthy => Reply::text(StatusCode::OK, "The exporter is healthy.\n"),
        Page::Ready if (state.is_ready)() => Reply::text(StatusCode::OK, "The exporter is ready.\n"),
        Page::Ready => {
            let text = "The exporter is not ready: not every check has run yet.\n";
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, text)
        }
        Page::Reload => reload(state).await,
        Page::Probe => probe::probe(&state.prober, request.uri(), request.headers()).await,
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
