//! The provider check against fake servers that respond as the providers document. Nothing is sent to a real provider.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::model::{Reason, Report};

use crate::common::provider::{Reply, Request, openai, openai_list, provider};
use crate::common::ran::{LONG, Ran, SHORT, check, run};
use crate::common::targets::Target;

mod cache;
mod lists;
mod transport;

/// A key of the usual form.
const KEY: &str = "sk-proj-0123456789abcdefghij";

/// A check of the provider `api` at a server, with more keys.
fn keys(api: &str, server: &Target, more: &str) -> String {
    format!(
        "kind: provider, provider: {api}, base_url: \"{}\", api_key: \"{KEY}\"{more}",
        server.url("")
    )
}

/// One run of a new check.
async fn once(api: &str, server: &Target, more: &str) -> Ran {
    run!(check(&keys(api, server, more)), LONG)
}

/// The state of the last run.
fn state(ran: &Ran) -> &str {
    let samples = ran.report.samples.iter();
    let current: Vec<_> = samples
        .filter(|sample| sample.family.name == "upkeep_provider_state" && sample.value == 1.0)
        .map(|sample| sample.labels[0].as_ref())
        .collect();
    assert_eq!(current.len(), 1, "{current:?}");
    current[0]
}

fn key_valid(ran: &Ran) -> Option<f64> {
    ran.value("upkeep_provider_key_valid", None)
}

/// Asserts that the run succeeded, perhaps with a warning.
#[track_caller]
fn passed(ran: &Ran) {
    assert_eq!(ran.result, Some(Ok(())), "step {}", ran.report.step);
}

/// The message of the warning.
#[track_caller]
fn warning(ran: &Ran, reason: Reason) -> &str {
    passed(ran);
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, reason, "{warning}");
    warning.message()
}

#[tokio::test]
async fn a_good_key_is_valid_and_a_bad_one_is_not() {
    let server = openai(KEY, &["gpt-5", "gpt-5-mini"]).await;
    let ran = once("openai", &server, ", expected_models: [gpt-5]").await;
    passed(&ran);
    assert_eq!(ran.report.warning, None);
    assert_eq!((state(&ran), key_valid(&ran)), ("valid", Some(1.0)));
    assert_eq!(ran.value("upkeep_provider_models", None), Some(2.0));
    assert_eq!(
        ran.value("upkeep_provider_expected_models_missing", None),
        Some(0.0)
    );
    assert_eq!(ran.report.catalog.as_ref().unwrap().models.len(), 2);
    server.freed().await;
    let other = openai("another key", &["gpt-5"]).await;
    let ran = once("openai", &other, "").await;
    ran.failed(
        Reason::Auth,
        "the provider rejects the API key (status 401, invalid_api_key)",
    );
    assert_eq!((state(&ran), key_valid(&ran)), ("invalid", Some(0.0)));
    other.freed().await;
}

#[tokio::test]
async fn a_list_that_is_open_to_everybody_proves_nothing() {
    let server = provider(|_| Reply::new(200, openai_list(&["qwen"]))).await;
    for api in ["openai", "vllm", "compatible"] {
        let ran = once(api, &server, "").await;
        passed(&ran);
        assert_eq!((state(&ran), key_valid(&ran)), ("not_proven", None), "{api}");
        assert_eq!(ran.value("upkeep_provider_models", None), Some(1.0));
    }
    let keyless = format!("kind: provider, provider: vllm, base_url: \"{}\"", server.url(""));
    let ran = run!(check(&keyless), LONG);
    passed(&ran);
    assert_eq!((state(&ran), key_valid(&ran)), ("no_key", None));
    let wrong = server
        .received()
        .iter()
        .filter(|request| request.contains("wrong-key"))
        .count();
    assert_eq!(wrong, 3, "one request with a wrong key for each check with a key");
}

#[tokio::test]
async fn errors_have_their_reasons_and_never_quote_the_key() {
    for (api, status, body, expected, reason, valid) in [
        (
            "openai",
            403,
            r#"{"error":{"message":"Missing scopes: api.model.read"}}"#,
            "no_permission",
            Reason::Permission,
            None,
        ),
        (
            "openai",
            429,
            r#"{"error":{"code":"project_spend_limit_exceeded"}}"#,
            "quota_spent",
            Reason::Limit,
            Some(1.0),
        ),
        (
            "anthropic",
            400,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}"#,
            "quota_spent",
            Reason::Limit,
            Some(1.0),
        ),
        (
            "gemini",
            400,
            r#"{"error":{"message":"API key not valid.","status":"INVALID_ARGUMENT"}}"#,
            "invalid",
            Reason::Auth,
            Some(0.0),
        ),
        (
            "cohere",
            498,
            r#"{"message":"invalid token"}"#,
            "invalid",
            Reason::Auth,
            Some(0.0),
        ),
        (
            "mistral",
            402,
            r#"{"object":"error","type":"billing"}"#,
            "quota_spent",
            Reason::Limit,
            Some(1.0),
        ),
        (
            "huggingface",
            401,
            r#"{"error":"Invalid user token."}"#,
            "invalid",
            Reason::Auth,
            Some(0.0),
        ),
        (
            "openrouter",
            401,
            r#"{"error":{"code":401,"message":"No auth credentials found"}}"#,
            "invalid",
            Reason::Auth,
            Some(0.0),
        ),
        (
            "ollama",
            404,
            r#"{"error":"not found"}"#,
            "unexpected",
            Reason::Status,
            None,
        ),
    ] {
        let body = body.replace("message\":\"", &format!("message\":\"{KEY} "));
        let server = provider(move |_| Reply::new(status, body.clone())).await;
        let ran = once(api, &server, "").await;
        ran.failed(reason, &format!("status {status}"));
        assert_eq!((state(&ran), key_valid(&ran)), (expected, valid), "{api}");
        let shown = format!(
            "{:?} {:?} {:?}",
            ran.result, ran.report.findings, ran.report.samples
        );
        assert!(
            !shown.contains("0123456789") && !shown.contains("ghij"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn an_outage_is_a_warning_at_a_hosted_provider_and_a_failure_of_an_own_server() {
    let server =
        provider(|_| Reply::new(529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#)).await;
    let ran = once("anthropic", &server, "").await;
    assert!(
        warning(&ran, Reason::Status).contains("the provider has an outage (status 529, overloaded_error)")
    );
    assert_eq!((state(&ran), key_valid(&ran)), ("unavailable", None));
    let ran = once("vllm", &server, "").await;
    ran.failed(Reason::Status, "the provider has an outage");
    let ran = once("anthropic", &server, ", on_outage: failure").await;
    ran.failed(Reason::Status, "the provider has an outage");
}

#[tokio::test]
async fn missing_models_are_a_warning_and_dates_become_metrics() {
    let list = json!({"data": [{"id": "old", "shutdown_date": "2027-02-11"}, {"id": "other", "shutdown_date": "2027-03-01"},
                               {"id": "new"}]});
    let server = provider(move |_| Reply::new(200, list.to_string())).await;
    let more = ", expected_models: [old, new, gone], model_dates: { new: 2027-01-31 }";
    let ran = once("openai", &server, more).await;
    assert_eq!(
        warning(&ran, Reason::Missing),
        "openai does not offer expected models: gone"
    );
    assert_eq!(
        ran.value("upkeep_provider_expected_models_missing", None),
        Some(1.0)
    );
    let end =
        |ran: &Ran, model: &str| ran.value("upkeep_provider_model_shutdown_timestamp_seconds", Some(model));
    assert_eq!(end(&ran, "old"), Some(1_802_304_000.0));
    assert_eq!(end(&ran, "new"), Some(1_801_353_600.0));
    assert_eq!(end(&ran, "other"), None, "it is not expected");
    let catalog = ran.report.catalog.as_ref().unwrap();
    let new = catalog.models.iter().find(|model| model.id == "new").unwrap();
    assert_eq!(new.shutdown, Some(1_801_353_600));
    assert!(
        ran.report
            .findings
            .list()
            .iter()
            .any(|finding| finding.subject == "gone" && finding.state == "missing")
    );
    let ran = once("openai", &server, "").await;
    assert_eq!(
        end(&ran, "other"),
        Some(1_803_859_200.0),
        "all dates, without expected models"
    );
}
