//! `/probe`: one run of a module against the target of a request, behind a guard, with blackbox_exporter's metrics as the
//! answer. The run itself is that of the check kind of the same name.

pub mod request;

use std::fmt::Write;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::check::gate::{Gate, Refusals};
use crate::check::{Check, Shared};
use crate::config::probe::{Aimed, Endpoint, Module, ProbeSettings, Refusal};
use crate::config::suggest;
use crate::metrics;
use crate::model::{Family, Journal, Problem, Reason, Report, Sample};

use crate::seldom::Seldom;
use crate::store::ProbeView;
use request::ProbeRequest;

static SUCCESS: Family = Family::probe("probe_success", &[], "1 if the probe succeeded, 0 if it failed.");
static DURATION: Family = Family::probe(
    "probe_duration_seconds",
    &[],
    "Duration of the probe, in seconds.",
);

/// Answers requests to `/probe`.
#[derive(Debug)]
pub struct Prober {
    ready: RwLock<Arc<Ready>>,
    shared: Shared,
    /// What is taken off the scraper's deadline.
    offset: Duration,
    refusals: Arc<Refusals>,
    counts: Arc<Counts>,
    refused: Seldom,
}

/// What one version of the configuration makes.
#[derive(Debug)]
struct Ready {
    settings: ProbeSettings,
    gate: Arc<Gate>,
    /// What checks share, gated.
    shared: Shared,
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    failures: AtomicU64,
    too_many: AtomicU64,
    in_flight: AtomicU64,
}

/// How a request is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The metrics of a probe, in the classic text format.
    Metrics(String),
    /// What the probe did, for a person.
    Debug(String),
    /// The request is wrong: 400.
    Wrong(String),
    /// The guard refuses the target: 403.
    Refused(String),
    /// There are no modules: 404.
    NoModules,
    /// Too many probes are under way: 429.
    TooMany(String),
}

impl Prober {
    /// A prober of nothing yet. `offset` is taken off the scraper's deadline, for the way back.
    pub fn new(shared: Shared, offset: Duration) -> Self {
        let refusals = Arc::new(Refusals::default());
        let ready = Ready::new(ProbeSettings::default(), &shared, &refusals);
        Self {
            ready: RwLock::new(Arc::new(ready)),
            shared,
            offset,
            refusals,
            counts: Arc::default(),
            refused: Seldom::default(),
        }
    }

    /// Takes over a configuration. Probes under way end as they began.
    pub fn apply(&self, settings: &ProbeSettings) {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        if ready.settings != *settings {
            *ready = Arc::new(Ready::new(settings.clone(), &self.shared, &self.refusals));
        }
    }

    /// What was counted until now; `None` while there are no modules.
    pub fn counts(&self) -> Option<ProbeView> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        if ready.settings.modules.is_empty() {
            return None;
        }
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut refused = self.refusals.all();
        refused.push(("too_many", get(&self.counts.too_many)));
        Some(ProbeView {
            runs: get(&self.counts.runs),
            failures: get(&self.counts.failures),
            in_flight: get(&self.counts.in_flight),
            refused,
        })
    }

    /// Logs what may be somebody's mistake, or an attempt.
    fn tell_refusal(&self, message: &str) {
        if let Some(more) = self.refused.turn() {
            tracing::warn!(problem = message, more, "refused a probe");
        }
    }

    /// Answers a request with this query. `timeout` is the value of [`request::TIMEOUT_HEADER`].
    pub async fn answer(&self, query: &str, timeout: Option<&str>) -> Answer {
        let ready = Arc::clone(&self.ready.read().unwrap_or_else(PoisonError::into_inner));
        if ready.settings.modules.is_empty() {
            return Answer::NoModules;
        }
        let request = match request::parse(query) {
            Ok(request) => request,
            Err(error) => return Answer::Wrong(error),
        };
        let Some(module) = ready.settings.modules.get(&*request.module) else {
            let known = ready.settings.modules.keys().map(String::as_str);
            return Answer::Wrong(suggest::unknown("module", &request.module, known));
        };
        let deadline = request::deadline(timeout, module.timeout, self.offset);
        let aimed = deadline.and_then(|deadline| {
            let aimed = module.aim(&request.target, request.hostname.as_deref());
            let aimed = aimed.map_err(|error| format!("the target can't be probed: {error}"));
            Ok((deadline, aimed?))
        });
        let (deadline, aimed) = match aimed {
            Ok(aimed) => aimed,
            Err(error) => return Answer::Wrong(error),
        };
        if let Err(refusal) = ready.judge(&aimed) {
            let message = format!("{} is no target here: {refusal}", aimed.settings.target());
            self.tell_refusal(&message);
            return Answer::Refused(message);
        }
        let Ok(place) = Arc::clone(&ready.places).try_acquire_owned() else {
            self.counts.too_many.fetch_add(1, Ordering::Relaxed);
            return Answer::TooMany(format!(
                "{} probes are under way, as many as probe.max_concurrent allows",
                ready.settings.max_concurrent
            ));
        };
        let under_way = UnderWay::new(&self.counts, place);
        let probed = probe(&aimed, &ready.shared, deadline, request.debug).await;
        drop(under_way);
        self.counts.runs.fetch_add(1, Ordering::Relaxed);
        if probed.result.is_err() {
            self.counts.failures.fetch_add(1, Ordering::Relaxed);
        }
        if let Err(problem) = &probed.result {
            if problem.reason == Reason::Permission {
                self.tell_refusal(problem.message());
            }
            tracing::debug!(
                module = &*request.module, target = %aimed.settings.target(), reason = %problem.reason,
                problem = problem.message(), "probe failed"
            );
        }
        let text = metrics::probe_text(&probed.samples);
        match request.debug {
            false => Answer::Metrics(text),
            true => Answer::Debug(told(&request, module, &probed, &text)),
        }
    }
}

impl Ready {
    fn new(settings: ProbeSettings, shared: &Shared, refusals: &Arc<Refusals>) -> Self {
        let gate = Arc::new(Gate::new(settings.guard.clone(), refusals.clone()));
        let mut shared = shared.clone();
        let resolver = shared.network.resolver.gated(Some(gate.clone()));
        shared.network.resolver = Arc::new(resolver);
        Self {
            places: Arc::new(Semaphore::new(settings.max_concurrent as usize)),
            settings,
            gate,
            shared,
        }
    }

    /// Judges what the request itself asks for. Where a name or a redirect leads is judged by the gate, when it is known.
    fn judge(&self, aimed: &Aimed) -> Result<(), Refusal> {
        match &aimed.endpoint {
            Endpoint::Host(host, port) => self.gate.judge_request(host, *port),
            Endpoint::Path(path) => self.gate.judge_path(path),
        }
    }
}

/// Counts a probe as under way, also when its client goes away.
struct UnderWay<'c> {
    counts: &'c Counts,
    _place: OwnedSemaphorePermit,
}

impl<'c> UnderWay<'c> {
    fn new(counts: &'c Counts, place: OwnedSemaphorePermit) -> Self {
        counts.in_flight.fetch_add(1, Ordering::Relaxed);
        Self {
            counts,
            _place: place,
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.counts.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What came of a probe.
struct Probed {
    result: Result<(), Problem>,
    samples: Vec<Sample>,
    journal: Option<Journal>,
}

async fn probe(aimed: &Aimed, shared: &Shared, deadline: Duration, debug: bool) -> Probed {
    let started = Instant::now();
    let ends = started + deadline;
    let mut report = Report {
        deadline: Some(ends),
        probe: Some(Vec::with_capacity(24)),
        journal: debug.then(Journal::new),
        ..Report::default()
    };
    let mut check = Check::of(&aimed.settings, shared);
    // As large as the largest kind's: boxed, it is neither moved again nor part of each connection's task.
    let run = AssertUnwindSafe(Box::pin(check.run(&mut report))).catch_unwind();
    let result = match timeout_at(ends, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Problem::new(
            Reason::Internal,
            "the probe panicked; the log says more",
        )),
        Err(_) => Err(Problem::new(
            Reason::Timeout,
            format_args!(
                "timed out after {} s while {}",
                deadline.as_secs_f64(),
                report.step
            ),
        )),
    };
    let mut samples = report.probe.take().unwrap_or_default();
    let mut push = |family, value| {
        samples.push(Sample {
            family,
            labels: Vec::new(),
            value,
        });
    };
    push(&SUCCESS, f64::from(u8::from(result.is_ok())));
    push(&DURATION, started.elapsed().as_secs_f64());
    Probed {
        result,
        samples,
        journal: report.journal,
    }
}

/// What a person sees who debugs: the steps, the result, the metrics and the module.
fn told(request: &ProbeRequest<'_>, module: &Module, probed: &Probed, metrics: &str) -> String {
    let mut text = String::from("Steps of the probe:\n");
    for (at, line) in probed.journal.iter().flat_map(Journal::lines) {
        let _ = writeln!(text, "{:>10.3} ms  {line}", at.as_secs_f64() * 1000.0);
    }
    let _ = match &probed.result {
        Ok(()) => writeln!(text, "\nThe probe succeeded.\n"),
        Err(problem) => writeln!(text, "\nThe probe failed: {problem}\n"),
    };
    let _ = write!(
        text,
        "Metrics that would have been returned:\n{metrics}\nModule {}:{}",
        request.module, module.shown
    );
    text
}
