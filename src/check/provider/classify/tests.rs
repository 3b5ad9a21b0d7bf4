//! The error responses that providers document, and what each says about the key. Each row names the page it comes from.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};

use super::*;
use ProviderApi::{
    Anthropic, Cohere, Compatible, Gemini, HuggingFace, Mistral, Ollama, OpenAi, OpenRouter, Vllm,
};

/// A documented response.
struct Documented {
    page: &'static str,
    api: ProviderApi,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    state: KeyState,
}

const fn row(
    page: &'static str,
    api: ProviderApi,
    status: u16,
    body: &'static str,
    state: KeyState,
) -> Documented {
    Documented {
        page,
        api,
        status,
        headers: &[],
        body,
        state,
    }
}

const fn with(headers: &'static [(&'static str, &'static str)], row: Documented) -> Documented {
    Documented { headers, ..row }
}

const OPENAI_ERRORS: &str = "OpenAI: Error codes";
const ANTHROPIC_ERRORS: &str = "Claude API: Errors";
const ANTHROPIC_LIMITS: &str = "Claude API: Rate limits";
const GEMINI_ERRORS: &str = "Gemini API: API errors";
const GOOGLE_REASONS: &str = "google.api.ErrorReason";
const MISTRAL_ERRORS: &str = "Mistral: Error glossary";
const COHERE_ERRORS: &str = "Cohere: Errors";
const COHERE_LIMITS: &str = "Cohere: API keys and rate limits";
const HUB_LIMITS: &str = "Hugging Face: Hub rate limits";
const HUB_TOKENS: &str = "Hugging Face: User access tokens";
const OPENROUTER_ERRORS: &str = "OpenRouter: Errors";
const OPENROUTER_LIMITS: &str = "OpenRouter: Limits";
const OLLAMA_ERRORS: &str = "Ollama API: Errors";
const VLLM_SERVER: &str = "vLLM: OpenAI-compatible server";
const LITELLM_ERRORS: &str = "LiteLLM proxy: Exceptions and budgets";

const ROWS: &[Documented] = &[
    // OpenAI.
    row(
        OPENAI_ERRORS,
        OpenAi,
        401,
        r#"{"error":{"message":"Incorrect API key provided: sk-pr***cdef.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
        KeyState::Invalid,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        401,
        r#"{"error":{"message":"Invalid Authentication","type":"invalid_request_error","param":null,"code":null}}"#,
        KeyState::Invalid,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        401,
        r#"{"error":{"message":"You must be a member of an organization to use the API","type":"invalid_request_error","param":null,"code":null}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        401,
        r#"{"error":{"message":"Your IP address is not authorized for this project.","type":"invalid_request_error","param":null,"code":"ip_not_authorized"}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        401,
        r#"{"error":{"message":"No such organization: org-abc.","type":"invalid_request_error","param":null,"code":"invalid_organization"}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        401,
        r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.read.","type":"invalid_request_error","param":null,"code":null}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        403,
        r#"{"error":{"message":"Country, region, or territory not supported","type":"request_forbidden","param":null,"code":"unsupported_country_region_territory"}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        403,
        r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.model.read"}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"Rate limit reached for requests","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
        KeyState::RateLimited,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"No credits","type":"insufficient_quota","param":null,"code":"credit_balance_exhausted"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"Usage limit","type":"billing","param":null,"code":"organization_usage_limit_exceeded"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"Spend limit","type":"billing","param":null,"code":"organization_spend_limit_exceeded"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"Spend limit","type":"billing","param":null,"code":"project_spend_limit_exceeded"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        429,
        r#"{"error":{"message":"Slow down","type":"rate_limit_error","param":null,"code":"slow_down"}}"#,
        KeyState::RateLimited,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        503,
        r#"{"error":{"message":"Overloaded","type":"service_unavailable_error","param":null,"code":"server_is_overloaded"}}"#,
        KeyState::Unavailable,
    ),
    row(
        OPENAI_ERRORS,
        OpenAi,
        500,
        r#"{"error":{"message":"The server had an error while processing your request","type":"server_error","param":null,"code":null}}"#,
        KeyState::Unavailable,
    ),
    // Anthropic.
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        401,
        r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"},"request_id":"req_1"}"#,
        KeyState::Invalid,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        403,
        r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource."}}"#,
        KeyState::NoPermission,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        402,
        r#"{"type":"error","error":{"type":"billing_error","message":"There is an issue with your billing or payment information."}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        ANTHROPIC_LIMITS,
        Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        ANTHROPIC_LIMITS,
        Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace API usage limits."}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"limit: Input should be less than or equal to 1000"}}"#,
        KeyState::Unexpected,
    ),
    row(
        ANTHROPIC_LIMITS,
        Anthropic,
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Usage paused","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        ANTHROPIC_LIMITS,
        Anthropic,
        429,
        r#"{"type":"error","error":{"type":"rate_limit_error","message":"Your organization has reached the monthly spend limit of its tier"}}"#,
        KeyState::QuotaSpent,
    ),
    with(
        &[("retry-after", "12")],
        row(
            ANTHROPIC_LIMITS,
            Anthropic,
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit"}}"#,
            KeyState::RateLimited,
        ),
    ),
    with(
        &[("retry-after", "12")],
        row(
            ANTHROPIC_ERRORS,
            Anthropic,
            429,
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"The spend limit of the Claude Code workspace is reached"}}"#,
            KeyState::RateLimited,
        ),
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        529,
        r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        KeyState::Unavailable,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        504,
        r#"{"type":"error","error":{"type":"timeout_error","message":"The request timed out"}}"#,
        KeyState::Unavailable,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        500,
        r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#,
        KeyState::Unavailable,
    ),
    row(
        ANTHROPIC_ERRORS,
        Anthropic,
        404,
        r#"{"type":"error","error":{"type":"not_found_error","message":"The requested resource could not be found."}}"#,
        KeyState::Unexpected,
    ),
    // Gemini.
    row(
        GEMINI_ERRORS,
        Gemini,
        400,
        r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#,
        KeyState::Invalid,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        400,
        r#"{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}"#,
        KeyState::Invalid,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        400,
        r#"{"error":{"code":400,"message":"Invalid value at page_size","status":"INVALID_ARGUMENT"}}"#,
        KeyState::Unexpected,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        400,
        r#"{"error":{"code":400,"message":"Gemini API free tier is not available in your country. Please enable billing on your project in Google AI Studio.","status":"FAILED_PRECONDITION"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        400,
        r#"{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}"#,
        KeyState::NoPermission,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        402,
        r#"{"error":{"code":402,"message":"Your prepay credits are exhausted","status":"RESOURCE_EXHAUSTED"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        403,
        r#"{"error":{"code":403,"message":"Your API key doesn't have the required permissions.","status":"PERMISSION_DENIED"}}"#,
        KeyState::NoPermission,
    ),
    row(
        GOOGLE_REASONS,
        Gemini,
        403,
        r#"{"error":{"code":403,"message":"Requests from this IP are blocked.","status":"PERMISSION_DENIED","details":[{"reason":"API_KEY_IP_ADDRESS_BLOCKED"}]}}"#,
        KeyState::NoPermission,
    ),
    row(
        GOOGLE_REASONS,
        Gemini,
        403,
        r#"{"error":{"code":403,"message":"This API method requires billing to be enabled.","status":"PERMISSION_DENIED","details":[{"reason":"BILLING_DISABLED"}]}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        429,
        r#"{"error":{"code":429,"message":"Resource has been exhausted (e.g. check quota).","status":"RESOURCE_EXHAUSTED"}}"#,
        KeyState::RateLimited,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        503,
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        KeyState::Unavailable,
    ),
    row(
        GEMINI_ERRORS,
        Gemini,
        499,
        r#"{"error":{"code":499,"message":"The operation was cancelled.","status":"CANCELLED"}}"#,
        KeyState::Unavailable,
    ),
    // Mistral.
    row(
        MISTRAL_ERRORS,
        Mistral,
        401,
        r#"{"object":"error","message":"Unauthorized","type":"authentication_error","param":null,"code":null}"#,
        KeyState::Invalid,
    ),
    row(
        MISTRAL_ERRORS,
        Mistral,
        401,
        r#"{"detail":"Unauthorized"}"#,
        KeyState::Invalid,
    ),
    row(
        MISTRAL_ERRORS,
        Mistral,
        402,
        r#"{"object":"error","message":"Payment required","type":"invalid_request_error","param":null,"code":null}"#,
        KeyState::QuotaSpent,
    ),
    row(
        MISTRAL_ERRORS,
        Mistral,
        403,
        r#"{"object":"error","message":"Forbidden","type":"invalid_request_error","param":null,"code":null}"#,
        KeyState::NoPermission,
    ),
    row(
        MISTRAL_ERRORS,
        Mistral,
        429,
        r#"{"object":"error","message":"Requests rate limit exceeded","type":"rate_limit_error","param":null,"code":"1300"}"#,
        KeyState::RateLimited,
    ),
    row(
        MISTRAL_ERRORS,
        Mistral,
        503,
        "upstream connect error",
        KeyState::Unavailable,
    ),
    // Cohere.
    row(
        COHERE_ERRORS,
        Cohere,
        401,
        r#"{"message":"invalid api token"}"#,
        KeyState::Invalid,
    ),
    row(
        COHERE_ERRORS,
        Cohere,
        401,
        r#"{"message":"no api key supplied"}"#,
        KeyState::Invalid,
    ),
    row(
        COHERE_ERRORS,
        Cohere,
        498,
        r#"{"message":"invalid token"}"#,
        KeyState::Invalid,
    ),
    row(
        COHERE_ERRORS,
        Cohere,
        402,
        r#"{"message":"Please add or update your payment method"}"#,
        KeyState::QuotaSpent,
    ),
    row(
        COHERE_LIMITS,
        Cohere,
        429,
        r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
        KeyState::QuotaSpent,
    ),
    row(
        COHERE_ERRORS,
        Cohere,
        429,
        r#"{"message":"You are using a Trial key, which is limited to 40 API calls / minute."}"#,
        KeyState::RateLimited,
    ),
    row(
        COHERE_ERRORS,
        Cohere,
        499,
        r#"{"message":"request cancelled"}"#,
        KeyState::Unavailable,
    ),
    row(
        COHERE_ERRORS,
        Cohere,
        500,
        r#"{"message":"internal server error"}"#,
        KeyState::Unavailable,
    ),
    // Hugging Face.
    row(
        HUB_TOKENS,
        HuggingFace,
        401,
        r#"{"error":"Invalid user token."}"#,
        KeyState::Invalid,
    ),
    row(
        HUB_TOKENS,
        HuggingFace,
        403,
        r#"{"error":"Your token does not have the required permissions"}"#,
        KeyState::NoPermission,
    ),
    with(
        &[("ratelimit", "\"api\";r=0;t=120")],
        row(
            HUB_LIMITS,
            HuggingFace,
            429,
            "<!DOCTYPE html><title>429</title>We had to rate limit you",
            KeyState::RateLimited,
        ),
    ),
    row(
        HUB_LIMITS,
        HuggingFace,
        504,
        "<html>Gateway Time-out</html>",
        KeyState::Unavailable,
    ),
    // OpenRouter.
    row(
        OPENROUTER_ERRORS,
        OpenRouter,
        401,
        r#"{"error":{"code":401,"message":"No auth credentials found"}}"#,
        KeyState::Invalid,
    ),
    row(
        OPENROUTER_LIMITS,
        OpenRouter,
        402,
        r#"{"error":{"code":402,"message":"Insufficient credits","metadata":{"limit_source":"openrouter_credits"}}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENROUTER_LIMITS,
        OpenRouter,
        403,
        r#"{"error":{"code":403,"message":"Key limit exceeded (monthly limit)"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        OPENROUTER_ERRORS,
        OpenRouter,
        403,
        r#"{"error":{"code":403,"message":"Forbidden"}}"#,
        KeyState::NoPermission,
    ),
    row(
        OPENROUTER_ERRORS,
        OpenRouter,
        408,
        r#"{"error":{"code":408,"message":"Your request timed out"}}"#,
        KeyState::Unavailable,
    ),
    row(
        OPENROUTER_LIMITS,
        OpenRouter,
        429,
        r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day"}}"#,
        KeyState::RateLimited,
    ),
    row(
        OPENROUTER_ERRORS,
        OpenRouter,
        502,
        r#"{"error":{"code":502,"message":"Provider returned error"}}"#,
        KeyState::Unavailable,
    ),
    // Self-hosted servers.
    row(
        OLLAMA_ERRORS,
        Ollama,
        401,
        r#"{"error":"unauthorized"}"#,
        KeyState::Invalid,
    ),
    row(
        OLLAMA_ERRORS,
        Ollama,
        429,
        r#"{"error":"too many requests"}"#,
        KeyState::RateLimited,
    ),
    row(
        OLLAMA_ERRORS,
        Ollama,
        502,
        r#"{"error":"cloud model unavailable"}"#,
        KeyState::Unavailable,
    ),
    row(
        OLLAMA_ERRORS,
        Ollama,
        404,
        r#"{"error":"not found"}"#,
        KeyState::Unexpected,
    ),
    row(
        VLLM_SERVER,
        Vllm,
        401,
        r#"{"error":"Unauthorized"}"#,
        KeyState::Invalid,
    ),
    row(
        LITELLM_ERRORS,
        Compatible,
        400,
        r#"{"error":{"message":"Budget has been exceeded! Current cost: 1.0, Max budget: 0.5","type":"budget_exceeded","param":null,"code":"400"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        LITELLM_ERRORS,
        Compatible,
        400,
        r#"{"error":{"message":"Authentication Error, Invalid proxy server token passed","type":"auth_error","param":"None","code":"400"}}"#,
        KeyState::Invalid,
    ),
    row(
        "DeepSeek: Error codes",
        Compatible,
        402,
        r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
        KeyState::QuotaSpent,
    ),
    row(
        "Groq: Error codes",
        Compatible,
        401,
        r#"{"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        KeyState::Invalid,
    ),
];

#[test]
fn every_documented_response_is_classified() {
    assert!(ROWS.len() >= 40);
    let mut wrong = Vec::new();
    for row in ROWS {
        let headers: HeaderMap = row
            .headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let refusal = Refusal::new(row.status, &headers, row.body.as_bytes());
        let state = classify(row.api, &refusal);
        if state != row.state {
            wrong.push(format!(
                "{} ({} {} {}): {state}, not {}",
                row.page,
                row.api.as_str(),
                row.status,
                row.body,
                row.state
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_provider_has_documented_responses() {
    let mut counts = BTreeMap::new();
    for row in ROWS {
        *counts.entry(row.api).or_insert(0) += 1;
    }
    assert_eq!(counts.len(), ProviderApi::ALL.len(), "{counts:?}");
}

#[test]
fn an_error_names_its_words_but_quotes_no_text_of_the_provider() {
    let headers = HeaderMap::new();
    let body = br#"{"error":{"message":"Incorrect API key provided: sk-pr***cdef","type":"invalid_request_error","code":"invalid_api_key"}}"#;
    let refusal = Refusal::new(401, &headers, body);
    assert_eq!(
        refusal.describe(),
        "status 401, invalid_request_error, invalid_api_key"
    );
    let refusal = Refusal::new(500, &headers, b"sk-pr***cdef");
    assert_eq!(refusal.describe(), "status 500");
}

#[test]
fn no_status_and_no_body_makes_a_key_good() {
    let headers = HeaderMap::new();
    for api in ProviderApi::ALL {
        for status in 300..600 {
            for body in [
                "",
                "{}",
                "[]",
                "[[]]",
                "null",
                "{\"error\":null}",
                "{\"error\":[1]}",
                "\u{0}",
            ] {
                let state = classify(api, &Refusal::new(status, &headers, body.as_bytes()));
                assert!(!state.is_accepted(), "{} {status} {body}", api.as_str());
            }
        }
    }
}
