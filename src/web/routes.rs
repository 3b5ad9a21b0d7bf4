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
use super::{State, accept, api, pages, probe, query};
use crate::metrics::{Encoding, Variant};

/// The longest request body that is borne with, in bytes; none is read.
const MAX_REQUEST_BODY: u64 = 64 * 1024;

/// Something that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Metrics,
    Index,
    Status,
    ServiceStatus,
    Description,
    Targets,
    Healthy,
    Ready,
    Reload,
    Probe,
}

impl Page {
    /// Every page. The metrics come first: their path is configured, and may be that of another page.
    pub const ALL: [Self; 10] = [
        Self::Metrics,
        Self::Index,
        Self::Status,
        Self::ServiceStatus,
        Self::Description,
        Self::Targets,
        Self::Healthy,
        Self::Ready,
        Self::Reload,
        Self::Probe,
    ];

    /// Where it is. A last part in braces stands for any text without a slash.
    pub fn path(self, state: &State) -> &str {
        match self {
            Self::Metrics => &state.telemetry_path,
            Self::Index => "/",
            Self::Status => "/api/status",
            Self::ServiceStatus => "/api/status/{service}",
            Self::Description => "/api/openapi.yaml",
            Self::Targets => "/sd",
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
            Self::Status => "the status of every service as JSON, or of a group with ?group=NAME",
            Self::ServiceStatus => "the status of one service as JSON",
            Self::Targets => "the checks as targets for /probe: HTTP service discovery for Prometheus",
            Self::Description => "the description of these JSON documents (OpenAPI)",
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
            _ => "GET, HEAD",
        }
    }

    /// The page at `path`, and the text that stands where its own path has braces, as it was sent.
    fn find<'a>(state: &State, path: &'a str) -> Option<(Self, &'a str)> {
        Self::ALL.into_iter().find_map(|page| {
            let braces = page.path(state).split_once('{');
            // The configured path is what it is.
            let rest = match braces.filter(|_| page != Self::Metrics) {
                None => (page.path(state) == path).then_some("")?,
                Some((start, _)) => {
                    let rest = path.strip_prefix(start)?;
                    (!rest.is_empty() && !rest.contains('/')).then_some(rest)?
                }
            };
            Some((page, rest))
        })
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
    let Some((page, rest)) = Page::find(state, path) else {
        return match path.starts_with(api::PREFIX) {
            true => api::error(
                path,
                StatusCode::NOT_FOUND,
                "there is nothing here; /api/openapi.yaml tells what there is",
            ),
            false => Reply::text(StatusCode::NOT_FOUND, pages::not_found(state)),
        };
    };
    if !page.allows(request.method()) {
        let text = format!("{path} takes {}", page.allow());
        return api::error(path, StatusCode::METHOD_NOT_ALLOWED, &text).with(ALLOW.as_str(), page.allow());
    }
    if declared_length(request.headers()) > MAX_REQUEST_BODY {
        let text = "no request here needs a body";
        return api::error(path, StatusCode::PAYLOAD_TOO_LARGE, text).with(CONNECTION.as_str(), "close");
    }
    let (query, headers) = (request.uri().query(), request.headers());
    let refused = |(status, message): api::Refusal| api::error(path, status, &message);
    match page {
        Page::Metrics => metrics(state, request.headers()).await,
        Page::Index => Reply::html(pages::index(state)),
        Page::Status => api::status(state, query, headers).await.unwrap_or_else(refused),
        Page::ServiceStatus => match query::decoded(rest) {
            Ok(key) => api::service(state, key.into_owned(), query, headers)
                .await
                .unwrap_or_else(refused),
            Err(message) => refused(api::bad_request(message)),
        },
        Page::Description => api::description(),
        Page::Targets => api::targets(state, query, headers).await.unwrap_or_else(refused),
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
