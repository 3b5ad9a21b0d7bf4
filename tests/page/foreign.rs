//! Untrusted texts from targets and the configuration are shown as text.

use std::sync::Arc;

use serde_json::json;
use upkeep_exporter::config::Service;
use upkeep_exporter::model::{Problem, Reason, Tier};
use upkeep_exporter::store::Snapshot;

use crate::browser::Browser;
use crate::common::snapshots::{aimed, check, failed, service, snapshot, tcp};
use crate::common::targets::Target;
use crate::served::served;

const SCRIPT: &str = "</title></bdi><script>window.hit = 1</script><img src=x onerror='window.hit=2'>\" onfocus=\"window.hit=3\" autofocus x=\"";

fn hostile() -> Snapshot {
    let name = format!("\u{202e}{SCRIPT}\0\u{2066}\r\n");
    let long = "W".repeat(20_000);
    let mut bad = failed(check("tcp", tcp("192.0.2.1")), Reason::Protocol);
    bad.problem = Some(Arc::new(Problem::new(
        Reason::Protocol,
        format!("{SCRIPT}\u{202e}{long}"),
    )));
    let mut view = service(
        "bad",
        &name,
        SCRIPT,
        Tier::Critical,
        vec![aimed(bad, &format!("{SCRIPT}{long}"))],
    );
    view.service = Arc::new(Service {
        description: format!("{SCRIPT}{long}"),
        runbook_url: Some("javascript:window.hit=4".into()),
        ..Service::clone(&view.service)
    });
    let plain = service(
        "after",
        "Next one",
        "a&b",
        Tier::Critical,
        vec![check("tcp", tcp("192.0.2.1"))],
    );
    snapshot(vec![view, plain])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn untrusted_texts_inject_no_markup() {
    let address = served(hostile).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.resize(360, 740).await;
    for page in ["/", "/service/bad", "/widget"] {
        tab.open(&format!("{address}{page}")).await;
        // The script has refreshed the page once.
        tab.until("performance.getEntriesByType('resource').some((entry) => entry.initiatorType === 'fetch' && entry.responseEnd > 0)")
            .await;
        let found = tab
            .eval("[window.hit ?? null, document.querySelectorAll('img').length, document.scripts.length, \
                   document.querySelectorAll('a[href^=javascript]').length, document.querySelectorAll('[onfocus],[autofocus]').length]")
            .await;
        assert_eq!(found, json!([null, 0, 1, 0, 0]), "{page}");
        let text = tab.text().await;
        assert!(text.contains("<script>window.hit = 1</script>"), "{page}: {text}");
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\0']), "{page}");
        assert!(page == "/service/bad" || text.contains("Next one"), "{page}");
        assert_eq!(
            tab.eval("document.scrollingElement.scrollWidth").await,
            360,
            "{page}"
        );
    }
    assert_eq!(tab.faults().await, [json!(null); 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_embeds_the_widget_in_a_page_of_another_server() {
    let address = served(hostile).await;
    let page = format!(
        "<!DOCTYPE html><title>ours</title><p>before<script src=\"{address}/widget.js\" data-group=\"a&amp;b\" data-height=\"120\"></script><p>after"
    );
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let host = Target::answering(answer).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.open(&host.url("/")).await;
    // The frame has loaded once its document is not accessible: it is from another server.
    tab.until("document.querySelector('iframe')?.contentWindow && document.querySelector('iframe').contentDocument === null")
        .await;
    let frame = tab
        .eval("(({src, height, title}) => [src, height, title, document.scripts.length])(document.querySelector('iframe'))")
        .await;
    let source = format!("{address}/widget?group=a%26b");
    assert_eq!(frame, json!([source, "120", "Status of services", 0]));
    let faults = tab.faults().await;
    assert!(
        faults.iter().all(|fault| !fault.to_string().contains("widget")),
        "{faults:#?}"
    );
}
