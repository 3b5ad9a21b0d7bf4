//! Builds token requests and parses their responses (RFC 6749, sections 4.4 and 5). Without I/O.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, PROXY_AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize, parse};

use super::Granted;
use crate::config::http::{OAuth2Settings, ProxyServer};
use crate::config::secret::Secret;
use crate::model::{self, Problem, Reason, UsedSecrets};
use crate::net::http::authorization;

/// The longest part of an error description that a message quotes, in characters.
const MAX_QUOTED_CHARS: usize = 200;
/// The longest lifetime of a token. A longer one is most likely a mistake.
const MAX_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where the credentials of the client are sent (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsIn {
    /// In the header `Authorization`. Servers must support this.
    Header,
    /// In the body. Servers may support this.
    Body,
}

/// Builds the request for a token, which `forwarder` forwards if there is one.
///
/// # Errors
/// If a part of it is not valid in a request, or if the credentials of the proxy can't be read.
pub fn request(
    settings: &OAuth2Settings,
    client_secret: Option<&Secret>,
    place: CredentialsIn,
    forwarder: Option<&ProxyServer>,
) -> Result<Request<Bytes>, Problem> {
    let url = &settings.token_url;
    let secret = client_secret.map_or("", Secret::expose);
    if let Some(query) = url.query() {
        UsedSecrets::record(&format!("&{query}").into());
    }
    let mut form = Serializer::new(String::new());
    for (name, value) in &settings.parameters {
        // Names of scopes and of grants are not secret.
        let value = match name.as_str() {
            "grant_type" | "scope" => value.unhidden(),
            _ => value.expose(),
        };
        form.append_pair(name, value);
    }
    if place == CredentialsIn::Body {
        form.append_pair("client_id", &settings.client_id);
        form.append_pair("client_secret", secret);
    }
    let uri = match forwarder {
        Some(_) => format!("http://{}{}", url.authority(), url.path_and_query()),
        None => url.path_and_query().to_owned(),
    };
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(HOST, url.authority())
        .header(CONNECTION, "close")
        .header(USER_AGENT, model::USER_AGENT)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    if place == CredentialsIn::Header {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encoded(&settings.client_id), encoded(secret)));
        UsedSecrets::record(&pair.as_str().into());
        request = request.header(AUTHORIZATION, format!("Basic {pair}"));
    }
    if let Some(credentials) = forwarder.and_then(|proxy| proxy.credentials.as_ref()) {
        request = request.header(PROXY_AUTHORIZATION, authorization(credentials)?);
    }
    let body = Bytes::from(form.finish());
    request
        .body(body)
        .map_err(|error| Problem::new(Reason::Auth, format_args!("the request is not valid: {error}")))
}

/// Parses the response of a token endpoint.
///
/// # Errors
/// Why it grants no token.
pub fn parse_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Granted, String> {
    let document = document(headers, body);
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    if !status.is_success() || text("error").is_some() {
        let error = text("error").map(|error| format!(": {}", quoted(error)));
        let description = text("error_description").map(|text| format!(" ({})", quoted(text)));
        let status = status.as_u16();
        return Err(format!(
            "the status is {status}{}{}",
            error.unwrap_or_default(),
            description.unwrap_or_default()
        ));
    }
    if document.is_null() {
        return Err("the response is not JSON".to_owned());
    }
    let Some(token) = text("access_token").filter(|token| !token.is_empty()) else {
        return Err("the response has no access_token".to_owned());
    };
    let secret = Secret::new(token);
    // From here on, the target may return it.
    let token = secret.expose();
    let scheme = match text("token_type") {
        None | Some("") => "Bearer",
        Some(scheme) if scheme.eq_ignore_ascii_case("bearer") => "Bearer",
        Some(scheme) => scheme,
    };
    let mut header = HeaderValue::try_from(format!("{scheme} {token}"))
        .map_err(|_| "the token contains characters that headers can't have".to_owned())?;
    header.set_sensitive(true);
    // Some servers write the number as text.
    let seconds = match document.get("expires_in") {
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        other => other.and_then(Value::as_f64),
    };
    let lifetime = seconds
        .filter(|seconds| *seconds > 0.0)
        .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(MAX_LIFETIME))
        .map(|lifetime| lifetime.min(MAX_LIFETIME));
    Ok(Granted {
        header,
        text: secret,
        lifetime,
    })
}

/// The response as a JSON object. Old servers send a form instead. `Null` if it is neither.
fn document(headers: &HeaderMap, body: &[u8]) -> Value {
    if let Ok(document @ Value::Object(_)) = serde_json::from_slice(body) {
        return document;
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type
        .and_then(|text| text.split(';').next())
        .unwrap_or_default();
    match media_type.trim() {
        "application/x-www-form-urlencoded" | "text/plain" => {
            let pairs =
                parse(body).map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
            Value::Object(pairs.collect())
        }
        _ => Value::Null,
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((end, _)) => format!("{}\u{2026}", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(status: u16, content_type: &str, body: &str) -> Result<(String, Option<Duration>), String> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        parse_response(status, &headers, body.as_bytes())
            .map(|granted| (granted.header.to_str().unwrap().to_owned(), granted.lifetime))
    }

    #[test]
    fn tokens_have_a_type_and_a_lifetime() {
        let (json, form) = (
            "application/json",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        for (content_type, body, header, seconds) in [
            (
                json,
                r#"{"access_token": "t", "token_type": "bearer", "expires_in": 60}"#,
                "Bearer t",
                Some(60),
            ),
            (json, r#"{"access_token": "t"}"#, "Bearer t", None),
            (
                "text/html",
                r#"{"access_token": "t", "token_type": "MAC", "expires_in": "60"}"#,
                "MAC t",
                Some(60),
            ),
            (
                json,
                r#"{"access_token": "t", "expires_in": null}"#,
                "Bearer t",
                None,
            ),
            (
                json,
                r#"{"access_token": "t", "expires_in": -1}"#,
                "Bearer t",
                None,
            ),
            (
                json,
                r#"{"access_token": "t", "expires_in": 1e300}"#,
                "Bearer t",
                Some(31_536_000),
            ),
            (form, "access_token=t%2B&expires_in=60", "Bearer t+", Some(60)),
        ] {
            let expected = (header.to_owned(), seconds.map(Duration::from_secs));
            assert_eq!(parsed(200, content_type, body), Ok(expected), "{body}");
        }
    }

    #[test]
    fn responses_without_a_token_have_messages() {
        for (status, body, message) in [
            (
                401,
                r#"{"error": "invalid_client", "error_description": "no such client"}"#,
                "the status is 401: invalid_client (no such client)",
            ),
            (
                200,
                r#"{"error": "invalid_scope"}"#,
                "the status is 200: invalid_scope",
            ),
            (503, "<p>down</p>", "the status is 503"),
            (302, "", "the status is 302"),
            (200, "<p>log in</p>", "the response is not JSON"),
            (200, "[]", "the response is not JSON"),
            (200, "{}", "the response has no access_token"),
            (200, r#"{"access_token": 1}"#, "the response has no access_token"),
            (
                200,
                r#"{"access_token": "a\nb"}"#,
                "the token contains characters that headers can't have",
            ),
        ] {
            assert_eq!(
                parsed(status, "text/html", body),
                Err(message.to_owned()),
                "{body}"
            );
        }
        let long = format!(r#"{{"error": "{}"}}"#, "x".repeat(1000));
        assert!(parsed(400, "text/html", &long).unwrap_err().len() < 250);
    }
}
