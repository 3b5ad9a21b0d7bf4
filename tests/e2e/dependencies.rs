//! A root cause with three dependants: one page.

use std::time::Duration;

use crate::common::switchable::Switchable;
use crate::stack::Stack;
use crate::{DOWN, EVALUATION, INTERVAL, SCRAPE, START, assert_on_time, latest, latest_recovery};

const DEPENDANTS: [&str; 3] = ["api", "web", "worker"];
/// From `for` of UpkeepServiceImpacted.
const IMPACTED_FOR: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_root_cause_with_three_dependants_sends_one_page() {
    let mut server = Switchable::start().await;
    let address = server.address;
    let check = format!("checks: [{{ kind: http, url: 'http://{address}/' }}]");
    // The dependants fail with the root. Its interval is longer than their tolerance.
    let mut config = format!("services:\n  - {{ key: db, interval: 2m, {check} }}\n");
    for (key, depends_on) in [("api", "web"), ("web", "db"), ("worker", "db")] {
        config += &format!("  - {{ key: {key}, depends_on: [{depends_on}], interval: 5s, {check} }}\n");
    }
    let stack = Stack::start(&config).await;
    stack
        .wait_for(
            "count(up == 1) == 2 and count(upkeep_service_status{status='up'} == 1) == 8",
            START,
        )
        .await;

    let fault = std::time::Instant::now();
    server.stop().await;
    let page = stack
        .notice("UpkeepServiceDown", "db", "firing", latest(DOWN, Duration::ZERO))
        .await;
    assert_on_time(&page, fault, DOWN, latest(DOWN, Duration::ZERO));
    stack
        .wait_for(
            "count(ALERTS{alertname='UpkeepServiceImpacted',alertstate='firing'}) == 6",
            2 * IMPACTED_FOR,
        )
        .await;
    let roots = stack
        .query("count by (root) (upkeep_service_root_cause_info)")
        .await
        .unwrap();
    assert_eq!(roots.len(), 1);
    assert_eq!(roots[0]["metric"]["root"], "db");

    // The dependants recover with the root. Its next run is a recheck.
    server.start_again().await;
    stack
        .notice(
            "UpkeepServiceDown",
            "db",
            "resolved",
            latest_recovery() + INTERVAL,
        )
        .await;
    stack
        .wait_for(
            "count(upkeep_service_impacted == 0) == 8",
            2 * (SCRAPE + EVALUATION),
        )
        .await;
    let pages = stack.webhook.notices(|notice| {
        notice.label("alertname").starts_with("UpkeepService")
            && DEPENDANTS.contains(&notice.label("service"))
    });
    let names: Vec<_> = pages
        .iter()
        .map(|notice| notice.label("alertname").to_owned())
        .collect();
    assert!(
        names.iter().all(|name| name == "UpkeepServiceImpacted"),
        "the dependants sent {names:?}"
    );
    assert_eq!(stack.notices("UpkeepServiceDown", "db", "firing").len(), 1);
}
