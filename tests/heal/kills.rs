//! A process that heals as fast as it can is killed a thousand times. It never exceeds a budget, and loses no action.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use upkeep_exporter::config::heal::{Backoff, HealMode, HealSettings};
use upkeep_exporter::heal::evidence::{Evidence, FailedRun, FailingCheck, TargetEvidence};
use upkeep_exporter::heal::history::BUDGET_WINDOW;
use upkeep_exporter::heal::policy::{Decision, Totals, decide, observe};
use upkeep_exporter::heal::{HistoryFile, TimeAnchor};
use upkeep_exporter::model::{CheckName, Clock, Moment, Reason, ServiceKey, Status, SystemClock};

use crate::common::config::one_service;

/// The environment variable with the directory of the child process.
const DIR: &str = "UPKEEP_TEST_HEAL_DIR";

const SERVICES: u64 = 6;
/// Small budgets, so that even a slow disk spends them.
const BUDGET: u32 = 2;
const TOTAL: u32 = 5;

/// The child's time is this much faster: an hour takes 0.72 s.
const SPEED: i64 = 5_000;

/// The services are up and down for this long in turn.
const PHASE: i64 = 60 * 1_000_000_000;

/// The log of actions, which the child appends to instead of acting.
const ACTIONS: &str = "actions";

fn settings() -> HealSettings {
    let second = Duration::from_secs(1);
    HealSettings {
        budget: BUDGET,
        backoff: Backoff {
            min: second,
            max: second,
        },
        start_grace: Duration::ZERO,
        verify_for: second * 5,
        ..one_service("key: a, systemd: api, heal: { mode: act }")
            .heal
            .unwrap()
    }
}

/// The fast time since boot. It is the same in all child processes.
fn fast_nanos() -> i64 {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    (uptime.tv_sec * 1_000_000_000 + uptime.tv_nsec) * SPEED
}

fn is_up(service: u64, now: i64) -> bool {
    (now + i64::try_from(service).unwrap() * PHASE / 3) / PHASE % 2 == 0
}

fn evidence(service: u64, fast: i64, now: Moment) -> Evidence {
    let run = |seconds| FailedRun {
        started: now - Duration::from_secs(seconds),
        reason: Some(Reason::Refused),
    };
    Evidence {
        status: Some(if is_up(service, fast) {
            Status::Up
        } else {
            Status::Down
        }),
        failing: vec![FailingCheck {
            name: CheckName::new("tcp"),
            runs: vec![run(1), run(2)],
            message: String::new(),
        }],
        target: TargetEvidence::Known(Default::default()),
        ..Evidence::default()
    }
}

/// The child process: decides about all services in turn, saves, and acts.
fn heal_until_killed(dir: PathBuf) {
    let settings = settings();
    let started = fast_nanos();
    let at = |fast: i64| Moment::from_nanos(fast - started);
    let anchor = TimeAnchor::new("boot", started, started, Moment::default());
    let mut actions = OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join(ACTIONS))
        .unwrap();
    let (mut file, mut history, warnings) = HistoryFile::open(dir, &anchor, at(fast_nanos()));
    assert_eq!(warnings, [""; 0]);
    println!("\nstarted");
    let mut number = 0_u32;
    loop {
        for service in 0..SERVICES {
            let key = ServiceKey::new(format!("s{service}"));
            let fast = fast_nanos();
            let now = at(fast);
            let evidence = evidence(service, fast, now);
            let totals = Totals::new(&history, HealMode::Act, TOTAL, now);
            let of_service = history.service(&key);
            observe(of_service, &settings, &evidence, now);
            if !matches!(
                decide(of_service, &totals, &settings, &evidence, now),
                Decision::Act(_)
            ) {
                continue;
            }
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            of_service.begin(&settings, f64::from(number) / f64::from(u32::MAX), now);
            let action = of_service.actions;
            file.write(&history, &anchor, now).unwrap();
            actions
                .write_all(format!("{service} {action} {fast}\n").as_bytes())
                .unwrap();
            history.service(&key).end(at(fast_nanos()));
        }
    }
}

#[test]
fn a_thousand_kills_exceed_no_budget_and_lose_nothing() {
    const NAME: &str = "kills::a_thousand_kills_exceed_no_budget_and_lose_nothing";
    if let Some(dir) = std::env::var_os(DIR) {
        heal_until_killed(dir.into());
    }
    let dir = tempfile::tempdir().unwrap();
    for round in 0..1000_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(lines.any(|line| line == "started"), "the child failed");
        // In mixed order.
        std::thread::sleep(Duration::from_micros(round * 7919 % 30_000));
        assert!(child.try_wait().unwrap().is_none(), "the child failed");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert_allowed(dir.path());
}

fn assert_allowed(dir: &Path) {
    let text = fs::read_to_string(dir.join(ACTIONS)).unwrap();
    let mut actions: Vec<(i64, u64, u64)> = Vec::new();
    for line in text.lines() {
        let numbers: Vec<i64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
        let [service, action, fast] = numbers[..] else {
            panic!("{line}");
        };
        actions.push((fast, service.unsigned_abs(), action.unsigned_abs()));
    }
    println!("{} actions", actions.len());
    assert!(actions.len() > 50, "{} actions prove little", actions.len());
    let budget = BUDGET as usize;
    let mut binding = 0;
    for (at, service, _) in &actions {
        let since = at - i64::try_from(BUDGET_WINDOW.as_nanos()).unwrap();
        let within = |wanted: Option<u64>| {
            let counted = actions.iter().filter(|(other, of, _)| {
                (since + 1..=*at).contains(other) && wanted.is_none_or(|wanted| wanted == *of)
            });
            counted.count()
        };
        let (own, all) = (within(Some(*service)), within(None));
        assert!(
            own <= budget && all <= TOTAL as usize,
            "{own} of s{service}, {all} of all"
        );
        binding += usize::from(own == budget || all == TOTAL as usize);
    }
    assert!(binding > 0, "no budget was ever spent, so nothing is proved");
    // Each action was saved before it was taken: no number was used twice, and the last one is known.
    let anchor = TimeAnchor::new("boot", fast_nanos(), 0, SystemClock::new().now());
    let (_, history, warnings) = HistoryFile::open(dir.to_owned(), &anchor, Moment::default());
    assert_eq!(warnings, [""; 0]);
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (_, service, action) in &actions {
        let before = last.insert(*service, *action).unwrap_or(0);
        assert!(*action > before, "s{service}: {action} after {before}");
    }
    for (service, action) in last {
        assert!(history.services[&ServiceKey::new(format!("s{service}"))].actions >= action);
    }
}
