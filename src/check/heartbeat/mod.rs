//! The heartbeat check: whether a job reports in time. Beats arrive at the web server; a run only judges what has arrived.

mod families;

use std::borrow::Cow;
use std::sync::Arc;

use tokio::sync::Notify;

pub use self::families::FAMILIES;
use self::families::{
    BEATS, DEADLINE, DUE, EXIT_STATUS, LAST_START, LAST_SUCCESS, OPEN_RUNS, RUN_DURATION, STATE,
};
use super::CheckContext;
use crate::config::heartbeat::{HeartbeatSettings, read_token};
use crate::heartbeat::{Evaluation, Heartbeats, Verdict};
use crate::model::{BeatKind, Family, JobState, Problem, Reason, Report, Sample, Shortage};
use crate::net::shortage;

/// A heartbeat check.
#[derive(Debug)]
pub struct HeartbeatCheck {
    settings: HeartbeatSettings,
    heartbeats: Heartbeats,
}

impl HeartbeatCheck {
    /// A check with these settings.
    pub fn new(settings: &HeartbeatSettings, context: &CheckContext) -> Self {
        Self {
            settings: settings.clone(),
            heartbeats: context.heartbeats.clone(),
        }
    }

    /// Notified when a beat arrives, and when the job becomes late.
    pub fn wakeup(&self) -> Option<Arc<Notify>> {
        self.heartbeats.wakeup(self.settings.id.as_ref()?)
    }

    /// Runs the check once.
    ///
    /// # Errors
    /// The problem that makes the run fail.
    #[allow(clippy::unused_async, reason = "all kinds have the same interface")]
    pub async fn run(&mut self, report: &mut Report) -> Result<(), Problem> {
        let token = read_token(&self.settings.token);
        let exposed = token.as_ref().ok().map(|token| token.expose());
        let evaluation = self.heartbeats.evaluate(&self.settings, exposed);
        if token.is_ok() && !evaluation.is_received {
            return Err(Problem::from_shortage(
                Shortage::Undecided,
                "only the running exporter receives the heartbeats of the job; `upkeep_exporter status` shows its state",
            ));
        }
        push_samples(report, &evaluation);
        report.job = Some(Arc::new(evaluation.view));
        if let Err(error) = token {
            return Err(shortage::problem(
                Reason::Auth,
                &error,
                format_args!("the token: {error}"),
            ));
        }
        if let Some(twin) = evaluation.twin {
            return Err(Problem::new(
                Reason::Auth,
                format_args!(
                    "the token is also that of the check {twin}, so beats with it are rejected: create another one"
                ),
            ));
        }
        match evaluation.assessment.verdict {
            Verdict::Up => Ok(()),
            Verdict::Degraded(reason, message) => {
                report.warning = Some(Problem::new(reason, message));
                Ok(())
            }
            Verdict::Down(reason, message) => Err(Problem::new(reason, message)),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn push_samples(report: &mut Report, evaluation: &Evaluation) {
    let mut push = |family: &'static Family, label: Option<&'static str>, value: f64| {
        report.samples.push(Sample {
            family,
            labels: label.map(Cow::Borrowed).into_iter().collect(),
            value,
        });
    };
    let view = &evaluation.view;
    for state in JobState::ALL {
        push(&STATE, Some(state.as_str()), f64::from(*state == view.state));
    }
    for (family, value) in [
        (&LAST_SUCCESS, view.last_success),
        (&LAST_START, view.last_start),
        (&DUE, view.due),
        (&DEADLINE, view.deadline),
        (
            &RUN_DURATION,
            evaluation.last_run_time.map(|time| time.as_secs_f64()),
        ),
        (&EXIT_STATUS, evaluation.exit_status.map(f64::from)),
        (&OPEN_RUNS, Some(view.open_runs as f64)),
    ] {
        if let Some(value) = value {
            push(family, None, value);
        }
    }
    for (kind, count) in BeatKind::ALL.iter().zip(evaluation.counts) {
        push(&BEATS, Some(kind.as_str()), count as f64);
    }
}
