//! Acts on real units and containers, and runs commands.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::time::Instant;

use super::command;
use super::control::{BoxFuture, Control};
use super::evidence::{TargetEvidence, TargetState};
use super::wall_clock::{WallClock, WallTime};
use crate::actuator::{Action, Actuator, Conflict, ContainerStatus, Failure, UnitStatus};
use crate::config::Target;
use crate::config::heal::{HealAction, HealSettings};
use crate::model::ServiceKey;
use crate::net::network::Network;
use crate::supervise::Supervisor;

/// How long an action may take. systemd's defaults give a unit 90 s to stop and 90 s to start.
const DEADLINE: Duration = Duration::from_secs(300);

/// Exit codes of a container that was stopped: its own end, SIGINT, SIGKILL (as `docker kill`, or `docker stop` after its timeout),
/// and SIGTERM. They may also be those of a crash, but a person's decision is respected.
const STOP_CODES: [i32; 4] = [0, 130, 137, 143];

/// How long after the exit of a container its restart policy may take to start it again. Docker reports such a container as
/// `restarting`, but podman as `exited` until it has started it, within about a second.
const RESTART_TIME: Duration = Duration::from_secs(10);

/// Acts through systemd and container engines.
#[derive(Clone, Debug)]
pub struct SystemControl {
    actuator: Actuator,
    wall: WallClock,
    supervisor: Supervisor,
}

impl Default for SystemControl {
    /// Connects with its own resources. An action never replaces a job that somebody else requested.
    fn default() -> Self {
        Self {
            actuator: Actuator::new(Network::default(), Conflict::Fail),
            wall: WallClock::start(),
            supervisor: Supervisor::default(),
        }
    }
}

impl Control for SystemControl {
    fn state<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, Result<TargetState, String>> {
        Box::pin(async move {
            match target {
                Target::Unit { name, bus } => {
                    let status = self.actuator.unit_status(name, bus).await;
                    let status = status.map_err(|error| error.to_string())?;
                    Ok(unit_state(name, &status, monotonic_micros()))
                }
                Target::Container { name, engine } => {
                    match self.actuator.container_status(name, engine).await {
                        Ok(status) => Ok(container_state(name, &status, self.wall.read())),
                        Err(error) if error.failure == Failure::Missing => Ok(TargetState {
                            is_missing: true,
                            text: error.to_string(),
                            ..TargetState::default()
                        }),
                        Err(error) => Err(error.to_string()),
                    }
                }
            }
        })
    }

    fn act<'a>(
        &'a self,
        service: &'a ServiceKey,
        settings: &'a HealSettings,
        state: &'a TargetEvidence,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let action = match (&settings.action, state) {
                (HealAction::Command(command), _) => {
                    return command::run(&self.supervisor, command, service, DEADLINE).await;
                }
                // A start has the same effect, and none if somebody else started it meanwhile.
                (HealAction::Restart, TargetEvidence::Known(state)) if !state.is_running => Action::Start,
                (HealAction::Restart, _) => Action::Restart,
                (HealAction::Start, _) => Action::Start,
            };
            let Some(target) = &settings.target else {
                return Err("no unit and no container to act on".to_owned());
            };
            let result = self.actuator.act(target, action, Instant::now() + DEADLINE).await;
            result.map(|_| ()).map_err(|error| error.to_string())
        })
    }
}

fn monotonic_micros() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let micros = time
        .tv_sec
        .saturating_mul(1_000_000)
        .saturating_add(time.tv_nsec / 1000);
    micros.unsigned_abs()
}

/// What the state of a unit means for healing. `now` is CLOCK_MONOTONIC in microseconds.
fn unit_state(name: &str, status: &UnitStatus, now: u64) -> TargetState {
    let is_changing = matches!(
        status.active.as_str(),
        "activating" | "deactivating" | "reloading" | "refreshing" | "maintenance"
    );
    let was_stopped = was_stopped(status);
    TargetState {
        is_missing: !status.exists(),
        is_masked: status.is_masked(),
        has_job: status.job.is_some() || is_changing,
        is_auto_restarting: status.is_auto_restarting(),
        has_hit_start_limit: status.has_hit_start_limit()
            || (status.has_given_up_restarting() && !was_stopped),
        was_stopped,
        is_running: status.is_started(),
        running_for: status.active_for(now),
        text: format!("{name} is {} ({}, {})", status.active, status.sub, status.result),
    }
}

/// Whether a person or another unit stopped the unit, or it ended without an error.
///
/// A stopped unit may still have failed: many programs exit with an error after SIGTERM. Then systemd left the state `active` before
/// the main process exited. In a crash, the process exits first. A failed start after that says nothing about a stop.
fn was_stopped(status: &UnitStatus) -> bool {
    match status.active.as_str() {
        "inactive" => true,
        "failed" => {
            let is_by_systemd = matches!(
                status.result.as_str(),
                "watchdog" | "oom-kill" | "start-limit-hit"
            );
            let has_started_since = status.inactive_exit_monotonic > status.active_exit_monotonic;
            let was_active = status.active_exit_monotonic > 0;
            let left_first = status.active_exit_monotonic < status.main_exit_monotonic;
            !is_by_systemd && was_active && !has_started_since && left_first
        }
        _ => false,
    }
}

/// What the state of a container means for healing.
fn container_state(name: &str, status: &ContainerStatus, wall: WallTime) -> TargetState {
    let running_for = status.started.map(|started| wall.least_since(started));
    let has_exited = matches!(status.state.as_str(), "exited" | "stopped" | "dead");
    let exit_code = status.exit_code.unwrap_or_default();
    let was_stopped = has_exited && STOP_CODES.contains(&exit_code) && !status.is_oom_killed;
    let exited_just_now = status
        .finished
        .is_some_and(|at| wall.least_since(at) < RESTART_TIME);
    let is_restarted = has_exited && !was_stopped && status.restarts_after_failure();
    TargetState {
        has_job: matches!(status.state.as_str(), "removing" | "stopping"),
        is_auto_restarting: status.is_restarting() || (is_restarted && exited_just_now),
        was_stopped: was_stopped || matches!(status.state.as_str(), "paused" | "created" | "configured"),
        is_running: status.is_running(),
        running_for: running_for.filter(|_| status.is_running()),
        text: format!("container {name} is {}, exit code {exit_code}", status.state),
        ..TargetState::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: &str, result: &str) -> UnitStatus {
        UnitStatus {
            load: "loaded".to_owned(),
            active: active.to_owned(),
            result: result.to_owned(),
            inactive_exit_monotonic: 100,
            active_enter_monotonic: 110,
            ..UnitStatus::default()
        }
    }

    /// A unit that left the state active and whose main process exited at these times.
    fn failed(result: &str, active_exit: u64, main_exit: u64) -> UnitStatus {
        UnitStatus {
            active_exit_monotonic: active_exit,
            main_exit_monotonic: main_exit,
            ..unit("failed", result)
        }
    }

    #[test]
    fn a_crash_is_distinguished_from_a_stop() {
        let is_stopped = |status: &UnitStatus| was_stopped(status);
        assert!(!is_stopped(&failed("exit-code", 201, 200)), "a crash");
        assert!(!is_stopped(&failed("signal", 200, 200)), "a crash");
        assert!(
            is_stopped(&failed("exit-code", 200, 201)),
            "stopped, and exited with an error"
        );
        assert!(
            is_stopped(&failed("timeout", 200, 201)),
            "stopped, and ignored SIGTERM"
        );
        assert!(!is_stopped(&failed("watchdog", 200, 201)));
        assert!(!is_stopped(&failed("oom-kill", 200, 201)));
        let mut start = failed("exit-code", 200, 400);
        start.inactive_exit_monotonic = 300;
        assert!(!is_stopped(&start), "a failed start after a stop");
        assert!(!is_stopped(&failed("exit-code", 0, 150)), "it was never active");
        assert!(is_stopped(&unit("inactive", "success")));
        assert!(!is_stopped(&unit("active", "success")));
    }

    #[test]
    fn states_of_units_are_translated() {
        let running = unit_state("api.service", &unit("active", "success"), 1_000_110);
        assert!(running.is_running && !running.has_job);
        assert_eq!(running.running_for, Some(Duration::from_secs(1)));
        for active in ["activating", "deactivating", "reloading"] {
            assert!(unit_state("a", &unit(active, "success"), 0).has_job, "{active}");
        }
        let job = UnitStatus {
            job: Some(7),
            ..unit("failed", "signal")
        };
        assert!(unit_state("a", &job, 0).has_job);
        let limit = unit_state("a", &unit("failed", "start-limit-hit"), 0);
        assert!(limit.has_hit_start_limit && !limit.was_stopped);
        assert_eq!(limit.text, "a is failed (, start-limit-hit)");
        // systemd restarts this unit, but does not any more.
        let mut given_up = failed("exit-code", 201, 200);
        given_up.restart = "always".to_owned();
        assert!(unit_state("a", &given_up, 0).has_hit_start_limit);
        given_up.main_exit_monotonic = 202;
        let stopped = unit_state("a", &given_up, 0);
        assert!(stopped.was_stopped && !stopped.has_hit_start_limit);
    }

    #[test]
    fn states_of_containers_are_translated() {
        let state = |state: &str, exit_code, is_oom_killed| {
            let status = ContainerStatus {
                is_oom_killed,
                ..container(state, exit_code)
            };
            container_state("api", &status, at(1000.0))
        };
        let running = state("running", 0, false);
        assert!(running.is_running && !running.was_stopped);
        assert_eq!(running.running_for, Some(Duration::from_secs(10)));
        for code in STOP_CODES {
            assert!(state("exited", code, false).was_stopped, "{code}");
        }
        assert!(!state("exited", 1, false).was_stopped);
        assert!(!state("exited", 137, true).was_stopped, "out of memory");
        assert!(state("paused", 0, false).was_stopped);
        assert!(state("restarting", 1, false).is_auto_restarting);
    }

    /// A container that was started at the Unix time 990, and exited at 995.
    fn container(state: &str, exit_code: i32) -> ContainerStatus {
        ContainerStatus {
            state: state.to_owned(),
            started: Some(990.0),
            finished: Some(995.0),
            exit_code: Some(exit_code),
            ..ContainerStatus::default()
        }
    }

    /// The time of a clock that was never set.
    fn at(now: f64) -> WallTime {
        WallTime { now, step: 0.0 }
    }

    #[test]
    fn an_engine_gets_time_to_restart_a_container_that_failed() {
        let is_restarting = |policy: &str, exit_code, now| {
            let status = ContainerStatus {
                restart_policy: policy.to_owned(),
                ..container("exited", exit_code)
            };
            container_state("api", &status, at(now)).is_auto_restarting
        };
        for policy in ["always", "on-failure", "unless-stopped"] {
            assert!(is_restarting(policy, 1, 1004.0), "{policy}");
            assert!(!is_restarting(policy, 1, 1005.0), "{policy}: it took too long");
            assert!(!is_restarting(policy, 143, 1000.0), "{policy}: it was stopped");
        }
        assert!(!is_restarting("no", 1, 1000.0) && !is_restarting("", 1, 1000.0));
    }

    /// Otherwise, a container would be restarted within its grace, or would stay in it for an hour.
    #[test]
    fn setting_the_clock_does_not_change_how_long_a_container_has_been_running() {
        const HOUR: f64 = 3600.0;
        for step in [HOUR, -HOUR] {
            let running_for = |now| {
                let wall = WallTime { now, step };
                let state = container_state("api", &container("running", 0), wall);
                state.running_for.map(|time| time.as_secs())
            };
            assert_eq!(running_for(1005.0 + step), Some(15), "set after the start");
            assert_eq!(running_for(1005.0), Some(15), "set before the start");
        }
    }
}
