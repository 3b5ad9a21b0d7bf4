//! Acts on systemd units, and queries their state.

use std::time::Duration;

use super::action::{Action, Conflict, Done};
use super::error::{ActError, Failure};
use super::manager::{CallError, Manager};
use super::prepare::prepare;
use super::unit_status::{Properties, UnitStatus};
use crate::config::systemd::BusAddress;

/// How often systemd is asked whether the job still exists, in case the signal about its end was lost, such as while systemd
/// executed itself again.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Queues the job of an action, and waits for its end.
pub(super) async fn act(
    unit: &str,
    bus: &BusAddress,
    action: Action,
    conflict: Conflict,
) -> Result<Done, ActError> {
    let doing = format!("{action} {unit}");
    let describe =
        |error: CallError, manager: &Manager, is_sent| error.describe(&doing, manager.bus(), is_sent);
    let connecting = async {
        let mut manager = Manager::connect(bus).await?;
        manager
            .watch_jobs()
            .await
            .map_err(|error| describe(error, &manager, false))?;
        let before = load(&mut manager, unit)
            .await
            .map_err(|error| describe(error, &manager, false))?;
        Ok((manager, before))
    };
    let (mut manager, before) = prepare(&doing, connecting).await?;
    if !before.exists() && action != Action::Stop {
        let advice = "check its name with `systemctl list-unit-files`";
        return Err(ActError::new(
            Failure::Missing,
            format_args!("{doing}: there is no such unit; {advice}"),
        ));
    }
    let method = match action {
        Action::Start => "StartUnit",
        Action::Stop => "StopUnit",
        Action::Restart => "RestartUnit",
    };
    let mode = match conflict {
        Conflict::Replace => "replace",
        Conflict::Fail => "fail",
    };
    let job = manager
        .queue_job(method, unit, mode)
        .await
        .map_err(|error| describe(error, &manager, true))?;
    let result = loop {
        let waited = manager.wait_for_job(&job, POLL_INTERVAL).await;
        if let Some(result) = waited.map_err(|error| describe(error, &manager, true))? {
            break Some(result);
        }
        let has_job = manager.has_job(&job).await;
        if has_job.map_err(|error| describe(error, &manager, true))? == Some(false) {
            break None;
        }
    };
    let after = load(&mut manager, unit).await.unwrap_or_default();
    conclude(&doing, unit, action, result.as_deref(), &before, &after)
}

async fn load(manager: &mut Manager, unit: &str) -> Result<UnitStatus, CallError> {
    let reply = manager.properties(unit).await?;
    let body = reply.body();
    let properties: Properties<'_> = body.deserialize()?;
    Ok(UnitStatus::from_properties(&properties))
}

/// The result of an action, from the result of its job (`None` if the signal was lost) and the state before and after it.
fn conclude(
    doing: &str,
    unit: &str,
    action: Action,
    job_result: Option<&str>,
    before: &UnitStatus,
    after: &UnitStatus,
) -> Result<Done, ActError> {
    let is_as_wanted = match action {
        Action::Start | Action::Restart => after.is_started(),
        Action::Stop => after.is_stopped(),
    };
    let was_as_wanted = match action {
        Action::Start => before.is_started() && before.job.is_none(),
        Action::Stop => before.is_stopped() && before.job.is_none(),
        Action::Restart => false,
    };
    match job_result {
        Some("done") if was_as_wanted => return Ok(Done::Unchanged),
        Some("done") => return Ok(Done::Changed),
        Some("skipped") => return Ok(Done::Unchanged),
        None if is_as_wanted => return Ok(Done::Changed),
        _ => {}
    }
    let result = job_result.unwrap_or("unknown");
    let details = if after.has_hit_start_limit() {
        format!(
            "; it was started too often (start-limit-hit): fix the cause, then run `systemctl reset-failed {unit}`"
        )
    } else {
        match result {
            "dependency" => {
                format!(
                    "; a unit that it requires could not be started: see `systemctl list-dependencies {unit}`"
                )
            }
            "canceled" => "; another job replaced it".to_owned(),
            _ => format!(
                "; the unit is {} ({}): see `journalctl -u {unit}`",
                or_unknown(&after.active),
                or_unknown(&after.result)
            ),
        }
    };
    Err(ActError::new(
        Failure::Failed,
        format_args!("{doing}: systemd's job ended with the result {result}{details}"),
    ))
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { "unknown" } else { word }
}

/// Queries the state of a unit.
pub(super) async fn status(unit: &str, bus: &BusAddress) -> Result<UnitStatus, ActError> {
    let mut manager = Manager::connect(bus).await?;
    load(&mut manager, unit)
        .await
        .map_err(|error| error.describe(&format!("querying the state of {unit}"), manager.bus(), false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(active: &str, result: &str) -> UnitStatus {
        UnitStatus {
            load: "loaded".to_owned(),
            active: active.to_owned(),
            result: result.to_owned(),
            ..UnitStatus::default()
        }
    }

    fn concluded(
        action: Action,
        job: Option<&str>,
        before: &str,
        after: &UnitStatus,
    ) -> Result<Done, String> {
        conclude("doing", "a.service", action, job, &status(before, ""), after)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_result_of_the_job_decides() {
        use Action::{Restart, Start, Stop};
        let (up, down) = (status("active", "success"), status("failed", "exit-code"));
        assert_eq!(concluded(Start, Some("done"), "inactive", &up), Ok(Done::Changed));
        assert_eq!(concluded(Start, Some("done"), "active", &up), Ok(Done::Unchanged));
        assert_eq!(concluded(Restart, Some("done"), "active", &up), Ok(Done::Changed));
        assert_eq!(
            concluded(Stop, Some("done"), "failed", &down),
            Ok(Done::Unchanged)
        );
        assert_eq!(
            concluded(Start, Some("skipped"), "inactive", &down),
            Ok(Done::Unchanged)
        );
        let failed = concluded(Start, Some("failed"), "inactive", &down).unwrap_err();
        assert_eq!(
            failed,
            "doing: systemd's job ended with the result failed; the unit is failed (exit-code): see `journalctl -u a.service`"
        );
        let limit = status("failed", "start-limit-hit");
        let failed = concluded(Start, Some("failed"), "failed", &limit).unwrap_err();
        assert!(failed.contains("`systemctl reset-failed a.service`"), "{failed}");
    }

    #[test]
    fn without_a_result_the_state_decides() {
        let (up, down) = (status("active", "success"), status("inactive", "success"));
        assert_eq!(concluded(Action::Restart, None, "active", &up), Ok(Done::Changed));
        assert_eq!(concluded(Action::Stop, None, "active", &down), Ok(Done::Changed));
        assert!(concluded(Action::Start, None, "inactive", &down).is_err());
        assert!(concluded(Action::Start, None, "inactive", &UnitStatus::default()).is_err());
    }
}
