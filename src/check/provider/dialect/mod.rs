//! How to list the models of each provider: one file per dialect with its endpoint, its pages and the fields of a model.

mod anthropic;
mod cohere;
mod fields;
mod gemini;
mod huggingface;
mod mistral;
mod ollama;
mod openai;
mod openrouter;
mod page;

pub use self::huggingface::{WHOAMI_PATH, is_account, is_renamed, model_path, parse_model, renamed};
pub use self::openrouter::{KEY_PATH, parse_key};
pub use self::page::{Dialect, KeyHeader};
use crate::config::provider::ProviderApi;

/// The dialect of a provider.
pub const fn of(api: ProviderApi) -> &'static Dialect {
    match api {
        ProviderApi::OpenAi | ProviderApi::Vllm | ProviderApi::Compatible => &openai::DIALECT,
        ProviderApi::Anthropic => &anthropic::DIALECT,
        ProviderApi::Gemini => &gemini::DIALECT,
        ProviderApi::Mistral => &mistral::DIALECT,
        ProviderApi::Cohere => &cohere::DIALECT,
        ProviderApi::HuggingFace => &huggingface::DIALECT,
        ProviderApi::OpenRouter => &openrouter::DIALECT,
        ProviderApi::Ollama => &ollama::DIALECT,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::page::Page;
    use super::*;
    use crate::check::provider_results::ListedModel;

    fn parse(api: ProviderApi, page: Value) -> Page {
        (of(api).parse)(&page).unwrap()
    }

    fn only(api: ProviderApi, page: Value) -> ListedModel {
        let mut page = parse(api, page);
        assert_eq!(page.models.len(), 1, "{page:?}");
        page.models.remove(0)
    }

    #[test]
    fn openai_tells_the_end_of_a_model() {
        let listed = only(
            ProviderApi::OpenAi,
            json!({"object": "list", "data": [{"id": "gpt-5", "object": "model", "created": 1_754_425_777,
                   "owned_by": "system", "shutdown_date": "2027-02-11"}]}),
        );
        assert_eq!(listed.model.id, "gpt-5");
        assert_eq!(listed.model.created, Some(1_754_425_777));
        assert_eq!(listed.model.shutdown, Some(1_802_304_000));
        let listed = only(
            ProviderApi::Vllm,
            json!({"data": [{"id": "Qwen/Qwen3-8B", "max_model_len": 40960, "shutdown_date": null}]}),
        );
        assert_eq!(listed.model.context_length, Some(40_960));
        assert_eq!(listed.model.shutdown, None);
    }

    #[test]
    fn anthropic_has_pages_and_capabilities() {
        let page = parse(
            ProviderApi::Anthropic,
            json!({"data": [{"type": "model", "id": "claude-opus-4-6", "display_name": "Claude Opus 4.6",
                   "created_at": "2026-02-04T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64000,
                   "capabilities": {"vision": {"supported": true}, "batch": {"supported": false}, "pdf": true}}],
                   "has_more": true, "first_id": "claude-opus-4-6", "last_id": "claude-opus-4-6"}),
        );
        let model = &page.models[0].model;
        assert_eq!(model.name.as_deref(), Some("Claude Opus 4.6"));
        assert_eq!(
            (model.context_length, model.max_output_tokens),
            (Some(200_000), Some(64_000))
        );
        assert_eq!(model.capabilities, ["pdf", "vision"]);
        assert_eq!(page.next.as_deref(), Some("claude-opus-4-6"));
        let last = parse(
            ProviderApi::Anthropic,
            json!({"data": [], "has_more": false, "last_id": null}),
        );
        assert_eq!(last, Page::default());
    }

    #[test]
    fn gemini_names_are_shortened() {
        let page = parse(
            ProviderApi::Gemini,
            json!({"models": [{"name": "models/gemini-3-pro", "version": "3.0", "displayName": "Gemini 3 Pro",
                   "inputTokenLimit": 1_048_576, "outputTokenLimit": 65536,
                   "supportedGenerationMethods": ["generateContent", "countTokens"], "thinking": true}],
                   "nextPageToken": "Ch1tb2RlbHM"}),
        );
        let model = &page.models[0].model;
        assert_eq!(model.id, "gemini-3-pro");
        assert_eq!(page.models[0].aliases, ["models/gemini-3-pro"]);
        assert_eq!(model.capabilities, ["countTokens", "generateContent", "thinking"]);
        assert_eq!(page.next.as_deref(), Some("Ch1tb2RlbHM"));
    }

    #[test]
    fn mistral_has_aliases_and_the_end_of_a_model() {
        let listed = only(
            ProviderApi::Mistral,
            json!({"object": "list", "data": [{"id": "mistral-medium-2508", "name": "mistral-medium-2508",
                   "max_context_length": 131_072, "aliases": ["mistral-medium-latest"], "created": 1_766_520_693,
                   "capabilities": {"completion_chat": true, "vision": true, "fine_tuning": false},
                   "deprecation": "2026-08-31T12:00:00Z", "deprecation_replacement_model": "mistral-medium-3-5"}]}),
        );
        assert_eq!(listed.model.shutdown, Some(1_788_177_600));
        assert!(listed.model.is_deprecated);
        assert_eq!(listed.model.capabilities, ["completion_chat", "vision"]);
        assert_eq!(listed.aliases, ["mistral-medium-latest"]);
    }

    #[test]
    fn cohere_has_endpoints_and_a_flag() {
        let page = parse(
            ProviderApi::Cohere,
            json!({"models": [{"name": "command-r-03-2024", "is_deprecated": true, "endpoints": ["chat", "generate"],
                   "finetuned": false, "context_length": 128_000, "features": ["json_mode"]}],
                   "next_page_token": ""}),
        );
        assert!(page.models[0].model.is_deprecated);
        assert_eq!(
            page.models[0].model.capabilities,
            ["chat", "generate", "json_mode"]
        );
        assert_eq!(page.next, None);
    }

    #[test]
    fn openrouter_has_modalities_and_credits() {
        let listed = only(
            ProviderApi::OpenRouter,
            json!({"data": [{"id": "openai/gpt-5", "name": "OpenAI: GPT-5", "created": 1_754_587_413,
                   "context_length": 400_000, "top_provider": {"max_completion_tokens": 128_000},
                   "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                   "supported_parameters": ["tools", "seed"]}]}),
        );
        assert_eq!(listed.model.max_output_tokens, Some(128_000));
        assert_eq!(listed.model.capabilities, ["image", "text", "tools"]);
        let key = json!({"data": {"label": "sk-or-v1-abc...123", "limit": 10.0, "limit_remaining": 2.5}});
        assert_eq!(parse_key(&key), Some(Some(2.5)));
        assert_eq!(
            parse_key(&json!({"data": {"limit": null, "limit_remaining": null}})),
            Some(None)
        );
        assert_eq!(parse_key(&json!({"error": "x"})), None);
    }

    #[test]
    fn ollama_matches_models_without_their_tag() {
        let listed = only(
            ProviderApi::Ollama,
            json!({"models": [{"name": "llama3.2:latest", "model": "llama3.2:latest", "size": 2_019_393_189_u64,
                   "modified_at": "2026-11-01T10:00:00.5+02:00", "details": {"family": "llama"}}]}),
        );
        assert_eq!(listed.model.id, "llama3.2:latest");
        assert_eq!(listed.aliases, ["llama3.2"]);
    }

    #[test]
    fn hugging_face_describes_one_model() {
        let listed = parse_model(
            &json!({"id": "openai/gpt-oss-20b", "pipeline_tag": "text-generation",
                                         "createdAt": "2025-08-04T22:33:29.000Z"}),
        );
        let model = listed.unwrap().model;
        assert_eq!(model.capabilities, ["text-generation"]);
        assert_eq!(model.created, Some(1_754_346_809));
        assert_eq!(model_path("openai/gpt-oss-20b"), "/api/models/openai/gpt-oss-20b");
    }

    #[test]
    fn times_without_a_meaning_are_absent_and_texts_are_bounded() {
        let end = |value: Value| {
            let page = json!({"data": [{"id": "a", "shutdown_date": value}]});
            only(ProviderApi::OpenAi, page).model.shutdown
        };
        for (value, expected) in [
            (json!(0), None),
            (json!(-5), None),
            (json!(""), None),
            (json!("soon"), None),
            (json!(u64::MAX), None),
            (json!("1970-01-01"), None),
            (json!(1_802_304_000), Some(1_802_304_000)),
            (json!(1_802_304_000_000_i64), Some(1_802_304_000)),
            (json!("2027-02-11T00:00:00"), Some(1_802_304_000)),
            (json!("2027-02-11T01:00:00+01:00"), Some(1_802_304_000)),
        ] {
            assert_eq!(end(value.clone()), expected, "{value}");
        }
        let long = "m".repeat(1025);
        let page = parse(
            ProviderApi::Cohere,
            json!({"models": [{"name": long}, {"name": "a", "endpoints": vec!["x"; 1000]}]}),
        );
        assert_eq!(page.models.len(), 1);
        assert_eq!(page.models[0].model.capabilities, ["x"]);
    }

    #[test]
    fn other_json_is_not_a_list() {
        for api in ProviderApi::ALL {
            for other in [
                json!({}),
                json!([]),
                json!(null),
                json!({"data": 1}),
                json!({"models": "x"}),
            ] {
                assert_eq!((of(api).parse)(&other), None, "{} {other}", api.as_str());
            }
            // Entries without an id are ignored, and fields of other types.
            for key in ["data", "models"] {
                let odd = json!({key: [1, null, {"id": 7}, {"name": []}, {"id": "a", "name": "a", "created": "x",
                                 "capabilities": 1, "aliases": {}, "endpoints": "x", "deprecation": []}]});
                let page = (of(api).parse)(&odd).unwrap_or_default();
                assert!(page.models.len() <= 1, "{page:?}");
            }
        }
    }
}
