//! Loading the configuration again: by signal and by request, good and bad, under load.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::servers::{eventually, get};
use crate::common::targets::{Target, ok};
use crate::{Exporter, LONG};

const LOADED: &str = "upkeep_config_last_reload_successful";

fn config(keys: &[&str], url: &str) -> String {
    let mut text = "defaults: { interval: 200ms, recheck_interval: 100ms }\nservices:\n".to_owned();
    for key in keys {
        text.push_str(&format!(
            "  - {{ key: {key}, group: g, checks: [{{ kind: http, url: '{url}' }}] }}\n"
        ));
    }
    text
}

fn runs(key: &str) -> String {
    format!("upkeep_check_runs_total{{service=\"{key}\",group=\"g\",check=\"http\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_a_good_one_keeps_what_did_not_change() {
    let target = Target::answering(ok("hello")).await;
    let url = target.url("/");
    let exporter = Exporter::start(&config(&["kept", "leaving"], &url), &[]).await;
    assert_eq!(exporter.value(LOADED).await, Some(1.0));

    fs::write(exporter.config(), "services:\n  - { key: kept, intervall: 5s }\n").unwrap();
    exporter.server.signal(Signal::HUP);
    exporter.becomes(LOADED, 0.0, LONG).await;
    eventually("the findings in the log", LONG, || async {
        let log = exporter.server.log();
        (log.contains("upkeep.yml:2:") && log.contains("did you mean")).then_some(())
    })
    .await;
    let before = exporter.value(&runs("leaving")).await.unwrap();
    eventually("checks go on", LONG, || async {
        exporter.value(&runs("leaving")).await.filter(|now| *now > before)
    })
    .await;

    let shown = get(&exporter.url("/config")).await.unwrap();
    assert!(
        shown.contains("key: leaving") && !shown.contains("intervall"),
        "{shown}"
    );
    let kept = exporter.value(&runs("kept")).await.unwrap();
    fs::write(exporter.config(), config(&["kept", "coming"], &url)).unwrap();
    exporter.server.signal(Signal::HUP);
    exporter.becomes(LOADED, 1.0, LONG).await;
    eventually("the new service", LONG, || exporter.value_owned(runs("coming"))).await;
    assert!(
        exporter.value(&runs("kept")).await.unwrap() >= kept,
        "the counter began anew"
    );
    let shown = get(&exporter.url("/config")).await.unwrap();
    assert!(
        shown.contains("key: coming") && !shown.contains("leaving"),
        "{shown}"
    );
    assert!(
        !exporter.metrics().await.contains("leaving"),
        "what left the configuration leaves no series"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_reloads_where_that_is_allowed() {
    let target = Target::answering(ok("hello")).await;
    let text = config(&["a"], &target.url("/"));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let exporter = Exporter::start(&text, &[]).await;
    let refused = client.post(exporter.url("/-/reload")).send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert!(refused.text().await.unwrap().contains("--web.enable-lifecycle"));

    let exporter = Exporter::start(&text, &["--web.enable-lifecycle"]).await;
    fs::write(exporter.config(), "services: [{ key: A }]").unwrap();
    let bad = client.post(exporter.url("/-/reload")).send().await.unwrap();
    assert_eq!(bad.status(), 500);
    let findings = bad.text().await.unwrap();
    assert!(
        findings.contains("upkeep.yml:1:") && findings.contains("services[0].key"),
        "{findings}"
    );
    fs::write(exporter.config(), &text).unwrap();
    assert_eq!(
        client
            .post(exporter.url("/-/reload"))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reloads_under_load_lose_no_check_and_end_in_time() {
    let target = Target::answering(ok("hello")).await;
    let keys: Vec<String> = (0..200).map(|number| format!("s{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let url = target.url("/");
    let mut exporter = Exporter::start(&config(&keys, &url), &[]).await;
    for number in 0..30 {
        // Every other time half of the services leave and come back.
        let some = if number % 2 == 0 { &keys[..100] } else { &keys[..] };
        fs::write(exporter.config(), config(some, &url)).unwrap();
        exporter.server.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let begun = Instant::now();
    while exporter.metrics().await.matches("upkeep_service_info{").count() != 200 {
        assert!(begun.elapsed() < LONG, "{}", exporter.server.log());
        exporter.server.signal(Signal::HUP);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for key in [keys[0], keys[199]] {
        // A reload that began before the last change of the file may end only now, and another one follows it.
        let before = eventually("the check is there", LONG, || exporter.value_owned(runs(key))).await;
        eventually("checks go on", LONG, || async {
            exporter.value(&runs(key)).await.filter(|now| *now > before)
        })
        .await;
    }
    exporter.server.terminate(Duration::from_secs(2));
}
