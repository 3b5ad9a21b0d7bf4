//! One run of a module for a request to `/probe`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::KindSettings;
use crate::config::certificate::CertificateLimits;
use crate::model::{Conclusion, DebugLog, Family, LostTime, Phase, Problem, Reason, Sample};
use crate::runner::{Attempt, DeadlinePolicy, Runnable};

static SUCCESS: Family = Family::probe("probe_success", &[], "1 if the probe succeeded, 0 if it failed.");
static TIMEOUT: Family = Family::probe("probe_timeout_seconds", &[], "Timeout of the probe in seconds.");
static DURATION: Family = Family::probe("probe_duration_seconds", &[], "Duration of the probe in seconds.");

/// The families about the lookup of a name.
const LOOKUP: [&str; 3] = [
    "probe_dns_lookup_time_seconds",
    "probe_ip_addr_hash",
    "probe_ip_protocol",
];

/// The result of a probe.
#[derive(Debug)]
pub struct ProbeResult {
    /// Why the probe failed, if it did.
    pub result: Result<(), Problem>,
    /// The samples of the response.
    pub samples: Vec<Sample>,
    /// The steps of the probe, if requested.
    pub debug_log: Option<DebugLog>,
}

impl ProbeResult {
    /// The result of a probe whose target can't be probed. The steps are about the placeholder, so they are left out. So are the
    /// samples of the lookup, unless `is_looked_up`.
    pub fn with_problem(mut self, problem: Problem, is_looked_up: bool) -> Self {
        if !is_looked_up {
            self.samples.retain(|sample| {
                let is_resolve = |label: &Cow<'static, str>| label == Phase::Resolve.as_str();
                !LOOKUP.contains(&sample.family.name) && !sample.labels.iter().any(is_resolve)
            });
        }
        Self {
            result: Err(problem),
            debug_log: None,
            ..self
        }
    }
}

/// Runs `probe` on the runtime of the checks, if there is one. Dropping the future cancels the probe.
pub async fn run_on(
    checks: Option<&Handle>,
    probe: impl Future<Output = ProbeResult> + Send + 'static,
) -> ProbeResult {
    let Some(checks) = checks else {
        return probe.await;
    };
    let mut task = JoinSet::new();
    task.spawn_on(probe, checks);
    match task.join_next().await {
        Some(Ok(result)) => result,
        // Panics are caught in the probe, so the runtime has ended.
        _ => ProbeResult {
            result: Err(Problem::new(Reason::Internal, "the exporter is shutting down")),
            samples: Vec::new(),
            debug_log: None,
        },
    }
}

/// Runs the check that `build` makes once. `lost` is the time that this process loses.
pub async fn probe<R: Runnable>(
    kind: KindSettings,
    build: impl FnOnce(&KindSettings) -> R + Send,
    timeout: Duration,
    is_debug: bool,
    lost: Arc<LostTime>,
) -> ProbeResult {
    let attempt = Attempt {
        kind: &kind,
        started: Instant::now(),
        certificate: CertificateLimits::default(),
        timeout,
        deadline_policy: DeadlinePolicy::Fixed,
        lost: &lost,
        is_debug,
        is_probe: true,
    };
    let run = attempt.run(&mut None, || build(&kind)).await;
    let result = match run.outcome.conclusion {
        // blackbox_exporter has no warnings.
        Conclusion::Success | Conclusion::Warning(_) => Ok(()),
        Conclusion::Failure(problem) | Conclusion::Inconclusive(problem) => Err(problem),
    };
    let mut samples = run.probe_samples;
    let mut push = |family, value| {
        samples.push(Sample {
            family,
            labels: Vec::new(),
            value,
        });
    };
    push(&SUCCESS, f64::from(u8::from(result.is_ok())));
    push(&DURATION, run.outcome.duration.as_secs_f64());
    push(&TIMEOUT, timeout.as_secs_f64());
    ProbeResult {
        result,
        samples,
        debug_log: run.debug_log,
    }
}

#[cfg(test)]
#[path = "../../tests/common/child.rs"]
mod child;

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;

    use super::child::stderr_of_child;
    use super::*;
    use crate::config::tests_support::check;
    use crate::model::Report;

    struct Panicking;

    impl Runnable for Panicking {
        async fn run(&mut self, _: &mut Report) -> Result<(), Problem> {
            panic!("as scripted");
        }

        fn wakeup(&self) -> Option<Arc<Notify>> {
            None
        }
    }

    #[test]
    fn a_panic_fails_the_probe_and_prints_nothing() {
        match stderr_of_child("probe::run::tests::a_panic_fails_the_probe_and_prints_nothing") {
            None => probe_with_panic(),
            Some(printed) => assert_eq!(printed, ""),
        }
    }

    #[tokio::main(flavor = "current_thread")]
    async fn probe_with_panic() {
        let settings = check("kind: tcp, address: \"127.0.0.1:1\"");
        let lost = Arc::<LostTime>::default();
        let result = probe(settings.kind, |_| Panicking, Duration::from_secs(5), true, lost).await;
        let problem = result.result.unwrap_err();
        assert_eq!((problem.reason, problem.shortage), (Reason::Internal, None));
        assert!(problem.message().contains("as scripted"), "{problem}");
        assert!(problem.message().contains("src/probe/run.rs:"), "{problem}");
        let success = result
            .samples
            .iter()
            .find(|sample| sample.family.name == "probe_success");
        assert_eq!(success.map(|sample| sample.value), Some(0.0));
        assert!(result.debug_log.is_some());
    }
}
