//! Several documents in one browser. They share its few connections, and none shows stale data as fresh.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::browser::{Browser, LONG, Tab};
use crate::common::exporter::Exporter;
use crate::common::switchable::Switchable;
use crate::common::targets::Target;
use crate::fresh::config;
use crate::secured::Secured;

/// More than the connections that a browser opens to one server.
const MANY: usize = 8;
/// The age in seconds from which a page marks its data as stale.
const STALE: f64 = 5.0;
/// The age of the data that a document shows, by the clock of this machine, and whether it is marked as stale.
const SHOWN: &str = "[(Date.now() - new Date(document.querySelector('#taken time').dateTime)) / 1000, \
                      !document.getElementById('connection').hidden]";

fn assert_fresh(shown: &Value) {
    assert!(
        shown[0].as_f64().unwrap() < STALE && shown[1] == json!(false),
        "{shown}"
    );
}

/// Opens many tabs, half of them of a service, and checks that each one follows.
async fn all_follow(target: &mut Switchable, url: impl Fn(&str) -> String, protocol: &str) {
    let browser = Browser::start().await;
    let mut tabs = browser.windows(MANY).await;
    for (number, tab) in tabs.iter_mut().enumerate() {
        tab.open(&url(["/", "/service/api"][number % 2])).await;
        assert_eq!(tab.eval("document.hidden").await, false);
        let spoken = "performance.getEntriesByType('navigation')[0].nextHopProtocol";
        assert_eq!(tab.eval(spoken).await, protocol);
    }
    for tab in &mut tabs {
        tab.until("/services are up|is up/.test(document.querySelector('h1').textContent)")
            .await;
    }
    // Long enough for pages that block each other to stall.
    tokio::time::sleep(Duration::from_secs(8)).await;
    target.stop().await;
    for tab in &mut tabs {
        tab.until("/1 down|is down/.test(document.querySelector('h1').textContent)")
            .await;
    }
    for tab in &mut tabs {
        assert_fresh(&tab.eval(SHOWN).await);
        assert_eq!(tab.faults().await, [json!(null); 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tabs_follow_over_http1() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    all_follow(&mut target, |path| exporter.url(path), "http/1.1").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tabs_follow_over_https_and_http2() {
    let mut target = Switchable::start().await;
    let exporter = Secured::start(&config(&target)).await;
    all_follow(&mut target, |path| exporter.url(path), "h2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_of_http2_takes_many_streams() {
    let target = Switchable::start().await;
    let exporter = Secured::start(&config(&target)).await;
    let browser = Browser::start().await;
    let mut tab = browser.tab().await;
    tab.open(&exporter.url("/-/healthy")).await;
    tab.eval("window.many = Array.from({ length: 12 }, () => new EventSource('/api/events?only=status')); 1")
        .await;
    tab.until("many.every((stream) => stream.readyState === EventSource.OPEN)")
        .await;
    assert_eq!(tab.eval("fetch('/').then((answer) => answer.status)").await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_widgets_in_a_page_follow() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let frame = format!("<iframe src=\"{}\"></iframe>", exporter.url("/widget"));
    let page = format!("<!DOCTYPE html><title>ours</title>{}", frame.repeat(MANY));
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    let host = Target::answering(answer).await;
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    tab.open(&host.url("/")).await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    target.stop().await;
    let begun = std::time::Instant::now();
    let down = json!("1 down of 2 services");
    loop {
        let said = tab
            .eval_in_frames("document.querySelector('h1').textContent")
            .await;
        assert_eq!(said.len(), MANY);
        if said.iter().all(|said| *said == down) {
            break;
        }
        assert!(begun.elapsed() < LONG, "{said:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for shown in tab.eval_in_frames(SHOWN).await {
        assert_fresh(&shown);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_tab_takes_over_the_stream_of_a_closed_one() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let browser = Browser::start().await;
    let mut tabs = browser.windows(3).await;
    for tab in &mut tabs {
        tab.open(&exporter.url("/")).await;
    }
    for _ in 0..2 {
        // This tab may hold the stream.
        let mut first = tabs.remove(0);
        first.open("about:blank").await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        for tab in &mut tabs {
            assert_fresh(&tab.eval(SHOWN).await);
        }
    }
    target.stop().await;
    let took = tabs[0]
        .until("document.querySelector('h1').textContent.includes('1 down')")
        .await;
    // Faster than without a stream.
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_tab_updates_its_title_and_icon() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let browser = Browser::start().await;
    let mut hidden = browser.tab().await;
    hidden.open(&exporter.url("/")).await;
    let mut visible = browser.tab().await;
    visible.open(&exporter.url("/service/api")).await;
    hidden.until("document.hidden").await;
    target.stop().await;
    let faces =
        "document.title.startsWith('1 down') && document.getElementById('icon').href.includes('/down-')";
    let took = hidden.until(faces).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}

async fn says(tab: &mut Tab, pattern: &str) -> Duration {
    tab.until(&format!(
        "{pattern}.test(document.getElementById('connection').innerText)"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tab_is_marked_stale_while_the_server_hangs() {
    let target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let browser = Browser::start().await;
    let mut tabs = browser.windows(3).await;
    for tab in &mut tabs {
        tab.open(&exporter.url("/")).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    exporter.server.signal(Signal::STOP);
    for tab in &mut tabs {
        let took = says(tab, r"/Data is \d+.s old/").await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        let face = "[document.title.startsWith('(stale) '), document.getElementById('icon').getAttribute('href') === document.getElementById('icon').dataset.stale]";
        assert_eq!(tab.eval(face).await, json!([true, true]));
    }
    says(&mut tabs[0], "/No response for 10.s/").await;
    exporter.server.signal(Signal::CONT);
    for tab in &mut tabs {
        tab.until("document.getElementById('connection').hidden && !document.title.startsWith('(stale)')")
            .await;
        assert_fresh(&tab.eval(SHOWN).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_why_its_requests_are_refused() {
    let target = Switchable::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("web.yml");
    std::fs::write(&file, "{}\n").unwrap();
    let flag = format!("--web.config.file={}", file.display());
    let exporter = Exporter::start(&config(&target), &[&flag]).await;
    let browser = Browser::start().await;
    let mut tab = browser.windows(1).await.remove(0);
    tab.open(&exporter.url("/service/api")).await;
    std::fs::write(&file, "rate_limit: { interval: 1h, burst: 1 }\n").unwrap();
    says(
        &mut tab,
        r"/^The exporter returned status 429. Data is \d+.s old/",
    )
    .await;
    std::fs::write(&file, "{}\n").unwrap();
    tab.until("document.getElementById('connection').hidden").await;
    assert_fresh(&tab.eval(SHOWN).await);
}
