//! The results for units in all their states.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;
use upkeep_exporter::check::systemd::SystemdCheck;
use upkeep_exporter::config::systemd::UnitState;
use upkeep_exporter::model::Reason;

use crate::common::systemd::Machine;
use crate::support::{check, check_expecting, context, run, settings, until};

const RESTARTS: &str = "upkeep_systemd_unit_restarts_total";
const ACTIVE_ENTER: &str = "upkeep_systemd_unit_active_enter_timestamp_seconds";

/// Runs a command in the machine without blocking the runtime.
async fn inside(machine: &'static Machine, command: &'static str) -> String {
    tokio::task::spawn_blocking(move || machine.run(command))
        .await
        .expect("the command succeeds")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_fails_and_recovers() {
    let machine = Machine::shared();
    machine.write_unit("plain.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    inside(machine, "systemctl start plain").await;
    let mut check = check(&machine.bus_address(), "plain.service");
    let ran = run(&mut check).await;
    assert!(ran.is_up(), "{ran:?}");
    assert_eq!(ran.state(), Some("active"));
    assert_eq!(ran.value("upkeep_systemd_unit_state", "failed"), Some(0.0));
    assert_eq!(ran.value(RESTARTS, "plain.service"), Some(0.0));
    let entered = ran.value(ACTIVE_ENTER, "plain.service").unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    assert!((now - 60.0..=now).contains(&entered), "{entered} at {now}");

    inside(machine, "systemctl kill --signal=KILL plain").await;
    let ran = until(&mut check, "fails", |ran| ran.result.is_err()).await;
    assert!(
        ran.is_failure(
            Reason::State,
            "plain.service is failed: signal, main process killed by signal 9; see `journalctl -u plain.service`"
        ),
        "{ran:?}"
    );
    assert_eq!(ran.state(), Some("failed"));

    inside(machine, "systemctl start plain").await;
    until(&mut check, "is up again", |ran| ran.is_up()).await;
    inside(machine, "systemctl stop plain").await;
    let ran = until(&mut check, "is stopped", |ran| {
        ran.is_failure(Reason::State, "plain.service is inactive (dead)")
    })
    .await;
    assert_eq!(ran.state(), Some("inactive"));
}

/// The delay counts from the end of the process.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_shows_within_100_ms() {
    let machine = Machine::shared();
    machine.write_unit(
        "mortal.service",
        "[Service]\nExecStart=/bin/sh -c 'cat /run/mortal; date +%%s.%%N >/run/shared/died; exit 3'\n\
         ExecStartPre=/bin/sh -c 'rm -f /run/mortal; mkfifo /run/mortal'\n",
    );
    let mut check = check(&machine.bus_address(), "mortal.service");
    let mut delays = Vec::new();
    for _ in 0..10 {
        inside(
            machine,
            "systemctl reset-failed mortal || :; systemctl start mortal",
        )
        .await;
        until(&mut check, "is up", |ran| ran.is_up()).await;
        let dying = tokio::spawn(inside(machine, "echo >/run/mortal"));
        until(&mut check, "fails", |ran| {
            ran.is_failure(Reason::State, "exit-code, main process exited with status 3")
        })
        .await;
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        dying.await.unwrap();
        let died = std::fs::read_to_string(machine.shared_directory().join("died")).unwrap();
        delays.push(now - died.trim().parse::<f64>().unwrap());
    }
    delays.sort_by(f64::total_cmp);
    println!("from a unit's death to the check's verdict, in seconds: {delays:.4?}");
    // The median, because the machine may be busy.
    assert!(delays[delays.len() / 2] < 0.1, "{delays:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_flaps_is_down_while_it_waits() {
    let machine = Machine::shared();
    machine.write_unit(
        "flap.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=300ms\n",
    );
    inside(machine, "systemctl start flap").await;
    let mut check = check_expecting(&machine.bus_address(), "flap.service", &[UnitState::Activating]);
    let ran = until(&mut check, "waits", |ran| {
        ran.is_failure(Reason::State, "waits for a restart")
    })
    .await;
    assert_eq!(ran.state(), Some("activating"));
    let before = ran.value(RESTARTS, "flap.service").unwrap();
    until(&mut check, "counts restarts", |ran| {
        ran.value(RESTARTS, "flap.service").unwrap() >= before + 2.0
    })
    .await;
    inside(machine, "systemctl stop flap").await;
}

/// While it starts, it does not serve. If it counted as degraded, it would never be down for long enough to page.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_to_start_again_and_again_is_down_while_it_starts() {
    let machine = Machine::shared();
    machine.write_unit(
        "doomed.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStartPre=/bin/sleep 0.3\nExecStart=/bin/false\nRestart=always\n\
         RestartSec=100ms\n",
    );
    inside(machine, "systemctl start --no-block doomed").await;
    let mut check = check(&machine.bus_address(), "doomed.service");
    until(&mut check, "is restarted", |ran| {
        ran.value(RESTARTS, "doomed.service").unwrap_or(0.0) >= 1.0
    })
    .await;
    let starts = Cell::new(0);
    until(&mut check, "starts three times", |ran| {
        assert!(!ran.is_degraded(), "{ran:?}");
        let is_start = ran.is_failure(Reason::State, "after a start that failed");
        starts.set(starts.get() + u32::from(is_start));
        starts.get() == 3
    })
    .await;
    inside(machine, "systemctl stop doomed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn masked_absent_and_broken_units_are_distinguished() {
    let machine = Machine::shared();
    let address = machine.bus_address();
    machine.write_unit("hidden.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    machine.write_unit(
        "broken.service",
        "[Service]\nExecStart=sleep-without-a-path-to/it\n",
    );
    machine.write_unit("unread.service", "[Service\n");
    inside(
        machine,
        "mv /etc/systemd/system/hidden.service /run/systemd/system; systemctl mask hidden",
    )
    .await;
    let (mut hidden, mut broken) = (
        check(&address, "hidden.service"),
        check(&address, "broken.service"),
    );
    let mut absent = check(&address, "absent.service");

    let ran = run(&mut hidden).await;
    assert!(
        ran.is_failure(Reason::State, "hidden.service is masked"),
        "{ran:?}"
    );
    let ran = run(&mut absent).await;
    assert!(
        ran.is_failure(Reason::Missing, "the unit absent.service does not exist"),
        "{ran:?}"
    );
    assert!(ran.report.samples.is_empty(), "{ran:?}");
    let ran = run(&mut broken).await;
    assert!(
        ran.is_failure(Reason::State, "broken.service can't be loaded: bad-setting"),
        "{ran:?}"
    );
    assert!(
        ran.is_failure(Reason::State, "has a bad unit file setting"),
        "{ran:?}"
    );

    // A masked unit counts as inactive, a missing one does not.
    let mut expecting = check_expecting(&address, "absent.service", &[UnitState::Inactive]);
    assert!(
        run(&mut expecting)
            .await
            .is_failure(Reason::Missing, "absent.service")
    );
    let mut expecting = check_expecting(&address, "hidden.service", &[UnitState::Inactive]);
    assert!(run(&mut expecting).await.is_up());

    inside(machine, "systemctl unmask hidden").await;
    until(&mut hidden, "is no longer masked", |ran| {
        ran.is_failure(Reason::State, "hidden.service is inactive")
    })
    .await;
    inside(machine, "systemctl start hidden").await;
    until(&mut hidden, "runs", |ran| ran.is_up()).await;
    inside(machine, "systemctl mask hidden").await;
    until(&mut hidden, "runs although masked", |ran| ran.is_degraded()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_appears_later_is_found() {
    let machine = Machine::shared();
    let mut check = check(&machine.bus_address(), "later.service");
    assert!(run(&mut check).await.is_failure(Reason::Missing, "later.service"));
    // Without daemon-reload: systemd notices that the directory changed.
    machine.write_unit("later.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    inside(machine, "systemctl start later").await;
    until(&mut check, "runs", |ran| ran.is_up()).await;
    inside(
        machine,
        "systemctl stop later; rm /etc/systemd/system/later.service; systemctl daemon-reload",
    )
    .await;
    until(&mut check, "is gone", |ran| {
        ran.is_failure(Reason::Missing, "later.service")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_unit_is_missing_after_its_end() {
    let machine = Machine::shared();
    let mut check = check(&machine.bus_address(), "passing.service");
    assert!(
        run(&mut check)
            .await
            .is_failure(Reason::Missing, "passing.service")
    );
    inside(machine, "systemd-run --unit=passing sleep 3").await;
    until(&mut check, "runs", |ran| ran.is_up()).await;
    until(&mut check, "is gone", |ran| {
        ran.is_failure(Reason::Missing, "passing.service")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_start_is_degraded_and_then_down() {
    let machine = Machine::shared();
    machine.write_unit(
        "slow.service",
        "[Service]\nType=notify\nExecStart=/bin/sleep infinity\n",
    );
    inside(machine, "systemctl start --no-block slow").await;
    let mut settings = settings(&machine.bus_address(), "slow.service");
    settings.start_grace = Duration::from_secs(3600);
    let mut patient = SystemdCheck::new(&settings, &context());
    let ran = until(&mut patient, "is activating", |ran| {
        ran.state() == Some("activating")
    })
    .await;
    assert!(ran.is_degraded(), "{ran:?}");
    let warning = ran.report.warning.unwrap();
    assert!(
        warning
            .message()
            .starts_with("slow.service has been activating (start) for "),
        "{warning}"
    );

    // Measured by the unit's timestamps, not from when it was first seen.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    settings.start_grace = Duration::from_secs(1);
    let mut impatient = SystemdCheck::new(&settings, &context());
    let ran = run(&mut impatient).await;
    assert!(ran.is_failure(Reason::State, "start_grace: 1 s"), "{ran:?}");
    inside(machine, "systemctl stop slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_is_being_stopped_is_down() {
    let machine = Machine::shared();
    machine.write_unit(
        "lingering.service",
        "[Service]\nExecStart=/bin/sleep infinity\nExecStop=/bin/sleep 2\n",
    );
    inside(machine, "systemctl start lingering").await;
    let mut check = check(&machine.bus_address(), "lingering.service");
    assert!(run(&mut check).await.is_up());
    inside(machine, "systemctl stop --no-block lingering").await;
    until(&mut check, "is stopping", |ran| {
        ran.is_failure(Reason::State, "lingering.service is deactivating (stop)")
    })
    .await;
    until(&mut check, "has stopped", |ran| {
        ran.is_failure(Reason::State, "is inactive")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oneshots_are_compared_with_the_expected_states() {
    let machine = Machine::shared();
    let address = machine.bus_address();
    machine.write_unit(
        "once.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    );
    machine.write_unit(
        "job.service",
        "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'test ! -e /run/job-fails'\n",
    );
    inside(machine, "systemctl start once job").await;
    assert!(run(&mut check(&address, "once.service")).await.is_up());
    assert!(
        run(&mut check(&address, "job.service"))
            .await
            .is_failure(Reason::State, "is inactive (dead)")
    );

    let mut job = check_expecting(
        &address,
        "job.service",
        &[UnitState::Inactive, UnitState::Activating],
    );
    assert!(run(&mut job).await.is_up());
    inside(machine, "touch /run/job-fails; systemctl start job || :").await;
    until(&mut job, "fails", |ran| {
        ran.is_failure(Reason::State, "exited with status 1")
    })
    .await;
    inside(machine, "rm /run/job-fails; systemctl start job").await;
    until(&mut job, "succeeds", |ran| ran.is_up()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_sockets_instances_aliases_and_targets_work() {
    let machine = Machine::shared();
    let address = machine.bus_address();
    machine.write_unit(
        "tick.timer",
        "[Timer]\nOnUnitActiveSec=1h\nOnBootSec=1h\nUnit=basic.target\n",
    );
    machine.write_unit(
        "door.socket",
        "[Socket]\nListenStream=/run/door.sock\nAccept=yes\n",
    );
    machine.write_unit(
        "door@.service",
        "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n",
    );
    machine.write_unit("worker@.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    inside(
        machine,
        "ln -s /etc/systemd/system/worker@.service /etc/systemd/system/helper@.service; systemctl daemon-reload; \
         systemctl start tick.timer door.socket worker@1 'worker@a\\x2db'",
    )
    .await;
    for unit in [
        "tick.timer",
        "door.socket",
        "worker@1.service",
        "worker@a\\x2db.service",
        "basic.target",
        "init.scope",
        "system.slice",
        "-.mount",
    ] {
        let ran = run(&mut check(&address, unit)).await;
        assert!(ran.is_up(), "{unit}: {ran:?}");
        assert_eq!(
            ran.value(RESTARTS, unit).is_some(),
            unit.ends_with(".service"),
            "{unit}"
        );
    }
    let mut alias = check(&address, "helper@1.service");
    let mut instance = check(&address, "worker@1.service");
    assert!(run(&mut alias).await.is_up());
    assert!(run(&mut instance).await.is_up());
    inside(machine, "systemctl kill --signal=KILL worker@1").await;
    until(&mut alias, "fails", |ran| {
        ran.is_failure(Reason::State, "helper@1.service is failed")
    })
    .await;
    until(&mut instance, "fails", |ran| {
        ran.is_failure(Reason::State, "worker@1.service is failed")
    })
    .await;
    let other = run(&mut check(&address, "worker@2.service")).await;
    assert!(
        other.is_failure(Reason::State, "worker@2.service is inactive"),
        "{other:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_units_share_a_connection() {
    let machine = Machine::shared();
    machine.write_unit(
        "crowd@.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    );
    let context = context();
    let mut checks: Vec<SystemdCheck> = (0..1000)
        .map(|number| {
            SystemdCheck::new(
                &settings(&machine.bus_address(), &format!("crowd@{number}.service")),
                &context,
            )
        })
        .collect();
    assert_eq!(context.units.watched_units(), 1000);
    for check in &mut checks {
        // On a busy machine, the properties of a thousand units can take longer than one run waits.
        until(check, "is known", |ran| {
            ran.is_failure(Reason::State, "is inactive")
        })
        .await;
    }
    inside(
        machine,
        "systemctl start $(seq -f 'crowd@%g' 0 99) $(seq -f 'crowd@%g' 900 999)",
    )
    .await;
    let began = Instant::now();
    for number in (0..100).chain(900..1000) {
        until(&mut checks[number], "is up", |ran| ran.is_up()).await;
    }
    println!(
        "the last of 200 units that were started showed {:?} after systemctl returned",
        began.elapsed()
    );
    assert!(
        run(&mut checks[500])
            .await
            .is_failure(Reason::State, "is inactive")
    );
    drop(checks);
    assert_eq!(context.units.watched_units(), 0);
    inside(machine, "systemctl stop 'crowd@*'").await;
}
