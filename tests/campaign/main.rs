//! A campaign of random faults: more than sixty services with real sockets and processes, the exporter's binary, and a real
//! Prometheus and Alertmanager with the shipped rules. Meanwhile the exporter and Prometheus are killed, terminated and frozen.
//! Every fault that lasts past its bound must cause exactly one notification and one recovery. No other notification may arrive.
//!
//! `make campaign` runs for ten minutes and prints a table. `UPKEEP_CAMPAIGN_SECONDS`, `UPKEEP_CAMPAIGN_SEED` and
//! `UPKEEP_CAMPAIGN_SCRAPE` (the scrape interval in seconds) change it.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod judge;
mod notifications;
mod plan;
mod stack;
mod table;
mod targets;
mod timing;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use common::servers::eventually;
use judge::{Fault, Outage, Verdict};
use notifications::new_notifications;
use plan::{Faults, Service};
use stack::Stack;
use targets::Target;
use timing::Timing;

/// Three minutes, which is acceptable among the other tests.
const DEFAULT_SECONDS: u64 = 180;
const DEFAULT_SEED: u64 = 1;
/// The longest recommended scrape interval, at which a failed scrape delays most.
const DEFAULT_SCRAPE: u64 = 15;

/// The interval of all services. All other settings are defaults.
const DEFAULTS: &str = "defaults: { interval: 5s }\nservices:\n";

/// Upper limit of the median time from fault to page, in seconds, if there are enough pages. It applies to pages without an
/// outage, because the campaign chooses the length of outages, and the bound of a fault includes them.
const MEDIAN_LIMIT: f64 = 45.0;
const ENOUGH_PAGES: usize = 10;

/// The settings above, those of `deploy/`, and slack for a busy machine.
fn timing(scrape: Duration, has_lost_alerts: bool) -> Timing {
    Timing {
        interval: 5.0,
        recheck: 5.0,
        deadline: 10.0,
        scrape: scrape.as_secs_f64(),
        evaluation: 5.0,
        page_wait: 0.0,
        group_wait: 10.0,
        group_interval: 30.0,
        slack: 8.0,
        has_lost_alerts,
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|error| panic!("reading {name}={text}: {error}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_lasting_faults_cause_notifications() {
    let length = Duration::from_secs(setting("UPKEEP_CAMPAIGN_SECONDS", DEFAULT_SECONDS));
    let seed = setting("UPKEEP_CAMPAIGN_SEED", DEFAULT_SEED);
    let scrape = Duration::from_secs(setting("UPKEEP_CAMPAIGN_SCRAPE", DEFAULT_SCRAPE));

    let services = plan::services();
    let count = services.len();
    let mut config = DEFAULTS.to_owned();
    let mut targets = Vec::new();
    for (number, service) in services.into_iter().enumerate() {
        let target = Target::start(&service, number);
        config += &target.service_yaml(&service);
        targets.push((service, target));
    }
    let stack = Stack::start(&config, scrape).await;
    let all_up = format!("count(upkeep_service_status{{status='up'}} == 1) == {count}");
    eventually(&all_up, Duration::from_secs(90), || async {
        stack.query(&all_up, None).await.filter(|found| !found.is_empty())
    })
    .await;

    stack.ignore_lost_so_far().await;
    let begun = Instant::now();
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let tasks: Vec<_> = targets
        .into_iter()
        .enumerate()
        .map(|(number, (service, target))| {
            let faults = Faults::new(seed, number, service.kind, length);
            tokio::spawn(inject_faults(
                service,
                target,
                faults,
                stack.clone(),
                begun,
                length,
            ))
        })
        .collect();
    let outages = inject_outages(&stack, seed, begun, length).await;
    let (mut faults, mut running) = (Vec::new(), Vec::new());
    for task in tasks {
        let (of_service, target) = task.await.unwrap();
        faults.extend(of_service);
        // Dropping a target would be a fault.
        running.push(target);
    }
    let until = begun.elapsed().as_secs_f64();
    let found = new_notifications(&stack.webhook.notices(|_| true), begun);
    stack.count_lost().await;
    let lost = stack.lost.load(Ordering::SeqCst);
    let verdict = judge::judge(
        &timing(scrape, lost > 0),
        &faults,
        &outages,
        &found.notifications,
        until,
    );

    eprintln!(
        "\ncampaign of seed {seed}: {until:.0} s, {count} services at interval 5s, scrape {scrape:?}\n{}{}other alerts: {:?}; alerts that Prometheus failed to send: {lost}",
        table::outages(&outages),
        table::table(&verdict),
        found.others
    );
    let text = findings(&verdict, &outages, &stack, wall).await;
    assert!(text.is_empty(), "{} findings:\n{text}", verdict.findings.len());
    let median = judge::median(&verdict.undisturbed).unwrap_or_default();
    assert!(
        verdict.undisturbed.len() < ENOUGH_PAGES || median <= MEDIAN_LIMIT,
        "the median from fault to page is {median:.1} s"
    );
}

/// Injects faults into one service until the end of the campaign. Returns the faults and the target, which keeps running.
async fn inject_faults(
    service: Service,
    mut target: Target,
    mut planned: Faults,
    stack: Arc<Stack>,
    begun: Instant,
    length: Duration,
) -> (Vec<Fault>, Target) {
    let mut faults = Vec::new();
    loop {
        let left = length.saturating_sub(begun.elapsed());
        sleep(planned.pause().min(left)).await;
        // A notification that arrives after the start of a fault would count for that fault.
        while is_open(&stack, &service, begun) && begun.elapsed() < length {
            sleep(Duration::from_secs(1)).await;
        }
        let left = length.saturating_sub(begun.elapsed());
        let Some(fault) = planned.next(left) else {
            sleep(left).await;
            return (faults, target);
        };
        let since = begun.elapsed();
        target.set(Some(fault.kind)).await;
        sleep(fault.lasts).await;
        // The last fault lasts until the end of the campaign.
        let is_last = begun.elapsed() >= length;
        let ended = begun.elapsed();
        if !is_last {
            target.set(None).await;
        }
        faults.push(Fault {
            service: service.key.clone(),
            tier: service.tier,
            kind: fault.kind,
            begun: since.as_secs_f64(),
            ended: if is_last {
                f64::INFINITY
            } else {
                ended.as_secs_f64()
            },
        });
    }
}

fn is_open(stack: &Stack, service: &Service, begun: Instant) -> bool {
    let notices = stack
        .webhook
        .notices(|notice| notice.label("service") == service.key);
    new_notifications(&notices, begun).is_open(&service.key)
}

/// Kills, terminates and freezes the exporter and Prometheus until the end of the campaign.
async fn inject_outages(stack: &Stack, seed: u64, begun: Instant, length: Duration) -> Vec<Outage> {
    let mut outages = Vec::new();
    for outage in plan::outages(seed) {
        let left = length.saturating_sub(begun.elapsed());
        if left < outage.after + outage.lasts {
            break;
        }
        sleep(outage.after).await;
        outages.push(stack.inject_outage(outage, begun).await);
    }
    outages
}

/// All findings, with outages, series and log lines.
async fn findings(verdict: &Verdict, outages: &[Outage], stack: &Stack, wall: f64) -> String {
    let mut text = String::new();
    for found in &verdict.findings {
        writeln!(
            text,
            "  {:?}: {} at {:.1} s, fault {:?}",
            found.problem, found.service, found.at, found.fault
        )
        .unwrap();
        let from = found.fault.as_ref().map_or(found.at - 120.0, |fault| fault.begun);
        for outage in outages {
            if outage.begun < found.at && outage.ended > from - 30.0 {
                writeln!(text, "    {outage:?}").unwrap();
            }
        }
        text += &stack.history(&found.service, wall + found.at).await;
        text += &stack.log(&found.service).await;
    }
    text
}
