//! The page follows changes and does not disturb the user.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::browser::Browser;
use crate::common::exporter::Exporter;
use crate::common::servers::Server;
use crate::common::switchable::Switchable;

/// The most time from a change to the page, with a check every half second.
const BUDGET: Duration = Duration::from_secs(2);

/// A service that is always up, and one that is up for as long as the target answers.
pub fn config(target: &Switchable) -> String {
    let address = target.address;
    format!(
        "defaults: {{ interval: 500ms, timeout: 400ms, recheck_interval: 500ms, successes_before_up: 1, \
         thresholds: {{ degraded: 200ms, down: 300ms }} }}\n\
         services:\n\
         - {{ key: steady, name: Steady, group: one, checks: [{{ kind: process, regex: . }}] }}\n\
         - {{ key: api, name: The API, group: two, description: described, url: 'http://{address}/' }}\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_shown_within_two_seconds_and_keeps_focus_and_selection() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.open(&exporter.url("/")).await;
    // A busy machine may make the first runs slow.
    tab.until("document.body?.innerText.includes('All 2 services are up')")
        .await;
    tab.eval("window.mark = 1; document.querySelector('#s-api .name').focus(); \
              [...document.querySelectorAll('details')].find((group) => group.dataset.key === 'g-one').open = false; \
              getSelection().selectAllChildren(document.querySelector('#s-api .name')); 1")
        .await;
    let mut service = browser.tab().await;
    service.open(&exporter.url("/service/api")).await;
    service
        .eval(
            "window.mark = 1; document.querySelector('details[data-key=runs]').open = true; \
               document.querySelector('details[data-key=runs] summary').focus(); 1",
        )
        .await;
    // The streams are open.
    tab.until("performance.getEntriesByType('resource').some((entry) => entry.initiatorType === 'fetch')")
        .await;
    service
        .until("performance.getEntriesByType('resource').some((entry) => entry.initiatorType === 'fetch')")
        .await;

    target.stop().await;
    let took = tab
        .until("document.querySelector('#s-api .state').textContent === 'down' && document.querySelector('h1').textContent.includes('1 down')")
        .await;
    assert!(took < BUDGET, "{took:?}");
    let took = service
        .until("document.querySelector('h1').textContent === 'The API is down'")
        .await;
    assert!(took < BUDGET, "{took:?}");
    let kept = tab
        .eval("[window.mark, document.activeElement.textContent, getSelection().toString(), \
               document.querySelector('[data-key=g-one]').open, document.querySelectorAll('.services > li')[0].id]")
        .await;
    assert_eq!(kept, json!([1, "The API", "The API", false, "s-api"]));
    assert!(tab.text().await.contains("refused: "));
    tab.until("document.getElementById('announce').textContent.includes('The API is down')")
        .await;
    assert!(
        tab.eval("document.getElementById('icon').href")
            .await
            .to_string()
            .contains("/down-")
    );
    let kept = service
        .eval("[window.mark, document.activeElement.localName, document.querySelector('details[data-key=runs]').open]")
        .await;
    assert_eq!(kept, json!([1, "summary", true]));

    target.start_again().await;
    let took = tab
        .until("document.querySelector('h1').textContent === 'All 2 services are up'")
        .await;
    assert!(took < BUDGET, "{took:?}");
    for tab in [&mut tab, &mut service] {
        assert_eq!(tab.faults().await, [json!(null); 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_stays_fresh_and_is_marked_stale_without_a_server() {
    let target = Switchable::start().await;
    let mut exporter = Exporter::start(&config(&target), &[]).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.open(&exporter.url("/")).await;
    let taken = tab.eval("document.querySelector('#taken time').dateTime").await;
    tab.until(&format!(
        "(new Date(document.querySelector('#taken time').dateTime) - new Date({taken})) > 2500"
    ))
    .await;
    assert_eq!(
        tab.eval("document.getElementById('connection').hidden").await,
        true
    );
    exporter.server.kill();
    tab.until("/Connection lost. Data is [5-9].s old/.test(document.getElementById('connection').innerText)")
        .await;
    assert_eq!(tab.eval("document.body.classList.contains('stale')").await, true);
    // The server returns after the stream was closed.
    tokio::time::sleep(Duration::from_secs(8)).await;
    let port = exporter.url("").rsplit(':').next().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upkeep_exporter"));
    command
        .arg(format!("--config.file={}", exporter.config().display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let dir = tempfile::tempdir().unwrap();
    let _again = Server::start("exporter", command, dir.path());
    let took = tab.until("document.getElementById('connection').hidden").await;
    assert!(took < Duration::from_secs(8), "{took:?}");
    // A stream is open again.
    tokio::time::sleep(Duration::from_secs(4)).await;
    for _ in 0..5 {
        let age = "Date.now() - new Date(document.querySelector('#taken time').dateTime)";
        let age = tab.eval(age).await.as_u64().unwrap();
        assert!(age < 2500, "{age} ms");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
