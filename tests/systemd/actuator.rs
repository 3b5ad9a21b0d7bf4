//! Starting, stopping and restarting units with a real systemd.

use std::time::Duration;

use tokio::time::Instant;
use upkeep_exporter::actuator::{ActError, Action, Actuator, Conflict, Done, Failure, UnitStatus};
use upkeep_exporter::config::Target;
use upkeep_exporter::config::systemd::BusAddress;
use upkeep_exporter::net::network::Network;

use crate::common::systemd::Machine;
use crate::proxy::Proxy;
use crate::support::PATIENCE;

/// Runs a command in the machine without blocking the runtime.
async fn inside(machine: &'static Machine, command: &'static str) -> String {
    tokio::task::spawn_blocking(move || machine.run(command))
        .await
        .expect("the command succeeds")
}

fn target(bus: &str, unit: &str) -> Target {
    Target::Unit {
        name: unit.to_owned(),
        bus: BusAddress::Address(bus.to_owned()),
    }
}

async fn act_at(bus: &str, unit: &str, action: Action) -> Result<Done, ActError> {
    let deadline = Instant::now() + PATIENCE;
    Actuator::default()
        .act(&target(bus, unit), action, deadline)
        .await
}

async fn act(unit: &str, action: Action) -> Result<Done, ActError> {
    act_at(&Machine::shared().bus_address(), unit, action).await
}

async fn status(unit: &str) -> UnitStatus {
    let bus = BusAddress::Address(Machine::shared().bus_address());
    Actuator::default().unit_status(unit, &bus).await.unwrap()
}

/// Asserts that the action failed for this reason, with a message that contains the text.
#[track_caller]
fn failed(result: Result<Done, ActError>, failure: Failure, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.failure, failure, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn units_are_started_restarted_and_stopped() {
    let machine = Machine::shared();
    machine.write_unit("act.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let before = status("act.service").await;
    assert!(before.exists() && before.is_stopped(), "{before:?}");

    assert_eq!(act("act.service", Action::Start).await, Ok(Done::Changed));
    let started = status("act.service").await;
    assert_eq!((started.active.as_str(), started.job), ("active", None));
    assert!(started.active_enter_monotonic > 0 && started.active_enter > 0);
    assert_eq!(act("act.service", Action::Start).await, Ok(Done::Unchanged));
    assert_eq!(status("act.service").await, started);

    assert_eq!(act("act.service", Action::Restart).await, Ok(Done::Changed));
    let restarted = status("act.service").await;
    assert!(restarted.active_enter_monotonic > started.active_enter_monotonic);

    assert_eq!(act("act.service", Action::Stop).await, Ok(Done::Changed));
    assert!(status("act.service").await.is_stopped());
    assert_eq!(act("act.service", Action::Stop).await, Ok(Done::Unchanged));
    // A unit that was collected is loaded again from its file.
    assert_eq!(act("act.service", Action::Restart).await, Ok(Done::Changed));
    inside(machine, "systemctl stop act").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_say_why() {
    let machine = Machine::shared();
    machine.write_unit(
        "act-dies.service",
        "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    machine.write_unit(
        "act-limit.service",
        "[Unit]\nStartLimitIntervalSec=1h\nStartLimitBurst=1\n[Service]\nExecStart=/bin/sleep infinity\n",
    );
    machine.write_unit(
        "act-needs.service",
        "[Unit]\nRequires=act-dies.service\nAfter=act-dies.service\n[Service]\nExecStart=/bin/sleep infinity\n",
    );
    inside(machine, "systemctl mask act-masked.service").await;
    failed(
        act("act-dies.service", Action::Start).await,
        Failure::Failed,
        "start act-dies.service: systemd's job ended with the result failed; the unit is failed (exit-code)",
    );
    failed(
        act("act-needs.service", Action::Start).await,
        Failure::Failed,
        "a unit that it requires could not be started",
    );
    failed(
        act("act-absent.service", Action::Restart).await,
        Failure::Missing,
        "there is no such unit",
    );
    failed(
        act("act-absent.service", Action::Stop).await,
        Failure::Missing,
        "act-absent.service",
    );
    failed(
        act("act-masked.service", Action::Start).await,
        Failure::Refused,
        "masked",
    );
    assert!(status("act-masked.service").await.is_masked());
    assert!(!status("act-absent.service").await.exists());

    assert_eq!(act("act-limit.service", Action::Start).await, Ok(Done::Changed));
    failed(
        act("act-limit.service", Action::Restart).await,
        Failure::Failed,
        "run `systemctl reset-failed act-limit.service`",
    );
    assert!(status("act-limit.service").await.has_hit_start_limit());

    failed(
        act_at("unix:path=/nonexistent/bus", "act-dies.service", Action::Start).await,
        Failure::Unreachable,
        "the socket does not exist",
    );
}

/// A unit that ignores SIGTERM: systemd kills it after its timeout.
#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_the_wait() {
    let machine = Machine::shared();
    machine.write_unit(
        "act-hangs.service",
        "[Service]\nType=notify\nTimeoutStartSec=1h\nExecStart=/bin/sleep infinity\n",
    );
    let bus = machine.bus_address();
    let deadline = Instant::now() + Duration::from_secs(2);
    let result = Actuator::default()
        .act(&target(&bus, "act-hangs.service"), Action::Start, deadline)
        .await;
    failed(
        result,
        Failure::Timeout,
        "start act-hangs.service: not complete after 2 s",
    );
    assert!(Instant::now() < deadline + Duration::from_secs(2));
    let waiting = status("act-hangs.service").await;
    assert!(
        waiting.job.is_some() && waiting.active == "activating",
        "{waiting:?}"
    );

    // An automatic action must not replace the job.
    let careful = Actuator::new(Network::default(), Conflict::Fail);
    let result = careful
        .act(
            &target(&bus, "act-hangs.service"),
            Action::Stop,
            Instant::now() + PATIENCE,
        )
        .await;
    failed(result, Failure::Refused, "stop act-hangs.service: ");
    assert_eq!(act("act-hangs.service", Action::Stop).await, Ok(Done::Changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_job_is_reported() {
    let machine = Machine::shared();
    machine.write_unit(
        "act-late.service",
        "[Service]\nType=notify\nTimeoutStartSec=1h\nExecStart=/bin/sleep infinity\n",
    );
    let starting = tokio::spawn(act("act-late.service", Action::Start));
    let began = Instant::now();
    while status("act-late.service").await.job.is_none() {
        assert!(began.elapsed() < PATIENCE, "the job is queued");
    }
    inside(machine, "systemctl stop act-late").await;
    failed(
        starting.await.unwrap(),
        Failure::Failed,
        "another job replaced it",
    );
}

/// The result is found by polling if the signal about the end of the job is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_signal_does_not_matter() {
    let machine = Machine::shared();
    machine.write_unit("act-quiet.service", "[Service]\nExecStart=/bin/sleep infinity\n");
    let proxy = Proxy::start(machine.bus_socket());
    proxy
        .traffic
        .drops_signals
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let bus = proxy.address();
    for action in [Action::Start, Action::Restart, Action::Stop] {
        assert_eq!(act_at(&bus, "act-quiet.service", action).await, Ok(Done::Changed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_may_execute_itself_again_meanwhile() {
    let machine = Box::leak(Box::new(Machine::boot()));
    machine.write_unit(
        "slow.service",
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'until test -e /run/go; do sleep 0.05; done'\n",
    );
    let bus = machine.bus_address();
    let starting = tokio::spawn({
        let bus = bus.clone();
        async move { act_at(&bus, "slow.service", Action::Start).await }
    });
    let address = BusAddress::Address(bus);
    let began = Instant::now();
    loop {
        let status = Actuator::default().unit_status("slow.service", &address).await;
        if status.is_ok_and(|status| status.job.is_some()) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the job is queued");
    }
    inside(machine, "systemctl daemon-reexec; touch /run/go").await;
    assert_eq!(starting.await.unwrap(), Ok(Done::Changed));
}
