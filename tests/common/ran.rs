//! One run of a check, as the scheduler does it, and what tests ask of it.

use std::sync::Arc;
use std::time::Duration;

use upkeep_exporter::check::{Check, Shared};
use upkeep_exporter::model::{Problem, Reason, Report};

/// Longer than any run takes that is not cut off.
pub const LONG: Duration = Duration::from_secs(20);
/// Where a run is to be cut off.
pub const SHORT: Duration = Duration::from_millis(300);

/// A check of these keys, written as in a flow mapping, with what it shares with no other one.
pub fn check(keys: &str) -> Check {
    let settings = Arc::new(super::config::check(keys));
    Check::new(&settings, &Shared::new("/proc".into()))
}

/// How a run ended.
pub struct Ran {
    /// Absent where the deadline passed.
    pub result: Option<Result<(), Problem>>,
    /// What the check wrote down.
    pub report: Report,
    /// How long it took.
    pub took: Duration,
}

/// Runs as the scheduler does: the future is dropped at the deadline.
#[allow(unused_macros)] // Not every program that shares this file runs checks.
macro_rules! run {
    ($check:expr, $deadline:expr) => {{
        let (mut report, started) = (
            upkeep_exporter::model::Report::default(),
            std::time::Instant::now(),
        );
        let result = tokio::time::timeout($deadline, $check.run(&mut report))
            .await
            .ok();
        $crate::common::ran::Ran {
            result,
            report,
            took: started.elapsed(),
        }
    }};
}
#[allow(unused_imports)]
pub(crate) use run;

impl Ran {
    /// The value of the family's sample, with this label where the family has one.
    pub fn value(&self, family: &str, label: Option<&str>) -> Option<f64> {
        let mut found = self.report.samples.iter().filter(|sample| {
            sample.family.name == family && label.is_none_or(|label| sample.labels == [label.to_owned()])
        });
        let value = found.next().map(|sample| sample.value);
        assert!(
            label.is_none() || found.next().is_none(),
            "{family} is there twice"
        );
        value
    }

    /// The HTTP status code.
    pub fn status(&self) -> Option<f64> {
        self.value("upkeep_http_status_code", None)
    }

    /// The seconds of a phase.
    pub fn phase(&self, phase: &str) -> f64 {
        self.value("upkeep_http_phase_duration_seconds", Some(phase))
            .unwrap()
    }

    /// When the certificate ends.
    pub fn not_after(&self) -> Option<f64> {
        self.value("upkeep_tls_certificate_not_after_timestamp_seconds", None)
    }

    /// Succeeded, with a response time.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.result, Some(Ok(())), "step {}", self.report.step);
        assert!(self.report.response_time.is_some_and(|time| time <= self.took));
        self
    }

    /// Failed with this reason, and a message that holds this text.
    #[track_caller]
    pub fn failed(&self, reason: Reason, text: &str) -> &Self {
        match &self.result {
            Some(Err(problem)) => {
                assert_eq!(problem.reason, reason, "{problem}");
                assert!(problem.message().contains(text), "{problem}");
            }
            other => panic!("{other:?}, step {}", self.report.step),
        }
        self
    }

    /// Had no answer, so that there is no response time.
    #[track_caller]
    pub fn unanswered(&self) -> &Self {
        assert_eq!(self.report.response_time, None);
        self
    }

    /// Was cancelled at the deadline while it did this.
    #[track_caller]
    pub fn hung(&self, step: &str) -> &Self {
        assert_eq!(self.result, None);
        assert!(self.report.step.starts_with(step), "{}", self.report.step);
        assert!(
            self.took >= SHORT && self.took < SHORT + Duration::from_secs(2),
            "{:?}",
            self.took
        );
        self.unanswered()
    }
}
