//! Healing, from a fault to its notification, with a real systemd: crashed units in both modes, one that can't be healed, a root cause,
//! and maintenance. Two exporters monitor the same kinds of services, each its own units. One of them is killed twice.

mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::common::servers::{eventually, get};
use crate::common::webhook::Notice;
use crate::stack::Stack;
use crate::{DOWN, SCRAPE, SLACK, START, assert_on_time, latest, latest_recovery};
use scene::{DEPENDANTS, SLOW_START, STEADY, Scene, UNITS};
use serde_json::Value;

/// From the configuration below.
const INTERVAL: Duration = Duration::from_secs(1);
/// The defaults: failed runs before an action, and successful ones until the service is up.
const RUNS_BEFORE: u32 = 2;
const RUNS_AFTER: u32 = 2;
/// The time between two rounds of healing, and the time that an action has to help.
const ROUND: Duration = Duration::from_secs(1);
const VERIFY: Duration = Duration::from_secs(60);
/// How long an exporter takes to start after it was killed.
const RESTART: Duration = Duration::from_secs(3);
/// How long the exporters may lack CPU time.
const STARVED: Duration = Duration::from_secs(600);
/// The exporter that is killed.
const KILLED: usize = 1;

/// The longest time from a crash until the service is up again. It is shorter than the tolerance, so no page starts.
fn latest_healed() -> Duration {
    (RUNS_BEFORE + RUNS_AFTER) * INTERVAL + ROUND + SLOW_START + RESTART + 2 * SLACK
}

/// The longest time from a crash until Prometheus knows that healing gave up: two actions that had their time to help, and two
/// restarts of the exporter. Healing pauses while the exporter lacks CPU time, as it does beside other tests.
fn latest_gave_up() -> Duration {
    2 * (RUNS_BEFORE * INTERVAL + ROUND + VERIFY) + 2 * (RESTART + SCRAPE) + SCRAPE + 3 * SLACK + STARVED
}

/// A service in the API of an exporter; `None` while the exporter is down.
async fn status(stack: &Stack, number: usize, service: &str) -> Option<Value> {
    let url = format!("http://{}/api/status/{service}", stack.instance(number));
    Some(serde_json::from_str(&get(&url).await?).unwrap())
}

/// The times of the decisions with this event, newest first.
fn decisions<'a>(status: &'a Value, event: &str) -> Vec<&'a str> {
    let all = status["heal"]["decisions"].as_array().unwrap();
    let wanted = all.iter().filter(|decision| decision["event"] == event);
    wanted.map(|decision| decision["at"].as_str().unwrap()).collect()
}

/// The notices about a service of an exporter.
fn notices(stack: &Stack, number: usize, service: &str) -> Vec<Notice> {
    let instance = stack.instance(number);
    stack
        .webhook
        .notices(|notice| notice.label("service") == service && notice.label("instance") == instance)
}

async fn wait_for_notice(
    stack: &Stack,
    number: usize,
    alert: &str,
    service: &str,
    status: &str,
    limit: Duration,
) -> Notice {
    let what = format!("{alert} ({status}) of {service} of exporter {number}");
    eventually(&what, limit, || async {
        let found = notices(stack, number, service);
        found
            .into_iter()
            .find(|notice| notice.label("alertname") == alert && notice.status == status)
    })
    .await
}

/// Waits until an action healed the service.
async fn wait_until_healed(stack: &Stack, number: usize, service: &str, fault: Instant) {
    let what = format!("{service} of exporter {number} is healed");
    let limit = latest_healed().saturating_sub(fault.elapsed());
    eventually(&what, limit, || async {
        let status = status(stack, number, service).await?;
        (status["status"] == "up" && decisions(&status, "acting").len() == 1).then_some(())
    })
    .await;
    println!(
        "{what} after {:.1?}, within {:?}: {}",
        fault.elapsed(),
        latest_healed(),
        status(stack, number, service).await.unwrap_or_default()["heal"]["decisions"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn healing_prevents_pages_or_gives_up() {
    assert!(latest_healed() < DOWN);
    let mut scene = Scene::start().await;
    let flags = [format!("--path.procfs={}", scene.procfs.path().display())];
    // Notifications about info alerts wait for 5 minutes.
    let changes = [("group_wait: 5m", "group_wait: 10s")];
    let configs = [scene.config(0), scene.config(1)];
    let mut stack = Stack::start_with([&configs[0], &configs[1]], &flags, &changes).await;
    let services = 2 * (UNITS.len() + 1 + DEPENDANTS.len() + STEADY);
    let all_up = format!("count(upkeep_service_status{{status='up'}} == 1) == {services}");
    stack.wait_for(&all_up, START).await;
    // Nothing is healed while an exporter lacks CPU time: after 3 s within 30 s.
    let calm = "max(increase(upkeep_exporter_lost_seconds_total[30s])) < 1";
    stack.wait_for(calm, STARVED).await;
    stack.start_maintenance("maintained");

    let fault = Instant::now();
    scene.fail().await;

    // The exporter dies after systemd received its requests, and while one unit still starts.
    eventually(
        "the restart of a unit that starts slowly",
        latest_healed(),
        || async {
            let mut units = ["slow", "crash", "hopeless"].into_iter();
            units
                .all(|service| scene.starts(service, KILLED) == 2)
                .then_some(())
        },
    )
    .await;
    stack.exporters[KILLED].kill();
    stack.exporters[KILLED] = stack.exporter(KILLED);
    for number in 0..2 {
        wait_until_healed(&stack, number, "crash", fault).await;
        wait_until_healed(&stack, number, "slow", fault).await;
    }

    for number in 0..2 {
        for service in ["dry", "hopeless", "db"] {
            let limit = latest(DOWN, Duration::ZERO);
            let page = wait_for_notice(&stack, number, "UpkeepServiceDown", service, "firing", limit).await;
            assert_on_time(&page, fault, DOWN, limit);
        }
    }

    // The exporter dies after its pages, and some scrapes fail.
    let before = status(&stack, KILLED, "dry").await.unwrap();
    stack.exporters[KILLED].kill();
    tokio::time::sleep(2 * SCRAPE).await;
    stack.exporters[KILLED] = stack.exporter(KILLED);

    stack
        .wait_for(
            "count(upkeep_heal_gave_up{service='hopeless'} == 1) == 2",
            latest_gave_up().saturating_sub(fault.elapsed()),
        )
        .await;
    println!(
        "healing gave up after {:.1?}, within {:?}",
        fault.elapsed(),
        latest_gave_up()
    );
    for number in 0..2 {
        for service in DEPENDANTS {
            wait_for_notice(&stack, number, "UpkeepServiceImpacted", service, "firing", START).await;
        }
        assert_decisions(&stack, &scene, number).await;
        assert_notices(&stack, number);
    }
    let after = status(&stack, KILLED, "dry").await.unwrap();
    let first = *decisions(&before, "dry_run").last().unwrap();
    assert!(
        decisions(&after, "dry_run").contains(&first),
        "SIGKILL lost the dry run of {first}: {after:#}"
    );

    // A person fixes it. The page ends, and no other one begins.
    scene.repair();
    let fixed = Instant::now();
    for number in 0..2 {
        let end = wait_for_notice(
            &stack,
            number,
            "UpkeepServiceDown",
            "hopeless",
            "resolved",
            latest_recovery(),
        )
        .await;
        assert_on_time(&end, fixed, Duration::ZERO, latest_recovery());
        let text = end.annotations["description"].as_str().unwrap();
        assert!(text.contains("Healing gave up"), "{text}");
        let pages = notices(&stack, number, "hopeless").into_iter();
        let pages = pages.filter(|notice| notice.receiver == "pager");
        let pages: Vec<_> = pages
            .map(|notice| (notice.label("alertname").to_owned(), notice.status))
            .collect();
        let expected = ["firing", "resolved"];
        assert_eq!(
            pages,
            expected.map(|status| ("UpkeepServiceDown".to_owned(), status.to_owned())),
            "of exporter {number}"
        );
    }
    assert_eq!(stack.rule_failures().await, 0.0);
}

/// What the exporter did, and recorded.
async fn assert_decisions(stack: &Stack, scene: &Scene, number: usize) {
    let mut found = BTreeMap::new();
    for service in UNITS.iter().map(|(service, _)| *service).chain(["api"]) {
        let status = status(stack, number, service).await.unwrap();
        println!("exporter {number}, {service}: {}", status["heal"]);
        let count = |event| decisions(&status, event).len();
        let counts = ["acting", "helped", "did_not_help", "gave_up"].map(count);
        found.insert(
            service,
            (
                status["status"].as_str().unwrap().to_owned(),
                status["heal"]["refusal"].as_str().unwrap_or("").to_owned(),
                scene.starts(service, number),
                counts,
            ),
        );
        match service {
            "dry" => assert!(count("dry_run") >= 1, "{status:#}"),
            "slow" if number == KILLED => assert_eq!(count("interrupted"), 1, "{status:#}"),
            "crash" if number != KILLED => assert_eq!(count("acted"), 1, "{status:#}"),
            _ => {}
        }
    }
    // A dry run is refused by its backoff and its budget, at times that vary.
    found.get_mut("dry").unwrap().1.clear();
    let expected = [
        ("dry", ("down", "", 1, [0, 0, 0, 0])),
        ("crash", ("up", "", 2, [1, 1, 0, 0])),
        ("slow", ("up", "", 2, [1, 1, 0, 0])),
        ("hopeless", ("down", "gave_up", 3, [2, 0, 2, 1])),
        ("maintained", ("down", "maintenance", 1, [0, 0, 0, 0])),
        ("api", ("down", "dependency_down", 1, [0, 0, 0, 0])),
    ];
    let expected = expected.map(|(service, (status, refusal, starts, counts))| {
        (service, (status.to_owned(), refusal.to_owned(), starts, counts))
    });
    assert_eq!(found, BTreeMap::from(expected), "of exporter {number}");
}

/// Who was notified of what.
fn assert_notices(stack: &Stack, number: usize) {
    for service in ["crash", "slow"] {
        let found = notices(stack, number, service);
        assert_eq!(found.len(), 1, "{service} of exporter {number}: {found:#?}");
        assert_eq!(
            ["alertname", "severity"].map(|label| found[0].label(label)),
            ["UpkeepHealActed", "info"]
        );
        assert_eq!((&*found[0].receiver, &*found[0].status), ("mail", "firing"));
    }
    let maintained = notices(stack, number, "maintained");
    assert!(maintained.is_empty(), "{maintained:#?}");
    for service in DEPENDANTS {
        let found = notices(stack, number, service);
        let names: BTreeSet<&str> = found.iter().map(|notice| notice.label("alertname")).collect();
        assert_eq!(names, ["UpkeepServiceImpacted"].into(), "{service}");
    }
    let dry = notices(stack, number, "dry");
    assert!(
        dry.iter()
            .all(|notice| notice.label("alertname") != "UpkeepHealActed"),
        "{dry:#?}"
    );

    let instance = stack.instance(number);
    let pages = stack
        .webhook
        .notices(|notice| notice.receiver == "pager" && notice.label("instance") == instance);
    assert!(pages.iter().all(|notice| notice.status == "firing"), "{pages:#?}");
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for page in &pages {
        found
            .entry(page.label("service"))
            .or_default()
            .push(page.label("alertname"));
    }
    found.values_mut().for_each(|alerts| alerts.sort_unstable());
    let expected = ["db", "dry", "hopeless"].map(|service| (service, vec!["UpkeepServiceDown"]));
    assert_eq!(found, BTreeMap::from(expected), "of exporter {number}");
}
