//! Replies to requests that start, stop or restart a service (`--web.enable-admin-api`).

use std::sync::Arc;

use http::header::{ACCEPT, CACHE_CONTROL, LOCATION};
use http::{HeaderMap, HeaderValue, Request, StatusCode};

use super::admin::{Acted, Admin};
use super::auth;
use super::body::Content;
use super::client::Client;
use super::error_reply::{ApiError, error_reply};
use super::hosts::is_same_origin;
use super::peer::Peer;
use super::query::quote;
use super::reply::Reply;
use super::state::State;
use super::{html, pages};
use crate::actuator::{Action, Done};
use crate::config::Target;
use crate::model::prefix;

/// How much of a user's name and of a requested key a log line contains, in bytes.
const MAX_LOGGED: usize = 128;

/// Who requests what, for the log.
struct Audit {
    user: String,
    peer: Peer,
    service: String,
    action: Action,
}

impl Audit {
    /// Logs the result of a request. All of them are logged: only authenticated users can cause them.
    fn log<T>(&self, result: &Result<T, ApiError>, details: impl FnOnce(&T) -> String) {
        let (service, user) = (prefix(&self.service, MAX_LOGGED), prefix(&self.user, MAX_LOGGED));
        let (action, client) = (self.action, self.peer);
        match result {
            Ok(done) => {
                tracing::info!(user, %client, service, %action, result = details(done), "admin request");
            }
            Err(error) => {
                tracing::warn!(user, %client, service, %action, error = error.message(), "admin request failed");
            }
        }
    }
}

/// The JSON of a successful action.
#[derive(serde::Serialize)]
struct ActBody<'a> {
    service: &'a str,
    action: &'static str,
    targets: Vec<ActedTarget<'a>>,
}

/// A unit or container, and what happened to it.
#[derive(serde::Serialize)]
struct ActedTarget<'a> {
    kind: &'static str,
    name: &'a str,
    result: &'static str,
}

/// Replies to a request for an action on the service with this key.
pub(super) async fn act<B>(state: &Arc<State>, request: &Request<B>, key: String, action: Action) -> Reply {
    let path = request.uri().path();
    let Some(admin) = &state.admin else {
        let text = "actions on services are disabled; start the exporter with --web.enable-admin-api, and with users in \
                    the web configuration";
        return error_reply(path, StatusCode::FORBIDDEN, text);
    };
    if !is_same_origin(request) {
        let text = "requests from pages of other sites are not allowed; use the status page of this exporter";
        return error_reply(path, StatusCode::FORBIDDEN, text);
    }
    // Requests are authenticated before they are routed. If that changes by mistake, this must not become open to everybody.
    let Some(user) = auth::user(request.headers()) else {
        return error_reply(path, StatusCode::FORBIDDEN, "actions on services need a user");
    };
    let client: Option<&Client> = request.extensions().get();
    let audit = Audit {
        user,
        peer: client.map_or(Peer::Local, |client| client.peer),
        service: key.clone(),
        action,
    };
    // The action runs to its end, and is logged, even if the client closes the connection.
    let (task_state, task_admin) = (Arc::clone(state), Arc::clone(admin));
    let task = tokio::spawn(async move {
        let result = act_on(&task_state, &task_admin, &key, action).await;
        audit.log(&result, |acted| describe(acted));
        (key, result)
    });
    let Ok((key, result)) = task.await else {
        let text = "the action failed inside the exporter; see its log";
        return error_reply(path, StatusCode::INTERNAL_SERVER_ERROR, text);
    };
    match result {
        _ if !wants_page(request.headers()) => match result {
            Ok(acted) => json(&key, action, &acted),
            Err(error) => error.into_reply(path),
        },
        Ok(_) => redirect(&key),
        Err(error) => {
            let snapshot = (state.snapshot)();
            let title = format!("{action} {} failed", quote(&key));
            let page = html::action_failed(&snapshot, &key, &title, error.message());
            pages::admin_page(error.status(), page)
        }
    }
}

/// Acts on the service with this key.
async fn act_on(state: &State, admin: &Admin, key: &str, action: Action) -> Result<Vec<Acted>, ApiError> {
    let snapshot = (state.snapshot)();
    let mut views = snapshot.services.iter();
    match views.find(|view| view.service.key.as_str() == key) {
        Some(view) => admin.act(&view.service, action).await,
        None => Err(ApiError::not_found(format!(
            "no service has the key {}",
            quote(key)
        ))),
    }
}

fn result_word(done: Done) -> &'static str {
    match done {
        Done::Changed => "changed",
        Done::Unchanged => "unchanged",
    }
}

fn describe(acted: &[Acted]) -> String {
    let texts = acted
        .iter()
        .map(|(target, done)| format!("{target} {}", result_word(*done)));
    texts.collect::<Vec<_>>().join(", ")
}

fn json(key: &str, action: Action, acted: &[Acted]) -> Reply {
    let body = ActBody {
        service: key,
        action: action.as_str(),
        targets: acted
            .iter()
            .map(|(target, done)| ActedTarget {
                kind: match target {
                    Target::Unit { .. } => "unit",
                    Target::Container { .. } => "container",
                },
                name: target.name(),
                result: result_word(*done),
            })
            .collect(),
    };
    // Serializing texts does not fail.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    Reply::json(StatusCode::OK, Content::Text(body.into())).with(CACHE_CONTROL.as_str(), "no-store")
}

/// Whether the client is a browser that shows the response as a page.
fn wants_page(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

/// Returns to the page of the service. The browser requests it with GET (RFC 9110, section 15.4.4).
fn redirect(key: &str) -> Reply {
    let reply = Reply::text(StatusCode::SEE_OTHER, "Done.\n").with(CACHE_CONTROL.as_str(), "no-store");
    match HeaderValue::try_from(format!("/service/{key}")) {
        Ok(location) => reply.with_value(LOCATION, location),
        // A key has no characters that are invalid in a header field.
        Err(_) => reply,
    }
}
