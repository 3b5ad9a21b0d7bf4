//! Runs a check once, like the scheduler, and asserts its result.

use std::sync::Arc;
use std::time::Duration;

use upkeep_exporter::check::{Check, CheckContext};
use upkeep_exporter::model::{Problem, Reason, Report};

/// A deadline that no run reaches, unless it hangs.
pub const LONG: Duration = Duration::from_secs(20);
/// The deadline of a run that is expected to time out.
pub const SHORT: Duration = Duration::from_millis(300);

/// A check with these keys, written as in a flow mapping. It shares nothing with other checks.
pub fn check(keys: &str) -> Check {
    let settings = Arc::new(super::config::check(keys));
    Check::new(&settings, &CheckContext::new("/proc".into()))
}

/// The result of a run.
pub struct Ran {
    /// Absent after a timeout.
    pub result: Option<Result<(), Problem>>,
    /// The report of the check.
    pub report: Report,
    /// The duration of the run.
    pub took: Duration,
}

/// Runs like the scheduler: the future is dropped at the deadline.
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
    /// The value of the family's sample, with this label if the family has one.
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

    /// When the certificate expires.
    pub fn not_after(&self) -> Option<f64> {
        self.value("upkeep_tls_certificate_not_after_timestamp_seconds", None)
    }

    /// Asserts that the run succeeded with a response time.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.result, Some(Ok(())), "step {}", self.report.step);
        assert!(self.report.response_time.is_some_and(|time| time <= self.took));
        self
    }

    /// Asserts that the run failed with this reason, and a message that contains this text.
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

    /// Asserts that there was no response, so that there is no response time.
    #[track_caller]
    pub fn without_response(&self) -> &Self {
        assert_eq!(self.report.response_time, None);
        self
    }

    /// Asserts that the run was cancelled at the deadline in this step.
    #[track_caller]
    pub fn hung(&self, step: &str) -> &Self {
        assert_eq!(self.result, None);
        assert!(self.report.step.starts_with(step), "{}", self.report.step);
        assert!(
            self.took >= SHORT && self.took < SHORT + Duration::from_secs(2),
            "{:?}",
            self.took
        );
        self.without_response()
    }
}
