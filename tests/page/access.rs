//! The content of the pages, and their accessibility: by the rules of axe-core, in both colour schemes, on a phone, without
//! scripts.

use std::path::Path;

use serde_json::json;
use upkeep_exporter::model::{Outcome, Phase};

use crate::browser::{Browser, Tab};
use crate::common::snapshots::{every_status, with_models};
use crate::served::served;

const PAGES: [&str; 5] = ["/", "/?status=down", "/service/api", "/service/nobody", "/widget"];
/// Pages of a snapshot with models.
const MODEL_PAGES: [&str; 4] = [
    "/",
    "/models",
    "/models?q=gpt&provider=openai",
    "/models?q=nothing",
];

/// The violations of axe-core's rules.
pub async fn broken_rules(tab: &mut Tab) -> Vec<String> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/page-tools/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; tests/setup.sh installs it", path.display()));
    tab.eval(&format!("{axe};1")).await;
    // The rules skip the content of closed details.
    tab.eval("for (const details of document.querySelectorAll('details')) details.open = true; 1")
        .await;
    let run = "axe.run(document, { preload: false }).then((found) => [found.passes.length, found.violations.map( \
               (rule) => rule.id + ': ' + rule.nodes.map((node) => node.html + ' ' + node.failureSummary).join('; '))])";
    let found = tab.eval(run).await;
    assert!(found[0].as_u64().unwrap() > 10, "{found}");
    let rules = found[1].as_array().unwrap().iter();
    rules.map(|rule| rule.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_accessible_and_fits_a_phone_in_light_and_dark() {
    let address = served(every_status).await;
    let with_models = served(with_models).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    let pages = PAGES.iter().map(|page| (&address, page));
    for (address, page) in pages.chain(MODEL_PAGES.iter().map(|page| (&with_models, page))) {
        for scheme in ["light", "dark"] {
            tab.prefer(scheme).await;
            tab.resize(1100, 900).await;
            tab.open("about:blank").await;
            tab.open(&format!("{address}{page}")).await;
            if let Ok(folder) = std::env::var("UPKEEP_SCREENSHOTS") {
                let name = page.replace(['/', '?'], "_");
                tab.screenshot(&format!("{folder}/{name}-{scheme}.png")).await;
            }
            let rules = broken_rules(&mut tab).await;
            assert!(rules.is_empty(), "{page} in {scheme}: {rules:#?}");
            tab.resize(360, 740).await;
            let widths = tab
                .eval("[document.scrollingElement.scrollWidth, innerWidth, getComputedStyle(document.body).backgroundColor]")
                .await;
            if let Ok(folder) = std::env::var("UPKEEP_SCREENSHOTS") {
                let name = page.replace(['/', '?'], "_");
                tab.screenshot(&format!("{folder}/{name}-{scheme}-phone.png"))
                    .await;
            }
            assert_eq!((&widths[0], &widths[1]), (&json!(360), &json!(360)), "{page}");
            let is_dark = widths[2] == "rgb(18, 22, 26)";
            assert_eq!(is_dark, scheme == "dark", "{widths}");
        }
    }
    let faults = tab.faults().await;
    // The console shows only that one service does not exist.
    assert!(
        faults
            .iter()
            .all(|fault| fault.to_string().contains("/service/nobody")),
        "{faults:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_data_is_grey_and_readable() {
    let address = served(every_status).await;
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    for scheme in ["light", "dark"] {
        tab.prefer(scheme).await;
        tab.open(&format!(
            "{address}/?{}",
            if scheme == "dark" { "status=down" } else { "" }
        ))
        .await;
        let offline = |offline: bool| json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        tab.call("Network.emulateNetworkConditions", offline(true)).await;
        tab.until("document.body.classList.contains('stale')").await;
        let rules = broken_rules(&mut tab).await;
        assert!(rules.is_empty(), "{scheme}: {rules:#?}");
        assert_eq!(
            tab.eval("getComputedStyle(document.getElementById('main')).filter")
                .await,
            "grayscale(1)"
        );
        assert!(tab.text().await.contains("Connection lost. Data is"));
        tab.call("Network.emulateNetworkConditions", offline(false)).await;
        tab.until("!document.body.classList.contains('stale')").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_tables_are_low_while_columns_are_hidden() {
    let address = served(|| {
        let mut snapshot = every_status();
        for check in snapshot.services.iter_mut().flat_map(|view| &mut view.checks) {
            if let Some(run) = &mut check.last_run {
                let mut outcome = Outcome::clone(&run.outcome);
                for phase in Phase::ALL {
                    outcome.phases.add(*phase, std::time::Duration::from_millis(12));
                }
                run.outcome = std::sync::Arc::new(outcome);
            }
        }
        snapshot
    })
    .await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.resize(320, 740).await;
    tab.open(&format!("{address}/service/web")).await;
    tab.eval("for (const details of document.querySelectorAll('details')) details.open = true; 1")
        .await;
    let heights = tab
        .eval("[document.querySelectorAll('.phase').length, Math.max(...[...document.querySelectorAll('.runs tbody tr')].map((row) => row.offsetHeight))]")
        .await;
    assert!(heights[0].as_u64().unwrap() >= 50, "{heights}");
    // The bar and a line.
    assert!(heights[1].as_u64().unwrap() < 50, "{heights}");
    assert_eq!(tab.eval("document.scrollingElement.scrollWidth").await, 320);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_overview_shows_problems_first() {
    let address = served(every_status).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.open(&format!("{address}/")).await;
    let text = tab.text().await;
    for part in [
        "1 down, 1 degraded, 2 unknown of 5 services",
        "As of 2023-11-14 22:13:20 UTC",
        "0/1 up",
        "2/2 up, 1 degraded",
        "50.0\u{a0}ms",
        "since 22:12:20 UTC, 1\u{a0}min",
        "refused: connecting to 192.0.2.1:80: something went wrong",
        "slow: answered after 1.25 s",
        "not checked yet",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let order = tab
        .eval("[...document.querySelectorAll('.services > li')].map((row) => row.id + ' ' + row.querySelector('.state').textContent)")
        .await;
    assert_eq!(
        order,
        json!([
            "s-api down",
            "s-slow degraded",
            "s-web up",
            "s-restored unknown",
            "s-unseen unknown"
        ])
    );
    assert_eq!(
        tab.eval("document.title").await,
        "1 down, 1 degraded, 2 unknown \u{b7} upkeep"
    );
    // Every status has a shape of its own.
    let shapes = tab
        .eval("new Set([...document.querySelectorAll('.services .state i')].map((mark) => { const style = getComputedStyle(mark); \
               return style.clipPath + style.borderRadius + style.transform; })).size")
        .await;
    assert_eq!(shapes, 4);
    tab.open(&format!("{address}/?group=front&status=up")).await;
    let text = tab.text().await;
    assert!(text.contains("Showing 1 of 5 services") && text.contains("Web") && !text.contains("Slow"));
    tab.open(&format!("{address}/service/api")).await;
    let text = tab.text().await;
    for part in [
        "is down",
        "Last 10 runs",
        "192.0.2.3:80",
        "every 15\u{a0}s, timeout 1\u{a0}s",
        "degraded at 1\u{a0}s, down at 5\u{a0}s",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(tab.faults().await, [json!(null); 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_works_and_reloads_without_scripts() {
    let address = served(every_status).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.call("Emulation.setScriptExecutionDisabled", json!({ "value": true }))
        .await;
    tab.open(&format!("{address}/")).await;
    let text = tab.text().await;
    assert!(
        text.contains("1 down, 1 degraded") && text.contains("refused: connecting"),
        "{text}"
    );
    assert!(!text.contains("Connection lost"));
    let refresh = "document.querySelector('noscript meta[http-equiv=refresh]')?.content";
    assert_eq!(tab.eval(refresh).await, "10");
}
