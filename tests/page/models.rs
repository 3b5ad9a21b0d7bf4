//! The page of the models in a browser: the search, with and without scripts, and the parts of the result.

use serde_json::json;

use crate::browser::Browser;
use crate::common::snapshots::with_models;
use crate::served::served;

/// Fills the form in as a person does, and sends it.
const SEARCH: &str = "document.getElementById('q').value = 'GPT'; \
     document.getElementById('provider').value = 'openai'; \
     document.querySelector('form.search button').click(); 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_are_searched_with_and_without_scripts() {
    let address = served(with_models).await;
    let browser = Browser::start().await;
    for has_scripts in [true, false] {
        let mut tab = browser.tab().await;
        tab.call(
            "Emulation.setScriptExecutionDisabled",
            json!({ "value": !has_scripts }),
        )
        .await;
        tab.open(&format!("{address}/")).await;
        assert!(
            tab.text()
                .await
                .contains("123 models of the configured providers")
        );
        tab.open(&format!("{address}/models")).await;
        let text = tab.text().await;
        assert!(text.contains("123 models of 2 providers"), "{text}");
        assert!(text.contains("123 models found. Showing 1 to 100."), "{text}");
        tab.eval(SEARCH).await;
        tab.until("document.getElementById('result')?.textContent === '2 models found.'")
            .await;
        assert_eq!(
            tab.eval("[location.search, document.getElementById('q').value, document.getElementById('provider').value]")
                .await,
            json!(["?q=GPT&provider=openai&capability=", "GPT", "openai"])
        );
        let text = tab.text().await;
        for part in [
            "gpt-3.5-turbo",
            "in 11\u{a0}d, 2023-11-26 22:13:20 UTC",
            "gpt-5 GPT 5",
            "400000",
            "openai LLM/key: 3 models, 1\u{a0}h old",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            !text.contains("mistral-000") && !text.contains("Next models"),
            "{text}"
        );
        if has_scripts {
            assert_eq!(tab.faults().await, [json!(null); 0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_results_have_parts_and_a_refresh_keeps_what_is_typed() {
    let address = served(with_models).await;
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    tab.open(&format!("{address}/models")).await;
    tab.eval("document.querySelector('a[rel=next]').click(); 1").await;
    tab.until(
        "location.search === '?offset=100' && document.querySelectorAll('.models tbody tr').length === 23",
    )
    .await;
    assert!(tab.text().await.contains("Showing 101 to 123."));
    // The script fetches the page again while somebody types.
    tab.eval("document.getElementById('q').focus(); document.getElementById('q').value = 'half a wo'; performance.clearResourceTimings(); 1")
        .await;
    tab.until("performance.getEntriesByType('resource').some((entry) => entry.initiatorType === 'fetch' && entry.name.includes('/models') && entry.responseEnd > 0)")
        .await;
    tab.until("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))")
        .await;
    assert_eq!(
        tab.eval("[document.activeElement.id, document.getElementById('q').value]")
            .await,
        json!(["q", "half a wo"])
    );
    tab.eval("document.querySelector('a[rel=prev]').click(); 1").await;
    tab.until("location.search === '' && document.querySelectorAll('.models tbody tr').length === 100")
        .await;
}
