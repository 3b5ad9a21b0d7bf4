//! Several documents in one browser: they share its few connections, and none of them shows what is old as if it were new.

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
/// How old what a page shows may be, in seconds, without its saying so.
const OLD: f64 = 5.0;
/// How old what a document shows is, by the clock of this machine, and whether it says that it is old.
const SHOWN: &str = "[(Date.now() - new Date(document.querySelector('#taken time').dateTime)) / 1000, \
                      !document.getElementById('connection').hidden]";

fn assert_fresh(shown: &Value) {
    assert!(
        shown[0].as_f64().unwrap() < OLD && shown[1] == json!(false),
        "{shown}"
    );
}

/// Opens many tabs, half of them of a service, and sees each of them follow.
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
    // As long as it takes for pages that hold each other up to stand still.
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
async fn when_the_visible_tab_goes_another_one_takes_the_stream_over() {
    let mut target = Switchable::start().await;
    let exporter = Exporter::start(&config(&target), &[]).await;
    let browser = Browser::start().await;
    let mut tabs = browser.windows(3).await;
    for tab in &mut tabs {
        tab.open(&exporter.url("/")).await;
    }
    for _ in 0..2 {
        // Whichever holds it.
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
    // Faster than it would be without a stream.
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_tab_tells_by_its_title_and_icon() {
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
async fn a_server_that_hangs_is_told_in_each_tab_and_its_title_until_it_goes_on() {
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
        let took = says(tab, r"/What you see is \d+.s old/").await;
        assert!(took < Duration::from_secs(10), "{took:?}");
        let face = "[document.title.startsWith('(old) '), document.getElementById('icon').getAttribute('href') === document.getElementById('icon').dataset.lost]";
        assert_eq!(tab.eval(face).await, json!([true, true]));
    }
    says(&mut tabs[0], "/No answer for 10.s/").await;
    exporter.server.signal(Signal::CONT);
    for tab in &mut tabs {
        tab.until("document.getElementById('connection').hidden && !document.title.startsWith('(old)')")
            .await;
        assert_fresh(&tab.eval(SHOWN).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_refused_says_so() {
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
        r"/^The exporter answers 429. What you see is \d+.s old/",
    )
    .await;
    std::fs::write(&file, "{}\n").unwrap();
    tab.until("document.getElementById('connection').hidden").await;
    assert_fresh(&tab.eval(SHOWN).await);
}
