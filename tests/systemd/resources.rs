//! What units use, compared with `systemctl show`, and the limits on it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use upkeep_exporter::check::CheckContext;
use upkeep_exporter::check::cgroup::Cgroups;
use upkeep_exporter::check::systemd::SystemdCheck;
use upkeep_exporter::config::resource_limits::{OverLimit, ResourceLimits};
use upkeep_exporter::config::systemd::SystemdSettings;
use upkeep_exporter::model::Reason;

use crate::common::systemd::Machine;
use crate::support::{PATIENCE, Ran, context, run, settings};

const CPU: &str = "upkeep_systemd_unit_cpu_seconds_total";
const MEMORY: &str = "upkeep_systemd_unit_memory_bytes";
const PEAK: &str = "upkeep_systemd_unit_memory_peak_bytes";
const LIMIT: &str = "upkeep_systemd_unit_memory_limit_bytes";
const TASKS: &str = "upkeep_systemd_unit_tasks";
const TASKS_LIMIT: &str = "upkeep_systemd_unit_tasks_limit";
const OOM_KILLS: &str = "upkeep_systemd_unit_oom_kills_total";
const RESTARTS: &str = "upkeep_systemd_unit_restarts_total";

/// Runs a command in the machine without blocking the runtime.
async fn inside(machine: &'static Machine, command: &str) -> String {
    let command = command.to_owned();
    tokio::task::spawn_blocking(move || machine.run(&command))
        .await
        .expect("the command succeeds")
}

/// The machine with controllers, once all its units can be started.
async fn machine() -> &'static Machine {
    tokio::task::spawn_blocking(Machine::shared_with_controllers)
        .await
        .expect("the machine boots")
}

/// Writes and starts a unit.
async fn start(machine: &'static Machine, unit: &str, service: &str) {
    machine.write_unit(
        unit,
        &format!(
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nCPUAccounting=yes\nMemoryAccounting=yes\nTasksAccounting=yes\n{service}\n"
        ),
    );
    inside(machine, &format!("systemctl start {unit}")).await;
}

/// The context of an exporter that runs in the machine.
fn inner(machine: &Machine) -> CheckContext {
    CheckContext {
        cgroups: Cgroups::at(machine.path("/sys/fs/cgroup")),
        ..context()
    }
}

fn check(machine: &Machine, unit: &str) -> SystemdCheck {
    SystemdCheck::new(&settings(&machine.bus_address(), unit), &inner(machine))
}

fn limited(machine: &Machine, unit: &str, limits: ResourceLimits, over_limit: OverLimit) -> SystemdCheck {
    let mut settings: SystemdSettings = settings(&machine.bus_address(), unit);
    settings.resources.limits = limits;
    settings.resources.over_limit = over_limit;
    SystemdCheck::new(&settings, &inner(machine))
}

/// Runs the check every 100 ms until the result is as wanted.
async fn until(check: &mut SystemdCheck, what: &str, is_wanted: impl Fn(&Ran) -> bool) -> Ran {
    let began = Instant::now();
    loop {
        let ran = run(check).await;
        if is_wanted(&ran) {
            return ran;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "waiting until it {what}; last: {ran:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

/// A property that `systemctl show` prints as a number.
async fn shown(machine: &'static Machine, unit: &str, property: &str) -> f64 {
    let text = inside(machine, &format!("systemctl show {unit} --value -p {property}")).await;
    text.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{property} of {unit}: {text}"))
}

/// The values of a first run, which always reads them.
async fn values(machine: &Machine, unit: &str) -> impl Fn(&str) -> f64 + use<> {
    let (ran, unit) = (run(&mut check(machine, unit)).await, unit.to_owned());
    move |family| {
        ran.value(family, &unit)
            .unwrap_or_else(|| panic!("{family} of {unit}: {ran:?}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_values_are_those_that_systemctl_shows() {
    let machine = machine().await;
    let unit = "burner@2.service";
    machine.write_unit(
        "burner@.service",
        "[Service]\nExecStart=/bin/sh -c 'sleep infinity & sleep infinity & while :; do :; done'\n\
         CPUAccounting=yes\nMemoryMax=200M\nTasksMax=50\n",
    );
    inside(machine, &format!("systemctl start {unit}")).await;
    for _ in 0..3 {
        let before = shown(machine, unit, "MemoryCurrent").await;
        let value = values(machine, unit).await;
        let after = shown(machine, unit, "MemoryCurrent").await;
        // The memory of a shell changes little, but the kernel counts it in batches per CPU.
        let slack = 1e6;
        let range = (before.min(after) - slack)..=(before.max(after) + slack);
        assert!(range.contains(&value(MEMORY)), "{} in {range:?}", value(MEMORY));
        assert!(value(PEAK) >= value(MEMORY) - slack);
        assert_eq!(value(LIMIT), 200.0 * 1024.0 * 1024.0);
        assert_eq!(value(TASKS), shown(machine, unit, "TasksCurrent").await);
        assert_eq!((value(TASKS), value(TASKS_LIMIT)), (3.0, 50.0));
        assert_eq!(value(RESTARTS), shown(machine, unit, "NRestarts").await);
        assert_eq!(value(OOM_KILLS), 0.0);
    }
    // It burns one CPU, but shares the machine with other tests.
    let limits = ResourceLimits {
        cpu_below: Some(0.1),
        ..ResourceLimits::default()
    };
    let mut limited = limited(machine, unit, limits, OverLimit::Warning);
    let ran = until(&mut limited, "uses too many CPUs", Ran::is_degraded).await;
    let warning = ran.report.warning.expect("a warning");
    assert_eq!(warning.reason, Reason::Limit);
    assert!(
        warning
            .message()
            .ends_with(" CPUs (cpu_below: 0.1); see `systemctl status burner@2.service`"),
        "{warning}"
    );
    inside(machine, &format!("systemctl stop {unit}")).await;
}

/// cgroup v2 counts CPU time without a controller.
#[tokio::test(flavor = "multi_thread")]
async fn the_cpu_time_of_v2_is_read() {
    let machine = Machine::shared();
    let unit = "burner.service";
    start(machine, unit, "ExecStart=/bin/sh -c 'while :; do :; done'").await;
    let before = shown(machine, unit, "CPUUsageNSec").await / 1e9;
    let value = values(machine, unit).await(CPU);
    let after = shown(machine, unit, "CPUUsageNSec").await / 1e9;
    inside(machine, &format!("systemctl stop {unit}")).await;
    assert!(
        (before..=after).contains(&value),
        "{value} in {before} to {after}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_uses_much_memory_reaches_its_limits() {
    let machine = machine().await;
    // tail stores the last 80 MB until its input ends.
    start(
        machine,
        "hog.service",
        "MemoryMax=100M\nExecStart=/bin/sh -c '(head -c 80M /dev/zero; sleep infinity) | tail -c 80M'",
    )
    .await;
    let below = |bytes: u64| ResourceLimits {
        memory_below: Some(bytes),
        ..ResourceLimits::default()
    };
    let mut hog = limited(machine, "hog.service", below(50 << 20), OverLimit::Warning);
    let ran = until(&mut hog, "reaches memory_below", Ran::is_degraded).await;
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert_eq!(warning.reason, Reason::Limit);
    assert!(
        warning.message().contains(" of memory (memory_below: 50MB)"),
        "{warning}"
    );

    let mut strict = limited(machine, "hog.service", below(50 << 20), OverLimit::Failure);
    let ran = run(&mut strict).await;
    assert!(ran.is_failure(Reason::Limit, "hog.service uses "), "{ran:?}");
    assert_eq!(ran.state(), Some("active"), "a failed run has its samples");

    let share = ResourceLimits {
        memory_share_below: Some(0.7),
        ..ResourceLimits::default()
    };
    let mut near = limited(machine, "hog.service", share, OverLimit::Warning);
    let ran = until(&mut near, "reaches memory_share_below", Ran::is_degraded).await;
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert!(
        warning.message().contains(" % of its memory limit of 100MB"),
        "{warning}"
    );

    let mut fine = limited(machine, "hog.service", below(150 << 20), OverLimit::Failure);
    assert!(run(&mut fine).await.is_up());
    inside(machine, "systemctl stop hog").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oom_kills_that_a_unit_survives_are_counted() {
    let machine = machine().await;
    start(
        machine,
        "greedy.service",
        "MemoryMax=20M\nMemorySwapMax=0\nOOMPolicy=continue\n\
         ExecStart=/bin/sh -c 'while :; do cat /run/greedy; tail /dev/zero; done'\nExecStartPre=/bin/sh -c 'mkfifo /run/greedy'",
    )
    .await;
    // Limits make it read more often.
    let limits = ResourceLimits {
        memory_below: Some(1 << 30),
        ..ResourceLimits::default()
    };
    let mut greedy = limited(machine, "greedy.service", limits, OverLimit::Warning);
    let kills = |ran: &Ran| ran.value(OOM_KILLS, "greedy.service");
    assert_eq!(kills(&run(&mut greedy).await), Some(0.0));
    inside(machine, "echo >/run/greedy").await;
    until(&mut greedy, "was killed", |ran| kills(ran) == Some(1.0)).await;
    // The counter stays, and another kill after a restart counts on.
    inside(machine, "systemctl stop greedy").await;
    let ran = until(&mut greedy, "is stopped", |ran| ran.state() == Some("inactive")).await;
    assert_eq!(
        (kills(&ran), ran.value(MEMORY, "greedy.service")),
        (Some(1.0), None)
    );
    assert_eq!(ran.report.running_since, None);
    inside(
        machine,
        "rm /run/greedy; systemctl start greedy; echo >/run/greedy",
    )
    .await;
    until(&mut greedy, "was killed again", |ran| kills(ran) == Some(2.0)).await;
    inside(machine, "systemctl stop greedy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_restarts_and_the_start_are_measured() {
    let machine = machine().await;
    start(
        machine,
        "crowd.service",
        "Restart=always\nRestartSec=100ms\nExecStart=/bin/sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep infinity & done; wait'",
    )
    .await;
    let limits = ResourceLimits {
        tasks_below: Some(10),
        ..ResourceLimits::default()
    };
    let mut crowd = limited(machine, "crowd.service", limits, OverLimit::Warning);
    let ran = until(&mut crowd, "has ten tasks", Ran::is_degraded).await;
    let warning = ran.report.warning.as_ref().expect("a warning");
    assert!(
        warning
            .message()
            .starts_with("crowd.service has 10 tasks (tasks_below: 10)"),
        "{warning}"
    );
    let first = ran.report.running_since.expect("a start");

    inside(machine, "systemctl kill --signal=KILL crowd").await;
    let ran = until(&mut crowd, "is restarted", |ran| {
        ran.value(RESTARTS, "crowd.service") == Some(1.0) && ran.report.running_since.is_some()
    })
    .await;
    assert_eq!(shown(machine, "crowd.service", "NRestarts").await, 1.0);
    let since = ran.report.running_since.expect("a start");
    assert!(since > first, "{since} after {first}");
    let text = inside(
        machine,
        "date +%s.%N -d \"$(systemctl show crowd --timestamp=us --value -p ActiveEnterTimestamp | cut -d' ' -f2-)\"",
    )
    .await;
    let shown: f64 = text.trim().parse().expect("a time");
    assert!((since - shown).abs() < 1e-3, "{since} is not {shown}");
    inside(machine, "systemctl stop crowd").await;
}

/// A group disappears between two files, and is created again.
#[tokio::test(flavor = "multi_thread")]
async fn a_unit_may_stop_while_it_is_read() {
    let machine = machine().await;
    start(machine, "brief.service", "ExecStart=/bin/sleep infinity").await;
    let restarting = tokio::spawn(inside(
        machine,
        "for i in $(seq 40); do systemctl restart brief || exit 1; done",
    ));
    let mut reads = 0;
    while !restarting.is_finished() {
        // A new check reads in its first run. Which state it sees depends on the moment.
        let ran = run(&mut check(machine, "brief.service")).await;
        reads += usize::from(ran.value(TASKS, "brief.service").is_some());
        let is_known = ran.result.is_ok() || ran.is_failure(Reason::State, "brief.service is ");
        assert!(is_known, "{ran:?}");
    }
    restarting.await.expect("all restarts succeed");
    assert!(reads > 0, "it was never read");
    inside(machine, "systemctl stop brief").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slice_has_the_sum_and_a_unit_may_move_to_another_one() {
    let machine = machine().await;
    let unit = |slice: &str| {
        format!("[Service]\nExecStart=/bin/sleep infinity\nSlice={slice}\nTasksAccounting=yes\n")
    };
    machine.write_unit("inner.service", &unit("outer-one.slice"));
    inside(machine, "systemctl start inner").await;
    let mut inner_check = check(machine, "inner.service");
    let has_task = |ran: &Ran| ran.value(TASKS, "inner.service") == Some(1.0);
    until(&mut inner_check, "has a task", has_task).await;
    assert_eq!(values(machine, "outer.slice").await(TASKS), 1.0);

    machine.write_unit("inner.service", &unit("outer-two.slice"));
    inside(machine, "systemctl daemon-reload; systemctl restart inner").await;
    until(&mut inner_check, "has a task again", has_task).await;
    let group = inside(machine, "systemctl show inner --value -p ControlGroup").await;
    assert_eq!(group.trim(), "/outer.slice/outer-two.slice/inner.service");
    inside(machine, "systemctl stop inner").await;
}

/// A unit that was never started has no group when the check connects; signals do not report it later.
#[tokio::test(flavor = "multi_thread")]
async fn the_group_of_a_unit_that_starts_later_is_found() {
    let machine = machine().await;
    machine.write_unit(
        "late.service",
        "[Service]\nExecStart=/bin/sleep infinity\nTasksAccounting=yes\n",
    );
    inside(machine, "systemctl daemon-reload").await;
    let mut late = check(machine, "late.service");
    let ran = run(&mut late).await;
    assert_eq!(
        (ran.value(TASKS, "late.service"), ran.state()),
        (None, Some("inactive"))
    );
    inside(machine, "systemctl start late").await;
    until(&mut late, "has a task", |ran| {
        ran.value(TASKS, "late.service") == Some(1.0)
    })
    .await;
    inside(machine, "systemctl stop late").await;
    until(&mut late, "is stopped", |ran| {
        ran.value(TASKS, "late.service").is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn units_of_other_machines_are_not_measured() {
    let machine = machine().await;
    start(machine, "plain.service", "ExecStart=/bin/sleep infinity").await;
    let address = machine.bus_address();
    // This machine has no such unit, and the key turns it off.
    let mut outer = SystemdCheck::new(&settings(&address, "plain.service"), &context());
    let ran = run(&mut outer).await;
    assert!(ran.is_up(), "{ran:?}");
    assert_eq!(ran.value(TASKS, "plain.service"), None);
    let mut off = settings(&address, "plain.service");
    off.resources.is_measured = false;
    let ran = run(&mut SystemdCheck::new(&off, &inner(machine))).await;
    assert_eq!(
        (
            ran.value(TASKS, "plain.service"),
            ran.value(OOM_KILLS, "plain.service")
        ),
        (None, None)
    );
    inside(machine, "systemctl stop plain").await;
}
