//! Jobs of a real cron and real systemd timers, from a fault to its notification and back: jobs that stop, fail, hang, or were never
//! set up. The Alertmanager's watchdog is a job, too. The exporter is killed once.

mod scene;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::servers::{eventually, get};
use crate::common::switchable::Switchable;
use crate::common::webhook::Notice;
use crate::stack::Stack;
use crate::{EVALUATION, GROUP_INTERVAL, SCRAPE, SLACK, START};
use scene::{Scene, WATCHDOG, has_token, has_token_below, token};

/// From the configuration of the scene.
const DOWN: Duration = Duration::from_secs(15);
const INTERVAL: Duration = Duration::from_secs(1);
/// The time between two starts of a job by cron.
const MINUTE: Duration = Duration::from_secs(60);
/// From the start of a job to its result.
const JOB: Duration = Duration::from_secs(5);

/// The longest time from the moment when a job is down to the page: the next run sees it, and then as in `latest` for a critical alert,
/// which does not wait.
fn page_limit() -> Duration {
    INTERVAL + DOWN + INTERVAL + SCRAPE + EVALUATION + SLACK
}

/// The longest time from a success to the end of the page.
fn recovery_limit() -> Duration {
    2 * INTERVAL + SCRAPE + EVALUATION + GROUP_INTERVAL + SLACK
}

/// The time until cron starts jobs.
fn until_next_minute() -> Duration {
    let minute = MINUTE.as_nanos();
    let into = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() % minute;
    Duration::from_nanos(u64::try_from(minute - into).unwrap())
}

/// Waits until the first exporter reports the state of a job.
async fn wait_for_state(stack: &Stack, scene: &Scene, job: &str, state: &str, limit: Duration) {
    let url = format!("http://{}/metrics", stack.instance(0));
    let begun = Instant::now();
    loop {
        let metrics = get(&url).await.unwrap_or_default();
        let is_in_state = metrics.lines().any(|line| {
            line.starts_with("upkeep_heartbeat_state{")
                && line.contains(&format!("service=\"{job}\""))
                && line.contains(&format!("state=\"{state}\""))
                && line.ends_with(" 1")
        });
        if is_in_state {
            println!("{job} is {state} after {:.1?}", begun.elapsed());
            return;
        }
        let ours = metrics
            .lines()
            .filter(|line| line.starts_with("upkeep_heartbeat_") && line.contains(job));
        assert!(
            begun.elapsed() < limit,
            "{job} is not {state} within {limit:?}:\n{}\n{}\n{}",
            ours.collect::<Vec<_>>().join("\n"),
            stack.exporters[0].log(),
            scene.log()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits for the page about a job that was down at `down`, and asserts that it is on time.
async fn wait_for_page(stack: &Stack, job: &str, down: Instant) -> Notice {
    let limit = (down + page_limit()).saturating_duration_since(Instant::now());
    let page = stack.notice("UpkeepServiceDown", job, "firing", limit).await;
    let after = page.at.duration_since(down);
    println!(
        "page about {job} {after:.1?} after it was down, within {:?}",
        page_limit()
    );
    assert!(after + 2 * INTERVAL >= DOWN, "{job}: too early, after {after:?}");
    page
}

async fn wait_for_recovery(stack: &Stack, job: &str, up: Instant) {
    let limit = (up + recovery_limit()).saturating_duration_since(Instant::now());
    let notice = stack.notice("UpkeepServiceDown", job, "resolved", limit).await;
    println!(
        "page about {job} ended {:.1?} after the success",
        notice.at.duration_since(up)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_cron_and_systemd_report_stop_fail_and_recover() {
    let scene = Scene::start();
    let flags = [format!("--web.listen-address=unix:{}", scene.socket())];
    let target = format!(
        "[{{ url: 'http://{{exporter}}/api/heartbeat/{}', send_resolved: false }}, ",
        token(WATCHDOG)
    );
    let receiver = "- name: deadman\n    webhook_configs: [";
    let changes = [(receiver, &*receiver.replace('[', &target))];
    let other = Switchable::start().await;
    let other = format!(
        "services: [{{ key: other, checks: [{{ kind: tcp, address: '{}' }}] }}]\n",
        other.address
    );
    let mut stack = Stack::start_with([&scene.config(), &other], &flags, &changes).await;
    let started = Instant::now();
    eventually("the first round", START, || stack.ready(0)).await;
    scene.start_jobs();

    // They report success.
    for job in ["timer-late", "timer-fails"] {
        wait_for_state(&stack, &scene, job, "up", START).await;
    }
    for job in ["cron-late", "cron-fails"] {
        wait_for_state(&stack, &scene, job, "up", MINUTE + JOB + START).await;
    }
    // At the turn of a minute, cron may have read its files already.
    if until_next_minute() < JOB {
        tokio::time::sleep(2 * JOB).await;
        wait_for_state(&stack, &scene, "cron-late", "up", START).await;
    }
    let due = Instant::now() + until_next_minute();
    scene.write_cron(&["cron-fails"]);
    scene.set_broken("cron-fails", true);
    tokio::join!(
        jobs_of_timers(&stack, &scene, started),
        jobs_of_cron(&stack, &scene, due)
    );

    // The exporter dies. Its state survives, and the pages neither end nor repeat.
    stack.exporters[0].kill();
    scene.write_cron(&["cron-late", "cron-fails"]);
    scene.set_broken("cron-fails", false);
    stack.exporters[0] = stack.exporter(0);
    wait_for_state(&stack, &scene, "cron-fails", "up", MINUTE + 2 * JOB).await;
    wait_for_state(&stack, &scene, "cron-late", "up", 2 * JOB).await;
    let up = Instant::now();
    for job in ["cron-late", "cron-fails"] {
        wait_for_recovery(&stack, job, up).await;
    }

    for job in [
        "cron-late",
        "cron-fails",
        "timer-late",
        "timer-fails",
        "timer-hangs",
        "new",
    ] {
        let pages = stack.notices("UpkeepServiceDown", job, "firing");
        assert_eq!(pages.len(), 1, "{job}: {pages:#?}");
    }
    // The notifications of the watchdog arrived.
    let url = format!("http://{}/metrics", stack.instance(0));
    wait_for_state(&stack, &scene, WATCHDOG, "up", JOB).await;
    assert!(stack.notices("UpkeepServiceDown", WATCHDOG, "firing").is_empty());
    // Nothing that leaves the exporter contains a token.
    assert!(!has_token(&get(&url).await.unwrap()));
    assert!(
        !has_token(&stack.exporters[0].log()),
        "{}",
        stack.exporters[0].log()
    );
    assert!(!has_token_below(&stack.state(0)));
    let notices = format!("{:?}", stack.webhook.notices(|_| true));
    assert!(!has_token(&notices));
    assert_eq!(stack.rule_failures().await, 0.0);
}

/// One job fails, one is late and then down, one hangs, and one was never set up. Then they recover.
async fn jobs_of_timers(stack: &Stack, scene: &Scene, started: Instant) {
    let stopped = Instant::now();
    scene.set_broken("timer-fails", true);
    scene.systemctl("stop timer-late.timer");
    scene.systemctl("start --no-block timer-hangs.service");
    wait_for_state(stack, scene, "timer-fails", "failed", 2 * JOB).await;
    let failed = Instant::now();
    wait_for_state(stack, scene, "timer-late", "late", Duration::from_secs(12) + JOB).await;
    wait_for_state(stack, scene, "timer-late", "down", Duration::from_secs(5) + JOB).await;
    let down = Instant::now();
    wait_for_page(stack, "timer-fails", failed).await;
    wait_for_page(stack, "timer-late", down).await;
    let hung = stack
        .notice("UpkeepServiceDown", "timer-hangs", "firing", page_limit())
        .await;
    assert!(
        hung.at.duration_since(stopped) >= Duration::from_secs(10),
        "{hung:?}"
    );
    let new = stack
        .notice("UpkeepServiceDown", "new", "firing", page_limit())
        .await;
    assert!(
        new.at.duration_since(started) >= Duration::from_secs(15),
        "{new:?}"
    );

    scene.set_broken("timer-fails", false);
    wait_for_state(stack, scene, "timer-fails", "up", 2 * JOB).await;
    scene.systemctl("start timer-late.timer");
    wait_for_state(stack, scene, "timer-late", "up", 2 * JOB).await;
    let up = Instant::now();
    // The job that hangs gets the signal, and its exit status is reported.
    scene.systemctl("stop timer-hangs.service");
    wait_for_state(stack, scene, "timer-hangs", "failed", JOB).await;
    for job in ["timer-late", "timer-fails"] {
        wait_for_recovery(stack, job, up).await;
    }
}

/// At the next minute, one job fails, and one is late and then down.
async fn jobs_of_cron(stack: &Stack, scene: &Scene, due: Instant) {
    let grace = Duration::from_secs(10);
    wait_for_state(stack, scene, "cron-fails", "failed", MINUTE + JOB).await;
    let failed = Instant::now();
    wait_for_state(stack, scene, "cron-late", "late", JOB).await;
    wait_for_state(stack, scene, "cron-late", "down", grace + JOB).await;
    let down = Instant::now();
    wait_for_page(stack, "cron-fails", failed).await;
    let page = wait_for_page(stack, "cron-late", down).await;
    let after = page.at.saturating_duration_since(due);
    assert!(after + INTERVAL >= grace + DOWN, "too early: {after:?}");
}
