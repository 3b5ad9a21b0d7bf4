//! `/api/models` and the page `/models`: searches, parts of the result, and ages.

use serde_json::{Value, json};

use crate::api::json;
use crate::client::{Server, state};
use crate::openapi;
use crate::snapshots::{every_status, with_models};

/// The ids of the models in a response.
fn ids(document: &Value) -> Vec<&str> {
    let models = document["models"].as_array().unwrap().iter();
    models.map(|model| model["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn models_are_found_by_provider_words_and_capability() {
    let server = Server::start(state(with_models)).await;
    for (query, expected) in [
        (
            "provider=openai",
            &["gpt-3.5-turbo", "gpt-5", "text-embedding-3-small"][..],
        ),
        ("q=GPT", &["gpt-3.5-turbo", "gpt-5"]),
        ("q=mistral+119", &["mistral-119"]),
        ("q=%3Cb%3E+007&capability=chat", &["mistral-007"]),
        ("capability=embed", &["text-embedding-3-small"]),
        ("capability=vision&provider=openai&q=", &["gpt-5"]),
        ("q=nothing", &[]),
        ("limit=2&offset=1", &["gpt-5", "text-embedding-3-small"]),
        ("offset=5000", &[]),
    ] {
        let document = json(&server.get(&format!("/api/models?{query}"), &[]).await);
        openapi::assert_is("Models", &document);
        assert_eq!(ids(&document), expected, "{query}");
        assert_eq!(document["capabilities"], json!(["chat", "embed", "vision"]));
        assert_eq!(document["providers"], json!(["mistral", "openai"]));
    }
}

#[tokio::test]
async fn a_model_has_every_known_field_and_the_age_of_its_list() {
    let server = Server::start(state(with_models)).await;
    let document = json(&server.get("/api/models?provider=openai", &[]).await);
    assert_eq!(
        document["models"][0],
        json!({
            "service": "llm",
            "check": "key",
            "provider": "openai",
            "id": "gpt-3.5-turbo",
            "name": null,
            "capabilities": ["chat"],
            "context_length": null,
            "max_output_tokens": null,
            "created": "2023-02-28T18:56:42.000Z",
            "shutdown": "2023-11-26T22:13:20.000Z",
            "deprecated": false,
            "age_seconds": 3600,
        })
    );
    assert_eq!(document["models"][1]["context_length"], 400_000);
    assert_eq!(document["models"][1]["max_output_tokens"], 128_000);
    assert_eq!(
        document["catalogs"][1],
        json!({
            "service": "fallback",
            "check": "key",
            "provider": "mistral",
            "models": 120,
            "omitted": 0,
            "fetched": "2023-11-14T22:12:20.000Z",
            "age_seconds": 60,
        })
    );
}

#[tokio::test]
async fn parts_of_the_result_add_up_to_the_whole() {
    let server = Server::start(state(with_models)).await;
    let whole = json(&server.get("/api/models", &[]).await);
    assert_eq!(whole["total"], 123);
    let (mut found, mut offset) = (Vec::new(), json!(0));
    while let Some(number) = offset.as_u64() {
        let part = json(
            &server
                .get(&format!("/api/models?limit=50&offset={number}"), &[])
                .await,
        );
        openapi::assert_is("Models", &part);
        found.extend(part["models"].as_array().unwrap().clone());
        offset = part["next_offset"].clone();
    }
    assert_eq!(json!(found), whole["models"]);
}

#[tokio::test]
async fn unknown_providers_and_capabilities_are_errors_that_list_the_known_ones() {
    let server = Server::start(state(with_models)).await;
    for (query, message) in [
        (
            "provider=openal",
            r#"No models with the provider "openal"; known: "mistral", "openai""#,
        ),
        (
            "capability=Chat",
            r#"No models with the capability "Chat"; known: "chat", "embed", "vision""#,
        ),
    ] {
        let reply = server.get(&format!("/api/models?{query}"), &[]).await;
        assert_eq!((reply.status, json(&reply)), (404, json!({ "error": message })));
        let page = server.get(&format!("/models?{query}"), &[]).await;
        assert_eq!(page.status, 404);
        assert!(
            page.text().contains(&message.replace('"', "&quot;")),
            "{}",
            page.text()
        );
    }
}

#[tokio::test]
async fn without_models_the_lists_are_empty_and_nothing_links_the_page() {
    let server = Server::start(state(every_status)).await;
    let document = json(&server.get("/api/models", &[]).await);
    openapi::assert_is("Models", &document);
    assert_eq!(
        (&document["total"], &document["catalogs"]),
        (&json!(0), &json!([]))
    );
    let reply = server.get("/api/models?provider=openai", &[]).await;
    assert!(
        reply.text().contains("no check has reported one yet"),
        "{}",
        reply.text()
    );
    let page = server.get("/models", &[]).await;
    assert!(page.text().contains("No check has reported a list of models."));
    let link = "href=\"/models\"";
    assert!(!server.get("/", &[]).await.text().contains(link));
    let server = Server::start(state(with_models)).await;
    assert!(server.get("/", &[]).await.text().contains(link));
}

#[tokio::test]
async fn the_page_sends_its_form_only_to_the_exporter() {
    let server = Server::start(state(with_models)).await;
    let page = server.get("/models", &[]).await;
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"),
        "{policy}"
    );
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    // A reload would clear the form.
    assert!(!page.text().contains("http-equiv"));
    assert!(page.text().contains("Mistral &lt;b&gt;"));
}
