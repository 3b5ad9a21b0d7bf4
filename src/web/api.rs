//! The JSON endpoints: the status of everything, of a group or of one service and the models of providers below `/api/`, and
//! targets for Prometheus at `/sd`. `docs/openapi.yaml` describes them.
//!
//! Responses are never cached. There are no CORS header fields, so browsers keep pages of other sites from reading them.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, VARY};
use http::{HeaderMap, StatusCode};

use super::accept;
use super::body::Content;
use super::error_reply::ApiError;
use super::model_query::ModelQuery;
use super::query::{self, quote};
use super::reply::Reply;
use super::single_flight::FlightError;
use super::state::State;
use crate::config::suggest;
use crate::status;
use crate::store::Snapshot;

/// The OpenAPI description.
const DESCRIPTION: &str = include_str!("../../docs/openapi.yaml");

/// The maximum number of names that an error message lists.
const MAX_LISTED: usize = 40;

/// `/api/status`, `/api/status?group=G`.
pub(super) async fn status(
    state: &Arc<State>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let [group] = query::parse(query, ["group"]).map_err(ApiError::bad_request)?;
    json(state, format!("status {group:?}"), headers, move |snapshot| {
        let group = find_group(snapshot, group.as_deref())?;
        let host = status::host_name();
        let document = status::document(snapshot, &host, |view| {
            group.is_none_or(|group| view.service.group == group)
        });
        serde_json::to_vec(&document).map_err(ApiError::internal)
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
    let [] = query::parse(query, []).map_err(ApiError::bad_request)?;
    json(state, format!("service {key}"), headers, move |snapshot| {
        let mut services = snapshot.services.iter();
        match services.find(|view| view.service.key.as_str() == key) {
            Some(view) => {
                serde_json::to_vec(&status::service(view, snapshot.taken)).map_err(ApiError::internal)
            }
            None => Err(unknown_service(&key, snapshot)),
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
    let [group, kind] = query::parse(query, ["group", "kind"]).map_err(ApiError::bad_request)?;
    if let Some(kind) = &kind
        && !status::PROBED_KINDS.contains(&kind.as_str())
    {
        let known = status::PROBED_KINDS.join(", ");
        let message = format!("kind {} can't be probed; supported: {known}", quote(kind));
        return Err(ApiError::bad_request(message));
    }
    json(
        state,
        format!("sd {group:?} {kind:?}"),
        headers,
        move |snapshot| {
            let group = find_group(snapshot, group.as_deref())?;
            let services = snapshot.services.iter();
            let services = services.filter(|view| group.is_none_or(|group| view.service.group == group));
            serde_json::to_vec(&status::targets(services, kind.as_deref())).map_err(ApiError::internal)
        },
    )
    .await
}

/// `/api/models`, `/api/models?provider=P&q=TEXT&capability=C&offset=N&limit=N`.
pub(super) async fn models(
    state: &Arc<State>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Reply, ApiError> {
    let query = ModelQuery::parse(query).map_err(ApiError::bad_request)?;
    json(state, format!("models {query:?}"), headers, move |snapshot| {
        let found = query.search.find(snapshot);
        query.check(&found).map_err(ApiError::not_found)?;
        let document = status::models(snapshot, found, query.offset, query.limit);
        serde_json::to_vec(&document).map_err(ApiError::internal)
    })
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

/// Returns the error about a service that does not exist.
pub(super) fn unknown_service(key: &str, snapshot: &Snapshot) -> ApiError {
    let keys = snapshot.services.iter().map(|view| view.service.key.as_str());
    ApiError::not_found(format!("no service {}: {}", quote(key), suggest_key(key, keys)))
}

/// Returns the JSON that `render` creates from a snapshot taken after this call. `name` identifies the document.
async fn json(
    state: &Arc<State>,
    name: String,
    headers: &HeaderMap,
    render: impl FnOnce(&Snapshot) -> Result<Vec<u8>, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    rendered(state, name, headers, "application/json", render).await
}

/// Returns the document of this type that `render` creates from a snapshot taken after this call. `name` identifies the document.
pub(super) async fn rendered(
    state: &Arc<State>,
    name: String,
    headers: &HeaderMap,
    content_type: &'static str,
    render: impl FnOnce(&Snapshot) -> Result<Vec<u8>, ApiError> + Send + 'static,
) -> Result<Reply, ApiError> {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter();
    let encoding = accept::choose_encoding(accepted.filter_map(|value| value.to_str().ok()));
    let source = Arc::clone(state);
    let body = state
        .bodies
        .documents
        .get(name, encoding, move || render(&(source.snapshot)()));
    let body = body.await.map_err(|error| match error {
        FlightError::Render(error) => error,
        FlightError::Failed => {
            ApiError::internal("rendering the response failed inside the exporter; see its log")
        }
    })?;
    Ok(Reply::new(StatusCode::OK, content_type, Content::Rendered(body))
        .encoded(encoding)
        .with(VARY.as_str(), "accept-encoding")
        .with(CACHE_CONTROL.as_str(), "no-store"))
}

/// Returns the group, if one is requested.
///
/// # Errors
/// When it does not exist.
pub(super) fn find_group<'a>(
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
    let mut names: Vec<_> = known.iter().take(MAX_LISTED).map(|name| quote(name)).collect();
    if known.len() > names.len() {
        names.push("\u{2026}".to_owned());
    }
    let message = format!("no group {}; existing groups: {}", quote(group), names.join(", "));
    Err(ApiError::not_found(message))
}

/// Suggests the nearest key, or where all keys are listed.
fn suggest_key<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> String {
    match suggest::nearest(key, known) {
        Some(near) => format!("did you mean {near}?"),
        None => "/api/status lists all services".to_owned(),
    }
}
