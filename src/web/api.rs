//! What is served as JSON: below `/api/` the status of everything, of a group, of one service, and at `/sd` targets for
//! Prometheus. `docs/openapi.yaml` describes it.
//!
//! Answers are never cached, and no other origin's scripts may read them: a browser keeps a page of another site from reading
//! what a machine inside says of itself, unless the server allows it (CORS), and this one does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, VARY};
use http::{HeaderMap, StatusCode};

use super::body::Content;
use super::query::{parameters, quoted};
use super::reply::Reply;
use super::single_flight::FlightError;
use super::{State, accept};
use crate::config::suggest;
use crate::status;
use crate::store::Snapshot;

/// Where the answers that are JSON, errors included, begin.
pub(super) const PREFIX: &str = "/api/";

/// The description of the API, as it is in the repository.
const DESCRIPTION: &str = include_str!("../../docs/openapi.yaml");

/// The most names that an error lists.
const MAX_LISTED: usize = 40;

/// A refusal: the status and what is wrong.
pub(super) type ApiError = (StatusCode, String);

/// The JSON of an error.
#[derive(serde::Serialize)]
struct ErrorBody<'a> {
    error: &'a str,
}

/// An error as the clients of `path` understand it.
pub(super) fn error(path: &str, status: StatusCode, message: &str) -> Reply {
    if !path.starts_with(PREFIX) {
        return Reply::text(status, format!("{status}: {message}\n"));
    }
    // A struct of one text always has a JSON.
    let body = serde_json::to_vec(&ErrorBody { error: message }).unwrap_or_default();
    Reply::json(status, Content::Text(body.into())).with(CACHE_CONTROL.as_str(), "no-store")
}

/// `/api/status`, `/api/status?group=G`.
pub(super) async fn status(
    state: &Arc<State>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let [group] = parameters(query, ["group"]).map_err(bad_request)?;
    json(state, format!("status {group:?}"), headers, move |snapshot| {
        let group = known_group(snapshot, group.as_deref())?;
        let host = status::host_name();
        let document = status::document(snapshot, &host, |view| {
            group.is_none_or(|group| view.service.group == group)
        });
        serde_json::to_vec(&document).map_err(internal)
    })
    .await
}

/// `/api/status/{service}`.
pub(super) async fn service(
    state: &Arc<State>,
    key: String,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let [] = parameters(query, []).map_err(bad_request)?;
    json(state, format!("service {key}"), headers, move |snapshot| {
        let mut services = snapshot.services.iter();
        match services.find(|view| view.service.key.as_str() == key) {
            Some(view) => serde_json::to_vec(&status::service(view)).map_err(internal),
            None => {
                let keys = snapshot.services.iter().map(|view| view.service.key.as_str());
                Err((
                    StatusCode::NOT_FOUND,
                    format!("no service {}: {}", quoted(&key), advice(&key, keys)),
                ))
            }
        }
    })
    .await
}

/// `/sd`, `/sd?group=G&kind=K`.
pub(super) async fn targets(
    state: &Arc<State>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let [group, kind] = parameters(query, ["group", "kind"]).map_err(bad_request)?;
    if let Some(kind) = &kind
        && !status::PROBED_KINDS.contains(&kind.as_str())
    {
        let known = status::PROBED_KINDS.join(", ");
        return Err(bad_request(format!(
            "no kind {}; what can be probed is {known}",
            quoted(kind)
        )));
    }
    json(
        state,
        format!("sd {group:?} {kind:?}"),
        headers,
        move |snapshot| {
            let group = known_group(snapshot, group.as_deref())?;
            let services = snapshot.services.iter();
            let services = services.filter(|view| group.is_none_or(|group| view.service.group == group));
            serde_json::to_vec(&status::targets(services, kind.as_deref())).map_err(internal)
        },
    )
    .await
}

/// `/api/openapi.yaml`.
pub(super) fn description() -> Reply {
    Reply::new(
        StatusCode::OK,
        // RFC 9512.
        "application/yaml",
        Content::Text(DESCRIPTION.into()),
    )
}

/// The JSON that `make` makes of a snapshot taken after this call.
pub(super) async fn json(
    state: &Arc<State>,
    what: String,
    headers: &HeaderMap,
    make: impl FnOnce(&Snapshot) -> Result<Vec<u8>, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let encoding = accept::encoding(accepted.filter_map(|value| value.to_str().ok()));
    let source = Arc::clone(state);
    let body = state
        .bodies
        .documents
        .get(what, encoding, move || make(&(source.snapshot)()));
    let document = body.await.map_err(|error| match error {
        FlightError::Render(refusal) => refusal,
        FlightError::Failed => internal("making the answer failed inside the exporter; its log says why"),
    })?;
    Ok(Reply::json(StatusCode::OK, Content::Rendered(document))
        .encoded(encoding)
        .with(VARY.as_str(), "accept-encoding")
        .with(CACHE_CONTROL.as_str(), "no-store"))
}

/// The group, if one is asked for.
///
/// # Errors
/// When there is no such group.
pub(super) fn known_group<'a>(
    snapshot: &Snapshot,
    group: Option<&'a str>,
) -> Result<Option<&'a str>, ApiError> {
    let Some(group) = group else {
        return Ok(None);
    };
    let known: BTreeSet<&str> = snapshot
        .services
        .iter()
        .map(|view| view.service.group.as_str())
        .collect();
    if known.contains(group) {
        return Ok(Some(group));
    }
    let mut names: Vec<_> = known.iter().take(MAX_LISTED).map(|name| quoted(name)).collect();
    if known.len() > names.len() {
        names.push("\u{2026}".to_owned());
    }
    let message = format!("no group {}; there are: {}", quoted(group), names.join(", "));
    Err((StatusCode::NOT_FOUND, message))
}

pub(super) fn bad_request(message: String) -> ApiError {
    (StatusCode::BAD_REQUEST, message)
}

pub(super) fn internal(error: impl std::fmt::Display) -> ApiError {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn advice<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    match suggest::nearest(key, known) {
        Some(near) => format!("did you mean {near}?"),
        None => "/api/status lists all of them".to_owned(),
    }
}
