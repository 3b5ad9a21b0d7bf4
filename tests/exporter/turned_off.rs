//! Services and checks that are turned off do not run and are not shown, and can be turned on again by a reload.

use std::fs;

use rustix::process::Signal;

use crate::common::servers::eventually;
use crate::common::targets::{Target, ok};
use crate::{Exporter, LONG};

fn config(url: &str, is_shop_enabled: bool) -> String {
    format!(
        "defaults: {{ interval: 200ms, recheck_interval: 100ms }}\n\
         services:\n  \
         - {{ name: Web Site, depends_on: [shop], checks: [{{ kind: http, enabled: false, url: '{url}' }}, {{ kind: http, url: '{url}' }}] }}\n  \
         - {{ name: Shop, enabled: {is_shop_enabled}, url: '{url}' }}\n\
         maintenance: [{{ services: [shop], at: 2020-01-01 00:00, for: 1h }}]\n"
    )
}

fn runs(service: &str, check: &str) -> String {
    format!("upkeep_check_runs_total{{service=\"{service}\",group=\"default\",check=\"{check}\"}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_turned_off_does_not_run_and_is_not_shown() {
    let target = Target::answering(ok("hello")).await;
    let url = target.url("/");
    let exporter = Exporter::start(&config(&url, false), &[]).await;
    eventually("a run of the other check", LONG, || {
        exporter.value_owned(runs("web-site", "http_2"))
    })
    .await;
    assert_eq!(exporter.value(&runs("web-site", "http")).await, None);
    let metrics = exporter.metrics().await;
    assert!(!metrics.contains("shop"), "{metrics}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for page in ["/", "/api/status", "/sd"] {
        let text = client
            .get(exporter.url(page))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert!(!text.to_lowercase().contains("shop"), "{page}: {text}");
    }
    let log = exporter.server.log();
    assert!(log.contains("2 turned off (enabled: false)"), "{log}");

    fs::write(exporter.config(), config(&url, true)).unwrap();
    exporter.server.signal(Signal::HUP);
    eventually("a run of the service that was turned on", LONG, || {
        exporter.value_owned(runs("shop", "http"))
    })
    .await;
    fs::write(exporter.config(), config(&url, false)).unwrap();
    exporter.server.signal(Signal::HUP);
    eventually("the service is gone", LONG, || async {
        (!exporter.metrics().await.contains("shop")).then_some(())
    })
    .await;
}
