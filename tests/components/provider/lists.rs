//! The lists of each provider: which endpoints are requested, with which headers, and what is read from them.

use super::*;

/// One run against a server with this list at this path. Returns the requests with the real key.
async fn listed(api: &str, list: serde_json::Value, wanted: fn(&Request) -> bool) -> (Ran, Vec<String>) {
    let list = list.to_string();
    let server = provider(move |request| match wanted(request) {
        true => Reply::new(200, list.clone()),
        false => Reply::new(401, "{}"),
    })
    .await;
    let ran = once(api, &server, "").await;
    passed(&ran);
    assert_eq!((state(&ran), key_valid(&ran)), ("valid", Some(1.0)), "{api}");
    assert_eq!(ran.value("upkeep_provider_models", None), Some(1.0), "{api}");
    server.freed().await;
    let requests = server.received();
    let with_key = requests.into_iter().filter(|request| request.contains(KEY));
    (ran, with_key.collect())
}

#[tokio::test]
async fn each_provider_gets_its_own_request() {
    let bearer: fn(&Request) -> bool = |request| request.has_bearer(KEY);
    for (api, list, wanted, line) in [
        (
            "openai",
            json!({"data": [{"id": "gpt-5"}]}),
            bearer,
            "GET /models HTTP/1.1",
        ),
        (
            "anthropic",
            json!({"data": [{"id": "claude"}], "has_more": false}),
            |request| {
                request.header("x-api-key") == Some(KEY)
                    && request.header("anthropic-version") == Some("2023-06-01")
            },
            "GET /v1/models?limit=1000 HTTP/1.1",
        ),
        (
            "gemini",
            json!({"models": [{"name": "models/gemini"}]}),
            |request| request.header("x-goog-api-key") == Some(KEY),
            "GET /v1beta/models?pageSize=1000 HTTP/1.1",
        ),
        (
            "mistral",
            json!({"data": [{"id": "mistral"}]}),
            bearer,
            "GET /v1/models HTTP/1.1",
        ),
        (
            "cohere",
            json!({"models": [{"name": "command"}]}),
            bearer,
            "GET /v1/models?page_size=1000 HTTP/1.1",
        ),
        (
            "ollama",
            json!({"models": [{"name": "llama3:latest"}]}),
            bearer,
            "GET /api/tags HTTP/1.1",
        ),
        (
            "vllm",
            json!({"data": [{"id": "qwen"}]}),
            bearer,
            "GET /models HTTP/1.1",
        ),
        (
            "compatible",
            json!({"data": [{"id": "x"}]}),
            bearer,
            "GET /models HTTP/1.1",
        ),
    ] {
        let (_, requests) = listed(api, list, wanted).await;
        assert_eq!(requests.len(), 1, "{api}: {requests:?}");
        assert!(requests[0].starts_with(line), "{api}: {}", requests[0]);
        assert!(
            !requests[0].lines().next().unwrap().contains(KEY),
            "{}",
            requests[0]
        );
    }
}

#[tokio::test]
async fn organization_and_project_are_sent_to_openai() {
    let server = openai(KEY, &["gpt-5"]).await;
    passed(&once("openai", &server, ", organization: org-a, project: proj_b").await);
    let request = server.received().remove(0).to_lowercase();
    assert!(request.contains("openai-organization: org-a\r\n"), "{request}");
    assert!(request.contains("openai-project: proj_b\r\n"), "{request}");
}

#[tokio::test]
async fn all_pages_are_read() {
    let server = provider(|request| {
        let model = |name: &str| json!({"name": name});
        let page = match request.path.as_str() {
            "/v1/models?page_size=1000" => {
                json!({"models": [model("a"), model("b")], "next_page_token": "x&y"})
            }
            "/v1/models?page_size=1000&page_token=x%26y" => json!({"models": [model("c")]}),
            _ => return Reply::new(401, "{}"),
        };
        match request.has_bearer(KEY) {
            true => Reply::new(200, page.to_string()),
            false => Reply::new(401, "{}"),
        }
    })
    .await;
    let ran = once("cohere", &server, ", expected_models: [a, c]").await;
    passed(&ran);
    assert_eq!(ran.report.warning, None);
    assert_eq!(ran.value("upkeep_provider_models", None), Some(3.0));
}

#[tokio::test]
async fn pages_without_an_end_are_a_failure() {
    let pages = std::sync::atomic::AtomicUsize::new(0);
    let server = provider(move |_| {
        let page = pages.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let id = format!("m{page}");
        Reply::new(
            200,
            json!({"data": [{"id": id}], "has_more": true, "last_id": id}).to_string(),
        )
    })
    .await;
    let ran = once("anthropic", &server, "").await;
    ran.failed(Reason::Limit, "the list has more than 20 pages");
    assert_eq!(server.received().len(), 20);
    assert_eq!(state(&ran), "unexpected");
    let same = provider(|_| {
        Reply::new(
            200,
            json!({"data": [{"id": "a"}], "has_more": true, "last_id": "a"}).to_string(),
        )
    })
    .await;
    let ran = once("anthropic", &same, "").await;
    ran.failed(Reason::Protocol, "names itself as the next one");
    assert_eq!(same.received().len(), 2);
}

#[tokio::test]
async fn hugging_face_proves_the_token_and_finds_each_model() {
    let server = provider(|request| match (request.path.as_str(), request.has_bearer(KEY)) {
        (_, false) => Reply::new(401, "{}"),
        ("/api/whoami-v2", _) => {
            Reply::new(200, r#"{"type":"user","name":"me"}"#).with("RateLimit: \"api\";r=498;t=291")
        }
        ("/api/models/openai/gpt-oss-20b", _) => Reply::new(
            200,
            r#"{"id":"openai/gpt-oss-20b","pipeline_tag":"text-generation"}"#,
        ),
        _ => Reply::new(404, r#"{"error":"Repository not found"}"#),
    })
    .await;
    let ran = once(
        "huggingface",
        &server,
        ", expected_models: [openai/gpt-oss-20b, me/gone]",
    )
    .await;
    assert_eq!(
        warning(&ran, Reason::Missing),
        "huggingface does not offer expected models: me/gone"
    );
    assert_eq!((state(&ran), key_valid(&ran)), ("valid", Some(1.0)));
    assert_eq!(ran.value("upkeep_provider_models", None), Some(1.0));
    assert_eq!(ran.value("upkeep_provider_remaining_requests", None), Some(498.0));
    let paths: Vec<String> = server
        .received()
        .iter()
        .map(|request| request.split(' ').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(
        paths,
        [
            "/api/whoami-v2",
            "/api/models/openai/gpt-oss-20b",
            "/api/models/me/gone"
        ]
    );
}

#[tokio::test]
async fn openrouter_proves_the_key_and_reports_credits() {
    for (remaining, expected, credits) in [
        ("2.5", "valid", Some(2.5)),
        ("null", "valid", None),
        ("0", "quota_spent", Some(0.0)),
    ] {
        let key = format!("{{\"data\":{{\"limit\":10,\"limit_remaining\":{remaining}}}}}");
        let server = provider(move |request| match request.path.as_str() {
            "/key" if request.has_bearer(KEY) => Reply::new(200, key.clone()),
            "/models" => Reply::new(200, openai_list(&["openai/gpt-5"])),
            _ => Reply::new(401, "{}"),
        })
        .await;
        let ran = once("openrouter", &server, "").await;
        assert_eq!((state(&ran), key_valid(&ran)), (expected, Some(1.0)));
        assert_eq!(ran.value("upkeep_provider_remaining_credits", None), credits);
        assert_eq!(ran.value("upkeep_provider_models", None), Some(1.0));
        match expected {
            "quota_spent" => drop(ran.failed(Reason::Limit, "the credit limit of the key is used up")),
            _ => passed(&ran),
        }
        let requests = server.received();
        assert_eq!(requests.len(), 2);
        assert!(
            requests[0].contains(KEY) && !requests[1].contains(KEY),
            "the public list gets no key"
        );
    }
}

#[tokio::test]
async fn what_remains_is_reported() {
    let server = provider(|request| match request.header("x-api-key") == Some(KEY) {
        true => Reply::new(200, json!({"data": [], "has_more": false}).to_string())
            .with("anthropic-ratelimit-requests-remaining: 49")
            .with("anthropic-ratelimit-tokens-remaining: 80000"),
        false => Reply::new(401, "{}"),
    })
    .await;
    let ran = once("anthropic", &server, "").await;
    passed(&ran);
    assert_eq!(ran.value("upkeep_provider_remaining_requests", None), Some(49.0));
    assert_eq!(
        ran.value("upkeep_provider_remaining_tokens", None),
        Some(80_000.0)
    );
}

#[tokio::test]
async fn a_renamed_model_of_hugging_face_is_offered_but_its_redirect_is_not_followed() {
    for (location, is_offered) in [
        ("/api/models/openai-community/gpt2", true),
        ("/login?next=/api/models/openai/gpt2", false),
        ("http://127.0.0.1:1/api/models/openai/gpt2", false),
    ] {
        let header = format!("Location: {location}");
        let server = provider(move |request| match request.path.as_str() {
            "/api/whoami-v2" => Reply::new(200, r#"{"type":"user","name":"me"}"#),
            _ => Reply::new(307, "").with(&header),
        })
        .await;
        let ran = once("huggingface", &server, ", expected_models: [openai/gpt2]").await;
        match is_offered {
            true => assert_eq!((ran.report.warning.clone(), state(&ran)), (None, "valid")),
            false => drop(ran.failed(Reason::Status, "status 307: redirects are not followed")),
        }
        assert_eq!(server.received().len(), 2, "{location}");
    }
}

#[tokio::test]
async fn json_that_describes_no_account_proves_no_token() {
    for body in ["{}", "[]", "null", r#"{"name":7}"#] {
        let server = provider(move |_| Reply::new(200, body)).await;
        let ran = once("huggingface", &server, "").await;
        ran.failed(
            Reason::Protocol,
            "the response is not one of the API of huggingface",
        );
        assert_eq!((state(&ran), key_valid(&ran)), ("unexpected", None), "{body}");
    }
}

#[tokio::test]
async fn models_that_look_the_same_have_one_series() {
    let long = "m".repeat(300);
    let list = json!({"data": [
        {"id": format!("{long}1"), "shutdown_date": "2027-02-11"},
        {"id": format!("{long}2"), "shutdown_date": "2027-03-01"},
    ]});
    let server = provider(move |_| Reply::new(200, list.to_string())).await;
    let ran = once("openai", &server, "").await;
    let samples = ran.report.samples.iter();
    let ends: Vec<_> = samples
        .filter(|sample| sample.family.name == "upkeep_provider_model_shutdown_timestamp_seconds")
        .collect();
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0].value, 1_802_304_000.0, "the first end");
    assert!(ends[0].labels[0].len() <= 256);
}
