//! Tests of the options of provider checks: defaults, and the exact messages.

use serde_json::json;

use super::*;
use crate::config::secret::Secret;
use crate::config::tests_support::resolve_json;

const KEY: &str = "sk-proj-0123456789abcdef";

fn resolve(json: serde_json::Value) -> Result<ProviderSettings, Vec<String>> {
    resolve_json(json, |options: ProviderOptions, root| options.resolve(root))
}

#[test]
fn a_hosted_provider_needs_only_its_key() {
    let settings = resolve(json!({"provider": "openai", "api_key": KEY})).unwrap();
    assert_eq!(settings.target(), "https://api.openai.com/v1");
    assert_eq!(
        settings.connection.base_url.endpoint("/models").as_str(),
        "https://api.openai.com/v1/models"
    );
    assert!(settings.connection.base_url.is_default && settings.connection.tls.is_some());
    assert_eq!(settings.key, Some(SecretSource::Inline(Secret::new(KEY))));
    assert_eq!(settings.on_outage, OnOutage::Warning);
    assert_eq!(settings.secret_hint().as_deref(), Some("API key \u{2026}cdef"));
    assert!(!format!("{settings:?}").contains("cdef"));
}

#[test]
fn a_self_hosted_server_needs_no_key_and_fails_in_an_outage() {
    let settings = resolve(json!({"provider": "ollama"})).unwrap();
    assert_eq!(settings.target(), "http://127.0.0.1:11434");
    assert_eq!((settings.key, settings.connection.tls), (None, None));
    assert_eq!(settings.on_outage, OnOutage::Failure);
    let settings =
        resolve(json!({"provider": "vllm", "base_url": "http://[::1]:8000/v1/", "on_outage": "warning"}));
    let settings = settings.unwrap();
    assert_eq!(settings.target(), "http://[::1]:8000/v1");
    assert!(settings.connection.base_url.is_loopback() && !settings.connection.base_url.is_default);
    assert_eq!(settings.on_outage, OnOutage::Warning);
}

#[test]
fn dates_are_the_start_of_their_day() {
    let settings = resolve(
        json!({"provider": "anthropic", "api_key": KEY, "expected_models": ["a", "b"],
                                  "model_dates": {"a": "2027-01-31"}}),
    );
    let settings = settings.unwrap();
    assert_eq!(
        settings.model_dates,
        BTreeMap::from([("a".to_owned(), 1_801_353_600)])
    );
    assert_eq!(settings.values_at_once("model"), Some(2));
}

#[test]
fn a_proxy_is_used_unless_the_host_is_exempt() {
    let proxied = |no_proxy: &str| {
        let json = json!({"provider": "openai", "api_key": KEY, "proxy_url": "http://me:pw@proxy.example.org:3128",
                          "no_proxy": no_proxy});
        resolve(json).unwrap().connection.proxy
    };
    let proxy = proxied("example.org").unwrap();
    assert_eq!(proxy.address.to_string(), "proxy.example.org:3128");
    assert!(!format!("{proxy:?}").contains("pw"));
    assert_eq!(proxied("openai.com"), None);
}

#[test]
fn every_error_is_reported_at_its_key() {
    for (json, message) in [
        (
            json!({}),
            ": provider is missing: write one of openai, anthropic, gemini, mistral, cohere, huggingface, openrouter, ollama, vllm, compatible",
        ),
        (
            json!({"provider": "openai"}),
            ": the API key is missing: add api_key_file, api_key_credential, api_key_env or api_key",
        ),
        (
            json!({"provider": "openai", "api_key": "a", "api_key_credential": "b"}),
            ": give one of api_key, api_key_file, api_key_env and api_key_credential, not several",
        ),
        (
            json!({"provider": "openai", "api_key": "a", "api_key_env": "b"}),
            ": give one of api_key, api_key_file and api_key_env, not several",
        ),
        (
            json!({"provider": "openai", "api_key_credential": "a/b"}),
            "api_key_credential: not the name of a credential: write the name in LoadCredential=NAME:PATH",
        ),
        (
            json!({"provider": "openai", "api_key_file": "/dev/null"}),
            "api_key_file: reading the secret file /dev/null: not a regular file",
        ),
        (
            json!({"provider": "compatible"}),
            ": base_url is missing: write the URL of the server's API, such as base_url: http://127.0.0.1:8000/v1",
        ),
        (
            json!({"provider": "vllm", "base_url": "http://me:secret@x/v1"}),
            "base_url: the URL contains credentials (use api_key_file): write a URL such as http://127.0.0.1:8000/v1",
        ),
        (
            json!({"provider": "vllm", "base_url": "http://x/v1?key=secret"}),
            "base_url: the URL has a query or a fragment, which is not supported: write a URL such as http://127.0.0.1:8000/v1",
        ),
        (
            json!({"provider": "vllm", "base_url": "x"}),
            "base_url: not a URL (relative URL without a base): write a URL such as http://127.0.0.1:8000/v1",
        ),
        (
            json!({"provider": "vllm", "base_url": "ftp://x"}),
            "base_url: the scheme of the URL is not http:// or https://: write a URL such as http://127.0.0.1:8000/v1",
        ),
        (
            json!({"provider": "cohere", "api_key": KEY, "project": "p"}),
            "project: project is supported for provider: openai only: remove it",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "organization": "a b"}),
            "organization: not a valid id: write an id such as org-abc123",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "expected_models": ["a", "a"]}),
            "expected_models[1]: duplicate model a: remove it",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "expected_models": ["a b"]}),
            "expected_models[0]: not the id of a model: write 1 to 256 printable characters without spaces",
        ),
        (
            json!({"provider": "huggingface", "api_key": KEY, "expected_models": ["gpt2"]}),
            "expected_models[0]: \"gpt2\" is not a model of the Hub: write owner/name, such as openai/gpt-oss-20b",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "model_dates": {"a": "31.1.2027"}}),
            "model_dates.a: not a date: write year-month-day, such as 2027-01-31",
        ),
        (
            json!({"provider": "ollama", "tls_config": {}}),
            "tls_config: tls_config needs TLS: write https:// in base_url",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "tls_config": {"server_name": "x"}}),
            "tls_config.server_name: server_name is not supported by provider checks: write the name of the certificate in base_url",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "no_proxy": "x"}),
            "no_proxy: no_proxy needs a proxy: add proxy_url",
        ),
        (
            json!({"provider": "openai", "api_key": KEY, "proxy_url": "https://proxy.test"}),
            "proxy_url: provider checks do not support proxies at https URLs: write http://, socks5:// or socks5h://",
        ),
    ] {
        assert_eq!(
            resolve(json.clone()).map(|_| ()),
            Err(vec![message.to_owned()]),
            "{json}"
        );
    }
}

#[test]
fn too_many_models_are_an_error() {
    let models = |count: usize| {
        (0..count)
            .map(|number| format!("a/m{number}"))
            .collect::<Vec<_>>()
    };
    let of = |api: &str, count| {
        resolve(json!({"provider": api, "api_key": KEY, "expected_models": models(count)}))
    };
    assert!(of("openai", 100).is_ok() && of("huggingface", 20).is_ok());
    for (api, count, max) in [("openai", 101, 100), ("huggingface", 21, 20)] {
        let message = format!(
            "expected_models: {count} models, but a check can expect at most {max}: add another check for the rest"
        );
        assert_eq!(of(api, count).map(|_| ()), Err(vec![message]));
    }
}
