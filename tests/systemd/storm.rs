//! Many units, and a systemd that restarts repeatedly: no unit is down because systemd has not responded yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};
use upkeep_exporter::check::systemd::SystemdCheck;
use upkeep_exporter::model::{Reason, Report, Shortage};

use crate::common::systemd::Machine;
use crate::proxy::Proxy;
use crate::support::{PATIENCE, Ran, context, settings};

/// The deadline of a run in these tests.
const DEADLINE: Duration = Duration::from_secs(2);

async fn machine() -> Arc<Machine> {
    let booted = tokio::task::spawn_blocking(Machine::boot);
    Arc::new(booted.await.expect("the machine boots"))
}

fn inside(machine: &Arc<Machine>, command: String) -> tokio::task::JoinHandle<String> {
    let machine = machine.clone();
    tokio::task::spawn_blocking(move || machine.run(&command))
}

/// One run with a deadline, as in the scheduler.
async fn run(check: &mut SystemdCheck, deadline: Duration) -> Ran {
    let until = Instant::now() + deadline;
    let mut report = Report {
        deadline: Some(until),
        ..Report::default()
    };
    let run = tokio::time::timeout_at(until, check.run(&mut report)).await;
    let result = run.expect("a run ends before its deadline");
    Ran { result, report }
}

/// Whether a run is inconclusive because systemd has not responded yet.
fn is_inconclusive(ran: &Ran) -> bool {
    matches!(&ran.result, Err(problem) if problem.shortage == Some(Shortage::Manager))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_lists_thousands_of_units() {
    let machine = machine().await;
    machine.write_unit(
        "crowd@.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    );
    inside(&machine, "systemctl start $(seq -f 'crowd@%g' 1 200)".to_owned())
        .await
        .unwrap();
    let proxy = Proxy::start(machine.bus_socket());
    let context = context();
    let checks = (1..=2000).map(|number| {
        let unit = format!("crowd@{number}.service");
        (
            number,
            SystemdCheck::new(&settings(&proxy.address(), &unit), &context),
        )
    });
    let mut checks: Vec<_> = checks.collect();
    let began = Instant::now();
    let runs = checks.iter_mut().map(async |(number, check)| {
        let ran = run(check, PATIENCE).await;
        assert_eq!(ran.is_up(), *number <= 200, "crowd@{number}: {ran:?}");
    });
    futures_util::future::join_all(runs).await;
    let took = began.elapsed();
    println!("the first run for 2,000 units, 200 of them active, took {took:?}");
    assert_eq!(proxy.calls("ListUnitsByNames"), 1);
    assert!(proxy.calls("GetAll") <= 200, "inactive units have no details");
    // Takes less than two seconds on an idle machine.
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_restarts_of_systemd_do_not_take_units_down() {
    const UNITS: usize = 60;
    const VICTIM: usize = 7;
    let machine = machine().await;
    machine.write_unit("w@.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    inside(&machine, format!("systemctl start $(seq -f 'w@%g' 1 {UNITS})"))
        .await
        .unwrap();
    let (context, is_over) = (context(), Arc::new(AtomicBool::new(false)));
    let is_killed = Arc::new(AtomicBool::new(false));
    let watchers = (1..=UNITS).map(|number| {
        let unit = format!("w@{number}.service");
        let mut check = SystemdCheck::new(&settings(&machine.bus_address(), &unit), &context);
        let (is_over, is_killed) = (is_over.clone(), is_killed.clone());
        tokio::spawn(async move {
            let (mut runs, mut unanswered, mut found) = (0, 0, None);
            while !is_over.load(Ordering::SeqCst) || found.is_none() {
                let ran = run(&mut check, DEADLINE).await;
                runs += 1;
                let is_failed = ran.is_failure(Reason::State, "is failed");
                if is_inconclusive(&ran) {
                    unanswered += 1;
                } else if number == VICTIM && is_killed.load(Ordering::SeqCst) {
                    if is_failed {
                        found.get_or_insert_with(Instant::now);
                    }
                } else {
                    assert!(ran.is_up(), "{unit}: {ran:?}");
                    found.get_or_insert_with(Instant::now);
                }
                sleep(Duration::from_millis(50)).await;
            }
            (runs, unanswered, found)
        })
    });
    let watchers: Vec<_> = watchers.collect();
    // Killed by its id, because systemd can't do it while it restarts.
    let victim = inside(&machine, format!("systemctl show -p MainPID --value w@{VICTIM}"))
        .await
        .unwrap();
    let storm = "for i in 1 2 3 4 5; do systemctl daemon-reload; done; \
                 for i in 1 2 3 4 5 6; do systemctl daemon-reexec; sleep 0.2; done";
    let storm = inside(&machine, storm.to_owned());
    sleep(Duration::from_secs(1)).await;
    is_killed.store(true, Ordering::SeqCst);
    inside(&machine, format!("kill -KILL {}", victim.trim()))
        .await
        .unwrap();
    let killed = Instant::now();
    storm.await.unwrap();
    is_over.store(true, Ordering::SeqCst);
    let (mut runs, mut unanswered) = (0, 0);
    for (index, watcher) in watchers.into_iter().enumerate() {
        let watched = tokio::time::timeout(PATIENCE, watcher).await;
        let (its_runs, its_unanswered, found) = watched.expect("it is known again").unwrap();
        runs += its_runs;
        unanswered += its_unanswered;
        if index + 1 == VICTIM {
            let found = found.expect("a time").saturating_duration_since(killed);
            println!("the unit that was killed was down {found:?} later");
        }
    }
    println!("{runs} runs, {unanswered} of them inconclusive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_systemd_is_inconclusive_first_and_then_a_failure() {
    let machine = machine().await;
    machine.write_unit("plain.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    inside(&machine, "systemctl start plain".to_owned())
        .await
        .unwrap();
    let context = context();
    let mut other = SystemdCheck::new(&settings(&machine.bus_address(), "init.scope"), &context);
    let began = Instant::now();
    while !run(&mut other, DEADLINE).await.is_up() {
        assert!(began.elapsed() < PATIENCE);
    }
    let pid = i32::try_from(machine.pid()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let mut check = SystemdCheck::new(&settings(&machine.bus_address(), "plain.service"), &context);
    let ran = run(&mut check, DEADLINE).await;
    assert!(is_inconclusive(&ran), "{ran:?}");
    let began = Instant::now();
    loop {
        let ran = run(&mut check, DEADLINE).await;
        if ran.is_failure(Reason::Unreachable, "D-Bus at") {
            break;
        }
        assert!(is_inconclusive(&ran) && began.elapsed() < PATIENCE, "{ran:?}");
    }
    // It stays a failure on the next connection.
    sleep(Duration::from_secs(1)).await;
    let ran = run(&mut check, DEADLINE).await;
    assert!(ran.is_failure(Reason::Unreachable, "D-Bus at"), "{ran:?}");
    kill_process(pid, Signal::CONT).unwrap();
    let began = Instant::now();
    while !run(&mut check, DEADLINE).await.is_up() {
        assert!(began.elapsed() < PATIENCE);
        sleep(Duration::from_millis(50)).await;
    }
}
